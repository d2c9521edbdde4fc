import { PromApi } from '../../src/api/backend.ts';
import { Kernel } from '../../src/chunk/kernel.ts';
import type { Schema } from '../../src/chunkstore/schema.ts';
import { ChunkStoreWriter } from '../../src/chunkstore/writer.ts';
import { runCompactor } from '../../src/compactor/compaction-run.ts';
import { compactorConfig } from '../../src/compactor/config.ts';
import { CompactorService } from '../../src/compactor/service.ts';
import type { IngesterClient } from '../../src/contract/ingester.ts';
import type { DistributorService } from '../../src/distributor/service.ts';
import { ingesterConfig } from '../../src/ingester/config.ts';
import { Flusher } from '../../src/ingester/flush/flush.ts';
import { HeldRange } from '../../src/ingester/head/held-range.ts';
import type { Disk } from '../../src/ingester/log/disk.ts';
import { type IngesterOptions, IngesterService } from '../../src/ingester/service.ts';
import { Shard } from '../../src/ingester/shard/shard.ts';
import type { ShardRole } from '../../src/ingester/shard/shard-messages.ts';
import { shardRole } from '../../src/ingester/shard/shard-role.ts';
import { defaultsOf } from '../../src/kit/config/section.ts';
import { silentLogger } from '../../src/kit/observe/log.ts';
import { Registry } from '../../src/kit/observe/metrics.ts';
import type { Channel } from '../../src/kit/thread/channel.ts';
import { DEFAULT_LIMITS, type TenantLimits } from '../../src/limits/limits.ts';
import { purgerConfig, querierConfig } from '../../src/querier/config.ts';
import { Querier, querierEngine } from '../../src/querier/querier.ts';
import { QuerierService, type QueryWorkers } from '../../src/querier/service.ts';
import type { FrontParts } from './cluster.ts';
import { connectThread } from './port.ts';
import type { SimProcess } from './process.ts';
import { neverSynced, type Rule, writesNothing } from './rules.ts';
import { encodeSent } from './sent-series.ts';
import { START_MS } from './world.ts';

// The parts of a process, as `src/app` puts them together, but in one thread each and on the clocks, disks and ports of a simulation.

const MINUTE = 60_000;

/** Time between two syncs of a log, of a run. */
const SYNC_MS_MIN = 10_000;
const SYNC_MS_MAX = 5 * MINUTE;

/** Windows of minutes, so that a run of hours has many. */
export const WINDOW_MS = 10 * MINUTE;
export const KEEP_FLUSHED_MS = 6 * MINUTE;

export const INGESTER = {
  ...defaultsOf(ingesterConfig),
  windowMs: WINDOW_MS,
  flushDelayMs: 2 * MINUTE,
  flushSpreadMs: 3 * MINUTE,
  keepFlushedMs: KEEP_FLUSHED_MS,
  flushCheckIntervalMs: 30_000,
  // a tenant whose pods are replaced has more after a while
  splitMetricSeries: 6,
};

export const LIMITS: TenantLimits = { ...DEFAULT_LIMITS, outOfOrderTimeWindowMs: 12 * 60 * MINUTE };
export const DELETE_CANCEL_MS = 10 * MINUTE;

export interface Place {
  readonly process: SimProcess;
  readonly schema: Schema;
}

function common({ process: { clock } }: Place) {
  return { clock, registry: new Registry(), log: silentLogger };
}

/** Runs whose holders flush all that they have when they are stopped. */
const FLUSH_ALL_SHARE = 0.3;

/** One of so many seeds runs with heads whose memory threads can share. */
const SHARED_SEEDS = 16;

export interface ShardsOptions {
  readonly disk: Disk;
  readonly seriesSecret: Uint8Array;
  readonly shards: number;
  readonly fsync: 'always' | 'interval';
  /** As the options of a shard have it. */
  readonly machineRun?: string;
  readonly headBytesMax?: number | undefined;
  readonly broken: Rule | undefined;
}

export interface RunningShard {
  readonly channel: Channel<ShardRole>;
  readonly held: HeldRange;
}

/** The shards of an ingester, each as if in a thread of its own. */
export function startShards(
  { process }: Place,
  { disk, seriesSecret, shards, fsync, machineRun, headBytesMax = INGESTER.headBytesMax, broken }: ShardsOptions,
): readonly RunningShard[] {
  const { clock, randomBytes, world } = process;
  return Array.from({ length: shards }, (_, i) => {
    const held = HeldRange.everything();
    const shard = new Shard({
      // a simulation makes hundreds of them; some seeds have the kernel that processes have
      isAlone: world.seed % SHARED_SEEDS !== 1,
      folder: `shard-${i}`,
      windowMs: INGESTER.windowMs,
      headBytesMax,
      seriesSecret,
      fsync,
      fsyncIntervalMs: SYNC_MS_MIN + world.random('sync')() ** 2 * SYNC_MS_MAX,
      keepFlushedMs: broken === 'keep what is stored' ? 0 : INGESTER.keepFlushedMs,
      machineRun,
      held,
      disk: broken === 'windows are told' ? neverSynced(disk) : disk,
      clock,
      randomBytes,
      log: (level, text) => {
        if (level !== 'info') world.trace(`${process.name} shard ${i}: ${text}`);
      },
      fatal: (error) => process.end(error),
    });
    return { channel: connectThread<ShardRole>(process, shardRole(shard, clock, randomBytes)), held };
  });
}

export function makeIngester(
  place: Place,
  shards: readonly RunningShard[],
  {
    flushLosses = false,
    ring,
    inlineBytesMax,
    broken,
  }: Pick<IngesterOptions, 'flushLosses' | 'ring'> & {
    readonly inlineBytesMax?: number | undefined;
    readonly broken?: Rule | undefined;
  } = {},
): IngesterService {
  const { clock } = place.process;
  const channels = shards.map(({ channel }) => channel);
  const kernel = Kernel.create();
  const writer = new ChunkStoreWriter(place.schema, kernel, {
    clock,
    ...(inlineBytesMax !== undefined && { inlineBytesMax }),
  });
  const flusher = new Flusher({
    shards: channels,
    writer,
    kernel: Kernel.create(),
    windowMs: INGESTER.windowMs,
    clock,
    splitSeries: INGESTER.splitMetricSeries,
    deleteRequestCancelPeriodMs: DELETE_CANCEL_MS,
    walAgeMaxMs: INGESTER.walAgeMaxMs,
  });
  const flushesAll = place.process.world.random('flush on shutdown')() < FLUSH_ALL_SHARE;
  return new IngesterService({
    ...common(place),
    config: flushesAll ? { ...INGESTER, flushOnShutdown: 'all' } : INGESTER,
    shards: () => channels,
    flusher: broken === 'each holder owes' && !isFirst(place) ? writesNothing(flusher, channels) : flusher,
    flushLosses,
    ...(ring && { ring }),
    statsIntervalMs: 10 * MINUTE,
  });
}

const isFirst = ({ process }: Place) => process.machine.name === 'ingester-0';

export function makeQuerier(place: Place, ingester: IngesterClient, broken?: Rule) {
  const { process, schema } = place;
  const { clock, random } = process;
  const config = {
    ...defaultsOf(querierConfig),
    enablePromqlStartTimestamps: true,
    enablePromqlExperimentalFunctions: true,
  };
  const querier = new Querier({
    config,
    purger: {
      ...defaultsOf(purgerConfig),
      enableAdminApi: true,
      deleteRequestCancelPeriodMs: DELETE_CANCEL_MS,
    },
    engine: querierEngine(config, undefined, () => clock.monotonicMs()),
    ingester,
    schema,
    blockCache: undefined,
    rowCacheBytesMax: 1 << 20,
    windowMs: INGESTER.windowMs,
    keepFlushedMs: INGESTER.keepFlushedMs * (broken === 'lists expire first' ? 10 : 1),
    clock,
    random,
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
  return new QuerierService({ ...common(place), workers, cacheBackend: '', limits: () => LIMITS });
}

export function makeCompactor(place: Place): CompactorService {
  const { process, schema } = place;
  const { clock, random } = process;
  const config = defaultsOf(compactorConfig);
  const kernels = { read: Kernel.create(), write: Kernel.create() };
  return new CompactorService({
    ...common(place),
    config,
    runner: {
      run: (run, abort) =>
        runCompactor(
          {
            schema,
            kernels,
            clock,
            random,
            config,
            deleteRequestCancelPeriodMs: DELETE_CANCEL_MS,
            walAgeMaxMs: INGESTER.walAgeMaxMs,
          },
          run,
          abort,
        ),
    },
    retention: () => ({ defaultMs: 0, tenants: new Map() }),
  });
}

/** Writes and queries as their senders see them. */
export function frontOf(
  { process: { clock } }: Place,
  distributor: DistributorService,
  queries: QuerierService,
): FrontParts {
  return {
    push: (tenant, series) =>
      series.some(({ startMs }) => startMs !== undefined)
        ? distributor.push({ tenant, ...encodeSent(series) })
        : distributor.pushSeries({ tenant, series }),
    query: (tenant, expr, timeMs) =>
      queries.instant(tenant, { expr, timeMs }, { signal: new AbortController().signal }),
    async get(tenant, path, params) {
      const request = { tenant, method: 'GET', path, params: [...params] };
      const { status, body } = await queries.handle(request, new AbortController().signal);
      const text = new TextDecoder().decode(body as Uint8Array);
      if (status >= 300) throw new Error(`${status} ${text}`);
      return JSON.parse(text);
    },
    async deleteSeries(tenant, metric, startMs, endMs) {
      // what comes after its time is not what was meant
      const coveredMs = Math.min(endMs, clock.nowMs());
      const params: [string, string][] = [
        ['match[]', metric],
        ['start', String(startMs / 1000)],
        ['end', String(endMs / 1000)],
      ];
      const path = '/api/v1/admin/tsdb/delete_series';
      const { signal } = new AbortController();
      const { status, body } = await queries.handle({ tenant, method: 'POST', path, params }, signal);
      if (status >= 300) throw new Error(`${status} ${new TextDecoder().decode(body as Uint8Array)}`);
      return coveredMs;
    },
  };
}
