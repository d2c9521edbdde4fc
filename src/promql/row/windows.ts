import { firstAfter } from './first-after.ts';
import { PLAIN_MEMORY } from './row-memory.ts';

/**
 * For each step the samples that its window holds: indexes `from[step]` up to but not including `to[step]`. Windows are
 * open to the left: of samples at `end − range` and `end`, only the latter is in.
 */
export class Windows {
  readonly steps: number;
  /** The end of the first window, and how far the ends are apart; 0 where every step has the same window. */
  readonly firstEndMs: number;
  readonly stepMs: number;
  /** How far a window reaches back from its end and, for what looks ahead, beyond it. */
  readonly backMs: number;
  readonly aheadMs: number;
  readonly from: Int32Array;
  readonly to: Int32Array;
  /** Samples in all windows, those in several counted for each. */
  total = 0;
  /** Samples that are in any window. */
  distinct = 0;
  /** Samples of the largest window. */
  longest = 0;
  /** Raised whenever `from` and `to` change: what is derived from them holds as long as it stays. */
  generation = 0;
  /** The times for which `from` and `to` were found, where they have no id; `#count` is −1 where they have one. */
  #times = new Float64Array(0);
  #count = -1;
  #timesId = 0;

  constructor(
    shape: {
      steps: number;
      firstEndMs: number;
      stepMs: number;
      backMs: number;
      aheadMs: number;
    },
    memory = PLAIN_MEMORY,
  ) {
    this.steps = shape.steps;
    this.firstEndMs = shape.firstEndMs;
    this.stepMs = shape.stepMs;
    this.backMs = shape.backMs;
    this.aheadMs = shape.aheadMs;
    this.from = memory.ints(shape.steps);
    this.to = memory.ints(shape.steps);
  }

  /** The end of a step's window, inclusive; samples up to `aheadMs` behind it are in the window, too. */
  endMs(step: number): number {
    return this.firstEndMs + step * this.stepMs;
  }

  /**
   * Finds the windows of samples at the first `count` of `times`, in O(count + steps). Series of one target often share
   * their times: then what was found for the last series still holds.
   *
   * @param timesId of the columns, where they are used as they are
   */
  find(times: Float64Array, count: number, timesId = 0): void {
    if (timesId !== 0 && timesId === this.#timesId) return;
    this.#timesId = timesId;
    if (this.#count === count && equalTimes(this.#times, times, count)) return;
    if (timesId === 0) this.#keep(times, count);
    else this.#count = -1;
    this.generation++;
    slide(times, count, this);
    this.#countSamples();
  }

  /** Times without an id are known again by what they are. */
  #keep(times: Float64Array, count: number): void {
    if (this.#times.length < count) this.#times = new Float64Array(Math.max(count, 512));
    this.#times.set(times.subarray(0, count));
    this.#count = count;
  }

  #countSamples(): void {
    let seen = 0;
    this.total = 0;
    this.distinct = 0;
    this.longest = 0;
    for (let step = 0; step < this.steps; step++) {
      const from = this.from[step]!;
      const to = this.to[step]!;
      this.total += to - from;
      this.longest = Math.max(this.longest, to - from);
      this.distinct += to - Math.min(to, Math.max(from, seen));
      seen = to;
    }
  }
}

function equalTimes(a: Float64Array, b: Float64Array, count: number): boolean {
  for (let i = 0; i < count; i++) if (a[i] !== b[i]) return false;
  return true;
}

function slide(times: Float64Array, count: number, windows: Windows): void {
  const { steps, firstEndMs, stepMs, backMs, aheadMs, from, to } = windows;
  let lo = 0;
  let hi = 0;
  for (let step = 0; step < steps; step++) {
    const end = firstEndMs + step * stepMs;
    const last = end + aheadMs;
    const first = end - backMs;
    hi = firstAfter(times, hi, count, last);
    lo = firstAfter(times, lo, hi, first);
    from[step] = lo;
    to[step] = hi;
  }
}
