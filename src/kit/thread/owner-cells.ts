import { createHash } from 'node:crypto';

/** Cells of each owner, one in each row: together they are no other owner's. */
export const ROWS = 4;
const ROW_CELLS = 8_192;
export const CELLS = ROWS * ROW_CELLS;
export const KEY_BYTES = 16;
/** Owners whose cells are remembered. */
const KNOWN_MAX = 4_096;

/**
 * Gives each owner four cells of a table that several threads count in, by a keyed hash. What is counted for an owner is counted in all
 * of them, so the least of them is never too little, and too much only where each has another owner in it. Nobody has to give cells out,
 * or take them back.
 */
export class OwnerCells {
  readonly #key: Uint8Array;
  /** The one asked for longest ago is first. */
  readonly #known = new Map<string, readonly number[]>();

  /** @param key a secret that all threads have: who does not know it cannot choose an owner that shares cells with another one */
  constructor(key: Uint8Array) {
    this.#key = Uint8Array.from(key);
  }

  /** Numbers of its cells, below CELLS, each in a row of its own. */
  of(owner: string): readonly number[] {
    const known = this.#known.get(owner);
    if (known !== undefined) return known;
    if (this.#known.size >= KNOWN_MAX) this.#known.delete(this.#known.keys().next().value!);
    const hash = createHash('sha256').update(this.#key).update(owner).digest();
    const cells = Array.from({ length: ROWS }, (_, row) => row * ROW_CELLS + (hash.readUInt32LE(4 * row) % ROW_CELLS));
    this.#known.set(owner, cells);
    return cells;
  }
}
