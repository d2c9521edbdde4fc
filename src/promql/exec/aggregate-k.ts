import { formatG } from '../../lib/go-float.ts';
import { ratioTakes, sampleOffset } from '../functions/sampling.ts';
import type { AggregateNode } from '../plan/node.ts';
import type { Execution } from './execution.ts';
import { groupSeries } from './grouping.ts';
import { ABSENT, FLOAT_POINT, HISTOGRAM_POINT, type Operator, Row, RowTable, rowBytes } from './row.ts';

const INT64_MIN = -(2 ** 63);
const INT64_MAX = 2 ** 63 - 1024;

/** `topk`, `bottomk`, `limitk`, `limit_ratio`: some of the input's series, others at each step. */
export async function aggregateK(
  execution: Execution,
  node: AggregateNode,
  input: Operator,
  param: Row,
): Promise<Operator> {
  const { steps } = input;
  if (!checkParam(execution, node, param)) return RowTable.empty(steps);
  const table = await execution.keep(input);
  const { groupOf, groups } = groupSeries(table.series, node.grouping, node.without);
  execution.hold(0, table.series.length * rowBytes(steps));
  const members: number[][] = groups.map(() => []);
  for (let i = 0; i < groupOf.length; i++) members[groupOf[i]!]!.push(i);
  const rows = table.series.map(() => new Row(steps));
  const choose = chooser(execution, node, table, param);
  const order: number[] = [];
  for (let step = 0; step < steps; step++) {
    if (execution.due) await execution.breathe();
    for (const group of members) {
      const chosen = choose(group, step);
      for (const i of chosen) rows[i]!.take(step, table.rowAt(i), step);
      if (steps === 1) order.push(...chosen);
    }
  }
  // an instant query shows its result in the order of the values
  const shown = steps === 1 ? order : rows.flatMap((row, i) => (row.filled > 0 ? [i] : []));
  return new RowTable(
    steps,
    shown.map((i) => table.series[i]!),
    shown.map((i) => rows[i]!),
  );
}

/** @returns false where no step asks for anything */
function checkParam(execution: Execution, node: AggregateNode, param: Row): boolean {
  const { op } = node;
  const { pos } = node.param!;
  let min = Infinity;
  let max = -Infinity;
  let nan = false;
  for (let step = 0; step < param.steps; step++) {
    const value = param.values[step]!;
    if (Number.isNaN(value)) {
      nan = true;
      continue;
    }
    min = Math.min(min, value);
    max = Math.max(max, value);
  }
  if (op === 'limit_ratio') {
    if (!nan && max === 0 && min === 0) return false;
    if (nan) execution.fail('Ratio value is NaN');
    if (max > 1) execution.annotations.invalidRatio(max, 1, pos);
    if (min < -1) execution.annotations.invalidRatio(min, -1, pos);
    return true;
  }
  if (!nan && max < 1) return false;
  if (nan) execution.fail('Parameter value is NaN');
  if (min <= INT64_MIN) execution.fail(`Scalar value ${formatG(min)} underflows int64`);
  if (max >= INT64_MAX) execution.fail(`Scalar value ${formatG(max)} overflows int64`);
  return true;
}

/** Of the group's series, those to show at a step, in order. */
type Choose = (group: readonly number[], step: number) => readonly number[];

function chooser(execution: Execution, node: AggregateNode, table: RowTable, param: Row): Choose {
  const kAt = (step: number): number => Math.min(Math.trunc(param.values[step]!), table.series.length);
  switch (node.op) {
    case 'limitk':
      return (group, step) => {
        const k = kAt(step);
        if (k < 1) return [];
        const chosen: number[] = [];
        for (const i of group) {
          if (chosen.length === k) break;
          if (table.rowAt(i).present[step] !== ABSENT) chosen.push(i);
        }
        return chosen;
      };
    case 'limit_ratio': {
      const offsets = table.series.map(({ labels }) => sampleOffset(labels));
      return (group, step) => {
        const ratio = Math.max(-1, Math.min(1, param.values[step]!));
        if (ratio === 0) return [];
        return group.filter((i) => table.rowAt(i).present[step] !== ABSENT && ratioTakes(ratio, offsets[i]!));
      };
    }
    default: {
      const sign = node.op === 'topk' ? 1 : -1;
      const ignore = (): void => execution.annotations.histogramIgnoredInAggregation(node.op, node.pos);
      return (group, step) => best(group, step, kAt(step), sign, table, ignore);
    }
  }
}

/** The k best, best first; NaN is worse than any number. */
function best(
  group: readonly number[],
  step: number,
  k: number,
  sign: 1 | -1,
  table: RowTable,
  ignore: () => void,
): readonly number[] {
  if (k < 1) return [];
  /** A heap whose root is the worst of what was chosen. */
  const heap: number[] = [];
  const value = (i: number): number => table.rowAt(i).values[step]!;
  const worse = (a: number, b: number): boolean => {
    const x = value(a);
    const y = value(b);
    return Number.isNaN(x) || x * sign < y * sign;
  };
  for (const i of group) {
    const kind = table.rowAt(i).present[step];
    if (kind === HISTOGRAM_POINT) ignore();
    if (kind !== FLOAT_POINT) continue;
    if (heap.length < k) {
      heap.push(i);
      siftUp(heap, worse);
    } else {
      const root = value(heap[0]!);
      const own = value(i);
      if (root * sign < own * sign || (Number.isNaN(root) && !Number.isNaN(own))) {
        heap[0] = i;
        siftDown(heap, worse);
      }
    }
  }
  // in place of one before another only where it is better, so that equal ones stay as the heap had them
  return heap.sort((a, b) => (worse(b, a) ? -1 : worse(a, b) ? 1 : 0));
}

function siftUp(heap: number[], worse: (a: number, b: number) => boolean): void {
  let at = heap.length - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!worse(heap[at]!, heap[parent]!)) return;
    [heap[at], heap[parent]] = [heap[parent]!, heap[at]!];
    at = parent;
  }
}

function siftDown(heap: number[], worse: (a: number, b: number) => boolean): void {
  let at = 0;
  for (;;) {
    let least = 2 * at + 1;
    if (least >= heap.length) return;
    if (least + 1 < heap.length && worse(heap[least + 1]!, heap[least]!)) least++;
    if (!worse(heap[least]!, heap[at]!)) return;
    [heap[at], heap[least]] = [heap[least]!, heap[at]!];
    at = least;
  }
}
