/**
 * Adds doubles without any error and rounds once, to the nearest, halves to even: the answer does not depend on the order. For finite
 * values whose magnitudes together stay below the largest double. Source: Shewchuk 1997, as Python's `math.fsum` has it.
 */
export class ExactSum {
  /** Ascending by magnitude; none overlaps another. */
  readonly #parts: number[] = [];

  clear(): void {
    this.#parts.length = 0;
  }

  add(value: number): void {
    const parts = this.#parts;
    let high = value;
    let kept = 0;
    for (const part of parts) {
      const larger = Math.abs(high) < Math.abs(part) ? part : high;
      const smaller = larger === part ? high : part;
      high = larger + smaller;
      const low = smaller - (high - larger);
      if (low !== 0) parts[kept++] = low;
    }
    parts.length = kept;
    parts.push(high);
  }

  /** Zero is never negative. */
  rounded(): number {
    const parts = this.#parts;
    let at = parts.length - 1;
    if (at < 0) return 0;
    let high = parts[at]!;
    let low = 0;
    while (at > 0 && low === 0) {
      const before = high;
      const part = parts[--at]!;
      high = before + part;
      low = part - (high - before);
    }
    // a half that what is below it pushes over
    if (at > 0 && low !== 0 && low < 0 === parts[at - 1]! < 0) {
      const twice = 2 * low;
      const next = high + twice;
      if (next - high === twice) return next;
    }
    return high + 0;
  }
}
