import { COLUMN_VALUES_MAX } from '../../chunk/group/column-set.ts';
import type { GroupSeries } from '../../chunk/group/series.ts';
import { slotOf } from '../../chunkstore/placement.ts';
import { placementFor } from '../../chunkstore/placement-size.ts';
import { removeTimes } from '../../chunkstore/series-set.ts';
import type { Tombstone } from '../../chunkstore/tombstone-row.ts';
import type { ChunkStoreWriter, WriteGroup } from '../../chunkstore/writer.ts';
import { DAY_MS } from '../../lib/day.ts';
import { getOrMake } from '../../lib/map.ts';
import { decodeLabels } from '../../model/canonical.ts';
import type { SampleColumns } from '../../storage/columns.ts';

/** Samples held at once. */
export const BATCH_SAMPLES_MAX = 1_000_000;
const GROUP_SERIES_MAX = 4096;

/** Limits of nobody: what is imported was taken by someone before. */
export const ANY_LENGTH = {
  maxLabelNamesPerSeries: 0,
  maxLabelNameLength: 0,
  maxLabelValueLength: 0,
  maxLabelsSizeBytes: 0,
};

export interface StoreBatchOptions {
  readonly writer: ChunkStoreWriter;
  readonly tenant: string;
  readonly windowMs: number;
  readonly signal: AbortSignal;
  readonly deleted: DeletedSamples;
}

/** Samples that delete requests of the tenant cover: they are left out, as queries and day-merges would leave them out. */
export class DeletedSamples {
  readonly #tombstones: readonly Tombstone[];
  samples = 0;

  constructor(tombstones: readonly Tombstone[]) {
    this.#tombstones = tombstones;
  }

  /** @param labels canonical */
  takeOut(labels: Uint8Array, columns: SampleColumns): void {
    if (this.#tombstones.length === 0) return;
    const all = decodeLabels(labels, 0, labels.length);
    const before = columns.count;
    for (const { matchers, startMs, endMs } of this.#tombstones) {
      if (matchers.every((each) => each.matches(all.get(each.name)))) removeTimes(columns, startMs, endMs);
    }
    this.samples += before - columns.count;
  }
}

/** Samples on their way straight into the store: held for a while, then written as a flush writes them, a generation of their windows. */
export class StoreBatch {
  readonly #options: StoreBatchOptions;
  /** By the start of their window. */
  #windows = new Map<number, GroupSeries[]>();
  #samples = 0;

  constructor(options: StoreBatchOptions) {
    this.#options = options;
  }

  get isFull(): boolean {
    return this.#samples >= BATCH_SAMPLES_MAX;
  }

  /** @param labels canonical, of no series that is held already @param samples copied, but for those that were deleted, which go */
  add(labels: Uint8Array, samples: SampleColumns): void {
    const { windowMs, deleted } = this.#options;
    deleted.takeOut(labels, samples);
    const { times, count } = samples;
    for (let from = 0; from < count; ) {
      const windowStartMs = Math.floor(times[from]! / windowMs) * windowMs;
      let to = from;
      while (to < count && to - from < COLUMN_VALUES_MAX && times[to]! < windowStartMs + windowMs) to++;
      if (to < count && times[to]! < windowStartMs + windowMs) {
        throw new Error(
          `a series has more than ${COLUMN_VALUES_MAX} samples in the window at ` +
            `${new Date(windowStartMs).toISOString()}: -ingester.window is ${windowMs} ms`,
        );
      }
      getOrMake(this.#windows, windowStartMs, () => [] as GroupSeries[]).push(partOf(labels, samples, from, to));
      from = to;
    }
    this.#samples += count;
  }

  /** Writes what is held, and holds nothing afterwards. @param seriesCount of the tenant, roughly: it says how they are spread */
  async write(seriesCount: number): Promise<void> {
    if (this.#samples === 0) return;
    const { writer, signal } = this.#options;
    await writer.write(this.#groups(seriesCount), signal);
    this.#windows = new Map();
    this.#samples = 0;
  }

  /** Unix ms at which days begin that what is held has samples of. */
  get days(): ReadonlySet<number> {
    return new Set([...this.#windows.keys()].map((startMs) => Math.floor(startMs / DAY_MS) * DAY_MS));
  }

  *#groups(seriesCount: number): Generator<WriteGroup> {
    const { tenant, windowMs } = this.#options;
    const placement = placementFor(seriesCount);
    for (const [windowStartMs, all] of this.#windows) {
      const slots = new Map<string, { slot: Uint8Array; series: GroupSeries[] }>();
      for (const series of all) {
        const slot = slotOf(placement, series.labels);
        const key = Buffer.from(slot).toString('hex');
        getOrMake(slots, key, () => ({ slot, series: [] as GroupSeries[] })).series.push(series);
      }
      for (const { slot, series } of slots.values()) {
        for (let from = 0; from < series.length; from += GROUP_SERIES_MAX) {
          const part = series.slice(from, from + GROUP_SERIES_MAX);
          yield { tenant, placement, slot, windowStartMs, windowMs, series: part };
        }
      }
    }
  }
}

function partOf(labels: Uint8Array, samples: SampleColumns, from: number, to: number): GroupSeries {
  return {
    labels,
    times: samples.times.slice(from, to),
    values: samples.values.slice(from, to),
    ...(samples.plain ? {} : { kinds: samples.kinds.slice(from, to), histograms: samples.histograms.slice(from, to) }),
    ...(samples.hasStarts ? { starts: samples.starts.slice(from, to) } : {}),
  };
}
