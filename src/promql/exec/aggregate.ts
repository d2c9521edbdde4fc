import { type FloatHistogram, histogramSampleWeight } from '../../model/histogram.ts';
import { compactHistogram } from '../../model/histogram-add.ts';
import { HistogramMean, HistogramSum } from '../../model/histogram-sum.ts';
import { quantile } from '../functions/quantile.ts';
import type { AggregateNode } from '../plan/node.ts';
import {
  ABSENT,
  FLOAT_POINT,
  HISTOGRAM_POINT,
  type Operator,
  type OutputSeries,
  Row,
  RowTable,
  rowBytes,
} from '../row/row.ts';
import type { RowMemory } from '../row/row-memory.ts';
import type { Execution } from './execution.ts';
import { groupSeries } from './grouping.ts';

/**
 * `sum`, `avg`, `count`, `min`, `max`, `group`, `stddev`, `stdvar` and `quantile`: takes the input's rows one after
 * another into a matrix of groups and steps, so that series × steps is never held.
 */
export async function aggregate(
  execution: Execution,
  node: AggregateNode,
  input: Operator,
  param: Row | undefined,
): Promise<Operator> {
  const { steps } = input;
  if (node.op === 'quantile') noteQuantiles(execution, param!, steps, node);
  const { groupOf, groups } = await groupSeries(execution, input.series, node.grouping, node.without, input.memo);
  const cells = groups.length * steps;
  if (cells === 0) return RowTable.empty(steps);
  execution.hold(cells, groups.length * rowBytes(steps) + cells * CELL_BYTES[node.op]!);
  const accumulator = accumulatorOf(execution, node, groups.length, steps, param);
  const row = execution.passingRow(steps);
  for (let i = 0; i < input.series.length; i++) {
    if (execution.due) await execution.breathe();
    input.row(i, row);
    if (row.filled > 0) accumulator.add(row, groupOf[i]! * steps, input.series[i]!.labels.metricName);
  }
  return finishedGroups(execution, accumulator, groups, steps);
}

/** The rows of groups that have any point. */
export async function finishedGroups(
  execution: Execution,
  accumulator: Pick<Accumulator, 'finish'>,
  groups: readonly OutputSeries[],
  steps: number,
): Promise<RowTable> {
  const rows: Row[] = [];
  const kept: OutputSeries[] = [];
  for (let group = 0; group < groups.length; group++) {
    const out = new Row(steps);
    for (let step = 0; step < steps; step++) {
      const cell = group * steps + step;
      if (execution.dueAfter(cell)) await execution.breathe();
      accumulator.finish(cell, out, step);
    }
    if (out.filled === 0) continue;
    kept.push(groups[group]!);
    rows.push(out);
  }
  return new RowTable(steps, kept, rows);
}

/** Bytes of an accumulator for each of its cells. */
export const CELL_BYTES: Readonly<Record<string, number>> = {
  sum: 17,
  avg: 25,
  count: 8,
  group: 8,
  min: 9,
  max: 9,
  stddev: 24,
  stdvar: 24,
  quantile: 8,
};

/** The state of every (group, step), row-major. */
interface Accumulator {
  /** @param at the cell of the row's first step */
  add(row: Row, at: number, metricName: string): void;
  /** Puts the result of `cell` into `out`, or leaves it absent. */
  finish(cell: number, out: Row, step: number): void;
}

export function accumulatorOf(
  execution: Execution,
  node: AggregateNode,
  groups: number,
  steps: number,
  param: Row | undefined,
): Accumulator {
  const cells = groups * steps;
  const ignore = (): void => execution.annotations.histogramIgnoredInAggregation(node.op, node.input.pos);
  switch (node.op) {
    case 'sum':
      return new SumAccumulator(execution, node, groups, steps, false);
    case 'avg':
      return new SumAccumulator(execution, node, groups, steps, true);
    case 'count':
      return new CountAccumulator(cells, false, execution.memory);
    case 'group':
      return new CountAccumulator(cells, true, execution.memory);
    case 'min':
      return new ExtremeAccumulator(cells, -1, ignore);
    case 'max':
      return new ExtremeAccumulator(cells, 1, ignore);
    case 'stddev':
      return new VarianceAccumulator(cells, true, ignore);
    case 'stdvar':
      return new VarianceAccumulator(cells, false, ignore);
    case 'quantile':
      return new QuantileAccumulator(execution, cells, param!, ignore);
    default:
      throw new Error(`bug: no accumulator for ${node.op}`);
  }
}

const SEEN = 1;
/** `avg` would overflow here: the cell holds the mean and not the sum. */
const INCREMENTAL = 2;

class SumAccumulator implements Accumulator {
  readonly #sums: Float64Array;
  readonly #lost: Float64Array;
  readonly #state: Uint8Array;
  readonly #counts: Float64Array | undefined;
  /** By group the steps, from and to, of which it is known that every cell has a float: there nothing has to be looked up. */
  readonly #runs: Int32Array;
  /** Whether any cell is INCREMENTAL. */
  #incremental = false;
  /** Cells that have seen a histogram, first or among floats. */
  readonly #histograms = new Map<number, HistogramCell>();
  readonly #execution: Execution;
  readonly #node: AggregateNode;

  constructor(execution: Execution, node: AggregateNode, groups: number, steps: number, average: boolean) {
    const cells = groups * steps;
    this.#execution = execution;
    this.#node = node;
    this.#sums = execution.memory.floats(cells);
    this.#lost = execution.memory.floats(cells);
    this.#state = new Uint8Array(cells);
    this.#counts = average ? execution.memory.floats(cells) : undefined;
    this.#runs = new Int32Array(2 * groups);
  }

  add(row: Row, at: number, metricName: string): void {
    const { run } = row;
    if (run >= 0 && !this.#incremental) {
      this.#addRun(row, at, run, run + row.filled);
      return;
    }
    for (let step = 0; step < row.steps; step++) {
      const kind = row.present[step]!;
      if (kind === FLOAT_POINT) this.#addFloat(at + step, row.values[step]!);
      else if (kind === HISTOGRAM_POINT) this.#addHistogram(at + step, row.histograms[step]!, metricName);
    }
  }

  /** Adds the row's floats from `from` to `to`: by a whole loop where the group is known to have floats, one by one elsewhere. */
  #addRun(row: Row, at: number, from: number, to: number): void {
    const group = (2 * at) / row.steps;
    const knownFrom = this.#runs[group]!;
    const knownTo = this.#runs[group + 1]!;
    const bothFrom = Math.max(from, knownFrom);
    const bothTo = Math.min(to, knownTo);
    if (bothFrom >= bothTo) {
      this.#addEach(row, at, from, to);
    } else {
      this.#addEach(row, at, from, bothFrom);
      this.#addKnown(row, at, bothFrom, bothTo);
      this.#addEach(row, at, bothTo, to);
    }
    if (knownFrom === knownTo) {
      this.#runs[group] = from;
      this.#runs[group + 1] = to;
    } else if (from <= knownTo && to >= knownFrom) {
      this.#runs[group] = Math.min(from, knownFrom);
      this.#runs[group + 1] = Math.max(to, knownTo);
    }
  }

  #addEach(row: Row, at: number, from: number, to: number): void {
    for (let step = from; step < to; step++) this.#addFloat(at + step, row.values[step]!);
  }

  #addKnown(row: Row, at: number, from: number, to: number): void {
    const sums = this.#sums;
    const lost = this.#lost;
    const counts = this.#counts;
    const loops = this.#execution.memory.loopsOver(row.values, sums, lost, counts);
    const cell = at + from;
    const count = to - from;
    if (loops === undefined) {
      if (counts === undefined) addPlain(row.values, from, sums, lost, cell, count);
      else this.#addEach(row, at, from, to);
      return;
    }
    const values = row.values.byteOffset + 8 * from;
    const sumsAt = sums.byteOffset + 8 * cell;
    if (counts !== undefined) {
      if (loops.rowOverflows(values, sumsAt, count) !== 0) {
        this.#addEach(row, at, from, to);
        return;
      }
      loops.rowCount(counts.byteOffset + 8 * cell, count);
    }
    loops.rowAdd(values, sumsAt, lost.byteOffset + 8 * cell, count);
  }

  #addFloat(cell: number, value: number): void {
    const sums = this.#sums;
    const lost = this.#lost;
    const counts = this.#counts;
    if (this.#state[cell] === 0) {
      this.#state[cell] = SEEN;
      sums[cell] = value;
      if (counts !== undefined) counts[cell]!++;
      return;
    }
    if (counts === undefined) {
      const sum = sums[cell]!;
      const next = sum + value;
      const taken = next - sum;
      lost[cell] = isInfinite(next) ? 0 : lost[cell]! + (sum - (next - taken) + (value - taken));
      sums[cell] = next;
      return;
    }
    const count = counts[cell]! + 1;
    counts[cell] = count;
    if (this.#state[cell] === SEEN) {
      const sum = sums[cell]!;
      const next = sum + value;
      if (!isInfinite(next)) {
        const taken = next - sum;
        lost[cell] = lost[cell]! + (sum - (next - taken) + (value - taken));
        sums[cell] = next;
        return;
      }
      this.#state[cell] = INCREMENTAL;
      this.#incremental = true;
      sums[cell] = sum / (count - 1);
      lost[cell] = lost[cell]! / (count - 1);
    }
    const share = (count - 1) / count;
    const mean = share * sums[cell]!;
    const addend = value / count;
    const next = mean + addend;
    const taken = next - mean;
    lost[cell] = isInfinite(next) ? 0 : share * lost[cell]! + (mean - (next - taken) + (addend - taken));
    sums[cell] = next;
  }

  #addHistogram(cell: number, histogram: FloatHistogram, metricName: string): void {
    const { annotations } = this.#execution;
    const seen = this.#histograms.get(cell);
    if (seen === undefined) {
      this.#execution.holdPoints(histogramSampleWeight(histogram));
      this.#histograms.set(cell, { sum: this.#firstOf(cell, histogram), failed: false, mixed: false });
    } else if (seen.sum !== undefined && !seen.failed && !seen.sum.add(histogram)) {
      seen.failed = true;
      seen.mixed = this.#state[cell] !== 0;
      annotations.mixedExponentialCustom(metricName, this.#node.input.pos);
    }
  }

  /** Where floats came first there is a mix, and nothing to add up. */
  #firstOf(cell: number, histogram: FloatHistogram): HistogramCell['sum'] {
    if (this.#state[cell] !== 0) return undefined;
    return this.#counts === undefined ? new HistogramSum(histogram) : new HistogramMean(histogram);
  }

  finish(cell: number, out: Row, step: number): void {
    const { annotations } = this.#execution;
    const { pos } = this.#node.input;
    const hasFloat = this.#state[cell] !== 0;
    const histogram = this.#histograms.size === 0 ? undefined : this.#histograms.get(cell);
    if (histogram !== undefined) {
      const { sum, failed, mixed } = histogram;
      if (sum?.boundsReconciled) annotations.mismatchedCustomBuckets('aggregation', pos);
      // what comes after histograms that do not go together is not looked at
      if (failed ? mixed : hasFloat) annotations.mixedFloatsHistogramsAggregation(pos);
      if (sum === undefined || failed || hasFloat) return;
      if (sum.resetsCollide) annotations.counterResetCollision('aggregation', pos);
      out.setHistogram(step, compactHistogram(sum.result()));
      return;
    }
    if (!hasFloat) return;
    const sum = this.#sums[cell]!;
    const lost = this.#lost[cell]!;
    if (this.#counts === undefined || this.#state[cell] === INCREMENTAL) out.setFloat(step, sum + lost);
    else out.setFloat(step, sum / this.#counts[cell]! + lost / this.#counts[cell]!);
  }
}

interface HistogramCell {
  readonly sum: HistogramSum | HistogramMean | undefined;
  /** Two of them do not go together. */
  failed: boolean;
  /** Whether there were floats until then. */
  mixed: boolean;
}

/**
 * Adds a row of floats to a group's: the engine's hottest loop. Compensated by TwoSum, which takes the same from each
 * addition as Neumaier's form in Prometheus and needs no branch.
 */
function addPlain(
  values: Float64Array,
  from: number,
  sums: Float64Array,
  lost: Float64Array,
  at: number,
  count: number,
): void {
  for (let i = 0; i < count; i++) {
    const cell = at + i;
    const value = values[from + i]!;
    const sum = sums[cell]!;
    const next = sum + value;
    const taken = next - sum;
    const error = sum - (next - taken) + (value - taken);
    // an infinity has lost nothing (and then the error is NaN); of a NaN the sum is NaN whatever was lost
    lost[cell] = next - next === 0 ? lost[cell]! + error : 0;
    sums[cell] = next;
  }
}

class CountAccumulator implements Accumulator {
  readonly #counts: Float64Array;
  readonly #one: boolean;
  readonly #memory: RowMemory;

  constructor(cells: number, one: boolean, memory: RowMemory) {
    this.#counts = memory.floats(cells);
    this.#one = one;
    this.#memory = memory;
  }

  add(row: Row, at: number): void {
    const { run } = row;
    const loops = run < 0 ? undefined : this.#memory.loopsOver(this.#counts);
    if (loops !== undefined) {
      loops.rowCount(this.#counts.byteOffset + 8 * (at + run), row.filled);
      return;
    }
    for (let step = 0; step < row.steps; step++) if (row.present[step] !== ABSENT) this.#counts[at + step]!++;
  }

  finish(cell: number, out: Row, step: number): void {
    const count = this.#counts[cell]!;
    if (count > 0) out.setFloat(step, this.#one ? 1 : count);
  }
}

/** `min` and `max`: a NaN gives way to any number. */
class ExtremeAccumulator implements Accumulator {
  readonly #best: Float64Array;
  readonly #seen: Uint8Array;
  readonly #sign: 1 | -1;
  readonly #ignore: () => void;

  constructor(cells: number, sign: 1 | -1, ignore: () => void) {
    this.#best = new Float64Array(cells);
    this.#seen = new Uint8Array(cells);
    this.#sign = sign;
    this.#ignore = ignore;
  }

  add(row: Row, at: number): void {
    const best = this.#best;
    const sign = this.#sign;
    if (row.histogramCount > 0) this.#ignore();
    for (let step = 0; step < row.steps; step++) {
      if (row.present[step] !== FLOAT_POINT) continue;
      const value = row.values[step]!;
      const before = best[at + step]!;
      if (this.#seen[at + step] === 0 || value * sign > before * sign || Number.isNaN(before)) best[at + step] = value;
      this.#seen[at + step] = 1;
    }
  }

  finish(cell: number, out: Row, step: number): void {
    if (this.#seen[cell] === 1) out.setFloat(step, this.#best[cell]!);
  }
}

/** Welford's method, as Prometheus has it. */
class VarianceAccumulator implements Accumulator {
  readonly #counts: Float64Array;
  readonly #means: Float64Array;
  readonly #squares: Float64Array;
  readonly #root: boolean;
  readonly #ignore: () => void;

  constructor(cells: number, root: boolean, ignore: () => void) {
    this.#counts = new Float64Array(cells);
    this.#means = new Float64Array(cells);
    this.#squares = new Float64Array(cells);
    this.#root = root;
    this.#ignore = ignore;
  }

  add(row: Row, at: number): void {
    if (row.histogramCount > 0) this.#ignore();
    for (let step = 0; step < row.steps; step++) {
      if (row.present[step] !== FLOAT_POINT) continue;
      const value = row.values[step]!;
      const cell = at + step;
      const count = this.#counts[cell]! + 1;
      this.#counts[cell] = count;
      if (count === 1) {
        this.#means[cell] = value;
        this.#squares[cell] = Number.isFinite(value) ? 0 : Number.NaN;
        continue;
      }
      const delta = value - this.#means[cell]!;
      this.#means[cell]! += delta / count;
      this.#squares[cell]! += delta * (value - this.#means[cell]!);
    }
  }

  finish(cell: number, out: Row, step: number): void {
    const count = this.#counts[cell]!;
    if (count === 0) return;
    const variance = this.#squares[cell]! / count;
    out.setFloat(step, this.#root ? Math.sqrt(variance) : variance);
  }
}

class QuantileAccumulator implements Accumulator {
  readonly #values: (number[] | undefined)[];
  readonly #execution: Execution;
  readonly #param: Row;
  readonly #ignore: () => void;

  constructor(execution: Execution, cells: number, param: Row, ignore: () => void) {
    this.#values = new Array<number[] | undefined>(cells);
    this.#execution = execution;
    this.#param = param;
    this.#ignore = ignore;
  }

  add(row: Row, at: number): void {
    if (row.histogramCount > 0) this.#ignore();
    this.#execution.hold(row.filled - row.histogramCount, (row.filled - row.histogramCount) * 8);
    for (let step = 0; step < row.steps; step++) {
      if (row.present[step] !== FLOAT_POINT) continue;
      const values = this.#values[at + step];
      if (values === undefined) this.#values[at + step] = [row.values[step]!];
      else values.push(row.values[step]!);
    }
  }

  finish(cell: number, out: Row, step: number): void {
    const values = this.#values[cell];
    if (values !== undefined) out.setFloat(step, quantile(this.#param.values[step]!, Float64Array.from(values)));
  }
}

/** Says which of the quantiles asked for are none: of those out of bounds the farthest. */
export function noteQuantiles(execution: Execution, param: Row, steps: number, node: AggregateNode): void {
  const note = (q: number): void => execution.annotations.invalidQuantile(q, node.param!.pos, node.pos);
  let min = Infinity;
  let max = -Infinity;
  for (let step = 0; step < steps; step++) {
    const q = param.values[step]!;
    if (Number.isNaN(q)) note(Number.NaN);
    min = Math.min(min, Number.isNaN(q) ? min : q);
    max = Math.max(max, Number.isNaN(q) ? max : q);
  }
  if (max > 1) note(max);
  if (min < 0) note(min);
}

function isInfinite(value: number): boolean {
  return value === Infinity || value === -Infinity;
}
