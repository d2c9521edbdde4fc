import { ABSENT, FLOAT_POINT, type Row } from '../row/row.ts';
import type { Windows } from '../row/windows.ts';

/** Whole rows of functions over series of floats, each in O(samples + steps). */

/** `min_over_time` and `max_over_time`: a NaN gives way to any number. */
export class ExtremeRows {
  /** Indexes of samples that may still become the answer: ascending, the best first. */
  #queue = new Int32Array(64);

  row(values: Float64Array, count: number, windows: Windows, sign: 1 | -1, out: Row): void {
    if (this.#queue.length < count) this.#queue = new Int32Array(count * 2);
    const queue = this.#queue;
    const { from, to, steps } = windows;
    const { values: result, present } = out;
    let head = 0;
    let tail = 0;
    let next = from[0] ?? 0;
    let filled = 0;
    for (let step = 0; step < steps; step++) {
      const lo = from[step]!;
      const hi = to[step]!;
      if (next < lo) {
        next = lo;
        head = tail = 0;
      }
      for (; next < hi; next++) {
        const value = values[next]! * sign;
        // of equal ones the older stays: it is the one that a search from the left finds
        while (tail > head && !(values[queue[tail - 1]!]! * sign >= value) && !Number.isNaN(value)) tail--;
        queue[tail++] = next;
      }
      while (head < tail && queue[head]! < lo) head++;
      if (hi <= lo) {
        present[step] = ABSENT;
        continue;
      }
      result[step] = values[queue[head]!]!;
      present[step] = FLOAT_POINT;
      filled++;
    }
    out.filled = filled;
    out.histogramCount = 0;
  }
}

/** `changes` and `resets`: how many samples of the window, but for its first, differ from the one before. */
export class TransitionRows {
  /** Transitions among the first i + 1 samples. */
  #upTo = new Int32Array(64);

  row(values: Float64Array, count: number, windows: Windows, falls: boolean, out: Row): void {
    if (this.#upTo.length < count) this.#upTo = new Int32Array(count * 2);
    const upTo = this.#upTo;
    let seen = 0;
    if (count > 0) upTo[0] = 0;
    for (let i = 1; i < count; i++) {
      const before = values[i - 1]!;
      const value = values[i]!;
      // NaN after NaN is no change, NaN after a number is none of a fall
      if (falls ? value < before : value !== before && !(Number.isNaN(value) && Number.isNaN(before))) seen++;
      upTo[i] = seen;
    }
    const { from, to, steps } = windows;
    const { values: result, present } = out;
    let filled = 0;
    for (let step = 0; step < steps; step++) {
      const lo = from[step]!;
      const hi = to[step]!;
      if (hi <= lo) {
        present[step] = ABSENT;
        continue;
      }
      result[step] = upTo[hi - 1]! - upTo[lo]!;
      present[step] = FLOAT_POINT;
      filled++;
    }
    out.filled = filled;
    out.histogramCount = 0;
  }
}
