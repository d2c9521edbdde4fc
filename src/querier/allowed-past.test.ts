import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Schema, TABLE_MS_DEFAULT } from '../chunkstore/schema.ts';
import type { IngesterClient } from '../contract/ingester.ts';
import { defaultsOf } from '../kit/config/section.ts';
import { ANY_TIME_MS } from '../lib/day.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { seededRandom } from '../lib/random.ts';
import { DEFAULT_LIMITS, type TenantLimits } from '../limits/limits.ts';
import { joinedLimits } from '../limits/query-limits.ts';
import { MemoryObjectClient } from '../object/memory.ts';
import { unlimited } from '../storage/unlimited.ts';
import { MemoryTableStore } from '../table/memory.ts';
import { purgerConfig, querierConfig } from './config.ts';
import { Querier, querierEngine } from './querier.ts';

const HOUR_MS = 3_600_000;
const NOW_MS = 1000 * 24 * HOUR_MS + 30_000;
const { signal } = new AbortController();

/** A querier, and the ranges that its ingester is asked for, in hours before now. */
function asking() {
  const asked: string[] = [];
  const note = (what: string, { startMs, endMs }: { readonly startMs: number; readonly endMs: number }) => {
    const ago = (timeMs: number) => (NOW_MS - timeMs) / HOUR_MS;
    asked.push(`${what} ${ago(startMs).toFixed(2)}-${ago(endMs).toFixed(2)}`);
  };
  const ingester: IngesterClient = {
    // biome-ignore lint/correctness/useYield: it has nothing
    async *select(request) {
      note('samples', request);
    },
    async labels(request) {
      note('labels', request);
      return [];
    },
    metadata: async () => [],
    headStats: async () => undefined,
    exemplars: async () => [],
  };
  const clock = new ManualClock(NOW_MS);
  const config = defaultsOf(querierConfig);
  const period = {
    fromMs: Number.NEGATIVE_INFINITY,
    tables: new MemoryTableStore(),
    objects: new MemoryObjectClient(clock),
  };
  const querier = new Querier({
    config,
    purger: defaultsOf(purgerConfig),
    engine: querierEngine(config),
    ingester,
    schema: new Schema([{ ...period, tablePrefix: 't_', tableMs: TABLE_MS_DEFAULT }]),
    blockCache: undefined,
    rowCacheBytesMax: 0,
    windowMs: HOUR_MS / 2,
    keepFlushedMs: HOUR_MS / 4,
    clock,
    random: seededRandom(1),
  });
  return { querier, asked };
}

const limitsOf = (limits: Partial<TenantLimits>) => joinedLimits('t', () => ({ ...DEFAULT_LIMITS, ...limits }));

test('nothing further back than max_query_lookback is asked for, whoever asks', async () => {
  const { querier, asked } = asking();
  const limits = limitsOf({ maxQueryLookbackMs: 2 * HOUR_MS });
  const { queries, queryable, sizes } = querier.sources('t', limits);
  const told = () => asked.splice(0);
  const instant = (expr: string) => queries.instant('t', { expr, timeMs: NOW_MS }, { signal });
  await instant('count_over_time(x[400d])');
  // the limit is by the minute
  assert.deepEqual(told(), ['samples 2.01-0.00']);
  await instant('max_over_time(x[3h:1m] offset 1h)');
  assert.deepEqual(told(), ['samples 2.01-1.01']);
  await instant('x offset 3h');
  await instant(`x @ ${(NOW_MS - 3 * HOUR_MS) / 1e3}`);
  assert.deepEqual(told(), []);
  const range = { startMs: NOW_MS - HOUR_MS, endMs: NOW_MS, stepMs: 60_000 };
  await queries.range('t', { expr: 'rate(x[5h])', ...range }, { signal });
  await queries.range('t', { expr: 'rate(x[30m])', ...range }, { signal });
  await queries.partial('t', { expr: 'sum(rate(x[5h]))', ...range, shard: { index: 0, count: 2 } }, { signal });
  assert.deepEqual(told(), ['samples 2.01-0.00', 'samples 1.50-0.00', 'samples 2.01-0.00']);
  const all = { matchers: [], startMs: 0, endMs: NOW_MS };
  (await queryable('t').select({ ...all, labelsOnly: true }, unlimited(signal))).close();
  await queryable('t').labelNames(all, unlimited(signal));
  await queryable('t').labelValues('a', { ...all, endMs: NOW_MS - 3 * HOUR_MS }, unlimited(signal));
  assert.deepEqual(told(), ['samples 2.01-0.00', 'labels 2.01-0.00']);
  await querier.instants('t', [{ expr: 'count_over_time(x[5h])', timeMs: NOW_MS }], limits, { signal });
  assert.deepEqual(told(), ['samples 2.01-0.00']);
  // nor is the store looked at for what it has of it
  const old = { matchers: [], startMs: 0, endMs: NOW_MS - 3 * HOUR_MS, bound: 'least' as const };
  await sizes('t', old, signal, () => assert.fail('it has none'));

  const unbounded = querier.sources('t', limitsOf({}));
  await unbounded.queries.instant('t', { expr: 'count_over_time(x[5h])', timeMs: NOW_MS }, { signal });
  assert.deepEqual(told(), ['samples 5.00-0.00']);
  // whoever asks says how far back
  for (const [oldestMs, hours] of [
    [ANY_TIME_MS, '5.00'],
    [NOW_MS - 3 * HOUR_MS, '3.00'],
  ] as const) {
    for (const own of [limits, limitsOf({})]) {
      const asking = querier.sources('t', own, oldestMs);
      await asking.queries.instant('t', { expr: 'count_over_time(x[5h])', timeMs: NOW_MS }, { signal });
      assert.deepEqual(told(), [`samples ${hours}-0.00`]);
    }
  }
});
