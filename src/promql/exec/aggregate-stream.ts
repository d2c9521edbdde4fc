import type { FloatHistogram } from '../../model/histogram.ts';
import { compareUtf8, Labels, METRIC_NAME } from '../../model/labels.ts';
import type { SampleColumns } from '../../storage/columns.ts';
import { type SeriesBlock, StreamBroken } from '../../storage/series-stream.ts';
import { type AggregateNode, childrenOf, type PlanNode, type Select, selectOf } from '../plan/node.ts';
import { HISTOGRAM_POINT, type Operator, type OutputSeries, type Row, type RowTable } from '../row/row.ts';
import { accumulatorOf, CELL_BYTES, finishedGroups, noteQuantiles } from './aggregate.ts';
import type { Execution } from './execution.ts';
import { FoundGroups, projection } from './grouping.ts';
import type { SampleSource } from './sources.ts';

// Aggregations at one step over a selector, or over a range function of one: its series come a block at a time, in no order, and none is
// kept. `count` and `group` keep a number for each group; the others a value for each series, for sums depend on the order of the series.

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
  if (grid.steps !== 1 || input.grid.steps !== 1 || !(op in CELL_BYTES)) return undefined;
  if (input.kind === 'selector') return input.smoothed ? undefined : input.select;
  if (input.kind !== 'call' || input.func.open.kind !== 'range' || input.func.absent) return undefined;
  const matrix = input.args.find(({ kind }) => kind === 'matrix');
  const select = matrix === undefined ? undefined : selectOf(matrix);
  // without their names the series of several metrics may be the same, which is seen where all of them are there
  const isOneMetric = select?.matchers.some(({ name, op: match }) => name === METRIC_NAME && match === '=');
  return input.func.keepsName || isOneMetric ? select : undefined;
}

/** The block at hand, for an operator to read: `series` changes from block to block. */
export class StreamedInput implements SampleSource {
  readonly series: OutputSeries[] = [];
  #block: SeriesBlock | undefined;

  enter(block: SeriesBlock): void {
    this.#block = block;
    this.series.length = 0;
    for (const labels of block.labels) this.series.push({ labels, dropName: false });
  }

  read(index: number, out: SampleColumns): void {
    this.#block!.read(index, out);
  }
}

/**
 * @param operator over the series of `input`
 * @param keepsName whether its rows have the names of their series
 * @throws StreamBroken where only all series together will do
 */
export async function aggregateStream(
  execution: Execution,
  node: AggregateNode,
  blocks: AsyncIterable<SeriesBlock>,
  input: StreamedInput,
  operator: Operator,
  keepsName: boolean,
  param: Row | undefined,
): Promise<RowTable> {
  const { op } = node;
  if (op === 'quantile') noteQuantiles(execution, param!, 1, node);
  const groups = new GroupsAsFound(execution, node);
  const counts: number[] = [];
  const values = op === 'count' || op === 'group' ? undefined : new SeriesValues(execution);
  const row = execution.passingRow(1);
  const seen = keepsName || execution.features.delayedNameRemoval ? undefined : new OneMetric();
  try {
    for await (const block of blocks) {
      input.enter(block);
      for (let i = 0; i < input.series.length; i++) {
        if (execution.due) await execution.breathe();
        const series = input.series[i]!;
        seen?.check(series.labels);
        operator.row(i, row);
        const group = groups.of(series.labels, keepsName ? series : execution.withoutName(series));
        if (group === counts.length) counts.push(0);
        if (row.filled === 0) continue;
        counts[group]!++;
        values?.add(series.labels, group, row);
      }
    }
  } catch (error) {
    groups.close();
    values?.close();
    throw error;
  }
  const order = await groups.ascending();
  const ordered = order.map((group) => groups.series(group));
  execution.hold(order.length, order.length * CELL_BYTES[op]!);
  if (values === undefined) {
    const finish = (cell: number, out: Row): void => {
      const count = counts[order[cell]!]!;
      if (count > 0) out.setFloat(0, op === 'group' ? 1 : count);
    };
    return finishedGroups(execution, { finish }, ordered, 1);
  }
  const accumulator = accumulatorOf(execution, node, order.length, 1, param);
  const places = new Uint32Array(order.length);
  for (const [place, group] of order.entries()) places[group] = place;
  const index = await values.ascending();
  for (let i = 0; i < index.length; i++) {
    if (execution.dueAfter(i)) await execution.breathe();
    const each = index[i]!;
    const metricName = values.get(each, row, keepsName);
    accumulator.add(row, places[values.groupOf(each)]!, metricName);
  }
  values.close();
  return finishedGroups(execution, accumulator, ordered, 1);
}

/** Sees that all series have the same name, type and unit. */
class OneMetric {
  #reserved: string | undefined;

  check(labels: Labels): void {
    const name = labels.get(METRIC_NAME);
    const type = labels.get('__type__');
    const unit = labels.get('__unit__');
    const reserved = type === '' && unit === '' ? name : `${name}\0${type}\0${unit}`;
    this.#reserved ??= reserved;
    if (reserved !== this.#reserved) throw new StreamBroken();
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
/** Memory that sorting takes for each thing sorted: lists of numbers. */
const SORTED_BYTES = 24;
const CAPACITY_MIN = 1024;

/** The values of series at one step, in columns: a series' labels are numbers of texts, for most texts are in many series. */
class SeriesValues {
  readonly #execution: Execution;
  readonly #numbers = new Map<string, number>();
  readonly #texts: string[] = [];
  #count = 0;
  #values = new Float64Array(0);
  #groups = new Uint32Array(0);
  /** Where a series' texts end in `#parts`: they begin where those of the one before end. */
  #ends = new Uint32Array(0);
  /** name, value, … of all series. */
  #parts = new Uint32Array(0);
  /** Histograms of the series that have one in place of a value, by the series' number. */
  readonly #histograms = new Map<number, { readonly histogram: FloatHistogram; readonly metricName: string }>();
  #heldBytes = 0;

  constructor(execution: Execution) {
    this.#execution = execution;
  }

  add(labels: Labels, group: number, row: Row): void {
    const { pairs } = labels;
    const i = this.#count++;
    if (i === this.#values.length) {
      this.#values = this.#grown(this.#values, i + 1, (length) => new Float64Array(length));
      this.#groups = this.#grown(this.#groups, i + 1, (length) => new Uint32Array(length));
      this.#ends = this.#grown(this.#ends, i + 1, (length) => new Uint32Array(length));
    }
    let end = i === 0 ? 0 : this.#ends[i - 1]!;
    if (end + pairs.length > this.#parts.length) {
      this.#parts = this.#grown(this.#parts, end + pairs.length, (length) => new Uint32Array(length));
    }
    for (const text of pairs) this.#parts[end++] = this.#numberOf(text);
    this.#ends[i] = end;
    this.#groups[i] = group;
    if (row.present[0] === HISTOGRAM_POINT) {
      this.#hold(HISTOGRAM_BYTES * row.histogramWeight);
      this.#histograms.set(i, { histogram: row.histograms[0]!, metricName: labels.metricName });
    } else {
      this.#values[i] = row.values[0]!;
    }
  }

  groupOf(index: number): number {
    return this.#groups[index]!;
  }

  /** Makes `out` the row of a series, and answers its metric's name where that matters. */
  get(index: number, out: Row, keepsName: boolean): string {
    const histogram = this.#histograms.size === 0 ? undefined : this.#histograms.get(index);
    out.clear();
    if (histogram === undefined) {
      out.setFloat(0, this.#values[index]!);
      return '';
    }
    out.setHistogram(0, histogram.histogram);
    return keepsName ? histogram.metricName : '';
  }

  /** Indexes in the order of the series' labels (`Labels.compare`). */
  async ascending(): Promise<readonly number[]> {
    const execution = this.#execution;
    const texts = this.#texts;
    this.#hold(SORTED_BYTES * Math.max(texts.length, this.#count) + 4 * texts.length);
    const ranks = new Uint32Array(texts.length);
    const sorted = await execution.sorted([...texts.keys()], (a, b) => compareUtf8(texts[a]!, texts[b]!));
    for (const [rank, number] of sorted.entries()) ranks[number] = rank;
    const parts = this.#parts;
    const ends = this.#ends;
    const partsMax = this.#count === 0 ? 0 : ends[this.#count - 1]!;
    for (let i = 0; i < partsMax; i++) parts[i] = ranks[parts[i]!]!;
    const compare = (a: number, b: number): number => {
      let atA = a === 0 ? 0 : ends[a - 1]!;
      let atB = b === 0 ? 0 : ends[b - 1]!;
      const endA = ends[a]!;
      const endB = ends[b]!;
      for (; atA < endA && atB < endB; atA++, atB++) {
        if (parts[atA] !== parts[atB]) return parts[atA]! - parts[atB]!;
      }
      return endA - atA - (endB - atB);
    };
    return execution.sorted(
      Array.from({ length: this.#count }, (_, i) => i),
      compare,
    );
  }

  close(): void {
    this.#execution.hold(0, -this.#heldBytes);
    this.#heldBytes = 0;
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

  #grown<T extends Float64Array | Uint32Array>(before: T, needed: number, make: (length: number) => T): T {
    const length = Math.max(CAPACITY_MIN, needed, before.length * 2);
    this.#hold(length * before.BYTES_PER_ELEMENT);
    const after = make(length);
    after.set(before);
    this.#hold(-before.byteLength);
    return after;
  }
}

/** Bytes for each float sample that a histogram counts as. */
const HISTOGRAM_BYTES = 16;
