import { type FloatHistogram, multiplyHistogram } from '../../model/histogram.ts';
import { ABSENT, FLOAT_POINT, HISTOGRAM_POINT, type Operator, type OutputSeries, Row } from '../row/row.ts';

/** Series under labels of their own whose rows are the input's, changed in place. */
abstract class InPlaceOperator implements Operator {
  readonly steps: number;
  readonly series: readonly OutputSeries[];
  readonly #input: Operator;

  constructor(input: Operator, series: readonly OutputSeries[]) {
    this.steps = input.steps;
    this.series = series;
    this.#input = input;
  }

  row(index: number, out: Row): void {
    this.#input.row(index, out);
    this.change(out);
  }

  protected abstract change(row: Row): void;
}

/** A function of each float, given the step; histograms are left out. */
export class FloatMapOperator extends InPlaceOperator {
  readonly #map: (value: number, step: number) => number;

  constructor(input: Operator, series: readonly OutputSeries[], map: (value: number, step: number) => number) {
    super(input, series);
    this.#map = map;
  }

  protected change(out: Row): void {
    const map = this.#map;
    const { values, present } = out;
    for (let step = 0; step < out.steps; step++) {
      const kind = present[step];
      if (kind === FLOAT_POINT) values[step] = map(values[step]!, step);
      else if (kind === HISTOGRAM_POINT) present[step] = ABSENT;
    }
    out.filled -= out.histogramCount;
    out.histogramCount = 0;
  }
}

/** A number from each histogram; floats are left out. */
export class HistogramMapOperator extends InPlaceOperator {
  readonly #map: (histogram: FloatHistogram) => number;

  constructor(input: Operator, series: readonly OutputSeries[], map: (histogram: FloatHistogram) => number) {
    super(input, series);
    this.#map = map;
  }

  protected change(out: Row): void {
    const { values, present, histograms } = out;
    for (let step = 0; step < out.steps; step++) {
      const isHistogram = present[step] === HISTOGRAM_POINT;
      if (isHistogram) values[step] = this.#map(histograms[step]!);
      present[step] = isHistogram ? FLOAT_POINT : ABSENT;
    }
    out.filled = out.histogramCount;
    out.histogramCount = 0;
  }
}

/** Changes each point in place, in a way that keeps its kind. */
export class NegateOperator extends InPlaceOperator {
  protected change(out: Row): void {
    for (let step = 0; step < out.steps; step++) {
      const kind = out.present[step];
      if (kind === FLOAT_POINT) out.values[step] = -out.values[step]!;
      else if (kind === HISTOGRAM_POINT) out.histograms[step] = multiplyHistogram(out.histograms[step]!, -1);
    }
  }
}

/** The input's rows under other labels; input series may be left out or put in another order. */
export class RelabelOperator implements Operator {
  readonly steps: number;
  readonly series: readonly OutputSeries[];
  readonly #input: Operator;
  /** For each series the input's; absent: the same. */
  readonly #from: readonly number[] | undefined;

  constructor(input: Operator, series: readonly OutputSeries[], from?: readonly number[]) {
    this.steps = input.steps;
    this.series = series;
    this.#input = input;
    this.#from = from;
  }

  row(index: number, out: Row): void {
    this.#input.row(this.#from === undefined ? index : this.#from[index]!, out);
  }
}

/** The points of a single step, repeated at every step. */
export class RepeatOperator implements Operator {
  readonly steps: number;
  readonly series: readonly OutputSeries[];
  readonly #input: Operator;
  readonly #row = new Row(1);

  constructor(input: Operator, steps: number) {
    this.steps = steps;
    this.series = input.series;
    this.#input = input;
  }

  row(index: number, out: Row): void {
    const one = this.#row;
    this.#input.row(index, one);
    const kind = one.present[0]!;
    out.present.fill(kind);
    out.filled = kind === ABSENT ? 0 : this.steps;
    out.histogramCount = kind === HISTOGRAM_POINT ? this.steps : 0;
    if (kind === FLOAT_POINT) out.values.fill(one.values[0]!);
    else if (kind === HISTOGRAM_POINT) {
      for (let step = 0; step < this.steps; step++) out.histograms[step] = one.histograms[0];
    }
  }
}

/** One series of floats that depend on the step only. */
export class StepOperator implements Operator {
  readonly steps: number;
  readonly series: readonly OutputSeries[];
  readonly #at: (step: number) => number;

  constructor(steps: number, series: OutputSeries, at: (step: number) => number) {
    this.steps = steps;
    this.series = [series];
    this.#at = at;
  }

  row(_index: number, out: Row): void {
    for (let step = 0; step < this.steps; step++) out.values[step] = this.#at(step);
    out.present.fill(FLOAT_POINT);
    out.filled = this.steps;
    out.histogramCount = 0;
  }
}

/** The input without the steps that are not `valid`. */
export class StepFilterOperator extends InPlaceOperator {
  readonly #valid: Uint8Array;

  constructor(input: Operator, valid: Uint8Array) {
    super(input, input.series);
    this.#valid = valid;
  }

  protected change(out: Row): void {
    for (let step = 0; step < out.steps; step++) {
      const kind = out.present[step]!;
      if (kind === ABSENT || this.#valid[step] === 1) continue;
      out.present[step] = ABSENT;
      out.filled--;
      if (kind === HISTOGRAM_POINT) out.histogramCount--;
    }
  }
}

/** A number of the step at each step at which the input has a point, of whichever kind. */
export class TimestampOperator extends InPlaceOperator {
  readonly #at: (step: number) => number;

  constructor(input: Operator, series: readonly OutputSeries[], at: (step: number) => number) {
    super(input, series);
    this.#at = at;
  }

  protected change(out: Row): void {
    for (let step = 0; step < out.steps; step++) {
      if (out.present[step] === ABSENT) continue;
      out.values[step] = this.#at(step);
      out.present[step] = FLOAT_POINT;
    }
    out.histogramCount = 0;
  }
}
