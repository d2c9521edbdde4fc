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
/** Samples in the windows of a batch: some 10 ms of sums. */
const WORK_MAX = 2_000_000;
/** Rows of more steps are copied as a whole. */
const SHORT_STEPS = 32;
/** Rows that a source makes of its samples itself: ahead of the series that is asked for while they are asked for in their order. */
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
  /** Series of the batch, had there been as many. */
  #size = 0;
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
    // another block begins where the one before ended
    const isNext = index === (version === this.#version ? this.#to : 0);
    this.#size = isNext ? Math.min(this.#nextSize(), this.#seriesMax) : 1;
    const size = Math.min(this.#size, count - index);
    const room = this.#batch === undefined ? 0 : this.#batch.entries.length / ROW_ENTRY_WORDS;
    if (this.#batch === undefined || room < size) {
      const { steps } = this.#program;
      // whoever goes on in their order asks for all of them
      const more = isNext && index > 0 ? Math.min(this.#seriesMax, count - index) : size;
      this.#execution.hold(0, (more - room) * (8 * steps + 4 * ROW_ENTRY_WORDS));
      this.#batch = { values: new Float64Array(more * steps), entries: new Uint32Array(more * ROW_ENTRY_WORDS) };
    }
    this.#from = index;
    this.#to = rows(this.#program, undefined, index, index + size, this.#batch);
    this.#version = version;
    return true;
  }

  /** Twice as many series as before, unless those had so many samples in their windows that a call would take long. */
  #nextSize(): number {
    if (this.#batch === undefined) return 1;
    const { entries } = this.#batch;
    const series = this.#to - this.#from;
    let work = 0;
    for (let i = 0; i < series; i++) {
      const at = i * ROW_ENTRY_WORDS;
      if (entries[at + ROW_FROM] !== ROW_OTHERWISE) work += entries[at + ROW_TOTAL]!;
    }
    return Math.max(1, Math.min(2 * this.#size, Math.floor((WORK_MAX * series) / Math.max(1, work))));
  }
}
