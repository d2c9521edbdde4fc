import { Labels, METRIC_NAME } from '../../model/labels.ts';
import type { Execution } from './execution.ts';
import type { OutputSeries } from './row.ts';

/** Which group each series is in; found once, before any value is looked at. */
export interface Grouping {
  readonly groupOf: Int32Array;
  /** Of each group the labels; its name is dropped where that of any of its series is. */
  readonly groups: readonly OutputSeries[];
}

/** @param names ascending */
export async function groupSeries(
  execution: Execution,
  series: readonly OutputSeries[],
  names: readonly string[],
  without: boolean,
): Promise<Grouping> {
  const groupOf = new Int32Array(series.length);
  const labels: Labels[] = [];
  const dropNames: boolean[] = [];
  const byKey = new Map<string, number>();
  const project = projection(names, without);
  const keyOf = without ? (own: Labels) => project(own).key : (own: Labels) => keyOfNames(own, names);
  for (let i = 0; i < series.length; i++) {
    if (execution.dueAfter(i)) await execution.breathe();
    const { labels: own, dropName } = series[i]!;
    const key = keyOf(own);
    let group = byKey.get(key);
    if (group === undefined) {
      group = labels.length;
      byKey.set(key, group);
      labels.push(project(own));
      dropNames.push(false);
    }
    if (dropName) dropNames[group] = true;
    groupOf[i] = group;
  }
  return { groupOf, groups: labels.map((own, i) => ({ labels: own, dropName: dropNames[i]! })) };
}

/** Tells groups apart without making their labels for every series. */
function keyOfNames(labels: Labels, names: readonly string[]): string {
  if (names.length === 1) return labels.get(names[0]!);
  let key = '';
  for (const name of names) {
    const value = labels.get(name);
    key += `${value.length}:${value}`;
  }
  return key;
}

/** What of a series' labels its group keeps. */
export function projection(names: readonly string[], without: boolean): (labels: Labels) => Labels {
  if (without) {
    const dropped = new Set([...names, METRIC_NAME]);
    return (labels) => labels.drop(dropped);
  }
  if (names.length === 0) return () => Labels.empty;
  const kept = new Set(names);
  return (labels) => labels.keep(kept);
}
