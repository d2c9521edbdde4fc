import { Labels } from '../../model/labels.ts';
import type { SeriesTally } from '../../model/series-tally.ts';
import type { TallyRequest } from '../../storage/queryable.ts';
import type { AggregateNode, SelectorNode } from '../plan/node.ts';
import { Row, RowTable, rowBytes } from '../row/row.ts';
import type { Execution } from './execution.ts';

/** `count` and `group` of a selector at one time: where the source knows how many series have a sample there, none is fetched. */
export interface TallyNode extends AggregateNode {
  readonly op: 'count' | 'group';
  readonly input: SelectorNode;
}

export function isTally(node: AggregateNode): node is TallyNode {
  const { op, input, without, grid } = node;
  if ((op !== 'count' && op !== 'group') || without || grid.steps !== 1) return false;
  return input.kind === 'selector' && input.grid.steps === 1 && !input.smoothed;
}

/** The range whose newest sample the selector answers, and the groups. */
export function tallyRequest({ input, grouping }: TallyNode, lookbackMs: number): Omit<TallyRequest, 'matchers'> {
  return { startMs: input.dataStartMs - lookbackMs + 1, endMs: input.dataStartMs, by: grouping };
}

/** The groups that have any. */
export function tallied(execution: Execution, node: TallyNode, { groups }: SeriesTally): RowTable {
  const { op, grouping } = node;
  const there = groups.filter(({ count }) => count > 0);
  const samples = there.reduce((sum, { count }) => sum + count, 0);
  execution.hold(there.length, there.length * rowBytes(1));
  execution.stats.count(samples, samples);
  execution.stats.atPeak(samples);
  execution.stats.countStep(samples, node.input.grid, 0);
  const rows = there.map(({ count }) => {
    const row = new Row(1);
    row.setFloat(0, op === 'group' ? 1 : count);
    return row;
  });
  const series = there.map(({ values }) => {
    const labels = Labels.fromEntries(grouping.map((name, i) => [name, values[i]!]));
    return { labels, dropName: false };
  });
  return new RowTable(1, series, rows);
}
