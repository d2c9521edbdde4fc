import { getOrMake } from '../../lib/map.ts';
import { Labels, RESERVED_NAMES } from '../../model/labels.ts';
import { memoOf, type SeriesMemo } from '../../storage/series-memo.ts';
import type { OutputSeries } from '../row/row.ts';
import type { Execution } from './execution.ts';

/** Which group each series is in; found once, before any value is looked at. */
export interface Grouping {
  readonly groupOf: Int32Array;
  /** Each group's labels; its name is dropped where that of any of its series is. */
  readonly groups: readonly OutputSeries[];
}

/**
 * @param names ascending
 * @param memo of the series
 */
export async function groupSeries(
  execution: Execution,
  series: readonly OutputSeries[],
  names: readonly string[],
  without: boolean,
  memo?: SeriesMemo,
): Promise<Grouping> {
  const key = memo === undefined ? '' : `${without} ${JSON.stringify(names)}`;
  const known = memo?.get(key) as Grouping | undefined;
  if (known !== undefined) return known;
  const groupOf = new Int32Array(series.length);
  const labels: Labels[] = [];
  const dropNames: boolean[] = [];
  const found = new FoundGroups();
  const project = projection(names, without);
  for (let i = 0; i < series.length; i++) {
    if (execution.dueAfter(i)) await execution.breathe();
    const { labels: own, dropName } = series[i]!;
    const group = without ? found.ofKey(project(own).key) : found.ofValues(own, names);
    if (group === labels.length) {
      labels.push(project(own));
      dropNames.push(false);
    }
    if (dropName) dropNames[group] = true;
    groupOf[i] = group;
  }
  const groups = labels.map((own, i) => ({ labels: own, dropName: dropNames[i]! }));
  return memoOf(memo, key, () => ({ groupOf, groups }));
}

/** Numbers groups in the order in which they are found. */
export class FoundGroups {
  #count = 0;
  readonly #root: ValueNode = new Map();

  ofKey(key: string): number {
    return this.#numberAt(this.#root, key);
  }

  /** By the values of some labels, one level for each: makes nothing for a series whose group is known. */
  ofValues(labels: Labels, names: readonly string[]): number {
    let node = this.#root;
    const last = names.length - 1;
    for (let i = 0; i < last; i++) node = getOrMake(node, labels.get(names[i]!), newNode) as ValueNode;
    return this.#numberAt(node, last < 0 ? '' : labels.get(names[last]!));
  }

  #numberAt(node: ValueNode, value: string): number {
    let group = node.get(value);
    if (group === undefined) {
      group = this.#count++;
      node.set(value, group);
    }
    return group as number;
  }
}

/** By a label's value the node of the next label, or of the last one the number of the group. */
type ValueNode = Map<string, ValueNode | number>;

function newNode(): ValueNode {
  return new Map();
}

/** The labels of a series that its group keeps. */
export function projection(names: readonly string[], without: boolean): (labels: Labels) => Labels {
  if (without) {
    const dropped = new Set([...names, ...RESERVED_NAMES]);
    return (labels) => labels.drop(dropped);
  }
  if (names.length === 0) return () => Labels.empty;
  const kept = new Set(names);
  return (labels) => labels.keep(kept);
}
