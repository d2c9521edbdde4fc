import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { PromApi } from '../api/backend.ts';
import { Kernel } from '../chunk/kernel.ts';
import { Schema } from '../chunkstore/schema.ts';
import { ChunkStoreWriter } from '../chunkstore/writer.ts';
import { runCompactor } from '../compactor/compaction-run.ts';
import { compactorConfig } from '../compactor/config.ts';
import { CompactorService } from '../compactor/service.ts';
import type { FrameTarget } from '../contract/ingest.ts';
import { Edge } from '../distributor/edge.ts';
import { DistributorService } from '../distributor/service.ts';
import { ingesterConfig } from '../ingester/config.ts';
import { Flusher } from '../ingester/flush/flush.ts';
import { HeldRange } from '../ingester/head/held-range.ts';
import { MemoryDisk } from '../ingester/log/test-disk.ts';
import { IngesterService } from '../ingester/service.ts';
import { Shard } from '../ingester/shard/shard.ts';
import { ShardsClient } from '../ingester/shard/shard-client.ts';
import type { ShardRole } from '../ingester/shard/shard-messages.ts';
import { shardRole } from '../ingester/shard/shard-role.ts';
import { defaultsOf } from '../kit/config/section.ts';
import { silentLogger } from '../kit/observe/log.ts';
import { Registry } from '../kit/observe/metrics.ts';
import { type Channel, connectInThread } from '../kit/thread/channel.ts';
import { DAY_MS } from '../lib/day.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { seededRandom } from '../lib/random.ts';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { MemoryObjectClient } from '../object/memory.ts';
import { purgerConfig, querierConfig } from '../querier/config.ts';
import { Querier, querierEngine } from '../querier/querier.ts';
import { QuerierService, type QueryWorkers } from '../querier/service.ts';
import { MemoryTableStore } from '../table/memory.ts';

// All services in this thread: an edge, three shards, a flusher, a querier and a compactor, on a disk and a store in memory, at a time
// that the test sets.

const SHARDS = 3;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const START_MS = 20_600 * DAY_MS;
const SECRET = Uint8Array.from({ length: 16 }, (_, i) => i);
const { signal } = new AbortController();
const context = { signal };

function oneThread(t: TestContext) {
  const clock = new ManualClock(START_MS);
  const registry = new Registry();
  const common = { registry, clock, log: silentLogger };
  const limits = () => DEFAULT_LIMITS;
  const schema = new Schema([
    {
      fromMs: Number.NEGATIVE_INFINITY,
      tables: new MemoryTableStore(),
      objects: new MemoryObjectClient(clock),
      tablePrefix: 't_',
      tableMs: DAY_MS,
    },
  ]);

  const config = defaultsOf(ingesterConfig);
  const { windowMs, keepFlushedMs } = config;
  const disk = new MemoryDisk();
  const shards = Array.from({ length: SHARDS }, (_, i) => {
    const held = HeldRange.everything();
    const shard = new Shard({
      folder: `shard-${i}`,
      windowMs,
      headBytesMax: config.headBytesMax,
      seriesSecret: SECRET,
      fsync: 'interval',
      fsyncIntervalMs: MINUTE,
      keepFlushedMs,
      held,
      disk,
      clock,
      log: () => {},
      fatal: (error) => assert.fail(error),
    });
    const link = connectInThread<ShardRole>(shardRole(shard, clock));
    t.after(() => link.close());
    return { channel: link.channel, held };
  });
  const channels = shards.map(({ channel }) => channel);
  const writer = new ChunkStoreWriter(schema, Kernel.create(), { clock });
  const flusher = new Flusher({ shards: channels, writer, kernel: Kernel.create(), windowMs, clock });
  const ingester = new IngesterService({ ...common, config, shards: () => channels, flusher, statsIntervalMs: MINUTE });

  const targets = channels.map(frameTarget);
  const edges = new Edge({ clock, rawBytesMax: 1 << 20, seriesSecret: SECRET, targets });
  const distributor = new DistributorService({ ...common, edges, limits });

  const querierOptions = defaultsOf(querierConfig);
  const querier = new Querier({
    config: querierOptions,
    purger: defaultsOf(purgerConfig),
    engine: querierEngine(querierOptions),
    ingester: new ShardsClient(shards),
    schema,
    blockCache: undefined,
    rowCacheBytesMax: 1 << 20,
    windowMs,
    keepFlushedMs,
    clock,
    random: seededRandom(1),
  });
  const status = { version: '0', startTimeMs: START_MS, flags: {}, configYaml: '', headStats: async () => undefined };
  const workers: QueryWorkers = {
    handle: async (request, own, abort) => ({
      answer: await new PromApi({ ...querier.sources(request.tenant, own), status }).handle(request, abort),
      cache: undefined,
    }),
    instant: async ({ tenant, request }, own, abort) => ({
      answer: await querier.sources(tenant, own).queries.instant(tenant, request, { signal: abort }),
      cache: undefined,
    }),
    range: async ({ tenant, request }, own, abort) => ({
      answer: await querier.sources(tenant, own).queries.range(tenant, request, { signal: abort }),
      cache: undefined,
    }),
    partial: async ({ tenant, request }, own, abort) => ({
      answer: await querier.sources(tenant, own).queries.partial(tenant, request, { signal: abort }),
      cache: undefined,
    }),
    instants: async ({ tenant, request }, own, abort) => ({
      answer: await querier.instants(tenant, request, own, { signal: abort }),
      cache: undefined,
    }),
    deleteTenant: (tenant, abort) => querier.deleteTenant(tenant, abort),
    tenantDeletion: (tenant, abort) => querier.tenantDeletion(tenant, abort),
  };
  const queries = new QuerierService({ ...common, workers, cacheBackend: '', limits });

  const ownConfig = defaultsOf(compactorConfig);
  const kernels = { read: Kernel.create(), write: Kernel.create() };
  const compactor = new CompactorService({
    ...common,
    config: ownConfig,
    runner: {
      run: (run, abort) =>
        runCompactor(
          {
            schema,
            kernels,
            clock,
            random: seededRandom(2),
            config: ownConfig,
            deleteRequestCancelPeriodMs: DAY_MS,
            walAgeMaxMs: 7 * DAY_MS,
          },
          run,
          abort,
        ),
    },
    retention: () => ({ defaultMs: 0, tenants: new Map() }),
  });
  return { clock, ingester, distributor, queries, compactor };
}

function frameTarget(shard: Channel<ShardRole>): FrameTarget {
  return {
    push: (request) => shard.call('push', request, { transfer: [request.frames] }),
    setMetadata: (request) => shard.call('setMetadata', request),
  };
}

/** Whatever happens by itself (flushes, syncs, checkpoints, windows let go) is brought about by the clock alone. */
test('a day passes: written, flushed, merged, and found whole at any moment', { timeout: 60_000 }, async (t) => {
  const startedMs = performance.now();
  const { clock, ingester, distributor, queries, compactor } = oneThread(t);
  await ingester.start();
  for (let i = 0; i < 1000 && ingester.notReady() !== undefined; i++) await clock.turn();
  assert.equal(ingester.notReady(), undefined);

  const jobs = Array.from({ length: 12 }, (_, i) => `job-${i}`);
  const metrics = ['requests_total', 'temperature'];
  const value = async (expr: string, tenant = 'a') => {
    const result = await queries.instant(tenant, { expr, timeMs: clock.nowMs() }, context);
    assert.deepEqual(result.warnings, []);
    return result.value.type === 'vector' ? [...result.value.values] : [];
  };
  let pushed = 0;
  for (let minute = 0; minute < DAY_MS / MINUTE; minute++) {
    if (minute > 0) await clock.advance(MINUTE);
    const series = metrics.flatMap((name, m) =>
      jobs.map((job, j) => ({
        pairs: ['__name__', name, 'job', job],
        samples: [{ timeMs: clock.nowMs(), value: m === 0 ? minute * (j + 1) : Math.sin(minute / 60) + j }],
      })),
    );
    assert.equal((await distributor.pushSeries({ tenant: 'a', series })).text, '');
    pushed += series.length;
    if (minute % 180 !== 179) continue;
    // all of the day so far: the newest from the head, the rest from the store
    assert.deepEqual(
      await value(metrics.map((name) => `sum(count_over_time(${name}[${minute + 1}m]))`).join(' + ')),
      [pushed],
      `minute ${minute}`,
    );
    assert.deepEqual(await value('sum(rate(requests_total[10m])) * 60'), [78]);
    assert.deepEqual(await value('count({job=~".+"})', 'b'), []);
  }
  await clock.advance(4 * HOUR);
  assert.deepEqual(await ingester.tenantSeries(), [{ tenant: 'a', series: 24 }]);
  const report = await compactor.run({ force: false });
  assert.deepEqual([report.days, report.failures, report.damaged], [1, [], []]);
  assert.equal(report.samples, pushed, 'the day is merged whole');

  const { value: found } = await queries.range(
    'a',
    {
      expr: 'count_over_time(requests_total{job="job-3"}[1h])',
      startMs: START_MS + HOUR - 1,
      endMs: START_MS + DAY_MS - 1,
      stepMs: HOUR,
    },
    context,
  );
  assert.deepEqual(found.type === 'matrix' && found.series.map(({ values }) => [...values]), [Array(24).fill(60)]);
  const api = await queries.handle(
    {
      tenant: 'a',
      method: 'GET',
      path: '/api/v1/label/job/values',
      params: [
        ['start', String(START_MS / 1000)],
        ['end', String((START_MS + DAY_MS) / 1000)],
      ],
    },
    signal,
  );
  assert.deepEqual(JSON.parse(new TextDecoder().decode(api.body as Uint8Array)).data.toSorted(), jobs.toSorted());
  await ingester.stop({ signal, progress: () => {} });
  const tookMs = performance.now() - startedMs;
  t.diagnostic(`${pushed} samples, ${Math.round(tookMs)} ms`);
});
