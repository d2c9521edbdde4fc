import type { Chunk } from '../chunk/group/chunk.ts';
import { GroupDecoder } from '../chunk/group/decode.ts';
import { OpenGroup } from '../chunk/group/read.ts';
import type { GroupSeries } from '../chunk/group/series.ts';
import { LabelBlock } from '../chunk/group/series-block.ts';
import type { Kernel } from '../chunk/kernel.ts';
import type { Clock } from '../lib/clock.ts';
import { DAY_MS } from '../lib/day.ts';
import { encodeLabels } from '../model/canonical.ts';
import { Labels } from '../model/labels.ts';
import { SampleColumns } from '../storage/columns.ts';
import { canonicalSeries } from './canonical-series.ts';
import { isDamage } from './damage.ts';
import { groupName, hexOf } from './group-row.ts';
import {
  type FoundGroup,
  type IndexReader,
  type ReadContext,
  replacedBy,
  standing,
  uncachedIndex,
} from './index-reader.ts';
import { isMergedRange } from './keys.ts';
import { allSlots, type Slot } from './placement.ts';
import type { Schema } from './schema.ts';
import { type StoreSeries, StoreSeriesSet } from './series-set.ts';
import { LabelBlocks, SeriesMatcher } from './store-matching.ts';
import type { Tombstone } from './tombstone-row.ts';
import { wholeGroup } from './verify.ts';
import type { ChunkStoreWriter, WriteGroup } from './writer.ts';

/** Samples of a tenant's day that go when it is merged. */
export interface MergeRemoval {
  readonly tombstones: readonly Tombstone[];
  /** Samples before it are past the tenant's retention: they go with a merge, but are no reason for one until all of the day is. */
  readonly keepFromMs: number;
}

/** A tenant whose day is to be merged. */
export interface MergeTenant {
  readonly tenant: string;
  readonly removal: MergeRemoval;
}

export interface MergeResult {
  /** Groups that were read and are replaced now. */
  sources: number;
  groups: number;
  samples: number;
  /** At rest, of the groups that were written. */
  bytes: number;
  /** Slots that stay as they are because something of them is damaged: what, and why. */
  readonly damaged: string[];
}

interface MergedSlot {
  readonly series: Iterable<GroupSeries>;
  readonly replaces: readonly Uint8Array[];
  /** Ids in hex. Without a late window that was deleted the merge is the same group as before that came, which another one replaces. */
  readonly replacedBefore: ReadonlySet<string>;
  readonly sources: number;
}

/**
 * Makes one best-sized set of groups of all that was written for a day and slot: windows, generations, supplements. Readers switch
 * when the last group's row is there, which lists what it replaces; what comes later stands beside it. To be killed at any point is
 * harmless: what was written until then is there twice, and samples of one time are one. Holds one slot's sources at a time.
 */
export class DayMerger {
  readonly #index: IndexReader;
  readonly #writer: ChunkStoreWriter;
  readonly #decoder: GroupDecoder;

  constructor(schema: Schema, writer: ChunkStoreWriter, kernel: Kernel, clock: Clock) {
    this.#index = uncachedIndex(schema, clock);
    this.#writer = writer;
    this.#decoder = new GroupDecoder(kernel);
  }

  /** Tenants that wrote on a day, for whoever goes through them. */
  tenants(day: number, context: ReadContext): Promise<string[]> {
    return this.#index.tenants(day, context);
  }

  /** Merges every slot of a tenant's day to which something came since the last time, or which has something to remove. */
  merge(
    tenant: string,
    day: number,
    removal: MergeRemoval,
    context: ReadContext,
    fence?: () => Promise<void>,
  ): Promise<MergeResult> {
    return this.mergeAll([{ tenant, removal }], day, context, fence);
  }

  /**
   * The same for several tenants, who share objects.
   * @param fence asked before rows are changed; where it throws none are
   */
  async mergeAll(
    tenants: readonly MergeTenant[],
    day: number,
    context: ReadContext,
    fence?: () => Promise<void>,
  ): Promise<MergeResult> {
    const result: MergeResult = { sources: 0, groups: 0, samples: 0, bytes: 0, damaged: [] };
    /** Groups of slots of which nothing is left. */
    const emptied: FoundGroup[] = [];
    const written = await this.#writer.write(
      this.#slots(tenants, day, result, emptied, context),
      context.signal,
      fence,
    );
    for (const { sampleCount, bytes } of written) {
      result.groups++;
      result.samples += sampleCount;
      result.bytes += bytes;
    }
    // Groups that others replaced go with those, or they would come back.
    if (emptied.length > 0) await fence?.();
    for (const { period, table, key } of emptied) await period.tables.client.delete(table, [key], context.signal);
    return result;
  }

  /** Whether a group that stands has a sample of what is to go. */
  async holds(tenant: string, day: number, tombstones: readonly Tombstone[], context: ReadContext): Promise<boolean> {
    const seen = new Set<string>();
    const out = new SampleColumns();
    for (const placement of await this.#index.placements(tenant, day, context)) {
      for (const slot of allSlots(placement)) {
        if (seen.has(hexOf(slot))) continue;
        seen.add(hexOf(slot));
        context.signal.throwIfAborted();
        const sources = standing(await this.#index.allGroups(tenant, day, slot, context));
        if (sources.length === 0) continue;
        for (const { deleted, ...series } of await this.#open(sources, tombstones, context)) {
          if (deleted.length === 0) continue;
          const startMs = Math.min(...deleted.map((each) => each.startMs));
          const endMs = Math.max(...deleted.map((each) => each.endMs));
          const set = new StoreSeriesSet([{ ...series, deleted: [] }], this.#decoder, startMs, endMs, () => {});
          set.read(0, out);
          for (let i = 0; i < out.count; i++) {
            const timeMs = out.times[i]!;
            if (deleted.some((each) => each.startMs <= timeMs && timeMs <= each.endMs)) return true;
          }
        }
      }
    }
    return false;
  }

  async *#slots(
    tenants: readonly MergeTenant[],
    day: number,
    result: MergeResult,
    emptied: FoundGroup[],
    context: ReadContext,
  ): AsyncGenerator<WriteGroup> {
    for (const { tenant, removal } of tenants) {
      const seen = new Set<string>();
      for (const placement of await this.#index.placements(tenant, day, context)) {
        for (const slot of allSlots(placement)) {
          if (seen.has(hexOf(slot))) continue;
          seen.add(hexOf(slot));
          context.signal.throwIfAborted();
          const where = { tenant, placement, slot, windowStartMs: day * DAY_MS, windowMs: DAY_MS };
          try {
            const merged = await this.#slot(tenant, day, slot, removal, emptied, context);
            if (merged === undefined) continue;
            yield {
              ...where,
              series: oneRun(merged.series),
              replaces: merged.replaces,
              replacedBefore: merged.replacedBefore,
            };
            result.sources += merged.sources;
          } catch (error) {
            if (!isDamage(error)) throw error;
            result.damaged.push(`${tenant}, day ${day}: ${error.message}`);
          }
        }
      }
    }
  }

  /** The merge of a slot's groups: its series, and the groups that it replaces; undefined where there is nothing to do. */
  async #slot(
    tenant: string,
    day: number,
    slot: Slot,
    { tombstones, keepFromMs }: MergeRemoval,
    emptied: FoundGroup[],
    context: ReadContext,
  ): Promise<MergedSlot | undefined> {
    const all = await this.#index.allGroups(tenant, day, slot, context);
    const sources = standing(all);
    const dayEndMs = (day + 1) * DAY_MS;
    const touching = tombstones.filter(({ startMs, endMs }) => startMs < dayEndMs && endMs >= day * DAY_MS);
    const removes = touching.length > 0 || dayEndMs <= keepFromMs;
    const late = sources.filter(({ key }) => !isMergedRange(key.range));
    if (sources.length === 0 || (!removes && (late.length === 0 || sources.length === 1))) return undefined;
    const found = await this.#open(sources, touching, context);
    // Groups that were replaced before stay so, until the sweeper has come by.
    const replaces = all.map(({ id }) => Buffer.from(id, 'hex'));
    return {
      series: this.#series(found, keepFromMs, () => emptied.push(...all)),
      replaces,
      replacedBefore: replacedBy(all),
      sources: sources.length,
    };
  }

  /** @param onNone called where no sample is left */
  *#series(found: readonly StoreSeries[], keepFromMs: number, onNone: () => void): Generator<GroupSeries> {
    const set = new StoreSeriesSet(found, this.#decoder, keepFromMs, Number.MAX_SAFE_INTEGER, () => {});
    const out = new SampleColumns();
    let some = false;
    for (let i = 0; i < found.length; i++) {
      set.read(i, out);
      if (out.count === 0) continue;
      some = true;
      yield canonicalSeries(encodeLabels(set.series[i]!), out);
    }
    if (!some) onNone();
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
      const body = whole.subarray(whole.length - source.header.bodyBytes);
      const open = new OpenGroup(this.#decoder, source.header, groupName(source.name, source.place));
      for (const ref of source.header.blocks) {
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
        chunks: chunks[number]!.sort((a, b) => a.time.firstMs - b.time.firstMs),
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

async function* oneRun<T>(run: T): AsyncGenerator<T> {
  yield run;
}
