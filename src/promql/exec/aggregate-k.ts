import { formatG } from '../../lib/go-float.ts';
import { ratioTakes, sampleOffset } from '../functions/sampling.ts';
import type { AggregateOp } from '../parser/ast.ts';
import { type AggregateNode, isSilent } from '../plan/node.ts';
import { ABSENT, FLOAT_POINT, type Operator, type OutputSeries, Row, RowTable, rowBytes } from '../row/row.ts';
import type { Execution } from './execution.ts';
import { groupSeries } from './grouping.ts';

const INT64_MIN = -(2 ** 63);
const INT64_MAX = 2 ** 63 - 1024;
/** Places up to which they are sorted where they lie: a query mostly asks for a few. */
const INSERTED_MAX = 32;

/** Series in ascending order, each of one group: looked at one after the other. */
export interface GroupedSeries {
  readonly steps: number;
  readonly count: number;
  readonly groupOf: Int32Array;
  readonly groups: number;
  /** Overwrites `out`. In any order, more than once. */
  row(index: number, out: Row): void;
  series(index: number): OutputSeries;
}

/** Whether it chooses among its input's series. */
export function isChoice(op: AggregateOp): boolean {
  return op === 'topk' || op === 'bottomk' || op === 'limitk' || op === 'limit_ratio';
}

/** `topk`, `bottomk`, `limitk`, `limit_ratio`: some of the input's series, others at each step. */
export async function aggregateK(
  execution: Execution,
  node: AggregateNode,
  input: Operator,
  param: Row,
): Promise<Operator> {
  if (!checkParam(execution, node, param)) {
    // there may be something to say of what nobody asks for
    if (!isSilent(node.input)) await execution.drain(input);
    return RowTable.empty(input.steps);
  }
  const { groupOf, groups } = await groupSeries(execution, input.series, node.grouping, node.without, input.memo);
  return chooseSeries(execution, node, param, {
    steps: input.steps,
    count: input.series.length,
    groupOf,
    groups: groups.length,
    row: (index, out) => input.row(index, out),
    series: (index) => input.series[index]!,
  });
}

/** @param param of which `checkParam` says that it asks for something */
export function chooseSeries(
  execution: Execution,
  node: AggregateNode,
  param: Row,
  input: GroupedSeries,
): Promise<RowTable> {
  return node.op === 'topk' || node.op === 'bottomk'
    ? chooseBest(execution, node, input, param)
    : chooseSome(execution, node, input, param);
}

/** @returns false where no step asks for anything */
export function checkParam(execution: Execution, node: AggregateNode, param: Row): boolean {
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
    if (max > 1) execution.annotations.invalidRatio(max, 1, pos, node.pos);
    if (min < -1) execution.annotations.invalidRatio(min, -1, pos, node.pos);
    return true;
  }
  if (!nan && max < 1) return false;
  if (nan) execution.fail('Parameter value is NaN');
  if (min <= INT64_MIN) execution.fail(`Scalar value ${formatG(min)} underflows int64`);
  if (max >= INT64_MAX) execution.fail(`Scalar value ${formatG(max)} overflows int64`);
  return true;
}

/** `limitk`: the first k of each group; `limit_ratio`: those whose hash says so. */
async function chooseSome(
  execution: Execution,
  node: AggregateNode,
  input: GroupedSeries,
  param: Row,
): Promise<RowTable> {
  const { steps, groupOf, groups } = input;
  const limits = node.op === 'limitk';
  if (limits) execution.hold(0, groups * steps * 4);
  const taken = new Int32Array(limits ? groups * steps : 0);
  const series: OutputSeries[] = [];
  const rows: Row[] = [];
  const row = new Row(steps);
  for (let i = 0; i < input.count; i++) {
    if (execution.due) await execution.breathe();
    const offset = limits ? 0 : sampleOffset(input.series(i).labels);
    input.row(i, row);
    const out = new Row(steps);
    for (let step = 0; step < steps; step++) {
      if (row.present[step] === ABSENT) continue;
      if (limits) {
        const cell = groupOf[i]! * steps + step;
        if (taken[cell]! >= Math.trunc(param.values[step]!)) continue;
        taken[cell]!++;
      } else {
        const ratio = Math.max(-1, Math.min(1, param.values[step]!));
        if (ratio === 0 || !ratioTakes(ratio, offset)) continue;
      }
      out.take(step, row, step);
    }
    if (out.filled === 0) continue;
    execution.holdRow(out);
    series.push(input.series(i));
    rows.push(out);
  }
  return new RowTable(steps, series, rows);
}

/** `topk` and `bottomk`: of each group and step only the k best so far are held, rows are seen once. */
async function chooseBest(
  execution: Execution,
  node: AggregateNode,
  input: GroupedSeries,
  param: Row,
): Promise<RowTable> {
  const { steps, groupOf, groups } = input;
  const heaps = new BestHeaps(execution, groupOf, groups, param, node.op === 'topk' ? 1 : -1);
  const row = new Row(steps);
  for (let i = 0; i < input.count; i++) {
    if (execution.due) await execution.breathe();
    input.row(i, row);
    if (row.histogramCount > 0) execution.annotations.histogramIgnoredInAggregation(node.op, node.pos);
    heaps.offer(row, i);
  }
  const rows = new Map<number, Row>();
  const order: number[] = [];
  for (let group = 0; group < groups; group++) {
    for (let step = 0; step < steps; step++) {
      if (execution.due) await execution.breathe();
      const [begin, end] = heaps.sorted(group, step);
      for (let at = begin; at < end; at++) {
        const series = heaps.series[at]!;
        let out = rows.get(series);
        if (out === undefined) {
          out = new Row(steps);
          execution.hold(steps, rowBytes(steps));
          rows.set(series, out);
          order.push(series);
        }
        out.setFloat(step, heaps.values[at]!);
      }
    }
  }
  // an instant query shows its result in the order of the values
  return new RowTable(
    steps,
    order.map((i) => input.series(i)),
    order.map((i) => rows.get(i)!),
  );
}

/** For each group and step a heap of the best values so far, the worst of them at its root; NaN is worse than any number. */
class BestHeaps {
  readonly #steps: number;
  readonly #sign: 1 | -1;
  readonly #groupOf: Int32Array;
  /** At most so many of a group are held at a step. */
  readonly #k: Int32Array;
  /** The place where each group's heaps begin, and how far they are apart. */
  readonly #base: Int32Array;
  readonly #room: Int32Array;
  readonly #size: Int32Array;
  readonly values: Float64Array;
  readonly series: Int32Array;

  constructor(execution: Execution, groupOf: Int32Array, groupCount: number, param: Row, sign: 1 | -1) {
    const { steps } = param;
    this.#steps = steps;
    this.#sign = sign;
    this.#groupOf = groupOf;
    this.#k = Int32Array.from({ length: steps }, (_, step) =>
      Math.max(0, Math.min(groupOf.length, Math.trunc(param.values[step]!))),
    );
    const kMax = this.#k.reduce((most, k) => Math.max(most, k), 0);
    this.#room = new Int32Array(groupCount);
    for (const group of groupOf) this.#room[group]!++;
    this.#base = new Int32Array(groupCount);
    let at = 0;
    for (let group = 0; group < groupCount; group++) {
      this.#room[group] = Math.min(this.#room[group]!, kMax);
      this.#base[group] = at;
      at += this.#room[group]! * steps;
    }
    // before there is anything that takes it
    execution.hold(at, at * 12 + groupCount * steps * 4);
    this.#size = new Int32Array(groupCount * steps);
    this.values = new Float64Array(at);
    this.series = new Int32Array(at);
  }

  offer(row: Row, series: number): void {
    const group = this.#groupOf[series]!;
    const room = this.#room[group]!;
    const values = this.values;
    for (let step = 0; step < this.#steps; step++) {
      if (row.present[step] !== FLOAT_POINT) continue;
      const k = Math.min(room, this.#k[step]!);
      if (k === 0) continue;
      const at = this.#base[group]! + step * room;
      const cell = group * this.#steps + step;
      const value = row.values[step]!;
      const size = this.#size[cell]!;
      if (size < k) {
        values[at + size] = value;
        this.series[at + size] = series;
        this.#size[cell] = size + 1;
        this.#siftUp(at, size);
      } else if (this.#replaces(value, values[at]!)) {
        values[at] = value;
        this.series[at] = series;
        this.#siftDown(at, size);
      }
    }
  }

  #replaces(value: number, root: number): boolean {
    return root * this.#sign < value * this.#sign || (Number.isNaN(root) && !Number.isNaN(value));
  }

  #worse(a: number, b: number): boolean {
    const x = this.values[a]!;
    return Number.isNaN(x) || x * this.#sign < this.values[b]! * this.#sign;
  }

  #swap(a: number, b: number): void {
    const value = this.values[a]!;
    this.values[a] = this.values[b]!;
    this.values[b] = value;
    const series = this.series[a]!;
    this.series[a] = this.series[b]!;
    this.series[b] = series;
  }

  #siftUp(base: number, from: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#worse(base + at, base + parent)) return;
      this.#swap(base + at, base + parent);
      at = parent;
    }
  }

  #siftDown(base: number, size: number): void {
    let at = 0;
    for (;;) {
      let least = 2 * at + 1;
      if (least >= size) return;
      if (least + 1 < size && this.#worse(base + least + 1, base + least)) least++;
      if (!this.#worse(base + least, base + at)) return;
      this.#swap(base + least, base + at);
      at = least;
    }
  }

  /**
   * Puts what a group has at a step in order, once: best first, equal ones as the heap had them. Nothing can be offered after that.
   * @returns where it begins and ends
   */
  sorted(group: number, step: number): readonly [begin: number, end: number] {
    const begin = this.#base[group]! + step * this.#room[group]!;
    const end = begin + this.#size[group * this.#steps + step]!;
    if (end - begin > INSERTED_MAX) this.#sortMany(begin, end);
    else {
      for (let i = begin + 1; i < end; i++) {
        for (let at = i; at > begin && this.#worse(at - 1, at); at--) this.#swap(at - 1, at);
      }
    }
    return [begin, end];
  }

  #sortMany(begin: number, end: number): void {
    const order = Array.from({ length: end - begin }, (_, i) => begin + i);
    order.sort((a, b) => (this.#worse(b, a) ? -1 : this.#worse(a, b) ? 1 : 0));
    this.values.set(
      order.map((i) => this.values[i]!),
      begin,
    );
    this.series.set(
      order.map((i) => this.series[i]!),
      begin,
    );
  }
}
