import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { highWord, lowWord } from '../../src/lib/float-bits.ts';
import { AppError } from '../../src/model/errors.ts';
import { type ExpositionEntry, withStarts } from '../../src/wire/exposition/entry.ts';
import { parseOpenMetrics } from '../../src/wire/exposition/open-metrics.ts';
import { parsePrometheusText } from '../../src/wire/exposition/prometheus-text.ts';

const SHARED = new URL('../../../shared/conformance/', import.meta.url);
const skip = fs.existsSync(SHARED) ? false : 'there is no ../shared/conformance';

interface EntryJson {
  readonly kind: string;
  readonly name?: string;
  readonly text?: string;
  readonly labels?: Record<string, string>;
  readonly ts?: string;
  readonly value_bits?: string;
  readonly start_ts?: string;
  readonly exemplars?: readonly {
    readonly labels: Record<string, string>;
    readonly value: string;
    readonly ts?: string;
  }[];
}

interface ExpositionVector {
  readonly name: string;
  readonly content_type: string;
  readonly input?: string;
  readonly input_base64?: string;
  readonly ok: boolean;
  readonly error?: string;
  readonly entries: readonly EntryJson[];
}

const object = (pairs: readonly string[]) =>
  Object.fromEntries(pairs.flatMap((name, i) => (i % 2 === 0 ? [[name, pairs[i + 1]!]] : [])));

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0');
}

/** Times are numbers here, so those beyond 2^53 are not exact. */
const number = (text: string | undefined) => (text === undefined ? undefined : Number(text));

/** As the vectors write it. Prometheus makes all NaN of an exposition the same one. */
function json(entry: ExpositionEntry): Record<string, unknown> {
  if (entry.kind === 'comment') return { kind: 'comment', text: entry.text };
  if (entry.kind !== 'series') return { kind: entry.kind, name: entry.metric, text: entry.text || undefined };
  const { value, timeMs, startMs, exemplar } = entry;
  const bits = Number.isNaN(value) ? '7ff8000000000001' : hex(highWord(value)) + hex(lowWord(value));
  return {
    kind: 'series',
    labels: object(entry.pairs),
    ts: timeMs,
    value_bits: bits,
    start_ts: startMs,
    exemplars: exemplar && [{ labels: object(exemplar.pairs), value: exemplar.value, ts: exemplar.timeMs }],
  };
}

function expected({
  kind,
  name,
  text,
  labels,
  ts,
  value_bits,
  start_ts,
  exemplars,
}: EntryJson): Record<string, unknown> {
  if (kind === 'comment') return { kind, text };
  if (kind !== 'series') return { kind, name, text };
  const numbers = exemplars?.map((one) => ({
    labels: one.labels,
    value: Number(one.value.replace('Inf', 'Infinity')),
    ts: number(one.ts),
  }));
  return { kind, labels, ts: number(ts), value_bits, start_ts: number(start_ts), exemplars: numbers };
}

test('text expositions are read as Prometheus reads them, with its errors', { skip }, () => {
  const lines = fs.readFileSync(new URL('vectors/expfmt.jsonl', SHARED), 'utf8').split('\n');
  let count = 0;
  for (const line of lines) {
    if (line === '') continue;
    const vector = JSON.parse(line) as ExpositionVector & { file?: string };
    const { name, content_type, input, input_base64 } = vector;
    // whether there is a parser for it is for who asked
    if (content_type === '' || content_type.startsWith('bad')) continue;
    const bytes = input_base64 === undefined ? Buffer.from(input ?? '') : Buffer.from(input_base64, 'base64');
    const parsed = content_type.startsWith('application/openmetrics')
      ? parseOpenMetrics(bytes)
      : parsePrometheusText(bytes);
    const entries: Record<string, unknown>[] = [];
    let fault: string | undefined;
    try {
      for (const entry of name.startsWith('om_created_as_start') ? withStarts(parsed) : parsed)
        entries.push(json(entry));
    } catch (thrown) {
      assert.ok(thrown instanceof AppError, `${name}: ${thrown}`);
      fault = thrown.message.replace(/^line \d+: /, '');
    }
    assert.deepEqual(fault, vector.error, name);
    assert.deepEqual(entries, vector.entries.map(expected), name);
    count++;
  }
  assert.ok(count >= 283, `${count} expositions`);
});
