import { histogramToString } from '../../model/histogram-text.ts';
import { type Labels, quoteGo } from '../../model/labels.ts';
import { formatF } from '../format.ts';
import { isLabelName } from '../functions/labels.ts';
import type { AggregateNode } from '../plan/node.ts';
import { ABSENT, FLOAT_POINT, type OutputSeries, Row, RowTable, rowBytes } from '../row/row.ts';
import type { Execution } from './execution.ts';
import { projection } from './grouping.ts';

/** Series in ascending order. */
interface OrderedSeries {
  readonly steps: number;
  readonly count: number;
  row(index: number, out: Row): void;
  labels(index: number): Labels;
}

export function checkLabel(execution: Execution, label: string): void {
  if (!isLabelName(label)) execution.fail(`invalid label name ${quoteGo(label)}`);
}

/** `count_values("label", …)`: a series for each value that a group has at any step. */
export async function countValues(
  execution: Execution,
  node: AggregateNode,
  input: OrderedSeries,
  label: string,
): Promise<RowTable> {
  const { steps } = input;
  const grouping = node.without ? node.grouping : [...node.grouping, label];
  const project = projection(grouping, node.without);
  const series: OutputSeries[] = [];
  const rows: Row[] = [];
  const byKey = new Map<string, Row>();
  const row = new Row(steps);
  for (let i = 0; i < input.count; i++) {
    if (execution.due) await execution.breathe();
    input.row(i, row);
    if (row.filled === 0) continue;
    const labels = input.labels(i);
    let lastText: string | undefined;
    let counted: Row | undefined;
    for (let step = 0; step < steps; step++) {
      const kind = row.present[step];
      if (kind === ABSENT) continue;
      if (execution.dueAfter(step)) await execution.breathe();
      const text = kind === FLOAT_POINT ? formatF(row.values[step]!) : histogramToString(row.histograms[step]!);
      if (text !== lastText || counted === undefined) {
        lastText = text;
        const group = project(labels.with(label, text));
        counted = byKey.get(group.key);
        if (counted === undefined) {
          execution.admitLabel(group, label, text.length);
          execution.hold(steps, rowBytes(steps));
          counted = new Row(steps);
          byKey.set(group.key, counted);
          series.push({ labels: group, dropName: false });
          rows.push(counted);
        }
      }
      if (counted.present[step] === ABSENT) counted.setFloat(step, 1);
      else counted.values[step]!++;
    }
  }
  return new RowTable(steps, series, rows);
}
