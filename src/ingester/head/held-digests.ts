import { DIGEST_BYTES } from '../../chunk/group/digest.ts';
import { Region } from '../../chunk/region.ts';
import type { Clock } from '../../lib/clock.ts';
import { Pacer } from '../../lib/pacer.ts';
import type { ExportedSlots, ExportOrder } from './export-order.ts';
import type { Head } from './head.ts';
import type { HeadTenant } from './tenant-index.ts';

/** For how long at a time the shard's thread may be held up. */
const SLICE_MS = 8;
/** Series in one call of the kernel, and their samples and bytes / 4: about a millisecond of work. */
const BATCH = 256;
const COST_MAX = 65_536;
/** A series of more samples or bytes in one window is not told. */
const SAMPLES_MAX = 16_384;
const SLICE_BYTES = 512 * 1024;
// Sums as the kernel has them: digest, samples, series, and room for a seed.
const SUM_BYTES = 48;
const SAMPLES_AT = 16;

/** All samples of a slot that an arena holds, as groups tell them. */
export interface HeldDigest {
  /** In hex. */
  readonly slot: string;
  /** The sum over all samples, as in the header of a group. */
  readonly digest: Uint8Array;
  readonly samples: number;
}

/** Digests of what a head holds, by slot: a holder then need not take samples out to know whether the store has them. */
export class HeldDigests {
  readonly #head: Head;
  readonly #order: ExportOrder;
  readonly #clock: Clock;
  readonly #refs: Region;
  readonly #slice: Region;
  readonly #columns: Region;
  readonly #sum: Region;

  constructor(head: Head, order: ExportOrder, clock: Clock) {
    this.#head = head;
    this.#order = order;
    this.#clock = clock;
    this.#refs = new Region(head.kernel);
    this.#slice = new Region(head.kernel);
    this.#columns = new Region(head.kernel);
    this.#sum = new Region(head.kernel);
  }

  /**
   * Digests of the slots that are due. A slot that cannot be told is left out: one with histograms, start timestamps, or samples that came
   * out of order. Pauses, so nobody may use refs again meanwhile (`holdRefs`).
   */
  async of(tenant: HeadTenant, arena: number, slots: ExportedSlots): Promise<HeldDigest[]> {
    const pacer = new Pacer(this.#clock, { sliceMs: SLICE_MS });
    /** Sums by slot; undefined where it cannot be told. */
    const sums = new Map<string, Uint8Array | undefined>();
    for await (const { slot, refs } of this.#order.runs(tenant, arena, slots, pacer)) {
      let sum = sums.has(slot) ? sums.get(slot) : new Uint8Array(SUM_BYTES);
      for (let from = 0; from < refs.length && sum !== undefined; ) {
        const told = this.#add(refs.subarray(from, from + BATCH), arena, sum);
        sum = told?.sum;
        from += told?.series ?? 0;
        await pacer.step();
      }
      sums.set(slot, sum);
    }
    const told: HeldDigest[] = [];
    for (const [slot, sum] of sums) {
      if (sum === undefined) continue;
      const samples = Number(new DataView(sum.buffer).getBigUint64(SAMPLES_AT, true));
      if (samples > 0) told.push({ slot, digest: sum.slice(0, DIGEST_BYTES), samples });
    }
    return told;
  }

  /**
   * The sum with the first of some series, and how many these are; undefined where one of all cannot be told. Nothing of it stays in the
   * kernel.
   */
  #add(
    refs: Uint32Array,
    arena: number,
    sum: Uint8Array,
  ): { readonly sum: Uint8Array; readonly series: number } | undefined {
    const { kernel, rich } = this.#head;
    for (const ref of refs) if (rich.has(ref)) return undefined;
    const refsAt = this.#refs.ensure(4 * BATCH);
    const slice = this.#slice.ensure(SLICE_BYTES);
    const columns = this.#columns.ensure(16 * SAMPLES_MAX);
    const at = this.#sum.put(sum);
    new Uint32Array(kernel.u8.buffer, refsAt, refs.length).set(refs);
    const { heldDigest } = kernel.exports;
    const series = heldDigest(refsAt, refs.length, arena, slice, SLICE_BYTES, columns, SAMPLES_MAX, COST_MAX, at);
    return series === 0 ? undefined : { sum: kernel.u8.slice(at, at + SUM_BYTES), series };
  }
}
