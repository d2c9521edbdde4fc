import { type Labels, RESERVED_NAMES } from '../../model/labels.ts';
import type { VectorMatching } from '../parser/ast.ts';
import type { OutputSeries } from '../row/row.ts';
import type { Execution } from './execution.ts';

/** The series of both sides of an operator by their signature, the labels that have to be equal. */
export interface Matches {
  readonly left: readonly (readonly number[])[];
  readonly right: readonly (readonly number[])[];
  /** Signature of each series. */
  readonly leftOf: Int32Array;
  readonly rightOf: Int32Array;
}

export async function matchSeries(
  execution: Execution,
  left: readonly OutputSeries[],
  right: readonly OutputSeries[],
  matching: VectorMatching,
): Promise<Matches> {
  const signature = signatureLabels(matching);
  const byKey = new Map<string, number>();
  const leftBy: number[][] = [];
  const rightBy: number[][] = [];
  const assign = async (series: readonly OutputSeries[], to: number[][]): Promise<Int32Array> => {
    const of = new Int32Array(series.length);
    for (let i = 0; i < series.length; i++) {
      if (execution.dueAfter(i, matching.labels.length)) await execution.breathe();
      const { key } = signature(series[i]!.labels);
      let at = byKey.get(key);
      if (at === undefined) {
        at = leftBy.length;
        byKey.set(key, at);
        leftBy.push([]);
        rightBy.push([]);
      }
      to[at]!.push(i);
      of[i] = at;
    }
    return of;
  };
  const leftOf = await assign(left, leftBy);
  const rightOf = await assign(right, rightBy);
  return { left: leftBy, right: rightBy, leftOf, rightOf };
}

/** The labels of a series that the other side has to share. */
export function signatureLabels(matching: VectorMatching): (labels: Labels) => Labels {
  const names = new Set(matching.labels);
  if (matching.on) return (labels) => labels.keep(names);
  for (const name of RESERVED_NAMES) names.add(name);
  return (labels) => labels.drop(names);
}
