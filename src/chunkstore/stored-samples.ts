import type { Chunk } from '../chunk/group/chunk.ts';
import type { GroupDecoder } from '../chunk/group/decode.ts';
import { SERIES_BLOCK } from '../chunk/group/header.ts';
import { OpenGroup } from '../chunk/group/read.ts';
import type { GroupSeries } from '../chunk/group/series.ts';
import { LabelBlock } from '../chunk/group/series-block.ts';
import type { Clock } from '../lib/clock.ts';
import { dayOf } from '../lib/day.ts';
import { getOrMake } from '../lib/map.ts';
import { equalObservations } from '../model/histogram-observations.ts';
import { Labels } from '../model/labels.ts';
import { sameSizes } from '../model/slot-sizes.ts';
import { HISTOGRAM, SampleColumns } from '../storage/columns.ts';
import { backgroundContext } from './background.ts';
import { canonicalSeries } from './canonical-series.ts';
import { isDamage } from './damage.ts';
import { decodeGroupRow, encodeInlineRow, groupName, hexOf } from './group-row.ts';
import { type FoundGroup, IndexReader, type ReadContext } from './index-reader.ts';
import { groupHash, windowRange } from './keys.ts';
import { type Placement, type Slot, slotOf } from './placement.ts';
import { ReplacedGroups } from './replaced-groups.ts';
import type { Schema } from './schema.ts';
import { copySample, preferred, StoreSeriesSet } from './series-set.ts';
import { LabelBlocks } from './store-matching.ts';
import { wholeGroup } from './verify.ts';

/** A group that is to be written: whole, and where. */
export interface OwedGroup {
  readonly tenant: string;
  readonly placement: Placement;
  readonly slot: Slot;
  readonly windowStartMs: number;
  readonly windowMs: number;
  readonly id: Uint8Array;
  readonly header: Uint8Array;
  readonly body: Uint8Array;
}

/** The samples of a stored group, as its header tells them. */
export interface GroupTally {
  /** Sum over all of them: labels, times, values. */
  readonly digest: Uint8Array;
  readonly samples: number;
}

/** Groups, and slots without any, that are remembered. */
const NAMES_KEPT_MAX = 16_384;
/** Days of tenants whose placements are remembered. */
const PLACEMENTS_KEPT_MAX = 1024;

/**
 * Tells what the store lacks of a group. All reads are strong: who is told that nothing is missing owes nothing more. Made for one
 * flush. A stored sample of the same time that readers would prefer counts as having it.
 */
export class StoredSamples {
  readonly #schema: Schema;
  readonly #decoder: GroupDecoder;
  readonly #index: IndexReader;
  readonly #context: ReadContext;
  /** By day and tenant. */
  readonly #placements = new Map<string, Promise<Placement[]>>();
  readonly #own = new SampleColumns();
  readonly #stored = new SampleColumns();
  readonly #missing = new SampleColumns();

  /** Range keys of groups in hex that the last reads of slots found, by window, slot and tenant. */
  readonly #names = new Map<string, ReadonlySet<string>>();
  #namesKept = 0;
  /** Whether rows count for nothing: all samples are read. */
  readonly readsBack: boolean;
  readonly replaced: ReplacedGroups;

  /** @param decoder of a kernel that is another than the one that encodes */
  constructor(
    schema: Schema,
    decoder: GroupDecoder,
    options: {
      readonly windowMs: number;
      readonly clock: Clock;
      /** Whether rows count for nothing: all samples are read, whatever is known of groups by their names. */
      readonly readsBack?: boolean;
    },
    signal: AbortSignal = new AbortController().signal,
  ) {
    this.readsBack = options.readsBack ?? false;
    this.#schema = schema;
    this.#decoder = decoder;
    this.#context = backgroundContext(signal);
    this.replaced = new ReplacedGroups(schema, options.clock, signal);
    this.#index = new IndexReader(schema, options.clock, {
      windowMs: options.windowMs,
      readsAtOnce: 4,
      rowCacheTtlMs: 0,
      rowCacheBytesMax: 0,
      strong: true,
      // what a damaged row had is written again
      skipsDamaged: true,
    });
  }

  /**
   * Whether the store has the group itself: one look-up of its row, none where `tallies` has read those of its slot. A group that came
   * since is found by `missing`.
   */
  async has({ tenant, slot, windowStartMs, id }: OwedGroup): Promise<boolean> {
    if (this.readsBack) return false;
    const prefix = windowRange(windowStartMs, id);
    const names = this.#names.get(nameOf(tenant, slot, windowStartMs));
    if (names !== undefined) return names.has(hexOf(prefix));
    const day = dayOf(windowStartMs);
    const { period, table } = this.#schema.tableOf(day);
    const query = { table, hash: groupHash(tenant, day, slot), prefix, limit: 1, strong: true };
    for await (const rows of period.tables.client.query(query, this.#context.signal)) {
      if (rows.some(({ range }) => Buffer.compare(range, prefix) === 0)) return true;
    }
    return false;
  }

  /** Groups of a slot that windows from this time were flushed as. Those with damaged rows, and those out of sight, are left out; bodies are not looked at. */
  async tallies(tenant: string, slot: Slot, windowStartMs: number): Promise<GroupTally[]> {
    const day = dayOf(windowStartMs);
    const { period, table } = this.#schema.tableOf(day);
    const query = { table, hash: groupHash(tenant, day, slot), prefix: windowRange(windowStartMs), strong: true };
    const found: GroupTally[] = [];
    const replaced = await this.replaced.of(tenant, slot, windowStartMs);
    const names = new Set<string>();
    for await (const rows of period.tables.client.query(query, this.#context.signal)) {
      for (const { range, value } of rows) {
        try {
          const { id, header } = decodeGroupRow(range, value, table);
          if (replaced.has(id)) continue;
          found.push({ digest: header.digest, samples: header.sampleCount });
          names.add(hexOf(range));
        } catch (error) {
          if (!isDamage(error)) throw error;
        }
      }
    }
    this.#namesKept += 1 + names.size;
    if (this.#namesKept > NAMES_KEPT_MAX) {
      this.#names.clear();
      this.#namesKept = 1 + names.size;
    }
    this.#names.set(nameOf(tenant, slot, windowStartMs), names);
    return found;
  }

  /**
   * The samples that no stored group has, whatever placement it was written by, merged or not. `whole`: there is none that could have
   * them. A series of the answer holds until the next is asked for.
   */
  async missing(group: OwedGroup): Promise<'whole' | Iterable<GroupSeries>> {
    // with no other placement and no other group, the usual case of who is first, nothing needs to be opened
    let opened: Promise<OpenSeries[]> | undefined;
    const openOwn = () => (opened ??= this.#openOwn(group));
    const found = await this.#overlapping(group, openOwn);
    if (found.length === 0) return 'whole';
    const own = await openOwn();
    const wanted = new Set(own.map(({ key }) => key));
    const stored = new Map<string, Chunk[]>();
    const labelsOf = new LabelBlocks(LabelBlock.parse).of;
    for (const each of found) {
      for (const { key, chunk } of await this.#open(each, labelsOf)) {
        if (wanted.has(key)) getOrMake(stored, key, () => [] as Chunk[]).push(chunk);
      }
    }
    return stored.size === 0 ? 'whole' : this.#differences(own, stored);
  }

  *#differences(own: readonly OpenSeries[], stored: ReadonlyMap<string, Chunk[]>): Generator<GroupSeries> {
    const missing = this.#missing;
    for (const { key, labels, chunk } of own) {
      const held = this.#own;
      held.clear();
      this.#decoder.append(chunk, held);
      const chunks = stored.get(key);
      if (chunks === undefined) {
        yield canonicalSeries(labels, held);
        continue;
      }
      chunks.sort((a, b) => a.time.firstMs - b.time.firstMs);
      const from = held.times[0]!;
      const to = held.times[held.count - 1]!;
      const series = { labels: Labels.empty, chunks, deleted: [] };
      new StoreSeriesSet([series], this.#decoder, from, to, () => {}).read(0, this.#stored);
      lacking(held, this.#stored, missing);
      if (missing.count > 0) yield canonicalSeries(labels, missing);
    }
  }

  /** Groups that may have samples of it: those of its slot, and of the slots that its series have under other placements of the day. */
  async #overlapping(group: OwedGroup, openOwn: () => Promise<OpenSeries[]>): Promise<FoundGroup[]> {
    const { tenant, windowStartMs, windowMs } = group;
    const day = dayOf(windowStartMs);
    const slots = new Map<string, Slot>([[hexOf(group.slot), group.slot]]);
    for (const placement of await this.#placementsOf(tenant, day)) {
      if (sameSizes(placement, group.placement)) continue;
      for (const { labels } of await openOwn()) {
        const slot = slotOf(placement, labels);
        slots.set(hexOf(slot), slot);
      }
    }
    const found: FoundGroup[] = [];
    for (const slot of slots.values()) {
      const end = windowStartMs + windowMs - 1;
      found.push(...(await this.#index.groups(tenant, day, slot, windowStartMs, end, this.#context)));
    }
    return found;
  }

  #placementsOf(tenant: string, day: number): Promise<Placement[]> {
    if (this.#placements.size >= PLACEMENTS_KEPT_MAX) this.#placements.clear();
    return getOrMake(this.#placements, `${day} ${tenant}`, () => this.#index.placements(tenant, day, this.#context));
  }

  #openOwn({ windowStartMs, id, header, body }: OwedGroup): Promise<OpenSeries[]> {
    const { period, table } = this.#schema.tableOf(dayOf(windowStartMs));
    const name = `group ${hexOf(id)}, which is to be written`;
    const range = windowRange(windowStartMs, id);
    const row = decodeGroupRow(range, encodeInlineRow(header, body), name);
    return this.#open({ ...row, period, table, key: { hash: new Uint8Array(0), range }, name }, undefined);
  }

  /** All series of a group; none where it is damaged, so that what it had is written again. */
  async #open(found: FoundGroup, labelsOf: ((raw: Uint8Array) => LabelBlock) | undefined): Promise<OpenSeries[]> {
    try {
      const { header } = found;
      const whole = await wholeGroup(found.period, found, this.#context.signal);
      const body = whole.subarray(whole.length - header.bodyBytes);
      const open = new OpenGroup(this.#decoder, header, groupName(found.name, found.place));
      for (const ref of header.blocks) open.add(ref, body.subarray(ref.offset, ref.offset + ref.bytes), labelsOf);
      const all: OpenSeries[] = [];
      for (const ref of open.blocks.of(SERIES_BLOCK)) {
        const { labels } = open.seriesBlock(ref);
        for (let i = 0; i < ref.count; i++) {
          const bytes = labels.labelBytes(i);
          all.push({ key: Buffer.from(bytes).toString('latin1'), labels: bytes, chunk: open.chunk(ref.first + i) });
        }
      }
      return all;
    } catch (error) {
      if (!isDamage(error)) throw error;
      return [];
    }
  }
}

function nameOf(tenant: string, slot: Slot, windowStartMs: number): string {
  return `${windowStartMs} ${hexOf(slot)} ${tenant}`;
}

/** A series of an opened group. */
interface OpenSeries {
  /** Its labels, one character a byte. */
  readonly key: string;
  readonly labels: Uint8Array;
  readonly chunk: Chunk;
}

/** Puts into `out` the samples of `own` that `stored` lacks. Both ascend. */
function lacking(own: SampleColumns, stored: SampleColumns, out: SampleColumns): void {
  out.clear();
  let at = 0;
  for (let i = 0; i < own.count; i++) {
    const time = own.times[i]!;
    while (at < stored.count && stored.times[at]! < time) at++;
    const isThere = at < stored.count && stored.times[at] === time && !isBetter(own, i, stored, at);
    if (!isThere) copySample(own, i, out);
  }
}

/** Whether readers would prefer the first; the same observations in other buckets are not better. */
function isBetter(own: SampleColumns, i: number, stored: SampleColumns, at: number): boolean {
  if (!preferred(own, i, stored, at)) return false;
  const a = own.kindAt(i) === HISTOGRAM ? own.histograms[i] : undefined;
  const b = stored.kindAt(at) === HISTOGRAM ? stored.histograms[at] : undefined;
  return a === undefined || b === undefined || !equalObservations(a, b);
}
