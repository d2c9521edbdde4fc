import { Region } from '../../chunk/region.ts';
import { bucketSlot, type Placement, partSlot } from '../../chunkstore/placement.ts';
import { LABELS_BYTES_MAX } from '../../contract/ingest.ts';
import type { Clock } from '../../lib/clock.ts';
import { Pacer } from '../../lib/pacer.ts';
import { compareUtf8 } from '../../model/labels.ts';
import { type FlushSpread, slotTurn } from '../flush-turn.ts';
import type { Head } from './head.ts';
import type { HeadTenant } from './tenant-index.ts';

/** For how long at a time the shard's thread may be held up. */
const SLICE_MS = 8;
/** Series whose parts are found in one call of the kernel. */
const BATCH = 8192;
/** Series that are put in order, or of each of two lists that are merged, in one call of the kernel. */
const ORDER_BATCH = 4096;

const ALONE: FlushSpread = { spreadMs: 0, waitMs: 0, turns: undefined };

/** Refs of one slot and metric. */
export interface SlotRun {
  /** In hex. */
  readonly slot: string;
  readonly name: string;
  readonly refs: Uint32Array;
}

/** Slots that are due and have samples in an arena. */
export interface HeldSlots {
  /** In hex. */
  readonly slots: ReadonlySet<string>;
  /** Series with samples in it. */
  readonly series: number;
}

/** Slots that are due. */
export interface ExportedSlots {
  readonly placement: Placement;
  /** Only slots that have their turn (`slotTurn`) then, the second excluded. */
  readonly phases: readonly [from: number, to: number];
  /** Absent: nobody waits for others. */
  readonly spread?: FlushSpread;
  /** Only these of them, in hex; absent: all. */
  readonly only?: ReadonlySet<string> | undefined;
}

/** Finds the series of slots, and puts them in the order in which they go into groups. */
export class ExportOrder {
  readonly #head: Head;
  readonly #clock: Clock;
  readonly #scratch: Region;

  constructor(head: Head, clock: Clock) {
    this.#head = head;
    this.#clock = clock;
    this.#scratch = new Region(head.kernel);
  }

  /**
   * Refs of a tenant that have samples in an arena, by slot, then metric, then labels: the same series come in the same order, whenever they
   * came here. Pauses, so nobody may use refs again meanwhile (`holdRefs`).
   */
  async refs(tenant: HeadTenant, arena: number, slots: ExportedSlots): Promise<Uint32Array> {
    const runs: SlotRun[] = [];
    const pacer = new Pacer(this.#clock, { sliceMs: SLICE_MS });
    for await (const run of this.runs(tenant, arena, slots, pacer)) {
      runs.push({ ...run, refs: await this.#ordered(run.refs, pacer) });
    }
    runs.sort((a, b) => (a.slot === b.slot ? compareUtf8(a.name, b.name) : a.slot < b.slot ? -1 : 1));
    const all = new Uint32Array(runs.reduce((sum, { refs }) => sum + refs.length, 0));
    let at = 0;
    for (const { refs } of runs) {
      all.set(refs, at);
      at += refs.length;
    }
    return all;
  }

  /** Refs with samples in an arena, of the slots that are due, by slot and metric, in no order. Pauses as `refs` does. */
  async *runs(tenant: HeadTenant, arena: number, slots: ExportedSlots, pacer: Pacer): AsyncGenerator<SlotRun> {
    const due = new DueSlots(tenant.id, slots);
    const rich = new Set(this.#head.rich.refsOfArena(arena));
    for (const { name, refs, hash } of this.#metrics(tenant)) {
      const parts = slots.placement.splits.get(name);
      const slot = parts === undefined ? due.bucket(hash) : undefined;
      if (parts === undefined && slot === undefined) continue;
      const held = await this.#ofArena(refs.slice(), arena, rich, pacer);
      if (held.length === 0) continue;
      if (slot !== undefined) yield { slot, name, refs: held };
      if (parts === undefined) continue;
      for (const [part, of] of (await this.#parts(held, parts, pacer)).entries()) {
        if (of.length === 0) continue;
        const partSlot = due.part(name, parts, part);
        if (partSlot !== undefined) yield { slot: partSlot, name, refs: of };
      }
    }
  }

  /** Slots that an export would have. Pauses as `refs` does. */
  async slots(tenant: HeadTenant, arena: number, slots: ExportedSlots): Promise<HeldSlots> {
    const pacer = new Pacer(this.#clock, { sliceMs: SLICE_MS });
    const found = new Set<string>();
    let series = 0;
    for await (const { slot, refs } of this.runs(tenant, arena, slots, pacer)) {
      found.add(slot);
      series += refs.length;
    }
    return { slots: found, series };
  }

  /** The tenant's metrics as they are now: names, refs, hashes of names. */
  *#metrics(
    tenant: HeadTenant,
  ): Generator<{ readonly name: string; readonly refs: Uint32Array; readonly hash: number }> {
    const { exports } = this.#head.kernel;
    for (const [pair, list] of [...tenant.metrics]) {
      const { refs } = list;
      if (refs.length === 0) continue;
      yield { name: this.#head.pairText(pair)[1], refs, hash: exports.seriesMetricHash(refs[0]!) >>> 0 };
    }
  }

  /** Puts refs in order of their canonical labels, byte by byte, in place or into the list that it returns. */
  async #ordered(refs: Uint32Array, pacer: Pacer): Promise<Uint32Array> {
    const { exports } = this.#head.kernel;
    for (let from = 0; from < refs.length; from += ORDER_BATCH) {
      const batch = refs.subarray(from, from + ORDER_BATCH);
      if (batch.length > 1) {
        const at = this.#put(batch);
        exports.orderRefs(at, batch.length, at + 4 * ORDER_BATCH);
        this.#take(at, batch);
      }
      await pacer.step();
    }
    let ordered = refs;
    let next: Uint32Array = new Uint32Array(refs.length > ORDER_BATCH ? refs.length : 0);
    for (let width = ORDER_BATCH; width < refs.length; width *= 2) {
      for (let from = 0; from < refs.length; from += 2 * width) {
        const first = ordered.subarray(from, from + width);
        const second = ordered.subarray(from + width, from + 2 * width);
        await this.#merge(first, second, next.subarray(from, from + 2 * width), pacer);
      }
      [ordered, next] = [next, ordered];
    }
    return ordered;
  }

  /** Nothing of it stays in the kernel over a pause: other exports use the same memory. */
  async #merge(first: Uint32Array, second: Uint32Array, out: Uint32Array, pacer: Pacer): Promise<void> {
    const { exports } = this.#head.kernel;
    let a = 0;
    let b = 0;
    while (a < first.length && b < second.length) {
      const ofFirst = first.subarray(a, a + ORDER_BATCH);
      const ofSecond = second.subarray(b, b + ORDER_BATCH);
      const at = this.#put(ofFirst, ofSecond);
      const outAt = at + 8 * ORDER_BATCH;
      const taken = exports.mergeRefs(at, ofFirst.length, at + 4 * ORDER_BATCH, ofSecond.length, outAt);
      const takenFirst = taken >>> 16;
      const takenSecond = taken & 0xffff;
      this.#take(outAt, out.subarray(a + b, a + b + takenFirst + takenSecond));
      a += takenFirst;
      b += takenSecond;
      await pacer.step();
    }
    out.set(first.subarray(a), a + b);
    out.set(second.subarray(b), first.length + b);
  }

  /** Copies up to two batches into the kernel, with room for both behind them. @returns where the first lies */
  #put(first: Uint32Array, second?: Uint32Array): number {
    const at = this.#scratch.ensure(16 * ORDER_BATCH);
    const words = new Uint32Array(this.#head.kernel.u8.buffer, at, 2 * ORDER_BATCH);
    words.set(first);
    if (second !== undefined) words.set(second, ORDER_BATCH);
    return at;
  }

  #take(at: number, out: Uint32Array): void {
    out.set(new Uint32Array(this.#head.kernel.u8.buffer, at, out.length));
  }

  /** Those that have samples in an arena. @param rich those that have some aside, which the kernel does not know */
  async #ofArena(refs: Uint32Array, arena: number, rich: ReadonlySet<number>, pacer: Pacer): Promise<Uint32Array> {
    const { kernel } = this.#head;
    let kept = 0;
    for (let from = 0; from < refs.length; from += BATCH) {
      const batch = refs.subarray(from, from + BATCH);
      const at = this.#scratch.ensure(8 * BATCH);
      new Uint32Array(kernel.u8.buffer, at, batch.length).set(batch);
      const marksAt = at + 4 * BATCH;
      kernel.exports.markOfArena(at, batch.length, arena, marksAt);
      for (const [i, mark] of new Uint32Array(kernel.u8.buffer, marksAt, batch.length).entries()) {
        const ref = batch[i]!;
        if (mark !== 0 || rich.has(ref)) refs[kept++] = ref;
      }
      await pacer.step();
    }
    return refs.subarray(0, kept);
  }

  /** The series of a metric by part. */
  async #parts(refs: Uint32Array, parts: number, pacer: Pacer): Promise<Uint32Array[]> {
    const { kernel } = this.#head;
    const partOf = new Uint16Array(refs.length);
    const sizes = new Uint32Array(parts);
    for (let from = 0; from < refs.length; from += BATCH) {
      const batch = refs.subarray(from, from + BATCH);
      const at = this.#scratch.ensure(8 * BATCH + LABELS_BYTES_MAX);
      new Uint32Array(kernel.u8.buffer, at, batch.length).set(batch);
      const out = at + 4 * BATCH;
      kernel.exports.seriesParts(at, batch.length, parts, at + 8 * BATCH, LABELS_BYTES_MAX, out);
      for (const [i, part] of new Uint32Array(kernel.u8.buffer, out, batch.length).entries()) {
        partOf[from + i] = part;
        sizes[part]!++;
      }
      await pacer.step();
    }
    const lists = Array.from(sizes, (size) => new Uint32Array(size));
    const ends = new Uint32Array(parts);
    for (const [i, part] of partOf.entries()) lists[part]![ends[part]!++] = refs[i]!;
    return lists;
  }
}

/** Slots in hex as far as they are due; undefined where one is not. */
class DueSlots {
  readonly #tenant: string;
  readonly #slots: ExportedSlots;
  readonly #buckets = new Map<number, string | undefined>();

  constructor(tenant: string, slots: ExportedSlots) {
    this.#tenant = tenant;
    this.#slots = slots;
  }

  /** @param hash of a metric's name */
  bucket(hash: number): string | undefined {
    const { buckets } = this.#slots.placement;
    const bucket = hash % buckets;
    if (!this.#buckets.has(bucket)) this.#buckets.set(bucket, this.#due(bucketSlot(buckets, bucket)));
    return this.#buckets.get(bucket);
  }

  part(name: string, parts: number, part: number): string | undefined {
    return this.#due(partSlot(name, parts, part));
  }

  #due(slot: Uint8Array): string | undefined {
    const { phases, spread = ALONE, only } = this.#slots;
    const phase = slotTurn(spread, this.#tenant, slot);
    if (phase < phases[0] || phases[1] <= phase) return undefined;
    const hex = hexOf(slot);
    return only === undefined || only.has(hex) ? hex : undefined;
  }
}

function hexOf(slot: Uint8Array): string {
  return Buffer.from(slot.buffer, slot.byteOffset, slot.length).toString('hex');
}
