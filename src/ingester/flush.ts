import { type GroupSeries, labelParts, metricOf } from '../chunk/group/series.ts';
import { ChunkDecoder, type HeadChunk, parseSlice } from '../chunk/head-chunk.ts';
import type { Kernel } from '../chunk/kernel.ts';
import { PLACEMENT_DEFAULT, type Placement, type Slot, slotOf } from '../chunkstore/placement.ts';
import type { ChunkStoreWriter, WriteGroup } from '../chunkstore/writer.ts';
import type { Channel } from '../kit/service/channel.ts';
import { SampleColumns } from '../storage/columns.ts';
import type { FlushReport } from './flush-contract.ts';
import type { SealedWindow, ShardRole } from './shard-contract.ts';

// Series of a metric are put in order of their labels before they are decoded, as many as these allow.
const RUN_SERIES_MAX = 4096;
const RUN_BYTES_MAX = 8 * 2 ** 20;

/** Moves sealed windows from shards to the store. */
export class Flusher {
  readonly #shards: readonly Channel<ShardRole>[];
  readonly #writer: ChunkStoreWriter;
  readonly #decoder: ChunkDecoder;
  readonly #windowMs: number;
  readonly #columns = new SampleColumns();

  constructor(options: {
    shards: readonly Channel<ShardRole>[];
    writer: ChunkStoreWriter;
    kernel: Kernel;
    windowMs: number;
  }) {
    this.#shards = options.shards;
    this.#writer = options.writer;
    this.#decoder = new ChunkDecoder(options.kernel);
    this.#windowMs = options.windowMs;
  }

  /** All that is due goes in one write, so that windows, tenants and slots share objects. */
  async flush(beforeMs: number): Promise<FlushReport> {
    const report = { windows: 0, groups: 0, series: 0, samples: 0, bytes: 0, failures: [] as string[] };
    const windows: SealedOfShard[] = [];
    for (const shard of this.#shards) {
      for (const sealed of await shard.call('seal', { beforeMs })) windows.push({ shard, sealed, failed: false });
    }
    try {
      for (const { seriesCount, sampleCount, bytes } of await this.#writer.write(this.#groups(windows, report))) {
        report.groups++;
        report.series += seriesCount;
        report.samples += sampleCount;
        report.bytes += bytes;
      }
    } catch (error) {
      report.failures.push((error as Error).message);
      return report;
    }
    for (const { shard, sealed, failed } of windows) {
      if (failed) continue;
      await shard.call('confirmFlushed', { sealLsn: sealed.sealLsn });
      report.windows++;
    }
    return report;
  }

  /** The groups of all windows; what fails of one leaves the others alone. */
  async *#groups(windows: readonly SealedOfShard[], report: { failures: string[] }): AsyncGenerator<WriteGroup> {
    for (const each of windows) {
      const fail = (error: unknown) => {
        each.failed = true;
        report.failures.push((error as Error).message);
      };
      try {
        yield* this.#window(each, fail);
      } catch (error) {
        fail(error);
      }
    }
  }

  async *#window({ shard, sealed }: SealedOfShard, fail: (error: unknown) => void): AsyncGenerator<WriteGroup> {
    const { window, arenas } = sealed;
    const windowStartMs = window * this.#windowMs;
    for (const arena of arenas) {
      for (const { tenant, series: active } of await shard.call('tenantsOf', { arena })) {
        const placement = placementFor(active);
        const runs = this.#runs(shard, { arena, tenant, buckets: placement.buckets }, fail);
        for await (const { slot, series } of bySlot(runs, placement, fail)) {
          yield { tenant, placement, slot, windowStartMs, windowMs: this.#windowMs, series };
        }
        const metadata = await shard.call('metadata', { tenant });
        if (metadata.length > 0) await this.#writer.writeMetadata(tenant, windowStartMs, metadata);
      }
    }
  }

  /** A tenant's series as they are exported, in runs of one metric. */
  async *#runs(
    shard: Channel<ShardRole>,
    request: { arena: number; tenant: string; buckets: number },
    fail: (error: unknown) => void,
  ): AsyncGenerator<Run> {
    const runOf = (exported: Exported[]): Run => {
      exported.sort((a, b) => Buffer.compare(a.labels, b.labels));
      return { labels: exported[0]!.labels, series: this.#decoded(exported, fail) };
    };
    let run: Exported[] = [];
    let bytes = 0;
    for (let slice = await shard.call('export', request); ; ) {
      const next = slice.cursor === 0 ? undefined : shard.call('selectNext', { cursor: slice.cursor });
      next?.catch(() => {});
      for (const { labelsFrom, labelsTo, chunks } of parseSlice(slice.bytes)) {
        if (chunks.length === 0) continue;
        const labels = slice.bytes.subarray(labelsFrom, labelsTo);
        const parts = labelParts(labels);
        const metric = metricOf(parts);
        const isFull = run.length >= RUN_SERIES_MAX || bytes >= RUN_BYTES_MAX;
        if (run.length > 0 && (isFull || metric !== run[0]!.metric)) {
          yield runOf(run);
          run = [];
          bytes = 0;
        }
        run.push({ labels, parts, metric, chunks });
        bytes += chunks.reduce((sum, chunk) => sum + chunk.bytes.length, 0);
      }
      if (next === undefined) break;
      slice = await next;
    }
    if (run.length > 0) yield runOf(run);
  }

  /** The samples of a run's series, one after another in the same columns. */
  *#decoded(run: readonly Exported[], fail: (error: unknown) => void): Generator<GroupSeries> {
    const columns = this.#columns;
    for (const { labels, parts, chunks } of run) {
      try {
        this.#decoder.read(chunks, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, columns);
      } catch (error) {
        fail(error);
        continue;
      }
      const { count } = columns;
      if (count === 0) continue;
      yield {
        labels,
        parts,
        times: columns.times.subarray(0, count),
        values: columns.values.subarray(0, count),
        kinds: columns.plain ? undefined : columns.kinds.subarray(0, count),
        histograms: columns.plain ? undefined : columns.histograms,
        starts: columns.hasStarts ? columns.starts.subarray(0, count) : undefined,
      };
    }
  }
}

interface SealedOfShard {
  readonly shard: Channel<ShardRole>;
  readonly sealed: SealedWindow;
  /** It could not be exported: it stays in the head, to be flushed again. */
  failed: boolean;
}

/** A series as the shard gives it. */
interface Exported {
  readonly labels: Uint8Array;
  readonly parts: string[];
  readonly metric: string;
  readonly chunks: readonly HeadChunk[];
}

/** Series of one metric. */
interface Run {
  /** Of the first. */
  readonly labels: Uint8Array;
  readonly series: Iterable<GroupSeries>;
}

/** How many buckets a tenant's series are spread over, by their number (design, section 4). */
export function placementFor(activeSeries: number): Placement {
  const buckets = activeSeries <= 20_000 ? 1 : activeSeries <= 300_000 ? 16 : activeSeries <= 5_000_000 ? 256 : 4096;
  return buckets === 1 ? PLACEMENT_DEFAULT : { version: buckets, buckets, splits: new Map() };
}

/** Runs of the same slot together, without holding more than one. What breaks within a slot ends it early and is told to `fail`. */
async function* bySlot(
  runs: AsyncGenerator<Run>,
  placement: Placement,
  fail: (error: unknown) => void,
): AsyncGenerator<{ slot: Slot; series: AsyncIterable<Iterable<GroupSeries>> }> {
  let next = await runs.next();
  while (next.done !== true) {
    // no metric is split here, so that a run is in one slot
    const slot = slotOf(placement, next.value.labels);
    const ofSlot = async function* () {
      try {
        while (next.done !== true && Buffer.compare(slot, slotOf(placement, next.value.labels)) === 0) {
          yield next.value.series;
          next = await runs.next();
        }
      } catch (error) {
        next = { done: true, value: undefined };
        fail(error);
      }
    };
    yield { slot, series: ofSlot() };
  }
}
