import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { Kernel } from '../../chunk/kernel.ts';
import { ChunkStoreReader } from '../../chunkstore/reader.ts';
import { Schema } from '../../chunkstore/schema.ts';
import { defaultsOf } from '../../kit/config/section.ts';
import { systemClock } from '../../lib/clock.ts';
import { encodeLabels } from '../../model/canonical.ts';
import { Labels } from '../../model/labels.ts';
import { parseMetricSelector } from '../../promql/parser/parser.ts';
import { querierConfig } from '../../querier/config.ts';
import { readRuleFile } from '../../ruler/rule-file.ts';
import { FLOAT, SampleColumns } from '../../storage/columns.ts';
import { unlimited } from '../../storage/unlimited.ts';
import type { Row, TableClient } from '../../table/client.ts';
import { MemoryTableStore } from '../../table/memory.ts';
import { Progress } from './progress.ts';
import { type BackfillOptions, backfill } from './rules-backfill.ts';
import { StoreBatch } from './store-batch.ts';
import { beginStoreImport } from './store-import.ts';

const START_MS = Date.UTC(2026, 9, 1, 11);
const MINUTE_MS = 60_000;
const WINDOW_MS = 120 * MINUTE_MS;
const TENANT = 'a';

/** A store with a counter of three instances for six hours; the last one ends after four. */
async function world() {
  const tables = new MemoryTableStore();
  const rows = new Set<string>();
  const client: TableClient = {
    write: async (table, written: readonly Row[], signal) => {
      for (const { hash, range } of written) {
        rows.add(`${table} ${Buffer.from(hash).toString('hex')} ${Buffer.from(range).toString('hex')}`);
      }
      await tables.write(table, written, signal);
    },
    query: (...args) => tables.query(...args),
    delete: (...args) => tables.delete(...args),
    compareAndSet: (...args) => tables.compareAndSet(...args),
    close: async () => {},
  };
  const schema = new Schema([
    {
      fromMs: Number.NEGATIVE_INFINITY,
      tables: { client, admin: tables, limits: tables.limits },
      tablePrefix: 'p_',
      tableMs: 86_400_000,
    },
  ]);
  const signal = new AbortController().signal;
  const begun = await beginStoreImport(schema, { tenant: TENANT, windowMs: WINDOW_MS, clock: systemClock, signal });
  const batch = new StoreBatch(begun.options);
  for (const [instance, minutes] of Object.entries({ x: 360, y: 360, z: 239 })) {
    const columns = new SampleColumns();
    for (let i = 0; i < minutes; i++) columns.pushFloat(START_MS + i * MINUTE_MS, i * 60);
    batch.add(encodeLabels(Labels.of({ __name__: 'n_total', instance })), columns);
  }
  await batch.write(3);
  /** `time in minutes → value`, or `stale`, of a series. */
  const read = async (selector: string) => {
    const reader = new ChunkStoreReader(schema, Kernel.create(), systemClock);
    const range = { startMs: START_MS - WINDOW_MS, endMs: START_MS + 10 * WINDOW_MS };
    const set = await reader.select(TENANT, { matchers: parseMetricSelector(selector), ...range }, unlimited(signal));
    const columns = new SampleColumns();
    return new Map(
      set.series.map((labels, i) => {
        set.read(i, columns);
        const { times, values, kinds, count, plain } = columns;
        const shown = Array.from({ length: count }, (_, k) => [
          (times[k]! - START_MS) / MINUTE_MS,
          plain || kinds[k] === FLOAT ? values[k]! : 'stale',
        ]);
        return [`${labels.get('__name__')} ${labels.get('instance')}`.trim(), shown] as const;
      }),
    );
  };
  const options = (rules: string, more: Partial<BackfillOptions> = {}): BackfillOptions => {
    const { groups, errors } = readRuleFile(rules);
    assert.deepEqual(errors, []);
    return {
      groups: groups.map((group) => ({ namespace: 'space', group })),
      tenant: TENANT,
      startMs: START_MS + 10 * MINUTE_MS,
      endMs: START_MS + 300 * MINUTE_MS,
      evaluationIntervalMs: MINUTE_MS,
      queryOffsetMs: 0,
      restart: false,
      schema,
      windowMs: WINDOW_MS,
      querier: defaultsOf(querierConfig),
      clock: systemClock,
      progress: new Progress(new PassThrough(), systemClock.monotonicMs),
      signal,
      ...more,
    };
  };
  return { read, rows, options };
}

const RULES = `
groups:
- name: rates
  align_evaluation_time_on_interval: true
  labels: { team: infra }
  rules:
  - { record: 'i:n:rate5m', expr: 'rate(n_total[5m])' }
  - { record: 'n:rate5m', expr: 'sum(i:n:rate5m)' }
  - { record: 'n:rate5m:count', expr: 'count_over_time(n:rate5m[10m])' }
- name: late
  interval: 7m
  query_offset: 30s
  align_evaluation_time_on_interval: true
  rules: [{ record: n:count, expr: count(n_total) }]
`;

test('recording rules are evaluated over what is stored, window after window', async () => {
  const { read, options } = await world();
  const { samples, failures, skipped } = await backfill(options(RULES));
  assert.deepEqual([failures, skipped], [0, 0]);
  const sum = (await read('n:rate5m{team="infra"}')).get('n:rate5m')!;
  assert.deepEqual([sum[0], sum[100], sum.length], [[10, 3], [110, 3], 291]);
  const counts = (await read('n:rate5m:count')).get('n:rate5m:count')!.map(([, value]) => value);
  assert.deepEqual(
    counts,
    Array.from({ length: 291 }, (_, i) => Math.min(10, i + 1)),
  );
  // the rate of the last one is gone five minutes behind its end: over the edge of a window
  const z = (await read('i:n:rate5m{instance="z"}')).get('i:n:rate5m z')!;
  assert.deepEqual(z.at(-1)![1], 'stale');
  assert.deepEqual(z.filter(([, value]) => value === 'stale').length, 1);
  const count = (await read('n:count')).get('n:count')!;
  // multiples of 7 minutes since 1970, less the offset
  assert.ok(count.every(([minute]) => (Number(minute) * MINUTE_MS + START_MS + 30_000) % (7 * MINUTE_MS) === 0));
  const all = [...(await read('{__name__=~".*:.*"}')).values()].reduce((total, each) => total + each.length, 0);
  assert.equal(all, samples);
});

test('done again it changes nothing, not a row', async () => {
  const { read, rows, options } = await world();
  const first = await backfill(options(RULES));
  const [before, count] = [await read('{__name__=~".*:.*"}'), rows.size];
  const again = await backfill(options(RULES));
  assert.deepEqual([again.samples, again.skipped], [first.samples, 0]);
  assert.deepEqual(await read('{__name__=~".*:.*"}'), before);
  // but those that say that something changed
  assert.ok(rows.size - count <= 2, `${rows.size - count} rows`);
});

test('what was ended goes on where it stopped, and gives the same', async () => {
  const whole = await world();
  await backfill(whole.options(RULES));
  const broken = await world();
  const ended = new AbortController();
  let parts = 0;
  const progress = new Progress(new PassThrough(), systemClock.monotonicMs);
  progress.at = () => {
    if (++parts === 3) ended.abort(new Error('ended'));
  };
  await assert.rejects(backfill(broken.options(RULES, { signal: ended.signal, progress })), /ended/);
  const { skipped } = await backfill(broken.options(RULES));
  assert.equal(skipped, 3);
  const all = '{__name__=~".*:.*"}';
  assert.deepEqual(await broken.read(all), await whole.read(all));
  assert.equal((await backfill(broken.options(RULES))).skipped, 0);
});

test('rules that read themselves, and evaluations that fail', async () => {
  const { read, options } = await world();
  const rules = `
groups:
- name: own
  interval: 10m
  align_evaluation_time_on_interval: true
  rules:
  - { record: n:so_far, expr: 'last_over_time(n:so_far[11m]) + 1 or vector(1)' }
  - { record: n:wrong, expr: 'n_total * on () n_total' }
`;
  const { failures, lastError } = await backfill(options(rules));
  assert.equal(failures, 30);
  assert.match(lastError!, /many-to-many|duplicate series/);
  const values = (await read('n:so_far')).get('n:so_far')!.map(([, value]) => value);
  assert.deepEqual(
    values,
    Array.from({ length: 30 }, (_, i) => i + 1),
  );
});
