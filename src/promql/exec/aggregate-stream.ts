import type { FloatHistogram } from '../../model/histogram.ts';
import { compareUtf8, Labels, METRIC_NAME } from '../../model/labels.ts';
import { ascendingLabels } from '../../model/labels-order.ts';
import type { SampleColumns } from '../../storage/columns.ts';
import { memoOf, type SeriesMemo } from '../../storage/series-memo.ts';
import { type ReadRows, rowsAt } from '../../storage/series-rows.ts';
import { type SeriesBlock, StreamBroken } from '../../storage/series-stream.ts';
import type { AggregateOp } from '../parser/ast.ts';
import { type AggregateNode, childrenOf, type PlanNode, type Select, selectOf } from '../plan/node.ts';
import {
  ABSENT,
  FLOAT_POINT,
  HISTOGRAM_POINT,
  type Operator,
  type OutputSeries,
  type Row,
  rowBytes,
} from '../row/row.ts';
import { accumulatorOf, CELL_BYTES, finishedGroups, noteQuantiles } from './aggregate.ts';
import { chooseSeries, type GroupedSeries } from './aggregate-k.ts';
import { countValues } from './count-values.ts';
import type { Execution } from './execution.ts';
import { FoundGroups, projection } from './grouping.ts';
import { namelessSeries, selectedSeries } from './output-series.ts';
import { RadixOrder } from './radix-order.ts';
import type { SampleSource } from './sources.ts';

// Aggregations over a selector, or over a range function of one: its series come a block at a time, in no order, and none is kept.
// `count` and `group` keep a number for each group and step; the others a value for each series and step, in columns, for they depend on
// the order of the series.

/**
 * Above so many steps the values of a series take more than the series itself: then it is rather kept. `count` and `group` keep no
 * values.
 */
const KEPT_STEPS_MAX = 64;

/** The selectors of a plan that are read by one such aggregation and by nothing else. */
export function streamedSelects(plan: PlanNode): ReadonlyMap<AggregateNode, Select> {
  const uses = new Map<Select, number>();
  const found = new Map<AggregateNode, Select>();
  const shared = new Set<number>();
  const visit = (node: PlanNode): void => {
    if (node.kind === 'shared') {
      if (shared.has(node.id)) return;
      shared.add(node.id);
    }
    const select = selectOf(node);
    if (select !== undefined) uses.set(select, (uses.get(select) ?? 0) + 1);
    if (node.kind === 'aggregate') {
      const streamed = streamedSelectOf(node);
      if (streamed !== undefined) found.set(node, streamed);
    }
    for (const child of childrenOf(node)) visit(child);
  };
  visit(plan);
  for (const [node, select] of found) if (uses.get(select)! > 1) found.delete(node);
  return found;
}

function streamedSelectOf({ op, input, grid }: AggregateNode): Select | undefined {
  if (grid.steps !== input.grid.steps) return undefined;
  if (grid.steps > KEPT_STEPS_MAX && !isTally(op)) return undefined;
  if (input.kind === 'selector') return input.smoothed ? undefined : input.select;
  if (input.kind !== 'call' || input.func.open.kind !== 'range' || input.func.absent) return undefined;
  const matrix = input.args.find(({ kind }) => kind === 'matrix');
  const select = matrix === undefined ? undefined : selectOf(matrix);
  // without their names the series of several metrics may be the same, which is seen where all of them are there
  const isOneMetric = select?.matchers.some(({ name, op: match }) => name === METRIC_NAME && match === '=');
  return input.func.keepsName || isOneMetric ? select : undefined;
}

/** Whether it counts series, whatever their values and their order. */
function isTally(op: AggregateOp): op is 'count' | 'group' {
  return op === 'count' || op === 'group';
}

/** The block at hand, for an operator to read: `series` changes from block to block. */
export class StreamedInput implements SampleSource {
  readonly series: OutputSeries[] = [];
  rows: ReadRows | undefined;
  version = 0;
  memo: SeriesMemo | undefined;
  #block: SeriesBlock | undefined;
  #order: Uint32Array | undefined;

  /** @param order of the block's series; absent: as they are */
  enter(block: SeriesBlock, order?: Uint32Array): void {
    this.#block = block;
    this.#order = order;
    this.version++;
    const { labels, rows, memo } = block;
    this.memo = memo;
    this.rows = rows === undefined || order === undefined ? rows : rowsAt(rows, order);
    this.series.length = 0;
    if (memo !== undefined) {
      for (const each of selectedSeries(labels, memo)) this.series.push(each);
      return;
    }
    for (let i = 0; i < labels.length; i++) {
      this.series.push({ labels: labels[order === undefined ? i : order[i]!]!, dropName: false });
    }
  }

  read(index: number, out: SampleColumns): void {
    this.#block!.read(this.#order === undefined ? index : this.#order[index]!, out);
  }
}

/** An aggregation whose input comes a block at a time. */
export interface StreamedAggregate {
  readonly node: AggregateNode;
  readonly blocks: AsyncIterable<SeriesBlock>;
  readonly input: StreamedInput;
  /** Over the series of `input`. */
  readonly operator: Operator;
  /** Whether its rows have the names of their series. */
  readonly keepsName: boolean;
  readonly param: Row | undefined;
  /** For `count_values`. */
  readonly label: string | undefined;
  /** Aggregates series that are all there. */
  readonly whole: (input: Operator) => Promise<Operator>;
}

/** @throws StreamBroken where only all series together will do */
export async function aggregateStream(execution: Execution, streamed: StreamedAggregate): Promise<Operator> {
  const { node, input, operator, keepsName, param, whole } = streamed;
  const { op } = node;
  const { steps } = node.grid;
  const outputOf = (series: OutputSeries): OutputSeries => (keepsName ? series : execution.withoutName(series));
  const seen = keepsName || execution.features.delayedNameRemoval ? undefined : new OneMetric();
  const groups = new GroupsAsFound(execution, node);
  const tally = isTally(op) ? new Tally(execution, steps) : undefined;
  const values = tally === undefined ? new SeriesValues(execution, steps) : undefined;
  const row = execution.passingRow(steps);
  try {
    for await (const block of streamed.blocks) {
      if (block.isWhole === true) {
        const { labels, memo } = block;
        if (seen !== undefined && !memoOf(memo, 'one metric', () => seen.areSame(labels))) throw new StreamBroken();
        input.enter(block, memo === undefined ? ascendingLabels(labels) : undefined);
        execution.holdSeries(labels.length);
        const output = keepsName ? input : namelessSeries(execution, input.series, memo);
        return await whole({
          steps,
          series: output.series,
          memo: output.memo,
          row: (index, out) => operator.row(index, out),
        });
      }
      input.enter(block);
      for (let i = 0; i < input.series.length; i++) {
        if (execution.due) await execution.breathe();
        const series = input.series[i]!;
        seen?.check(series.labels);
        operator.row(i, row);
        const group = groups.of(series.labels, outputOf(series));
        if (row.filled === 0) continue;
        tally?.add(row, group);
        values?.add(series.labels, group, row);
      }
    }
  } catch (error) {
    groups.close();
    values?.close();
    tally?.close();
    throw error;
  }
  if (op === 'quantile') noteQuantiles(execution, param!, steps, node);
  const order = await groups.ascending();
  const ordered = order.map((group) => groups.series(group));
  if (tally !== undefined) {
    execution.hold(order.length * steps, order.length * rowBytes(steps));
    const finish = (cell: number, out: Row, step: number): void => {
      const count = tally.at(order[(cell - step) / steps]!, step);
      if (count > 0) out.setFloat(step, op === 'group' ? 1 : count);
    };
    return finishedGroups(execution, { finish }, ordered, steps);
  }
  const places = new Uint32Array(order.length);
  for (const [place, group] of order.entries()) places[group] = place;
  const series = await OrderedValues.of(execution, values!, places, keepsName);
  switch (op) {
    case 'topk':
    case 'bottomk':
    case 'limitk':
    case 'limit_ratio':
      return chooseSeries(execution, node, param!, series);
    case 'count_values': {
      const labels = (index: number): Labels => series.series(index).labels;
      const { count } = series;
      const rows = (index: number, out: Row): void => series.row(index, out);
      return countValues(execution, node, { steps, count, row: rows, labels }, streamed.label!);
    }
  }
  const cells = order.length * steps;
  execution.hold(cells, order.length * rowBytes(steps) + cells * CELL_BYTES[op]!);
  const accumulator = accumulatorOf(execution, node, order.length, steps, param);
  for (let i = 0; i < series.count; i++) {
    if (execution.dueAfter(i)) await execution.breathe();
    series.row(i, row);
    accumulator.add(row, series.groupOf[i]! * steps, keepsName && row.histogramCount > 0 ? series.metricName(i) : '');
  }
  values!.close();
  return finishedGroups(execution, accumulator, ordered, steps);
}

/** Points of each group at each step. */
class Tally {
  readonly #execution: Execution;
  readonly #steps: number;
  #counts = new Float64Array(0);

  constructor(execution: Execution, steps: number) {
    this.#execution = execution;
    this.#steps = steps;
  }

  add(row: Row, group: number): void {
    const steps = this.#steps;
    const at = group * steps;
    if (at + steps > this.#counts.length) this.#grow(at + steps);
    const counts = this.#counts;
    if (row.filled === steps) for (let step = 0; step < steps; step++) counts[at + step]!++;
    else for (let step = 0; step < steps; step++) if (row.present[step] !== ABSENT) counts[at + step]!++;
  }

  at(group: number, step: number): number {
    // the last groups may have no point
    return this.#counts[group * this.#steps + step] ?? 0;
  }

  close(): void {
    this.#execution.hold(0, -this.#counts.byteLength);
    this.#counts = new Float64Array(0);
  }

  #grow(cells: number): void {
    const before = this.#counts;
    const length = Math.max(CAPACITY_MIN, cells, before.length * 2);
    this.#execution.hold(0, 8 * length);
    this.#counts = new Float64Array(length);
    this.#counts.set(before);
    this.#execution.hold(0, -before.byteLength);
  }
}

/** Series as they were streamed, in the order of their labels. */
class OrderedValues implements GroupedSeries {
  readonly steps: number;
  readonly count: number;
  readonly groupOf: Int32Array;
  readonly groups: number;
  readonly #execution: Execution;
  readonly #values: SeriesValues;
  readonly #order: Uint32Array;
  readonly #keepsName: boolean;

  private constructor(
    execution: Execution,
    values: SeriesValues,
    order: Uint32Array,
    places: Uint32Array,
    keepsName: boolean,
  ) {
    this.steps = values.steps;
    this.count = order.length;
    this.groups = places.length;
    this.groupOf = Int32Array.from(order, (index) => places[values.groupOf(index)]!);
    this.#execution = execution;
    this.#values = values;
    this.#order = order;
    this.#keepsName = keepsName;
  }

  /** @param places of groups among the groups in order */
  static async of(
    execution: Execution,
    values: SeriesValues,
    places: Uint32Array,
    keepsName: boolean,
  ): Promise<OrderedValues> {
    return new OrderedValues(execution, values, await values.ascending(), places, keepsName);
  }

  row(index: number, out: Row): void {
    this.#values.get(this.#order[index]!, out);
  }

  metricName(index: number): string {
    return this.#values.labels(this.#order[index]!).metricName;
  }

  series(index: number): OutputSeries {
    const series = { labels: this.#values.labels(this.#order[index]!), dropName: false };
    return this.#keepsName ? series : this.#execution.withoutName(series);
  }
}

/** Sees that all series have the same name, type and unit. */
class OneMetric {
  #reserved: string | undefined;

  areSame(all: readonly Labels[]): boolean {
    return all.every((labels) => this.#isSame(labels));
  }

  check(labels: Labels): void {
    if (!this.#isSame(labels)) throw new StreamBroken();
  }

  #isSame(labels: Labels): boolean {
    const name = labels.get(METRIC_NAME);
    const type = labels.get('__type__');
    const unit = labels.get('__unit__');
    const reserved = type === '' && unit === '' ? name : `${name}\0${type}\0${unit}`;
    this.#reserved ??= reserved;
    return reserved === this.#reserved;
  }
}

/** Numbered as they are found; in the end they come in the order of their first series. */
class GroupsAsFound {
  readonly #execution: Execution;
  readonly #names: readonly string[];
  readonly #without: boolean;
  readonly #project: (labels: Labels) => Labels;
  readonly #found = new FoundGroups();
  /** Each group's labels, the least of its series, and whether its name is dropped. */
  readonly #labels: Labels[] = [];
  readonly #first: Labels[] = [];
  readonly #dropNames: boolean[] = [];
  #heldBytes = 0;

  constructor(execution: Execution, { grouping, without }: AggregateNode) {
    this.#execution = execution;
    this.#names = grouping;
    this.#without = without;
    this.#project = projection(grouping, without);
  }

  /** @param input of which `output` was made */
  of(input: Labels, output: OutputSeries): number {
    const { labels, dropName } = output;
    const group = this.#without
      ? this.#found.ofKey(this.#project(labels).key)
      : this.#found.ofValues(labels, this.#names);
    if (group === this.#labels.length) {
      const own = this.#project(labels);
      this.#heldBytes += this.#execution.holdGroup(own, input);
      this.#labels.push(own);
      this.#first.push(input);
      this.#dropNames.push(false);
    } else if (this.#without || this.#names.length > 0) {
      if (Labels.compare(input, this.#first[group]!) < 0) this.#first[group] = input;
    }
    if (dropName) this.#dropNames[group] = true;
    return group;
  }

  async ascending(): Promise<readonly number[]> {
    const first = this.#first;
    return this.#execution.sorted([...first.keys()], (a, b) => Labels.compare(first[a]!, first[b]!));
  }

  /** Where nothing comes of them. */
  close(): void {
    this.#execution.hold(0, -this.#heldBytes);
    this.#heldBytes = 0;
  }

  series(group: number): OutputSeries {
    return { labels: this.#labels[group]!, dropName: this.#dropNames[group]! };
  }
}

/** Memory of a text beside its characters: the string, its places in a map and a list. */
const TEXT_BYTES = 90;
/** Memory that sorting takes for each text (lists of numbers, ranks), and for each series. */
const TEXT_SORTED_BYTES = 28;
const ORDERED_BYTES = 16;
const CAPACITY_MIN = 1024;

/** Series whose values are in one page. */
const PAGE_SERIES = 2048;

/** (series, step) row-major; absence is in `present`. */
interface ValuesPage {
  readonly values: Float64Array;
  readonly present: Uint8Array;
}

/** The values of series at each step, in columns: a series' labels are numbers of texts, for most texts are in many series. */
class SeriesValues {
  readonly steps: number;
  readonly #execution: Execution;
  readonly #numbers = new Map<string, number>();
  readonly #texts: string[] = [];
  #count = 0;
  readonly #pages: ValuesPage[] = [];
  #groups = new Uint32Array(0);
  /** Where a series' texts end in `#parts`: they begin where those of the one before end. */
  #ends = new Uint32Array(0);
  /** name, value, … of all series: numbers of texts. */
  #parts = new Uint32Array(0);
  /** Histograms of the series that have any, by the series' number, at each step. */
  readonly #histograms = new Map<number, readonly (FloatHistogram | undefined)[]>();
  #heldBytes = 0;

  constructor(execution: Execution, steps: number) {
    this.#execution = execution;
    this.steps = steps;
  }

  add(labels: Labels, group: number, row: Row): void {
    const { pairs } = labels;
    const { steps } = this;
    const i = this.#count++;
    if (i === this.#ends.length) {
      this.#groups = this.#grown(this.#groups, i + 1);
      this.#ends = this.#grown(this.#ends, i + 1);
    }
    let end = i === 0 ? 0 : this.#ends[i - 1]!;
    if (end + pairs.length > this.#parts.length) this.#parts = this.#grown(this.#parts, end + pairs.length);
    for (const text of pairs) this.#parts[end++] = this.#numberOf(text);
    this.#ends[i] = end;
    this.#groups[i] = group;
    const at = (i % PAGE_SERIES) * steps;
    if (at === 0) this.#addPage();
    const { values, present } = this.#pages.at(-1)!;
    values.set(row.values, at);
    present.set(row.present, at);
    if (row.histogramCount === 0) return;
    this.#hold(HISTOGRAM_BYTES * row.histogramWeight);
    const kept = row.histograms.slice(0, steps);
    for (let step = 0; step < steps; step++) if (row.present[step] !== HISTOGRAM_POINT) kept[step] = undefined;
    this.#histograms.set(i, kept);
  }

  groupOf(index: number): number {
    return this.#groups[index]!;
  }

  labels(index: number): Labels {
    const pairs: string[] = [];
    const end = this.#ends[index]!;
    for (let at = index === 0 ? 0 : this.#ends[index - 1]!; at < end; at++) {
      pairs.push(this.#texts[this.#parts[at]!]!);
    }
    return Labels.fromSortedPairs(pairs);
  }

  /** Makes `out` the row of a series. */
  get(index: number, out: Row): void {
    const { steps } = this;
    const { values, present } = this.#pages[Math.floor(index / PAGE_SERIES)]!;
    const histograms = this.#histograms.size === 0 ? undefined : this.#histograms.get(index);
    const from = (index % PAGE_SERIES) * steps;
    out.clear();
    for (let step = 0; step < steps; step++) {
      const kind = present[from + step]!;
      if (kind === FLOAT_POINT) out.setFloat(step, values[from + step]!);
      else if (kind === HISTOGRAM_POINT) out.setHistogram(step, histograms![step]!);
    }
  }

  /** Indexes in the order of the series' labels (`Labels.compare`). */
  async ascending(): Promise<Uint32Array> {
    const execution = this.#execution;
    const texts = this.#texts;
    this.#hold(TEXT_SORTED_BYTES * texts.length + ORDERED_BYTES * this.#count);
    const sorted = await execution.sorted([...texts.keys()], (a, b) => compareUtf8(texts[a]!, texts[b]!));
    // 0 is the end of a series: the shorter one comes first
    const ranks = new Uint32Array(texts.length);
    for (const [rank, number] of sorted.entries()) ranks[number] = rank + 1;
    const count = this.#count;
    const ends = this.#ends;
    const parts = this.#parts;
    let columns = 0;
    for (let i = 0; i < count; i++) columns = Math.max(columns, ends[i]! - (i === 0 ? 0 : ends[i - 1]!));
    const order = new RadixOrder(count);
    const keys = new Uint32Array(count);
    for (let column = columns - 1; column >= 0; column--) {
      for (let i = 0; i < count; i++) {
        const at = (i === 0 ? 0 : ends[i - 1]!) + column;
        keys[i] = at < ends[i]! ? ranks[parts[at]!]! : 0;
        if (execution.dueAfter(i)) await execution.breathe();
      }
      order.by(keys);
      if (execution.due) await execution.breathe();
    }
    return order.indexes;
  }

  close(): void {
    this.#execution.hold(0, -this.#heldBytes);
    this.#heldBytes = 0;
  }

  #addPage(): void {
    const points = PAGE_SERIES * this.steps;
    this.#hold(POINT_BYTES * points);
    this.#pages.push({ values: new Float64Array(points), present: new Uint8Array(points) });
  }

  #numberOf(text: string): number {
    let number = this.#numbers.get(text);
    if (number === undefined) {
      this.#hold(TEXT_BYTES + text.length);
      number = this.#texts.push(text) - 1;
      this.#numbers.set(text, number);
    }
    return number;
  }

  #hold(bytes: number): void {
    this.#heldBytes += bytes;
    this.#execution.hold(0, bytes);
  }

  #grown(before: Uint32Array<ArrayBuffer>, needed: number): Uint32Array<ArrayBuffer> {
    const length = Math.max(CAPACITY_MIN, needed, before.length * 2);
    this.#hold(length * before.BYTES_PER_ELEMENT);
    const after = new Uint32Array(length);
    after.set(before);
    this.#hold(-before.byteLength);
    return after;
  }
}

/** Bytes of a value and its presence. */
const POINT_BYTES = 9;
/** Bytes for each float sample that a histogram counts as. */
const HISTOGRAM_BYTES = 16;
