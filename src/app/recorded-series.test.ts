import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeSeriesPush } from '../distributor/series-push.ts';
import { systemClock } from '../lib/clock.ts';
import { isStale } from '../lib/float-bits.ts';
import { type Random, seededRandom } from '../lib/random.ts';
import { Labels } from '../model/labels.ts';
import type { RuleSample } from '../ruler/evaluate.ts';
import { GroupRun } from '../ruler/group-run.ts';
import { PushSink } from '../ruler/push-sink.ts';
import { PART_SERIES_MAX, type PackedFloats, RecordedSeries } from '../ruler/recorded-series.ts';
import { readRuleGroup } from '../ruler/rule-file.ts';
import { decodeRemoteWrite1 } from '../wire/remote-write-1.ts';
import { inflateSnappy } from '../wire/snappy.ts';

const { signal } = new AbortController();

/** Lines of what a request says: labels, time, value. */
function linesOf(body: Uint8Array): string[] {
  const { series } = decodeRemoteWrite1(inflateSnappy(body, 64 * 1024 * 1024, 'test'));
  return series.flatMap(({ pairs, samples }) =>
    samples.times.map((timeMs, i) => {
      const value = isStale(samples.high(i), samples.low(i)) ? 'stale' : samples.value(i);
      return `${JSON.stringify(pairs)} ${timeMs} ${Object.is(value, -0) ? '-0' : value}`;
    }),
  );
}

const VALUES = [0, -0, 1.5, -1e300, Number.NaN, Number.POSITIVE_INFINITY, 2 ** -1074];

test('only times and values of encoded series change', () => {
  const pairs = JSON.stringify([['a', 'é', 'b', ''], ['a', 'x'.repeat(300)], []]);
  const known = new RecordedSeries(pairs, 3, (text) =>
    (JSON.parse(text) as string[][]).map((each) => Labels.fromSortedPairs(each).with('__name__', 'r')),
  );
  for (const timeMs of [1_764_000_000_123, 1_764_000_060_123, 0, 127, 128, -5, 2 ** 45, 1_764_000_000_123]) {
    for (let i = 0; i < VALUES.length; i++) {
      const values = Float64Array.from([0, 1, 2], (k) => VALUES[(i + k) % VALUES.length]!);
      const encoded = encodeSeriesPush([], known.encoded(timeMs, { pairs, values })).body;
      const one = (labels: Labels, k: number) => ({ pairs: labels.pairs, samples: [{ timeMs, value: values[k]! }] });
      const plain = encodeSeriesPush(known.labels().map(one)).body;
      assert.deepEqual(Buffer.from(encoded), Buffer.from(plain));
    }
  }
});

const GROUP = `
name: g
limit: 40
labels: { team: a }
rules:
  - { record: first, expr: one, labels: { own: l } }
  - { record: second, expr: two }
  - { record: third, expr: three, labels: { instance: all } }
`;

/** A group that writes through a sink, and what came of it. */
function groupOf(text: string, before?: GroupRun) {
  const lines: string[] = [];
  const sink = new PushSink(
    {
      async pushSeries({ series, encoded }) {
        lines.push(...linesOf(encodeSeriesPush(series, encoded).body));
        return { status: 204, headers: {}, text: '' };
      },
    },
    'a',
    systemClock,
    signal,
  );
  const run = new GroupRun(readRuleGroup(text).groups[0]!, sink);
  if (before !== undefined) run.copyState(before);
  return { run, taken: () => lines.splice(0).sort() };
}

function samplesOf(random: Random): RuleSample[] {
  const count = random() < 0.1 ? 0 : 1 + Math.floor(random() * 3);
  return Array.from({ length: count }, (_, i) => ({
    labels: Labels.of({ instance: `i${i + (random() < 0.2 ? 1 : 0)}`, ...(random() < 0.1 ? { extra: 'x' } : {}) }),
    value: VALUES[Math.floor(random() * VALUES.length)]!,
    histogram: undefined,
  }));
}

function packedOf(samples: readonly RuleSample[]): PackedFloats {
  return {
    pairs: JSON.stringify(samples.map(({ labels }) => labels.pairs)),
    values: Float64Array.from(samples, ({ value }) => value),
  };
}

test('packed answers are written as others are, edits, errors and series that end included', async () => {
  const random = seededRandom(7);
  let plain = groupOf(GROUP);
  let packed = groupOf(GROUP);
  const settings = { externalLabels: new Map<string, string>(), externalUrl: '', nowMs: () => 0 };
  let ended = 0;
  let failed = 0;
  for (let k = 0; k < 300; k++) {
    if (k % 50 === 49) {
      const edited = GROUP.replace('team: a', `team: t${k}`).replace('limit: 40', `limit: ${(k % 3) + 1}`);
      plain = groupOf(edited, plain.run);
      packed = groupOf(edited, packed.run);
    }
    const answers = new Map(['one', 'two', 'three'].map((expr) => [expr, samplesOf(random)]));
    const isPacked = new Map([...answers.keys()].map((expr) => [expr, random() < 0.9]));
    const slotMs = 1_764_000_000_000 + k * 60_000;
    const instant = async (expr: string) => answers.get(expr)!;
    await plain.run.evaluate({ ...settings, slotMs, query: { instant } });
    const asked = async (expr: string) => (isPacked.get(expr) ? packedOf(answers.get(expr)!) : answers.get(expr)!);
    await packed.run.evaluate({ ...settings, slotMs, query: { instant, packed: asked } });
    const lines = plain.taken();
    assert.deepEqual(packed.taken(), lines);
    ended += lines.filter((line) => line.endsWith('stale')).length;
    for (const [i, { health, lastError, samples }] of plain.run.rules.entries()) {
      const own = packed.run.rules[i]!;
      assert.deepEqual([own.health, own.lastError?.message, own.samples], [health, lastError?.message, samples]);
      if (health === 'err') failed++;
    }
  }
  assert.ok(ended > 100 && failed > 30, `${ended} ended, ${failed} failed`);
});

test('a rule of more series than a request may have is written in several', async () => {
  const counts: number[] = [];
  const sink = new PushSink(
    {
      async pushSeries({ series, encoded }) {
        counts.push(linesOf(encodeSeriesPush(series, encoded).body).length);
        return { status: 204, headers: {}, text: '' };
      },
    },
    'a',
    systemClock,
    signal,
  );
  const pairs = JSON.stringify(Array.from({ length: PART_SERIES_MAX + 7 }, (_, i) => ['i', String(i)]));
  const series = new RecordedSeries(pairs, PART_SERIES_MAX + 7, (text) =>
    (JSON.parse(text) as string[][]).map((each) => Labels.fromSortedPairs(each)),
  );
  const floats = { pairs, values: new Float64Array(PART_SERIES_MAX + 7) };
  await sink.append(1, [
    { samples: [], stale: [Labels.of({ gone: 'x' })], recorded: { series, floats } },
    { samples: [{ labels: Labels.of({ a: 'b' }), value: 1, histogram: undefined }], stale: [] },
  ]);
  assert.equal(
    counts.reduce((sum, count) => sum + count, 0),
    PART_SERIES_MAX + 9,
  );
  assert.ok(counts.every((count) => count <= PART_SERIES_MAX));
});
