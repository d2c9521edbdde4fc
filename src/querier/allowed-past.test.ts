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
import { storeErrors } from '../model/errors-store.ts';
import { LabelMatcher } from '../model/matcher.ts';
import { MemoryObjectClient } from '../object/memory.ts';
import { unlimited } from '../storage/unlimited.ts';
import { MemoryTableStore } from '../table/memory.ts';
import { purgerConfig, querierConfig } from './config.ts';
import { Querier, querierEngine } from './querier.ts';

const HOUR_MS = 3_600_000;
const NOW_MS = 1000 * 24 * HOUR_MS + 30_000;
const { signal } = new AbortController();
const AWAY = { backend: 's3', operation: 'get', reason: 'away', tries: 1 };

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
    async size(request) {
      note('size', request);
      note('seen', { ...request, startMs: request.coverFromMs });
      if (request.tenant === 'away') throw storeErrors.storeUnavailable(AWAY);
      return { series: 1, coveredMs: 2 };
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
    purger: { ...defaultsOf(purgerConfig), enableAdminApi: true },
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

test('what heads hold is told of the past that may be seen, and not where something of it was deleted', async () => {
  const { querier, asked } = asking();
  const told = async (
    limits: Partial<TenantLimits>,
    hours: number,
    tenant = 't',
    own = new AbortController().signal,
  ) => {
    let seen = 0;
    const range = { startMs: NOW_MS - hours * HOUR_MS, endMs: NOW_MS - HOUR_MS };
    const cover = { coverFromMs: range.startMs + HOUR_MS, spacingMs: 15_000 };
    const { headSizes } = querier.sources(tenant, limitsOf(limits));
    await headSizes!(tenant, { matchers: [], ...range, ...cover }, own, ({ series, coveredMs }) => {
      seen += series + coveredMs;
    });
    return [...asked.splice(0), seen];
  };
  assert.deepEqual(await told({}, 9), ['size 9.00-1.00', 'seen 8.00-1.00', 3]);
  assert.deepEqual(await told({ maxQueryLookbackMs: 4 * HOUR_MS }, 9), ['size 4.01-1.00', 'seen 4.01-1.00', 3]);
  assert.deepEqual(await told({ queryIngestersWithinMs: 3 * HOUR_MS }, 9), ['size 3.00-1.00', 'seen 3.00-1.00', 3]);
  assert.deepEqual(await told({ queryIngestersWithinMs: HOUR_MS / 2 }, 9), [0]);
  assert.deepEqual(await told({}, 9, 'away'), ['size 9.00-1.00', 'seen 8.00-1.00', 0]);
  await assert.rejects(told({}, 9, 'away', AbortSignal.abort()));
  asked.length = 0;
  const { deletes } = querier.sources('t', limitsOf({}));
  const range = { startMs: NOW_MS - 8 * HOUR_MS, endMs: NOW_MS - 7 * HOUR_MS };
  await deletes!.create('t', { matchers: [LabelMatcher.of('i', '=', '1')], ...range }, signal);
  assert.deepEqual(await told({}, 9), [0]);
  assert.deepEqual(await told({}, 6), ['size 6.00-1.00', 'seen 5.00-1.00', 3]);
});
