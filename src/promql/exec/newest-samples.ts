import type { SampleColumns } from '../../storage/columns.ts';
import { firstAfter } from '../row/first-after.ts';
import { ABSENT, FLOAT_POINT, type Row } from '../row/row.ts';
import type { RowMemory } from '../row/row-memory.ts';

const NONE = -1;

/**
 * For each step of an instant vector selector the newest sample that is at most the lookback old. Found from the times alone: once
 * for series that share theirs.
 */
export class NewestSamples {
  readonly #dataStartMs: number;
  readonly #stepMs: number;
  readonly #lookbackMs: number;
  readonly #memory: RowMemory;
  /** Its index, or NONE. */
  readonly #at: Int32Array;
  /** The steps that have one, if there is no gap between them; otherwise `#runTo` is 0. */
  #runFrom = 0;
  #runTo = 0;
  #timesId = 0;

  constructor(steps: number, dataStartMs: number, stepMs: number, lookbackMs: number, memory: RowMemory) {
    this.#dataStartMs = dataStartMs;
    this.#stepMs = stepMs;
    this.#lookbackMs = lookbackMs;
    this.#memory = memory;
    this.#at = memory.ints(steps);
  }

  find({ times, count, timesId }: SampleColumns): void {
    if (timesId !== 0 && timesId === this.#timesId) return;
    this.#timesId = timesId;
    const steps = this.#at.length;
    let after = 0;
    let filled = 0;
    this.#runFrom = 0;
    this.#runTo = 0;
    for (let step = 0; step < steps; step++) {
      const timeMs = this.#dataStartMs + step * this.#stepMs;
      after = firstAfter(times, after, count, timeMs);
      const newest = after - 1;
      if (newest >= 0 && times[newest]! > timeMs - this.#lookbackMs) {
        this.#at[step] = newest;
        if (filled++ === 0) this.#runFrom = step;
        this.#runTo = step + 1;
      } else {
        this.#at[step] = NONE;
      }
    }
    if (this.#runTo - this.#runFrom !== filled) this.#runTo = 0;
  }

  /** @param values those of the columns whose times were found last, all floats */
  fill(values: Float64Array, out: Row): void {
    const at = this.#at;
    const from = this.#runFrom;
    const count = this.#runTo - from;
    if (count > 0) {
      const loops = this.#memory.loopsOver(values, at, out.values);
      if (loops !== undefined) {
        const { byteOffset } = out.values;
        loops.rowGather(values.byteOffset, at.byteOffset + 4 * from, count, byteOffset + 8 * from);
      } else {
        for (let step = from; step < this.#runTo; step++) out.values[step] = values[at[step]!]!;
      }
      out.setRun(from, this.#runTo);
      return;
    }
    let filled = 0;
    for (let step = 0; step < at.length; step++) {
      const sample = at[step]!;
      if (sample === NONE) {
        out.present[step] = ABSENT;
      } else {
        out.values[step] = values[sample]!;
        out.present[step] = FLOAT_POINT;
        filled++;
      }
    }
    out.filled = filled;
    out.histogramCount = 0;
  }
}
