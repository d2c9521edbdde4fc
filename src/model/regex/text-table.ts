import { systemBytes } from '../../lib/random.ts';

/** Texts as they travel between threads: few objects, whatever their number. */
export interface TextTableData {
  /** All behind each other. */
  readonly text: string;
  /** Where each begins in `text`, and where the last one ends. */
  readonly starts: Uint32Array;
  /** The number of a text, counted from 1, where its hash says or at the next free place; 0: free. */
  readonly slots: Uint32Array;
  /** Lengths that any text has, ascending. */
  readonly lengths: Uint32Array;
  /** Two random numbers that hashes are made with: who chooses the texts does not choose where they lie. */
  readonly seed: Uint32Array;
  /** Hashes are made from the last character to the first. */
  readonly backwards: boolean;
}

/** Texts that are put into a table without a turn for others. */
const TEXTS_BETWEEN = 2048;

/** A set of texts that tells whether a value is, begins with, or (`backwards`) ends with one of them. In time linear in the value's length. */
export class TextTable {
  readonly data: TextTableData;

  private constructor(data: TextTableData) {
    this.data = data;
  }

  static from(data: TextTableData): TextTable {
    return new TextTable(data);
  }

  /** A table of texts, and each of them once. Yields now and then. */
  static *making(
    texts: readonly string[],
    backwards = false,
  ): Generator<undefined, { readonly table: TextTable; readonly unique: string[] }> {
    const unique: string[] = [];
    const ends: number[] = [0];
    let end = 0;
    let size = 4;
    while (size < 2 * texts.length) size *= 2;
    const slots = new Uint32Array(size);
    const lengths = new Set<number>();
    const seed = new Uint32Array(systemBytes(8).buffer);
    for (const [i, each] of texts.entries()) {
      if (i % TEXTS_BETWEEN === TEXTS_BETWEEN - 1) yield;
      let slot = hashOf(each, backwards, seed) & (size - 1);
      while (slots[slot] !== 0 && unique[slots[slot]! - 1] !== each) slot = (slot + 1) & (size - 1);
      if (slots[slot] !== 0) continue;
      slots[slot] = unique.push(each);
      end += each.length;
      ends.push(end);
      lengths.add(each.length);
    }
    const starts = Uint32Array.from(ends);
    const table = new TextTable({
      text: unique.join(''),
      starts,
      slots,
      lengths: Uint32Array.from(lengths).sort(),
      seed,
      backwards,
    });
    return { table, unique };
  }

  get size(): number {
    return this.data.starts.length - 1;
  }

  has(value: string): boolean {
    const { backwards, seed } = this.data;
    return this.#isAt(hashOf(value, backwards, seed), value, 0, value.length);
  }

  /** Whether `value` begins, or ends, with one of the texts. */
  touches(value: string): boolean {
    const { lengths, backwards, seed } = this.data;
    const factor = seed[1]! | 1;
    let hash = seed[0]!;
    let next = 0;
    for (let length = 0; ; length++) {
      if (lengths[next] === length) {
        next++;
        if (this.#isAt(hash, value, backwards ? value.length - length : 0, length)) return true;
      }
      if (next === lengths.length || length === value.length) return false;
      hash = hashed(hash, factor, value.charCodeAt(backwards ? value.length - 1 - length : length));
    }
  }

  #isAt(hash: number, value: string, from: number, length: number): boolean {
    const { text, starts, slots } = this.data;
    const mask = slots.length - 1;
    for (let slot = hash & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const number = slots[slot]!;
      const start = starts[number - 1]!;
      if (starts[number]! - start === length && isSame(text, start, value, from, length)) return true;
    }
    return false;
  }
}

/** FNV-1a of UTF-16 units with another factor, mixed so that low bits depend on all. */
function hashed(hash: number, factor: number, unit: number): number {
  const next = Math.imul(hash ^ unit, factor);
  return next ^ (next >>> 15);
}

function hashOf(text: string, backwards: boolean, seed: Uint32Array): number {
  const factor = seed[1]! | 1;
  let hash = seed[0]!;
  if (backwards) for (let i = text.length - 1; i >= 0; i--) hash = hashed(hash, factor, text.charCodeAt(i));
  else for (let i = 0; i < text.length; i++) hash = hashed(hash, factor, text.charCodeAt(i));
  return hash;
}

function isSame(a: string, aFrom: number, b: string, bFrom: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (a.charCodeAt(aFrom + i) !== b.charCodeAt(bFrom + i)) return false;
  return true;
}
