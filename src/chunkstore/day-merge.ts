import { type Chunk, GroupDecoder } from '../chunk/group/decode.ts';
import { OpenGroup } from '../chunk/group/read.ts';
import type { GroupSeries } from '../chunk/group/series.ts';
import { LabelBlock } from '../chunk/group/series-block.ts';
import type { Kernel } from '../chunk/kernel.ts';
import type { Clock } from '../lib/clock.ts';
import { encodeLabels } from '../model/canonical.ts';
import { Labels } from '../model/labels.ts';
import { FLOAT, SampleColumns } from '../storage/columns.ts';
import { hexOf } from './group-row.ts';
import { type FoundGroup, IndexReader, type ReadContext, standing } from './index-reader.ts';
import { DAY_MS, isMergedRange } from './keys.ts';
import { LabelBlocks, SeriesMatcher } from './matching.ts';
import { allSlots, type Placement, type Slot } from './placement.ts';
import type { Schema } from './schema.ts';
import { type StoreSeries, StoreSeriesSet } from './series-set.ts';
import type { Tombstone } from './tombstone-row.ts';
import { wholeGroup } from './verify.ts';
import type { ChunkStoreWriter } from './writer.ts';

export interface DayMergeOptions {
  /** Samples that are decoded at once; a slot of more becomes several groups. */
  readonly samplesAtOnceMax: number;
}

const OPTIONS: DayMergeOptions = { samplesAtOnceMax: 4_000_000 };

/** What of a tenant's day is to go when it is merged. */
export interface MergeRemoval {
  readonly tombstones: readonly Tombstone[];
  /** Samples before it are past the tenant's retention: they go with a merge, but are no reason for one until all of the day is. */
  readonly keepFromMs: number;
}

export interface MergeResult {
  /** Groups that were read and are replaced now. */
  sources: number;
  groups: number;
  samples: number;
}

/**
 * Makes one best-sized set of groups of all that was written for a day and slot: windows, generations, supplements. Readers switch
 * when the last group's row is there, which lists what it replaces; what comes later stands beside it. To be killed at any point is
 * harmless: what was written until then is there twice, and samples of one time are one.
 */
export class DayMerger {
  readonly #index: IndexReader;
  readonly #writer: ChunkStoreWriter;
  readonly #decoder: GroupDecoder;
  readonly #options: DayMergeOptions;

  constructor(
    schema: Schema,
    writer: ChunkStoreWriter,
    kernel: Kernel,
    clock: Clock,
    options: Partial<DayMergeOptions> = {},
  ) {
    this.#index = new IndexReader(schema, clock, {
      windowMs: DAY_MS,
      readsAtOnce: 4,
      rowCacheTtlMs: 0,
      rowCacheBytesMax: 0,
    });
    this.#writer = writer;
    this.#decoder = new GroupDecoder(kernel);
    this.#options = { ...OPTIONS, ...options };
  }

  /** Tenants that wrote on a day, for whoever goes through them. */
  tenants(day: number, context: ReadContext): Promise<string[]> {
    return this.#index.tenants(day, context);
  }

  /** Merges every slot of a tenant's day to which something came since the last time, or which has something to remove. */
  async merge(tenant: string, day: number, removal: MergeRemoval, context: ReadContext): Promise<MergeResult> {
    const result: MergeResult = { sources: 0, groups: 0, samples: 0 };
    const seen = new Set<string>();
    for (const placement of await this.#index.placements(tenant, day, context)) {
      for (const slot of allSlots(placement)) {
        if (seen.has(hexOf(slot))) continue;
        seen.add(hexOf(slot));
        context.signal.throwIfAborted();
        await this.#mergeSlot({ tenant, day, placement, slot }, removal, result, context);
      }
    }
    return result;
  }

  async #mergeSlot(
    at: { tenant: string; day: number; placement: Placement; slot: Slot },
    removal: MergeRemoval,
    result: MergeResult,
    context: ReadContext,
  ): Promise<void> {
    const { tenant, day, placement, slot } = at;
    const all = await this.#index.allGroups(tenant, day, slot, context);
    const sources = standing(all);
    const dayEndMs = (day + 1) * DAY_MS;
    const tombstones = removal.tombstones.filter(({ startMs, endMs }) => startMs < dayEndMs && endMs >= day * DAY_MS);
    const removes = tombstones.length > 0 || dayEndMs <= removal.keepFromMs;
    const late = sources.filter(({ key }) => !isMergedRange(key.range));
    if (sources.length === 0 || (!removes && (late.length === 0 || sources.length === 1))) return;

    const series = await this.#open(sources, tombstones, context);
    const set = new StoreSeriesSet(series, this.#decoder, removal.keepFromMs, Number.MAX_SAFE_INTEGER, () => {});
    const out = new SampleColumns();
    const write = (part: readonly GroupSeries[], replaces: readonly Uint8Array[]) =>
      this.#writer.write(
        [{ tenant, placement, slot, windowStartMs: day * DAY_MS, windowMs: DAY_MS, series: part, replaces }],
        context.signal,
      );
    const written = new Set<string>();
    let part: GroupSeries[] = [];
    let samples = 0;
    for (let i = 0; i < series.length; i++) {
      set.read(i, out);
      if (out.count === 0) continue;
      if (samples + out.count > this.#options.samplesAtOnceMax && part.length > 0) {
        for (const { id } of await write(part, [])) written.add(id);
        result.groups++;
        part = [];
        samples = 0;
      }
      part.push(copyOf(encodeLabels(set.series[i]!), out));
      samples += out.count;
      result.samples += out.count;
    }
    // What was replaced before stays so, until the sweeper has come by.
    const replaces = all.filter(({ id }) => !written.has(id)).map(({ id }) => Buffer.from(id, 'hex'));
    if (part.length > 0) await write(part, replaces);
    else {
      // Nothing is left to stand for the sources. What each has replaced goes with it, or it would come back.
      const { period, table } = all[0]!;
      const keys = all.map((each) => each.key);
      await period.tables.client.delete(table, keys, context.signal);
    }
    result.sources += sources.length;
    result.groups += part.length > 0 ? 1 : 0;
  }

  /** All series of the groups, with their chunks, in the order of the groups to come. */
  async #open(
    sources: readonly FoundGroup[],
    tombstones: readonly Tombstone[],
    context: ReadContext,
  ): Promise<StoreSeries[]> {
    const matcher = new SeriesMatcher([]);
    const labelsOf = new LabelBlocks(LabelBlock.parse).of;
    const chunks: Chunk[][] = [];
    for (const source of sources) {
      const whole = await wholeGroup(source.period, source, context.signal);
      const body = whole.subarray(whole.length - source.head.bodyBytes);
      const open = new OpenGroup(this.#decoder, source.head, source.name);
      for (const ref of source.head.blocks) {
        open.add(ref, body.subarray(ref.offset, ref.offset + ref.bytes), labelsOf);
      }
      for (const ref of open.blocks.of(1)) {
        const numbers = matcher.numbers(open.seriesBlock(ref).labels);
        numbers.forEach((number, i) => {
          while (chunks.length <= number) chunks.push([]);
          chunks[number]!.push(open.chunk(ref.first + i));
        });
      }
    }
    return matcher.labels
      .map((labels, number) => ({
        labels,
        chunks: chunks[number]!.sort((a, b) => a.times[0]! - b.times[0]!),
        deleted: tombstones.filter(({ matchers }) => matchers.every((each) => each.matches(labels.get(each.name)))),
      }))
      .sort((a, b) =>
        a.labels.metricName === b.labels.metricName ? Labels.compare(a.labels, b.labels) : compareMetric(a, b),
      );
  }
}

function compareMetric(a: StoreSeries, b: StoreSeries): number {
  return Labels.compare(Labels.of({ __name__: a.labels.metricName }), Labels.of({ __name__: b.labels.metricName }));
}

function copyOf(labels: Uint8Array, columns: SampleColumns): GroupSeries {
  const { count } = columns;
  const kinds = columns.kinds.slice(0, count);
  return {
    labels,
    times: columns.times.slice(0, count),
    values: columns.values.slice(0, count),
    kinds: kinds.some((kind) => kind !== FLOAT) ? kinds : undefined,
    starts: columns.hasStarts ? columns.starts.slice(0, count) : undefined,
    histograms: columns.histograms.slice(),
  };
}
