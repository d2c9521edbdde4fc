import type { QueryBudget } from '../storage/queryable.ts';
import { SliceView } from '../wire/slices.ts';

const SLOTS_MIN = 1024;
const SLOT_BYTES = 8;

/**
 * Which series a query has seen, by a hash of their labels: 16 to 32 bytes for each. Two series may rarely be taken for the same, one
 * never for two.
 */
export class SeenSeries {
  readonly #budget: QueryBudget;
  /** Hashes, by open addressing; 0 is free. */
  #slots = new Float64Array(0);
  #count = 0;

  constructor(budget: QueryBudget) {
    this.#budget = budget;
  }

  /** Whether none of the slice's series has been seen before. */
  addAll(slice: Uint8Array): boolean {
    let areNew = true;
    for (const series = new SliceView(slice); series.next(); ) {
      if (2 * (this.#count + 1) > this.#slots.length) this.#grow();
      if (!this.#add(hashOf(slice, series.labelsFrom, series.labelsTo))) areNew = false;
    }
    return areNew;
  }

  close(): void {
    this.#budget.addMemory(-SLOT_BYTES * this.#slots.length);
    this.#slots = new Float64Array(0);
  }

  #add(hash: number): boolean {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let at = hash % slots.length; ; at = (at + 1) & mask) {
      if (slots[at] === hash) return false;
      if (slots[at] !== 0) continue;
      slots[at] = hash;
      this.#count++;
      return true;
    }
  }

  #grow(): void {
    const before = this.#slots;
    const length = Math.max(SLOTS_MIN, 2 * before.length);
    this.#budget.addMemory(SLOT_BYTES * length);
    this.#slots = new Float64Array(length);
    this.#count = 0;
    for (const hash of before) if (hash !== 0) this.#add(hash);
    this.#budget.addMemory(-SLOT_BYTES * before.length);
  }
}

/** 52 bits of two FNV hashes, above 0. */
function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let a = -2128831035;
  let b = 40389;
  for (let i = from; i < to; i++) {
    a = Math.imul(a ^ bytes[i]!, 16777619);
    b = Math.imul(b ^ bytes[i]!, 0x5bd1e995);
    b ^= b >>> 15;
  }
  return (b & 0xfffff) * 2 ** 32 + (a >>> 0) + 1;
}
