import type { FloatHistogram } from '../../model/histogram.ts';
import { ABSENT, FLOAT_POINT, HISTOGRAM_POINT, type Operator, type OutputSeries, type Row } from '../row/row.ts';
import { type BinaryScope, COMPARISONS, floatFunction, histogramBinary } from './element-binary.ts';

/** An operator between the points of a vector and a scalar of each step. */
export class VectorScalarOperator implements Operator {
  readonly steps: number;
  readonly series: readonly OutputSeries[];
  readonly #vector: Operator;
  readonly #scalar: Row;
  readonly #scope: BinaryScope;
  /** The scalar stands on the left. */
  readonly #swapped: boolean;
  readonly #bool: boolean;
  readonly #compares: boolean;
  readonly #trims: boolean;
  readonly #float: (lhs: number, rhs: number) => number;

  constructor(
    vector: Operator,
    series: readonly OutputSeries[],
    scalar: Row,
    scope: BinaryScope,
    shape: { swapped: boolean; bool: boolean },
  ) {
    this.steps = vector.steps;
    this.series = series;
    this.#vector = vector;
    this.#scalar = scalar;
    this.#scope = scope;
    this.#swapped = shape.swapped;
    this.#bool = shape.bool;
    this.#compares = COMPARISONS.has(scope.op);
    this.#trims = scope.op === '</' || scope.op === '>/';
    this.#float = this.#trims ? () => 0 : floatFunction(scope.op);
  }

  row(index: number, out: Row): void {
    this.#vector.row(index, out);
    if (this.#trims || out.histogramCount > 0) this.#fillAny(out);
    else if (this.#compares && !this.#bool) this.#filter(out);
    else this.#fillFloats(out);
  }

  #fillFloats(out: Row): void {
    const { values } = out;
    const scalars = this.#scalar.values;
    const float = this.#float;
    if (this.#swapped) for (let i = 0; i < out.steps; i++) values[i] = float(scalars[i]!, values[i]!);
    else for (let i = 0; i < out.steps; i++) values[i] = float(values[i]!, scalars[i]!);
  }

  #filter(out: Row): void {
    const { values, present } = out;
    const scalars = this.#scalar.values;
    let filled = 0;
    for (let step = 0; step < out.steps; step++) {
      if (present[step] === ABSENT) continue;
      const holds = this.#swapped
        ? this.#float(scalars[step]!, values[step]!)
        : this.#float(values[step]!, scalars[step]!);
      if (holds === 0) present[step] = ABSENT;
      else filled++;
    }
    out.filled = filled;
  }

  #fillAny(out: Row): void {
    const { values, present, histograms } = out;
    let filled = 0;
    let histogramCount = 0;
    for (let step = 0; step < out.steps; step++) {
      if (present[step] === ABSENT) continue;
      const point: number | FloatHistogram = present[step] === FLOAT_POINT ? values[step]! : histograms[step]!;
      const answer = this.#ofPoint(point, this.#scalar.values[step]!);
      if (answer === undefined) {
        present[step] = ABSENT;
        continue;
      }
      filled++;
      if (typeof answer === 'number') {
        values[step] = answer;
        present[step] = FLOAT_POINT;
      } else {
        histograms[step] = answer;
        present[step] = HISTOGRAM_POINT;
        histogramCount++;
      }
    }
    out.filled = filled;
    out.histogramCount = histogramCount;
  }

  #ofPoint(point: number | FloatHistogram, scalar: number): number | FloatHistogram | undefined {
    const lhs = this.#swapped ? scalar : point;
    const rhs = this.#swapped ? point : scalar;
    if (typeof lhs === 'number' && typeof rhs === 'number' && !this.#trims) {
      const value = this.#float(lhs, rhs);
      if (!this.#compares || this.#bool) return value;
      return value === 0 ? undefined : (point as number);
    }
    return histogramBinary(this.#scope, lhs, rhs)?.histogram;
  }
}
