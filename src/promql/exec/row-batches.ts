import {
  ROW_DISTINCT,
  ROW_ENTRY_WORDS,
  ROW_FROM,
  ROW_LONGEST,
  ROW_OTHERWISE,
  ROW_SAMPLES,
  ROW_TO,
  ROW_TOTAL,
} from '../../storage/row-layout.ts';
import type { RowBatch, RowProgram } from '../../storage/series-rows.ts';
import type { Row } from '../row/row.ts';
import type { Execution } from './execution.ts';
import type { SampleSource } from './sources.ts';

const SERIES_MAX = 256;
/** Values of a batch. */
const VALUES_MAX = 32 * 1024;
/** Rows of more steps are copied as a whole. */
const SHORT_STEPS = 32;

/** Rows that a source makes of its samples itself, some series ahead of the one that is asked for. */
export class RowBatches {
  /** Samples of the row handed out last: in all windows, in any, in the largest, and in the range. */
  total = 0;
  distinct = 0;
  longest = 0;
  samples = 0;
  readonly #execution: Execution;
  readonly #program: RowProgram;
  readonly #source: SampleSource;
  readonly #seriesMax: number;
  #batch: RowBatch | undefined;
  #from = 0;
  #to = 0;
  #version = 0;

  constructor(execution: Execution, program: RowProgram, source: SampleSource) {
    this.#execution = execution;
    this.#program = program;
    this.#source = source;
    this.#seriesMax = Math.max(1, Math.min(SERIES_MAX, Math.floor(VALUES_MAX / program.steps)));
  }

  /**
   * Puts the row of a series into `out`; false: only its samples give it.
   * @param count of the source's series
   */
  row(index: number, count: number, out: Row): boolean {
    if (!this.#has(index) && !this.#read(index, count)) return false;
    const { values, entries } = this.#batch!;
    const at = (index - this.#from) * ROW_ENTRY_WORDS;
    const from = entries[at + ROW_FROM]!;
    if (from === ROW_OTHERWISE) return false;
    const to = entries[at + ROW_TO]!;
    this.total = entries[at + ROW_TOTAL]!;
    this.distinct = entries[at + ROW_DISTINCT]!;
    this.longest = entries[at + ROW_LONGEST]!;
    this.samples = entries[at + ROW_SAMPLES]!;
    if (from === to) {
      out.clear();
      return true;
    }
    const row = (index - this.#from) * this.#program.steps;
    if (to - from > SHORT_STEPS) out.values.set(values.subarray(row + from, row + to), from);
    else for (let step = from; step < to; step++) out.values[step] = values[row + step]!;
    out.setRun(from, to);
    return true;
  }

  #has(index: number): boolean {
    return index >= this.#from && index < this.#to && (this.#source.version ?? 0) === this.#version;
  }

  #read(index: number, count: number): boolean {
    const { rows, version = 0 } = this.#source;
    if (rows === undefined) return false;
    const size = Math.min(this.#seriesMax, count - index);
    if (this.#batch === undefined || this.#batch.entries.length < size * ROW_ENTRY_WORDS) {
      const { steps } = this.#program;
      this.#execution.hold(0, size * (8 * steps + 4 * ROW_ENTRY_WORDS));
      this.#batch = { values: new Float64Array(size * steps), entries: new Uint32Array(size * ROW_ENTRY_WORDS) };
    }
    this.#from = index;
    this.#to = rows(this.#program, undefined, index, index + size, this.#batch);
    this.#version = version;
    return true;
  }
}
