import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Kernel } from '../chunk/kernel.ts';
import { PLACEMENT_DEFAULT, slotOf } from '../chunkstore/placement.ts';
import { Schema, TABLE_MS_DEFAULT } from '../chunkstore/schema.ts';
import { seriesOf } from '../chunkstore/test-series.ts';
import { ChunkStoreWriter } from '../chunkstore/writer.ts';
import type { IngesterClient } from '../contract/ingester.ts';
import type { InstantOutcome, InstantRequest } from '../contract/query.ts';
import { defaultsOf } from '../kit/config/section.ts';
import { Registry } from '../kit/observe/metrics.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { seededRandom } from '../lib/random.ts';
import { DEFAULT_LIMITS, type TenantLimits } from '../limits/limits.ts';
import { joinedLimits } from '../limits/query-limits.ts';
import { QueryPriority, QueryRejection } from '../limits/query-rules.ts';
import { processErrors } from '../model/errors-process.ts';
import { MemoryTableStore } from '../table/memory.ts';
import { purgerConfig, querierConfig } from './config.ts';
import { Querier, querierEngine } from './querier.ts';
import { QuerierService, type QueryTurn, type QueryWorkers } from './service.ts';

// The service over a querier in this thread, which reads from a store in memory. Nothing is recent.

const WINDOW_MS = 7_200_000;
const START_MS = 20_000 * 86_400_000;
const END_MS = START_MS + 600_000;
const { signal } = new AbortController();
const clock = new ManualClock(START_MS + 4 * WINDOW_MS);

const nothingRecent: IngesterClient = {
  async *select() {},
  labels: async () => [],
  metadata: async () => [],
  headStats: async () => undefined,
  exemplars: async () => [],
};

async function storeWith(tenant: string): Promise<Schema> {
  const schema = new Schema([
    { fromMs: Number.NEGATIVE_INFINITY, tables: new MemoryTableStore(), tablePrefix: 't_', tableMs: TABLE_MS_DEFAULT },
  ]);
  const times = Array.from({ length: 41 }, (_, i) => START_MS + i * 15_000);
  const series = ['a', 'b'].map((job, k) => seriesOf({ __name__: 'up', job }, times, (_, i) => i + 100 * k));
  await new ChunkStoreWriter(schema, Kernel.create(), { clock }).write([
    {
      tenant,
      placement: PLACEMENT_DEFAULT,
      slot: slotOf(PLACEMENT_DEFAULT, series[0]!.labels),
      windowStartMs: START_MS,
      windowMs: WINDOW_MS,
      series,
    },
  ]);
  return schema;
}

const FACTS = {
  apiType: 'query',
  startMs: 0,
  endMs: 0,
  stepMs: 0,
  userAgent: '',
  dashboardUid: '',
  panelId: '',
} as const;

async function querierOn(ingester: IngesterClient): Promise<Querier> {
  const config = defaultsOf(querierConfig);
  return new Querier({
    config,
    purger: defaultsOf(purgerConfig),
    engine: querierEngine(config),
    ingester,
    schema: await storeWith('a'),
    blockCache: undefined,
    rowCacheBytesMax: 1 << 20,
    windowMs: WINDOW_MS,
    keepFlushedMs: 900_000,
    clock,
    random: seededRandom(1),
  });
}

async function serviceOn(more: Partial<QueryWorkers> = {}, limits: Partial<TenantLimits> = {}) {
  const querier = await querierOn(nothingRecent);
  const workers: QueryWorkers = {
    handle: () => Promise.reject(processErrors.workerQueueFull({ pool: 'query', limit: 3 })),
    instant: async ({ tenant, request }, limits, abort) => ({
      answer: await querier.sources(tenant, limits).queries.instant(tenant, request, { signal: abort }),
      cache: { hits: 1, misses: 2, failures: 0 },
    }),
    range: async ({ tenant, request }, limits, abort) => ({
      answer: await querier.sources(tenant, limits).queries.range(tenant, request, { signal: abort }),
      cache: undefined,
    }),
    partial: async ({ tenant, request }, limits, abort) => ({
      answer: await querier.sources(tenant, limits).queries.partial(tenant, request, { signal: abort }),
      cache: undefined,
    }),
    instants: async ({ tenant, request }, limits, abort) => ({
      answer: await querier.instants(tenant, request, limits, { signal: abort }),
      cache: undefined,
    }),
    deleteTenant: (tenant, abort) => querier.deleteTenant(tenant, abort),
    tenantDeletion: (tenant, abort) => querier.tenantDeletion(tenant, abort),
    ...more,
  };
  const registry = new Registry();
  const service = new QuerierService({
    workers,
    cacheBackend: 'memory',
    limits: () => ({ ...DEFAULT_LIMITS, ...limits }),
    factsOf: ({ params }) => ({ ...FACTS, query: params[0]![1] }),
    registry,
    clock,
  });
  return { service, registry };
}

const context = { signal };

test('what is in the store is found, by an instant and over a range, and what it took is told', async () => {
  const { service, registry } = await serviceOn();
  const { value, statistics } = await service.instant('a', { expr: 'sum(up)', timeMs: END_MS }, context);
  assert.deepEqual(value.type === 'vector' && [...value.values], [180]);
  assert.ok(statistics.fetchedRows > 0 && statistics.fetchedBytes > 0);
  const range = await service.range(
    'a',
    { expr: 'up{job="a"}', startMs: START_MS, endMs: END_MS, stepMs: 300_000 },
    context,
  );
  assert.deepEqual(range.value.type === 'matrix' && range.value.series.map(({ values }) => [...values]), [[0, 20, 40]]);
  assert.deepEqual((await service.instant('b', { expr: 'up', timeMs: END_MS }, context)).value, {
    type: 'vector',
    timeMs: END_MS,
    pairs: [],
    values: new Float64Array(0),
    histograms: undefined,
  });
  const shown = await registry.getSingleMetricAsString('pallium_cache_fetched_keys_total');
  assert.match(shown, /\{cache="memory"\} 6$/m);
});

test("a tenant's past is left out once it is deleted", async () => {
  const { service } = await serviceOn();
  assert.equal(await service.tenantDeletion('a', signal), undefined);
  assert.deepEqual(await service.deleteTenant('a', signal), { endMs: clock.nowMs(), processed: false });
  assert.deepEqual(await service.tenantDeletion('a', signal), { endMs: clock.nowMs(), processed: false });
  const { value } = await service.instant('a', { expr: 'count(up)', timeMs: END_MS }, context);
  assert.deepEqual(value.type === 'vector' && value.pairs, []);
});

test('an API request is in the book while it runs, and workers that cannot take it are an answer', async () => {
  const asked = Promise.withResolvers<void>();
  const { service } = await serviceOn({
    async handle() {
      await asked.promise;
      throw processErrors.workerQueueFull({ pool: 'query', limit: 3 });
    },
  });
  const request = { tenant: 'a', method: 'GET', path: '/api/v1/query', params: [['query', 'up']] as const };
  const answer = service.handle(request, signal);
  assert.deepEqual(
    service.book.active('a').map(({ query }) => query),
    ['up'],
  );
  asked.resolve();
  const { status, headers, body } = await answer;
  assert.equal(status, 503);
  assert.ok('retry-after' in (headers ?? {}));
  assert.equal(JSON.parse(new TextDecoder().decode(body)).errorType, 'unavailable');
  assert.deepEqual(service.book.active('a'), []);
});

test('a query that its tenant cancels is answered so', async () => {
  const { service } = await serviceOn({
    handle: (_, __, ends) =>
      new Promise((_resolve, reject) => ends.addEventListener('abort', () => reject(ends.reason))),
  });
  const request = { tenant: 'a', method: 'GET', path: '/api/v1/query', params: [['query', 'up']] as const };
  const answer = service.handle(request, signal);
  assert.ok(service.book.cancel('a', service.book.active('a')[0]!.id));
  const { status, body } = await answer;
  assert.equal(status, 499);
  assert.equal(JSON.parse(new TextDecoder().decode(body)).errorType, 'canceled');
});

test('a tenant refuses some queries, prefers others, and those that took long come later', async () => {
  const turns: (QueryTurn | undefined)[] = [];
  const body = new TextEncoder().encode('{}');
  const handle: QueryWorkers['handle'] = async (_, __, ___, turn) => {
    turns.push(turn);
    return { answer: { status: 200, contentType: 'application/json', body }, cache: undefined, workedMs: 7 };
  };
  const { service } = await serviceOn(
    { handle },
    {
      queryRejection: QueryRejection.parse({ enabled: true, query_attributes: [{ regex: 'monster' }] }),
      queryPriority: QueryPriority.parse({
        enabled: true,
        priorities: [{ priority: 3, query_attributes: [{ regex: '^up$' }] }],
      }),
    },
  );
  const ask = async (query: string) => {
    const request = { tenant: 'a', method: 'GET', path: '/api/v1/query', params: [['query', query]] as const };
    const answer = await service.handle(request, signal);
    return [answer.status, JSON.parse(new TextDecoder().decode(answer.body))];
  };
  assert.deepEqual(await ask('sum(monster)'), [
    422,
    {
      status: 'error',
      errorType: 'execution',
      error: 'This query does not perform well and has been rejected by the service provider (query_rejection)',
    },
  ]);
  for (const query of ['up', 'down', 'down']) assert.equal((await ask(query))[0], 200);
  assert.deepEqual(turns, [
    { costMs: 5, priority: 3 },
    { costMs: 5, priority: 0 },
    { costMs: 7, priority: 0 },
  ]);
});

test('what a query of a batch reads ahead is within its own time, and the others are answered meanwhile', async () => {
  const asked: string[] = [];
  const given: boolean[] = [];
  const querier = await querierOn({
    ...nothingRecent,
    async selectWhole({ matchers }, own) {
      const { value } = matchers[0]!;
      asked.push(value);
      if (value !== 'slow') return [];
      // nobody ends it but who closes the batch
      return new Promise((_, reject) => {
        own.addEventListener('abort', () => {
          given.push(true);
          reject(own.reason);
        });
      });
    },
  });
  const requestOf = (expr: string, timeoutMs?: number) => {
    return { expr, timeMs: END_MS, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
  };
  const ask = (requests: readonly InstantRequest[]) =>
    querier.instants(
      'b',
      requests,
      joinedLimits('b', () => DEFAULT_LIMITS),
      context,
    );
  // the store knows at once that it has nothing, once it was asked
  await ask(['slow', 'quick'].map((name) => requestOf(name)));
  asked.length = 0;
  let done: readonly InstantOutcome[] | undefined;
  const all = ask([requestOf('slow', 5_000), requestOf('sum(slow)', 7_000), requestOf('quick', 5_000)]).then((got) => {
    done = got;
  });
  for (let i = 0; i < 50; i++) await clock.turn();
  assert.deepEqual(asked, ['slow', 'quick']);
  await clock.advance(4_999);
  assert.equal(done, undefined);
  await clock.advance(2_001);
  await all;
  const [first, second, third] = done!;
  for (const slow of [first!, second!]) assert.ok('failure' in slow && slow.failure.isTimeout, JSON.stringify(slow));
  assert.ok('result' in third!);
  assert.deepEqual([clock.timers, given], [0, [true]]);
});

test('an answer tells that its expression is small only where somebody evaluates such ones elsewhere', async () => {
  const answer = { status: 200, contentType: 'application/json', body: new Uint8Array(0) };
  const workers = { handle: async () => ({ answer, cache: undefined, isSmall: true }) } as unknown as QueryWorkers;
  const options = { workers, cacheBackend: 'memory', limits: () => DEFAULT_LIMITS, clock };
  const request = { tenant: 'a', method: 'GET', path: '/api/v1/query', params: [['query', 'up']] } as const;
  const plain = new QuerierService({ ...options, registry: new Registry() });
  assert.equal(await plain.handle(request, signal), answer, 'the same, and no copy');
  const telling = new QuerierService({ ...options, tellsSmall: true, registry: new Registry() });
  assert.deepEqual(await telling.handle(request, signal), { ...answer, isSmall: true });
});
