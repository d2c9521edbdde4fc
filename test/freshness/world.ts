import assert from 'node:assert/strict';
import { countedRead, GenerationReads } from '../../src/app/threads/generation-reads.ts';
import { MemoryCache } from '../../src/cache/memory.ts';
import { Kernel } from '../../src/chunk/kernel.ts';
import { Generations } from '../../src/chunkstore/generations.ts';
import { Schema, TABLE_MS_DEFAULT } from '../../src/chunkstore/schema.ts';
import { Tombstones } from '../../src/chunkstore/tombstones.ts';
import { ChunkStoreWriter } from '../../src/chunkstore/writer.ts';
import type { FrameTarget } from '../../src/contract/ingest.ts';
import type { QueryRunner } from '../../src/contract/query.ts';
import { Edge } from '../../src/distributor/edge.ts';
import { LateSamples } from '../../src/distributor/late-samples.ts';
import { DistributorService } from '../../src/distributor/service.ts';
import { Frontend } from '../../src/frontend/frontend.ts';
import { cacheLimitsOf, ResultsCache } from '../../src/frontend/results-cache.ts';
import { nothingOver } from '../../src/frontend/test-answers.ts';
import { Flusher } from '../../src/ingester/flush/flush.ts';
import { FLUSH_ALL } from '../../src/ingester/flush/flush-contract.ts';
import { HeldRange } from '../../src/ingester/head/held-range.ts';
import { MemoryDisk } from '../../src/ingester/log/test-disk.ts';
import { Shard } from '../../src/ingester/shard/shard.ts';
import { ShardsClient } from '../../src/ingester/shard/shard-client.ts';
import type { ShardRole } from '../../src/ingester/shard/shard-messages.ts';
import { shardRole } from '../../src/ingester/shard/shard-role.ts';
import { type TestSeries, testFrames } from '../../src/ingester/shard/test-frames.ts';
import { defaultsOf } from '../../src/kit/config/section.ts';
import { Registry } from '../../src/kit/observe/metrics.ts';
import { connectInThread } from '../../src/kit/thread/channel.ts';
import { ManualClock } from '../../src/lib/manual-clock.ts';
import type { Random } from '../../src/lib/random.ts';
import { DEFAULT_LIMITS } from '../../src/limits/limits.ts';
import { joinedLimits } from '../../src/limits/query-limits.ts';
import { LabelMatcher } from '../../src/model/matcher.ts';
import { MemoryObjectClient } from '../../src/object/memory.ts';
import { ParsedExprs } from '../../src/promql/parser/parsed.ts';
import { purgerConfig, querierConfig } from '../../src/querier/config.ts';
import { Querier, querierEngine } from '../../src/querier/querier.ts';
import { KernelRows } from '../../src/querier/row-kernel.ts';
import { querierSyntax } from '../../src/querier/syntax.ts';
import { MemoryTableStore } from '../../src/table/memory.ts';
import { TableChanges } from '../../src/table/table-changes.ts';
import { WRITE_HEADERS, writeBody } from '../harness/remote-write.ts';
import { type Actor, Gates } from './gates.ts';

export const TENANT = 't';
export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
const WINDOW_MS = 30 * MINUTE_MS;
const INTERVAL_MS = 6 * HOUR_MS;
const AGE_MS = HOUR_MS;
export const SPAN_MS = 30 * HOUR_MS;
/** How long a delete request can be cancelled: until then a flush keeps what it deletes. */
const CANCEL_PERIOD_MS = 24 * HOUR_MS;
export const NOW_MS = Date.UTC(2026, 0, 10, 7);
const LIMITS = {
  seriesPerUserMax: 0,
  seriesPerMetricMax: 0,
  outOfOrderMs: 100 * SPAN_MS,
  exemplarsMax: 0,
  oldWindowsMax: 0,
};
function shardOver(disk: MemoryDisk, folder: string, clock: ManualClock): Shard {
  const options = { windowMs: WINDOW_MS, headBytesMax: 2 ** 30, fsync: 'interval', fsyncIntervalMs: 60_000 } as const;
  const rest = { keepFlushedMs: 0, lateAfterMs: AGE_MS / 2, disk, clock, log: () => {} };
  return new Shard({ folder, ...options, ...rest, fatal: (error) => assert.fail(error) });
}

/**
 * A store, an ingester, an importer, and two front ends.
 *
 * @param isShared whether the front ends share a cache; else each has its own, and neither hears of what the other sees
 * @param isHeld whether days of a backfill are held, as by ingesters of a cluster; else it is known whether anybody reads marks, as in one process
 * @param isCounted whether changes of tables are counted, as in one process: front ends believe that there are no delete requests until then
 * @param withinMs the ingester is asked only for younger samples; 0: for all
 */
export async function startWorld(
  random: Random,
  { gates = new Gates(), isShared = true, isHeld = false, isCounted = false, withinMs = 0 } = {},
) {
  const clock = new ManualClock(NOW_MS);
  const tables = new MemoryTableStore();
  const objects = new MemoryObjectClient(clock);
  const common = { fromMs: Number.NEGATIVE_INFINITY, objects, tablePrefix: 't_', tableMs: TABLE_MS_DEFAULT };
  const changes = isCounted ? new TableChanges(TableChanges.memory()) : undefined;
  const schemaFor = (actor: Actor) => new Schema([{ ...common, tables: gates.tables(actor, tables, changes) }]);
  const schema = schemaFor('change');
  const randomBytes = (count: number) => Uint8Array.from({ length: count }, () => Math.floor(random() * 256));
  const generations = new Generations(schema, clock, randomBytes);
  const tombstones = new Tombstones(schema, clock, random, CANCEL_PERIOD_MS);
  const disk = new MemoryDisk();
  const holders = ['ingester', 'import'].map((folder) => {
    const shard = shardOver(disk, folder, clock);
    const { channel, close } = connectInThread<ShardRole>(shardRole(shard, clock));
    const writer = new ChunkStoreWriter(schema, Kernel.create(), { clock, inlineBytesMax: 4096 });
    const flusher = new Flusher({
      kernel: Kernel.create(),
      windowMs: WINDOW_MS,
      clock,
      shards: [channel],
      writer,
      splitSeries: 1000,
      deleteRequestCancelPeriodMs: CANCEL_PERIOD_MS,
    });
    return {
      shard,
      channel,
      close,
      async flush() {
        assert.deepEqual((await flusher.flush(FLUSH_ALL)).failures, []);
      },
    };
  });
  const [ingester, importer] = [holders[0]!, holders[1]!];
  for (const { shard } of holders) await shard.ready;
  const config = defaultsOf(querierConfig);
  const limits = joinedLimits(TENANT, () => ({ ...DEFAULT_LIMITS, queryIngestersWithinMs: withinMs }));
  const engine = querierEngine(config, new KernelRows());
  const sources = (actor: Actor, ownSchema = schemaFor(actor)) => {
    const channel = gates.shard(actor, ingester.channel);
    const own = new Querier({
      config,
      purger: { ...defaultsOf(purgerConfig), enableAdminApi: true },
      engine,
      ingester: new ShardsClient([{ channel, held: HeldRange.everything() }]),
      schema: ownSchema,
      blockCache: undefined,
      // lists of rows that are cached know of an import later
      rowCacheBytesMax: 0,
      windowMs: WINDOW_MS,
      keepFlushedMs: 900_000,
      clock,
      random,
    });
    return own.sources(TENANT, limits);
  };
  const querier = (): QueryRunner => sources('query').queries;
  // believes nothing
  const plain = new Schema([{ ...common, tables: gates.tables('query', tables) }]);
  const deletes = sources('change').deletes!;
  const reads = new GenerationReads();
  let held = 0;
  const marks = new LateSamples(
    (tenant, fromMs, toMs) => generations.move(tenant, fromMs, toMs),
    AGE_MS / 2,
    clock,
    isHeld
      ? {
          hold(...days) {
            held++;
            return generations.hold(...days, 'ingester');
          },
        }
      : { reads },
  );
  let late = 0;
  const channel = gates.shard('change', ingester.channel);
  const target: FrameTarget = {
    push: (request) => channel.call('push', request, { transfer: [request.frames] }),
    setMetadata: (request) => channel.call('setMetadata', request),
  };
  const distributor = new DistributorService({
    edges: new Edge({ clock, rawBytesMax: 1 << 22, targets: [target] }),
    limits: () => ({ ...DEFAULT_LIMITS, outOfOrderTimeWindowMs: LIMITS.outOfOrderMs, maxOldWindowsPerUser: 0 }),
    noteLate(tenant, fromMs) {
      late++;
      return marks.note(tenant, fromMs);
    },
    registry: new Registry(),
    clock,
  });
  const seenGenerations = new Generations(schemaFor('query'), clock, randomBytes);
  const caches = Array.from({ length: isShared ? 1 : 2 }, () => new MemoryCache({ bytesMax: 1 << 24, clock }));
  let evaluated = 0;
  const frontend = (cache: MemoryCache, index: number): Frontend => {
    const own = querier();
    const counts = new Int32Array(reads.ofWorker(index));
    return new Frontend({
      querier: {
        instant: own.instant.bind(own),
        partial: own.partial.bind(own),
        range(tenant, request, context) {
          evaluated += (request.endMs - request.startMs) / request.stepMs + 1;
          return own.range(tenant, request, context);
        },
      },
      parsed: new ParsedExprs(querierSyntax(config)),
      rules: { delayedNameRemoval: false },
      splitIntervalMs: INTERVAL_MS,
      shards: 0,
      cache: new ResultsCache({
        cache,
        generations: (tenant, signal) => countedRead(counts, tenant, () => seenGenerations.of(tenant, signal)),
        flags: '',
        intervalMs: INTERVAL_MS,
        clock,
      }),
      cacheLimits: cacheLimitsOf(limits, AGE_MS),
      lookbackMs: config.lookbackDeltaMs,
      alignToStep: false,
      parallelMax: 2,
      memory: () => ({ addMemory() {}, close() {} }),
      over: nothingOver,
      samplesMax: 50_000_000,
      retriesMax: 2,
      random,
      timeoutMs: 120_000,
      clock,
    });
  };
  const deleted: string[] = [];
  return {
    clock,
    plain: sources('query', plain).queries,
    frontends: [frontend(caches[0]!, 0), frontend(caches.at(-1)!, 1)],
    hits: () => caches.reduce((sum, { stats }) => sum + stats.hits, 0),
    evaluated: () => evaluated,
    /** Times that days were held. */
    held: () => held,
    /** Samples stay in the head, too, until `drop`. */
    flush: () => ingester.flush(),
    /** Once no query is under way: in a process it comes a quarter of an hour after the flush. */
    drop: () => ingester.shard.dropFlushed(),
    /** Acknowledged when it resolves. @returns whether any of it was late */
    async write(series: TestSeries[]): Promise<boolean> {
      const before = late;
      const { status, text } = await distributor.push({
        tenant: TENANT,
        headers: WRITE_HEADERS,
        body: writeBody(series),
      });
      // of a time that a series has another value of one sample is kept
      assert.ok(status === 204 || status === 400, text);
      return late > before;
    },
    async import(series: TestSeries[]): Promise<void> {
      await importer.shard.push(TENANT, testFrames(series), LIMITS);
      await importer.flush();
      await importer.shard.dropFlushed();
      await generations.moveAll(TENANT);
    },
    async delete(a: string, startMs: number, endMs: number): Promise<void> {
      const matchers = [LabelMatcher.of('a', '=', a)];
      deleted.push((await tombstones.create(TENANT, matchers, startMs, endMs)).id);
    },
    async cancel(): Promise<void> {
      const id = deleted.pop();
      if (id !== undefined) await deletes.cancel(TENANT, id, new AbortController().signal);
    },
    async close() {
      for (const { shard, close } of holders) {
        close();
        await shard.close({ checkpoint: false });
      }
    },
  };
}
