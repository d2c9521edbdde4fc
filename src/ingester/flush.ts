import type { GroupSeries } from '../chunk/group/series.ts';
import { ChunkDecoder, parseSlice } from '../chunk/head-chunk.ts';
import type { Kernel } from '../chunk/kernel.ts';
import { PLACEMENT_DEFAULT, type Placement, slotOf } from '../chunkstore/placement.ts';
import type { ChunkStoreWriter, WriteGroup } from '../chunkstore/writer.ts';
import type { Channel } from '../kit/service/channel.ts';
import type { Clock } from '../lib/clock.ts';
import { SampleColumns } from '../storage/columns.ts';
import type { FlushReport } from './flush-contract.ts';
import type { SealedWindow, ShardRole } from './shard-contract.ts';

/** Series of a group: enough that they share times and labels, few enough to be decoded at once. */
const GROUP_SERIES_MAX = 4096;

/** Moves sealed windows from shards to the store. */
export class Flusher {
  readonly #shards: readonly Channel<ShardRole>[];
  readonly #writer: ChunkStoreWriter;
  readonly #decoder: ChunkDecoder;
  readonly #windowMs: number;
  readonly #clock: Clock;
  readonly #columns = new SampleColumns();

  constructor(options: {
    shards: readonly Channel<ShardRole>[];
    writer: ChunkStoreWriter;
    kernel: Kernel;
    windowMs: number;
    clock: Clock;
  }) {
    this.#shards = options.shards;
    this.#writer = options.writer;
    this.#decoder = new ChunkDecoder(options.kernel);
    this.#windowMs = options.windowMs;
    this.#clock = options.clock;
  }

  async flush(beforeMs: number): Promise<FlushReport> {
    const report = { windows: 0, groups: 0, series: 0, samples: 0, bytes: 0, failures: [] as string[] };
    for (const shard of this.#shards) {
      for (const sealed of await shard.call('seal', { beforeMs })) {
        try {
          await this.#window(shard, sealed, report);
          await shard.call('confirmFlushed', { sealLsn: sealed.sealLsn });
          report.windows++;
        } catch (error) {
          report.failures.push((error as Error).message);
        }
      }
    }
    return report;
  }

  async #window(
    shard: Channel<ShardRole>,
    { window, arenas }: SealedWindow,
    report: { groups: number; series: number; samples: number; bytes: number },
  ): Promise<void> {
    const windowStartMs = window * this.#windowMs;
    const tenants = new Set<string>();
    // one write for all, so that the groups of many tenants and slots share objects
    const written = await this.#writer.write(this.#groups(shard, windowStartMs, arenas, tenants));
    for (const { seriesCount, sampleCount, bytes } of written) {
      report.groups++;
      report.series += seriesCount;
      report.samples += sampleCount;
      report.bytes += bytes;
    }
    for (const tenant of tenants) {
      const metadata = await shard.call('metadata', { tenant });
      if (metadata.length > 0) await this.#writer.writeMetadata(tenant, windowStartMs, metadata);
    }
  }

  async *#groups(
    shard: Channel<ShardRole>,
    windowStartMs: number,
    arenas: SealedWindow['arenas'],
    tenants: Set<string>,
  ): AsyncIterable<WriteGroup> {
    for (const arena of arenas) {
      for (const { tenant, series: active } of await shard.call('tenantsOf', { arena })) {
        tenants.add(tenant);
        const placement = placementFor(active);
        const exported = this.#series(shard, { arena, tenant, buckets: placement.buckets });
        for await (const { slot, series } of bySlot(exported, placement)) {
          yield { tenant, placement, slot, windowStartMs, windowMs: this.#windowMs, series };
        }
      }
    }
  }

  async *#series(
    shard: Channel<ShardRole>,
    request: { arena: number; tenant: string; buckets: number },
  ): AsyncIterable<GroupSeries> {
    const shared = new SharedTimes();
    for (let slice = await shard.call('export', request); ; ) {
      const next = slice.cursor === 0 ? undefined : shard.call('selectNext', { cursor: slice.cursor });
      next?.catch(() => {});
      for (const { labelsFrom, labelsTo, chunks } of parseSlice(slice.bytes)) {
        const columns = this.#columns;
        this.#decoder.read(chunks, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, columns);
        const { count } = columns;
        if (count === 0) continue;
        yield {
          labels: slice.bytes.slice(labelsFrom, labelsTo),
          times: shared.of(columns.times.subarray(0, count)),
          values: columns.values.slice(0, count),
          ...(columns.plain
            ? {}
            : { kinds: columns.kinds.slice(0, count), histograms: columns.histograms.slice(0, count) }),
          ...(columns.hasStarts ? { starts: columns.starts.slice(0, count) } : {}),
        };
      }
      if (next === undefined) return;
      slice = await next;
    }
  }
}

/** How many buckets a tenant's series are spread over, by their number (design, section 4). */
export function placementFor(activeSeries: number): Placement {
  const buckets = activeSeries <= 20_000 ? 1 : activeSeries <= 300_000 ? 16 : activeSeries <= 5_000_000 ? 256 : 4096;
  return buckets === 1 ? PLACEMENT_DEFAULT : { version: buckets, buckets, splits: new Map() };
}

/** Cuts an ordered run of series into groups. */
async function* bySlot(
  series: AsyncIterable<GroupSeries>,
  placement: Placement,
): AsyncIterable<{ slot: Uint8Array; series: GroupSeries[] }> {
  let slot: Uint8Array | undefined;
  let group: GroupSeries[] = [];
  for await (const one of series) {
    const own: Uint8Array = slotOf(placement, one.labels);
    if (slot !== undefined && (group.length >= GROUP_SERIES_MAX || Buffer.compare(slot, own) !== 0)) {
      yield { slot, series: group };
      group = [];
    }
    slot = own;
    group.push(one);
  }
  if (slot !== undefined && group.length > 0) yield { slot, series: group };
}

/** The series of a target are scraped together: their equal times are kept once. */
class SharedTimes {
  readonly #known = new Map<string, Float64Array>();

  of(times: Float64Array): Float64Array {
    const key = Buffer.from(times.buffer, times.byteOffset, times.byteLength).toString('latin1');
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.#known.size >= 1024) this.#known.clear();
    const own = times.slice();
    this.#known.set(key, own);
    return own;
  }
}
