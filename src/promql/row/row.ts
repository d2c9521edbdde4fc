import { type FloatHistogram, histogramSampleWeight } from '../../model/histogram.ts';
import type { Labels } from '../../model/labels.ts';
import type { SeriesMemo } from '../../storage/series-memo.ts';

export const ABSENT = 0;
export const FLOAT_POINT = 1;
export const HISTOGRAM_POINT = 2;

/**
 * One series at every step. Owned by the caller of `Operator.row` and reused from series to series.
 *
 * Whoever fills it says so in `filled` and `histogramCount`; where all steps hold floats (`plain`) loops need no look at
 * `present`.
 */
export class Row {
  readonly steps: number;
  /** NaN is a value like any other; what holds at a step is said by `present`. */
  readonly values: Float64Array;
  /** ABSENT, FLOAT_POINT or HISTOGRAM_POINT of each step. */
  readonly present: Uint8Array;
  /** At the steps that are HISTOGRAM_POINT their histogram; elsewhere anything. */
  readonly histograms: (FloatHistogram | undefined)[] = [];
  /** Steps that hold a point. */
  filled = 0;
  /** Steps that hold a histogram, counted in `filled` too. */
  histogramCount = 0;

  constructor(steps: number, values: Float64Array = new Float64Array(steps), present = new Uint8Array(steps)) {
    this.steps = steps;
    this.values = values;
    this.present = present;
  }

  /** Whether every step holds a float. */
  get plain(): boolean {
    return this.filled === this.steps && this.histogramCount === 0;
  }

  /** Where the row's points begin, if they are floats without a gap; −1 otherwise. There are `filled` of them. */
  get run(): number {
    const { filled, present } = this;
    if (this.histogramCount > 0 || filled === 0) return -1;
    if (filled === this.steps) return 0;
    const from = present.indexOf(FLOAT_POINT);
    return present.lastIndexOf(FLOAT_POINT) - from + 1 === filled ? from : -1;
  }

  clear(): void {
    this.present.fill(ABSENT);
    this.filled = 0;
    this.histogramCount = 0;
  }

  /** As how many float samples its histograms count in limits. */
  get histogramWeight(): number {
    if (this.histogramCount === 0) return 0;
    let weight = 0;
    for (let step = 0; step < this.steps; step++) {
      if (this.present[step] === HISTOGRAM_POINT) weight += histogramSampleWeight(this.histograms[step]!);
    }
    return weight;
  }

  /** Makes its points those floats from `from` to `to` that `values` has. */
  setRun(from: number, to: number): void {
    const { present } = this;
    if (from > 0) present.fill(ABSENT, 0, from);
    present.fill(FLOAT_POINT, from, to);
    if (to < this.steps) present.fill(ABSENT, to);
    this.filled = to - from;
    this.histogramCount = 0;
  }

  /** For a step that is absent so far. */
  setFloat(step: number, value: number): void {
    this.values[step] = value;
    this.present[step] = FLOAT_POINT;
    this.filled++;
  }

  /** For a step that is absent so far. */
  setHistogram(step: number, histogram: FloatHistogram): void {
    this.histograms[step] = histogram;
    this.present[step] = HISTOGRAM_POINT;
    this.filled++;
    this.histogramCount++;
  }

  /** Takes the point of `from` at `step` for the own `to`, which is absent so far. */
  take(to: number, from: Row, step: number): void {
    const kind = from.present[step];
    if (kind === FLOAT_POINT) this.setFloat(to, from.values[step]!);
    else if (kind === HISTOGRAM_POINT) this.setHistogram(to, from.histograms[step]!);
  }

  copyFrom(other: Row): void {
    this.values.set(other.values);
    this.present.set(other.present);
    this.filled = other.filled;
    this.histogramCount = other.histogramCount;
    if (other.histogramCount > 0) {
      for (let i = 0; i < other.steps; i++) this.histograms[i] = other.histograms[i];
    }
  }
}

/** A series that an operator produces. */
export interface OutputSeries {
  readonly labels: Labels;
  /** The metric name is to go at the end (delayed name removal). */
  readonly dropName: boolean;
}

/** A part of a running query: its series are known when it is opened, then any of them can be had as a row. */
export interface Operator {
  readonly steps: number;
  readonly series: readonly OutputSeries[];
  /** Things made of `series`. */
  readonly memo?: SeriesMemo | undefined;
  /** Overwrites `out`, which has `steps` steps. Synchronous; in any order, more than once. */
  row(index: number, out: Row): void;
}

/** Rows that were computed and are kept. */
export class RowTable implements Operator {
  readonly steps: number;
  readonly series: readonly OutputSeries[];
  readonly #rows: readonly Row[];

  constructor(steps: number, series: readonly OutputSeries[], rows: readonly Row[]) {
    this.steps = steps;
    this.series = series;
    this.#rows = rows;
  }

  static empty(steps: number): RowTable {
    return new RowTable(steps, [], []);
  }

  row(index: number, out: Row): void {
    out.copyFrom(this.#rows[index]!);
  }

  /** Without copying; not to be changed. */
  rowAt(index: number): Row {
    return this.#rows[index]!;
  }
}

const SLAB_BYTES = 1 << 20;

/** Makes rows that are kept together, many in one piece of memory: single ones would leave gaps behind that nobody gives back. */
export class RowSlabs {
  readonly #steps: number;
  readonly #rowsPerSlab: number;
  #slab: ArrayBuffer | undefined;
  #taken = 0;

  /** @param rows at most so many are asked for, and one that is not kept */
  constructor(steps: number, rows: number) {
    this.#steps = steps;
    this.#rowsPerSlab = Math.max(1, Math.min(rows + 1, Math.floor(SLAB_BYTES / (9 * steps))));
  }

  row(): Row {
    const steps = this.#steps;
    const rows = this.#rowsPerSlab;
    if (this.#slab === undefined || this.#taken === rows) {
      this.#slab = new ArrayBuffer(rows * steps * 9);
      this.#taken = 0;
    }
    const at = this.#taken++;
    const values = new Float64Array(this.#slab, at * steps * 8, steps);
    return new Row(steps, values, new Uint8Array(this.#slab, rows * steps * 8 + at * steps, steps));
  }
}

/** Bytes that a row of so many steps takes, histograms apart. */
export function rowBytes(steps: number): number {
  return steps * 9 + 200;
}
