import { type FloatHistogram, withResetHint } from '../../model/histogram.ts';
import type { SampleColumns } from '../../storage/columns.ts';
import { type Grid, stepMs } from '../plan/grid.ts';
import { FLOAT_POINT, HISTOGRAM_POINT, type Operator, Row } from '../row/row.ts';
import type { SampleSource } from './sources.ts';

/** The steps of a subquery's expression as samples. */
export class SubquerySource implements SampleSource {
  readonly #input: Operator;
  readonly #grid: Grid;
  readonly #row: Row;

  constructor(input: Operator, grid: Grid) {
    this.#input = input;
    this.#grid = grid;
    this.#row = new Row(grid.steps);
  }

  read(index: number, out: SampleColumns): void {
    const row = this.#row;
    this.#input.row(index, row);
    out.clear();
    out.reserve(row.filled);
    for (let step = 0; step < row.steps; step++) {
      const kind = row.present[step];
      if (kind === FLOAT_POINT) out.pushFloat(stepMs(this.#grid, step), row.values[step]!);
      else if (kind === HISTOGRAM_POINT) out.pushHistogram(stepMs(this.#grid, step), unhinted(row.histograms[step]!));
    }
  }
}

/** A hint says something of two samples in a row; what a subquery gives need not be in a row. */
function unhinted(histogram: FloatHistogram): FloatHistogram {
  return histogram.resetHint === 'gauge' ? histogram : withResetHint(histogram, 'unknown');
}
