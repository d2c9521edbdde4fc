import { textHash } from '../lib/text-hash.ts';

/** Tables that share a place are told apart by nothing: one's changes count as the other's. */
const PLACES = 256;

/** Changes of tables, counted in memory that all threads of a process share: when they begin, and when they are over. */
export class TableChanges {
  /** For each place how many have begun, and how many are over. */
  readonly #counts: Int32Array;

  constructor(shared: SharedArrayBuffer) {
    this.#counts = new Int32Array(shared);
  }

  static memory(): SharedArrayBuffer {
    return new SharedArrayBuffer(2 * PLACES * Int32Array.BYTES_PER_ELEMENT);
  }

  /** Counts a change before anybody can see anything of it. */
  begin(table: string): void {
    Atomics.add(this.#counts, placeOf(table), 1);
  }

  /** Counts it as over, made or not, before whoever made it is told. */
  end(table: string): void {
    Atomics.add(this.#counts, placeOf(table) + 1, 1);
  }

  /**
   * How many have begun by now; undefined: some are under way, of which some may be seen already. Those of a thread that died are so for
   * ever.
   */
  of(table: string): number | undefined {
    const place = placeOf(table);
    // in this order: where both are the same, none was under way at the first look, and none has begun by the second
    const over = Atomics.load(this.#counts, place + 1);
    const begun = Atomics.load(this.#counts, place);
    return begun === over ? begun >>> 0 : undefined;
  }
}

function placeOf(table: string): number {
  return 2 * (textHash(table) % PLACES);
}
