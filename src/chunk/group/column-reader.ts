import type { Kernel } from '../kernel.ts';
import { Region } from '../region.ts';
import { Ring } from '../ring.ts';
import { ColumnSet, decodeBytes, loadBytes, type StoredColumns } from './column-set.ts';
import { guarded } from './header.ts';
import { KeptBlocks } from './kept-blocks.ts';

/** A column set outside of kernel memory, not yet checked. */
export interface ColumnSource {
  /** Where it is stored, it is inflated in kernel memory alone. */
  readonly block: Uint8Array | StoredColumns;
  readonly counts: Uint32Array;
  readonly firsts: Float64Array;
  /** Names of the group and of its part, for errors. */
  readonly name: string;
  readonly part: string;
}

/** Kernel memory for blocks that may be used again. */
const LOADED_BYTES_MAX = 32 * 2 ** 20;
/** Memory for inflated blocks that have no room there, while series are read. */
const KEPT_BYTES_MAX = 64 * 2 ** 20;
/** A block that takes more than one in so many parts of it stays until the next such block. */
const LARGE_SHARE = 4;

/** Decodes single columns; the blocks loaded last stay in kernel memory, so that reading series after series loads each once. */
export class ColumnReader {
  readonly #kernel: Kernel;
  /** The sets that lie in the ring, and the one that is too large for it. */
  readonly #loaded = new Map<ColumnSource, ColumnSet>();
  readonly #ring: Ring;
  readonly #kept: KeptBlocks<ColumnSource>;
  /** Sets of series that are being read. */
  #users = 0;
  readonly #large: Region;
  #largeSource: ColumnSource | undefined;
  readonly #out: Region;
  readonly #scratch: Region;

  constructor(kernel: Kernel, bytesMax = LOADED_BYTES_MAX, keptBytesMax = KEPT_BYTES_MAX) {
    this.#kernel = kernel;
    this.#ring = new Ring(kernel, bytesMax);
    this.#kept = new KeptBlocks(keptBytesMax);
    this.#large = new Region(kernel);
    this.#out = new Region(kernel);
    this.#scratch = new Region(kernel);
  }

  /** Begins to read series: blocks are kept until the last of those who read is through. */
  begin(): void {
    this.#users++;
  }

  end(): void {
    if (--this.#users === 0) this.#kept.clear();
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
   * @param blocks where bits lie that say which blocks of 32 values behind the first are wanted; 0: all
   * @throws errors.groupCorrupt
   */
  decodeTo(place: number, source: ColumnSource, column: number, from?: number, to?: number, blocks?: number): void {
    const scratch = this.#scratch.ensure(decodeBytes(source.counts[column]!));
    this.#set(source).decode(column, place, scratch, from, to, blocks);
  }

  #set(source: ColumnSource): ColumnSet {
    const known = this.#loaded.get(source);
    if (known !== undefined) return known;
    const { block, counts, firsts, name, part } = source;
    const isStored = !(block instanceof Uint8Array);
    const length = isStored ? block.rawBytes : block.length;
    const kept = isStored ? this.#kept.of(source) : undefined;
    const place = this.#placeOf(source, loadBytes(counts.length, length));
    const set = new ColumnSet(this.#kernel);
    guarded(name, part, () => set.load(kept ?? block, counts, firsts, place));
    if (isStored && kept === undefined && this.#users > 0) this.#kept.offer(source, set.raw);
    this.#loaded.set(source, set);
    return set;
  }

  #lose(source: ColumnSource): void {
    this.#loaded.delete(source);
    this.#kept.lost(source);
  }

  #placeOf(source: ColumnSource, bytes: number): number {
    if (bytes <= this.#ring.bytesMax / LARGE_SHARE) return this.#ring.take(bytes, () => this.#lose(source));
    if (this.#largeSource !== undefined) this.#lose(this.#largeSource);
    this.#largeSource = source;
    return this.#large.ensure(bytes);
  }
}
