import assert from 'node:assert/strict';
import { SharedRows } from '../../src/app/threads/shared-rows.ts';
import { Kernel } from '../../src/chunk/kernel.ts';
import type { RowCache } from '../../src/chunkstore/kept-rows.ts';
import { Schema, TABLE_MS_DEFAULT } from '../../src/chunkstore/schema.ts';
import { ChunkStoreWriter } from '../../src/chunkstore/writer.ts';
import type { QueryRunner } from '../../src/contract/query.ts';
import type { SizesOf } from '../../src/frontend/need.ts';
import type { OwnSlots } from '../../src/frontend/own-slots.ts';
import { Flusher } from '../../src/ingester/flush/flush.ts';
import { FLUSH_ALL } from '../../src/ingester/flush/flush-contract.ts';
import { HeldRange } from '../../src/ingester/head/held-range.ts';
import { richPayload } from '../../src/ingester/head/test-rich.ts';
import { MemoryDisk } from '../../src/ingester/log/test-disk.ts';
import { DirectReads } from '../../src/ingester/shard/direct-reads.ts';
import { Shard } from '../../src/ingester/shard/shard.ts';
import { ShardsClient } from '../../src/ingester/shard/shard-client.ts';
import type { ShardRole } from '../../src/ingester/shard/shard-messages.ts';
import { shardRole } from '../../src/ingester/shard/shard-role.ts';
import { type TestSeries, testFrames } from '../../src/ingester/shard/test-frames.ts';
import { defaultsOf } from '../../src/kit/config/section.ts';
import { connectInThread } from '../../src/kit/thread/channel.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { type Random, seededRandom } from '../../src/lib/random.ts';
import { DEFAULT_LIMITS, type TenantLimits } from '../../src/limits/limits.ts';
import { joinedLimits } from '../../src/limits/query-limits.ts';
import { encodeLabels } from '../../src/model/canonical.ts';
import { Labels } from '../../src/model/labels.ts';
import { MemoryObjectClient } from '../../src/object/memory.ts';
import { purgerConfig, querierConfig } from '../../src/querier/config.ts';
import { Querier, querierEngine } from '../../src/querier/querier.ts';
import { KernelRows } from '../../src/querier/row-kernel.ts';
import type { Queryable } from '../../src/storage/queryable.ts';
import { MemoryTableStore } from '../../src/table/memory.ts';
import { FRAME_ASIDE } from '../../src/wire/frame-layout.ts';
import { FrameWriter } from '../../src/wire/frames.ts';
import type { RichSample } from '../../src/wire/rich-samples.ts';
import type { FuzzMetric } from './expressions.ts';
import { HistogramWalk, type HistogramWalkOptions } from './histogram-walk.ts';

// Two ingester shards and a store with random series, and a querier over them: what fuzzers of queries ask. Needs no other program.

/** Samples of each series. */
export const STEPS = 120;
export const STEP_MS = 15_000;
const WINDOW_MS = 7_200_000;
export const START_MS = Math.floor(Date.now() / WINDOW_MS) * WINDOW_MS - WINDOW_MS;
const INGESTERS = 2;
const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0, exemplarsMax: 0 };
/** Few, so that metrics are split into parts of their own. */
const SPLIT_SERIES = 20;

/** From 0 to 1, of all 53 bits. */
const fine = (random: Random) => random() + random() * 2 ** -32;

export const METRICS: readonly (FuzzMetric & { readonly next: (last: number, random: Random) => number })[] = [
  {
    name: 'requests_total',
    kind: 'float',
    labels: ['instance', 'job', 'code'],
    values: ['0', '1', '2', '3'],
    next: (last, random) => (random() < 0.03 ? Math.floor(random() * 5) : Math.floor(last) + Math.floor(random() * 20)),
  },
  {
    name: 'temperature',
    kind: 'float',
    labels: ['instance', 'job'],
    values: ['0', '1', '2', '3', '4'],
    next: (last, random) => last + (fine(random) - 0.5) * 10,
  },
  {
    name: 'seconds',
    kind: 'float',
    labels: ['instance', 'job', 'code'],
    values: ['0', '1', '2'],
    next: (_, random) => fine(random) ** 8,
  },
  {
    name: 'tenths',
    kind: 'float',
    labels: ['instance', 'code'],
    values: ['0', '1', '2', '3', '4', '5'],
    next: (_, random) => Math.floor(random() * 1000) / 10,
  },
  {
    name: 'odd',
    kind: 'float',
    labels: ['instance', 'job'],
    values: ['0', '1', '2'],
    next: (_, random) =>
      random() < 0.05
        ? [Number.NaN, Infinity, -Infinity, 1e308, -1e308, 1e16, 5e-324, -0][Math.floor(random() * 8)]!
        : (fine(random) - 0.5) * 10 ** Math.floor(random() * 20),
  },
];

/** Metrics with native histograms, of which some turn to floats and back. */
export const RICH_METRICS: readonly (FuzzMetric & {
  readonly walk: HistogramWalkOptions;
  /** Chance of each sample to be the first of the other kind; `borders`: of the first one in each `BORDER_MS` alone. */
  readonly turns: number | 'borders';
})[] = [
  {
    name: 'response_seconds',
    kind: 'histogram',
    labels: ['instance', 'job'],
    values: ['0', '1'],
    walk: { buckets: 'exponential', integer: true, gauge: false },
    turns: 0,
  },
  {
    name: 'payload_bytes',
    kind: 'histogram',
    labels: ['instance', 'code'],
    values: ['0', '1'],
    walk: { buckets: 'custom', integer: false, gauge: true },
    turns: 0,
  },
  {
    name: 'mixed_total',
    kind: 'mixed',
    labels: ['instance', 'job'],
    values: ['0', '1', '2'],
    walk: { buckets: 'exponential', integer: true, gauge: false },
    turns: 0.02,
  },
  {
    name: 'turned_total',
    kind: 'mixed',
    labels: ['instance', 'job'],
    values: ['0', '1', '2'],
    walk: { buckets: 'exponential', integer: true, gauge: false },
    turns: 'borders',
  },
];

/** Parts of queries begin at multiples of it: a part has samples of one kind alone where others have the other. */
export const BORDER_MS = 7 * 60_000;

export interface Rig {
  /** How often rows of stored series were asked for, and how often another query had made them. */
  readonly kept: { readonly asked: number; readonly had: number };
  /** @param limits in place of the usual ones */
  readonly runner: (tenant: string, limits?: Partial<TenantLimits>) => QueryRunner;
  /** Evaluates series one by one. */
  readonly plainRunner: (tenant: string) => QueryRunner;
  /** Evaluates over something else. */
  readonly over: (queryable: Queryable) => QueryRunner;
  /** Samples, wherever they lie now. */
  readonly queryable: (tenant: string) => Queryable;
  /** Sizes of what the store has. */
  readonly sizesOf: SizesOf;
  /** Sizes of what the heads hold. */
  readonly headSizesOf: SizesOf;
  readonly ownSlots: OwnSlots;
  flush(): Promise<void>;
  close(): Promise<void>;
}

export interface RigOptions {
  /** Half of the series have the same times, and now and then a stale marker. */
  readonly alike?: boolean;
  /** The series of `RICH_METRICS` are there, too. */
  readonly rich?: boolean;
}

export async function startRig(random: Random, { alike = false, rich = false }: RigOptions = {}): Promise<Rig> {
  const disk = new MemoryDisk();
  const shards = Array.from({ length: INGESTERS }, (_, i) => {
    const options = { windowMs: WINDOW_MS, headBytesMax: 2 ** 30, fsync: 'interval', fsyncIntervalMs: 60_000 } as const;
    const rest = { keepFlushedMs: 0, disk, clock: systemClock, log: () => {} };
    return new Shard({ folder: `shard-${i}`, ...options, ...rest, fatal: (error) => assert.fail(error) });
  });
  const links = shards.map((shard) => connectInThread<ShardRole>(shardRole(shard, systemClock)));
  const channels = links.map(({ channel }) => channel);
  const tables = new MemoryTableStore();
  const objects = new MemoryObjectClient(systemClock);
  const period = { fromMs: Number.NEGATIVE_INFINITY, tables, objects, tablePrefix: 't_', tableMs: TABLE_MS_DEFAULT };
  const schema = new Schema([period]);
  const writer = new ChunkStoreWriter(schema, Kernel.create(), { clock: systemClock, inlineBytesMax: 1024 });
  const common = { kernel: Kernel.create(), windowMs: WINDOW_MS, clock: systemClock };
  const flusher = new Flusher({ ...common, shards: channels, writer, splitSeries: SPLIT_SERIES });
  for (const shard of shards) await shard.ready;
  const connected = await Promise.all(
    channels.map(async (channel) => {
      const held = HeldRange.everything();
      // what is asked for twice is read past the shard
      const direct = new DirectReads(held, { asksMin: 0 });
      await direct.connect(channel);
      return { channel, held, direct };
    }),
  );
  for (const tenant of ['a', 'b']) {
    for (const [i, shard] of shards.entries()) {
      const own = seriesOf(random, alike).filter((_, at) => at % INGESTERS === i);
      await shard.push(tenant, testFrames(own), LIMITS);
      if (rich)
        await shard.push(
          tenant,
          richFrames(random, (at) => at % INGESTERS === i),
          LIMITS,
        );
    }
  }
  const shared = new SharedRows(systemClock);
  const kept = { asked: 0, had: 0 };
  const rowsCache: RowCache = {
    isWorth: () => true,
    get: async (key) => {
      const rows = shared.get(key);
      kept.asked++;
      if (rows !== undefined) kept.had++;
      return rows;
    },
    set: (tenant, key, rows) => shared.keep(tenant, key, rows),
  };
  const config = { ...defaultsOf(querierConfig), enablePromqlExperimentalFunctions: true };
  const querier = (fusedOperators = true) =>
    new Querier({
      config,
      purger: defaultsOf(purgerConfig),
      engine: querierEngine({ ...config, fusedOperators }, new KernelRows()),
      ingester: new ShardsClient(connected, true),
      schema,
      blockCache: undefined,
      rowCacheBytesMax: 1 << 20,
      rowsCache,
      windowMs: WINDOW_MS,
      keepFlushedMs: 900_000,
      clock: systemClock,
      random: seededRandom(1),
    });
  let current = querier();
  let plain = querier(false);
  const sourcesOf = (asked: Querier, tenant: string, limits?: Partial<TenantLimits>) =>
    asked.sources(
      tenant,
      joinedLimits(tenant, () => ({ ...DEFAULT_LIMITS, ...limits })),
    );
  const runnerOf = (asked: Querier, tenant: string, limits?: Partial<TenantLimits>) =>
    sourcesOf(asked, tenant, limits).queries;
  return {
    kept,
    runner: (tenant, limits) => runnerOf(current, tenant, limits),
    plainRunner: (tenant) => runnerOf(plain, tenant),
    over: (queryable) => sourcesOf(current, 'a').over(queryable),
    queryable: (tenant) => current.queryable(tenant),
    sizesOf: (...asked) => current.sizes(...asked),
    headSizesOf: (...asked) => sourcesOf(current, 'a').headSizes!(...asked),
    ownSlots: (...asked) => sourcesOf(current, 'a').ownSlots(...asked),
    async flush() {
      const { failures } = await flusher.flush(FLUSH_ALL);
      assert.deepEqual(failures, []);
      for (const shard of shards) await shard.dropFlushed();
      // one that remembers no rows from before
      current = querier();
      plain = querier(false);
    },
    async close() {
      for (const { close } of links) close();
      for (const shard of shards) await shard.close({ checkpoint: false });
    },
  };
}

function seriesOf(random: Random, alike: boolean): TestSeries[] {
  return METRICS.flatMap(({ name, labels, values, next }) => {
    let sets: Record<string, string>[] = [{ __name__: name }];
    for (const label of labels) sets = sets.flatMap((set) => values.map((value) => ({ ...set, [label]: value })));
    return sets.map((set) => {
      const samples: [number, number | undefined][] = [];
      const isAlike = alike && random() < 0.5;
      const phaseMs = isAlike ? 0 : Math.floor(random() * STEP_MS);
      const stale = alike && random() < 0.1 ? 0.05 : 0;
      const missing = isAlike ? 0 : 0.03;
      let value = next(random() * 50, random);
      // some series begin late, or end early
      const lives = random() < 0.3 ? [random(), random()].sort() : [0, 1];
      for (let step = 0; step < STEPS; step++) {
        value = next(Number.isFinite(value) ? value : 1, random);
        const isAlive = step >= lives[0]! * STEPS && step < lives[1]! * STEPS;
        if (!isAlive || random() < missing) continue;
        samples.push([START_MS + step * STEP_MS + phaseMs, random() < stale ? undefined : value]);
      }
      return { labels: set, samples };
    });
  });
}

function richFrames(random: Random, isOwn: (at: number) => boolean): Uint8Array {
  const frames = new FrameWriter(Kernel.create());
  const bits = new DataView(new ArrayBuffer(8));
  let at = 0;
  for (const { name, labels, values, walk: options, turns } of RICH_METRICS) {
    let sets: Record<string, string>[] = [{ __name__: name }];
    for (const label of labels) sets = sets.flatMap((set) => values.map((value) => ({ ...set, [label]: value })));
    for (const set of sets) {
      const walk = new HistogramWalk(options, random);
      const samples: RichSample[] = [];
      const phaseMs = Math.floor(random() * STEP_MS);
      let isHistogram = turns === 0 || random() < 0.5;
      for (let step = 0; step < STEPS; step++) {
        const timeMs = START_MS + step * STEP_MS + phaseMs;
        // windows are open where they begin
        const isFirst = Math.ceil(timeMs / BORDER_MS) > Math.ceil((timeMs - STEP_MS) / BORDER_MS);
        if (turns === 'borders' ? isFirst && random() < 0.5 : random() < turns) isHistogram = !isHistogram;
        const histogram = walk.next(random);
        if (random() < 0.03) continue;
        bits.setFloat64(0, step);
        const float = { high: bits.getUint32(0), low: bits.getUint32(4) };
        samples.push({ timeMs, startMs: 0, ...(isHistogram ? { histogram } : float) });
      }
      if (!isOwn(at++)) continue;
      frames.aside(encodeLabels(Labels.of(set)), Buffer.from(name), samples.length, richPayload(samples), FRAME_ASIDE);
    }
  }
  return frames.bytes.slice();
}
