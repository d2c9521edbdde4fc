import { ABSENT, type Operator, type OutputSeries, Row, RowSlabs, RowTable, rowBytes } from '../row/row.ts';
import type { Execution } from './execution.ts';

export const SAME_LABELSET = 'vector cannot contain metrics with the same labelset';

/**
 * Where series of `input` have the same labels, one series of their points. @throws where two have a point at the same step
 */
export async function mergeSameLabels(execution: Execution, input: Operator): Promise<Operator> {
  const firstOf = new Map<string, number>();
  const into = new Int32Array(input.series.length);
  const series: OutputSeries[] = [];
  for (let i = 0; i < input.series.length; i++) {
    if (execution.dueAfter(i)) await execution.breathe();
    const { key } = input.series[i]!.labels;
    let at = firstOf.get(key);
    if (at === undefined) {
      at = series.length;
      firstOf.set(key, at);
      series.push(input.series[i]!);
    }
    into[i] = at;
  }
  if (series.length === input.series.length) return input;
  execution.hold(0, series.length * rowBytes(input.steps));
  const slabs = new RowSlabs(input.steps, series.length);
  const rows = series.map(() => slabs.row());
  const row = new Row(input.steps);
  for (let i = 0; i < input.series.length; i++) {
    if (execution.due) await execution.breathe();
    input.row(i, row);
    const to = rows[into[i]!]!;
    for (let step = 0; step < row.steps; step++) {
      if (row.present[step] === ABSENT) continue;
      if (to.present[step] !== ABSENT) execution.fail(SAME_LABELSET);
      to.take(step, row, step);
    }
  }
  return new RowTable(input.steps, series, rows);
}

/** For what changes labels without delayed name removal: equal ones must not come out of it unnoticed. */
export async function mergeUnlessDelayed(execution: Execution, input: Operator): Promise<Operator> {
  return execution.features.delayedNameRemoval && input.steps === 1 ? input : mergeSameLabels(execution, input);
}
