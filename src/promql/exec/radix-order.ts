const DIGIT_BITS = 16;
const DIGITS = 1 << DIGIT_BITS;
/** So few are rather compared. */
const FEW = 4096;

/** An order of things numbered from 0, made by one key of theirs after the other: the least important key first. */
export class RadixOrder {
  #order: Uint32Array;
  #moved: Uint32Array;
  #starts: Uint32Array | undefined;

  constructor(count: number) {
    this.#order = Uint32Array.from({ length: count }, (_, i) => i);
    this.#moved = new Uint32Array(count);
  }

  get indexes(): Uint32Array {
    return this.#order;
  }

  /** Sorts by `keys`, ascending; those with the same key stay in the order they have. */
  by(keys: Uint32Array): void {
    let most = 0;
    let least = 0xffffffff;
    for (const key of keys) {
      if (key > most) most = key;
      if (key < least) least = key;
    }
    // a label's name is mostly the same in all series
    if (most <= least) return;
    if (keys.length <= FEW) {
      this.#order.sort((a, b) => keys[a]! - keys[b]!);
      return;
    }
    for (let shift = 0; shift < 32 && most >>> shift > 0; shift += DIGIT_BITS) this.#byDigit(keys, shift);
  }

  #byDigit(keys: Uint32Array, shift: number): void {
    this.#starts ??= new Uint32Array(DIGITS + 1);
    const starts = this.#starts.fill(0);
    const from = this.#order;
    const to = this.#moved;
    for (const key of keys) starts[((key >>> shift) & (DIGITS - 1)) + 1]!++;
    for (let digit = 0; digit < DIGITS; digit++) starts[digit + 1]! += starts[digit]!;
    for (const index of from) to[starts[(keys[index]! >>> shift) & (DIGITS - 1)]!++] = index;
    this.#order = to;
    this.#moved = from;
  }
}
