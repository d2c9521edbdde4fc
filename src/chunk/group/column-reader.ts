import type { Kernel } from '../kernel.ts';
import { Region } from '../region.ts';
import { ColumnSet, decodeBytes } from './column-set.ts';
import { guarded } from './header.ts';

/** A column set outside of kernel memory: inflated, not yet checked. */
export interface ColumnSource {
  readonly block: Uint8Array;
  readonly counts: Uint32Array;
  readonly firsts: Float64Array;
  /** Names of the group and of its part, for errors. */
  readonly name: string;
  readonly part: string;
}

/** Decodes single columns; the blocks used last stay in kernel memory, so that reading series after series loads each once. */
export class ColumnReader {
  readonly #kernel: Kernel;
  readonly #setsMax: number;
  /** In order of last use. */
  readonly #loaded = new Map<ColumnSource, ColumnSet>();
  readonly #out: Region;
  readonly #scratch: Region;

  constructor(kernel: Kernel, setsMax = 64) {
    this.#kernel = kernel;
    this.#setsMax = setsMax;
    this.#out = new Region(kernel);
    this.#scratch = new Region(kernel);
  }

  /** Copies the column's values to `to` from index `at` on. @throws errors.groupCorrupt */
  readInto(source: ColumnSource, column: number, to: Float64Array, at: number): void {
    const from = this.decode(source, column) / 8;
    to.set(this.#kernel.f64.subarray(from, from + source.counts[column]!), at);
  }

  /** @throws errors.groupCorrupt */
  read(source: ColumnSource, column: number): Float64Array {
    const from = this.decode(source, column) / 8;
    return this.#kernel.f64.slice(from, from + source.counts[column]!);
  }

  /**
   * Where in kernel memory the column's values stand until the next call; those from `from` to `to`, if these are given.
   * @throws errors.groupCorrupt
   */
  decode(source: ColumnSource, column: number, from?: number, to?: number): number {
    const set = this.#set(source);
    const bytes = decodeBytes(source.counts[column]!);
    const out = this.#out.ensure(bytes);
    set.decode(column, out, this.#scratch.ensure(bytes), from, to);
    return out;
  }

  /**
   * As `decode`, to a place in kernel memory that has room for `decodeBytes` of the whole column.
   * @throws errors.groupCorrupt
   */
  decodeTo(place: number, source: ColumnSource, column: number, from?: number, to?: number): void {
    const scratch = this.#scratch.ensure(decodeBytes(source.counts[column]!));
    this.#set(source).decode(column, place, scratch, from, to);
  }

  #set(source: ColumnSource): ColumnSet {
    let set = this.#loaded.get(source);
    if (set !== undefined) {
      this.#loaded.delete(source);
    } else {
      set = this.#take();
      const fresh = set;
      guarded(source.name, source.part, () => fresh.load(source.block, source.counts, source.firsts));
    }
    this.#loaded.set(source, set);
    return set;
  }

  #take(): ColumnSet {
    for (const [source, set] of this.#loaded) {
      if (this.#loaded.size < this.#setsMax) break;
      this.#loaded.delete(source);
      return set;
    }
    return new ColumnSet(this.#kernel);
  }
}
