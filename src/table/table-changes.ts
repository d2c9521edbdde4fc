import { textHash } from '../lib/text-hash.ts';

/** Tables that share a place are told apart by nothing: one's changes count as the other's. */
const PLACES = 256;

/** Changes of tables, counted in memory that all threads of a process share. */
export class TableChanges {
  readonly #counts: Int32Array;

  constructor(shared: SharedArrayBuffer) {
    this.#counts = new Int32Array(shared);
  }

  static memory(): SharedArrayBuffer {
    return new SharedArrayBuffer(PLACES * Int32Array.BYTES_PER_ELEMENT);
  }

  /** Counted before whoever made the change is told of it. */
  add(table: string): void {
    Atomics.add(this.#counts, textHash(table) % PLACES, 1);
  }

  of(table: string): number {
    return Atomics.load(this.#counts, textHash(table) % PLACES) >>> 0;
  }
}
