import type { PartialAggregation, PartialGroup, WholeReason } from '../../contract/query.ts';
import { highWord, lowWord } from '../../lib/float-bits.ts';
import { Labels, RESERVED_NAMES } from '../../model/labels.ts';
import { ABSENT, FLOAT_POINT, type Operator, type OutputSeries, type Row } from '../row/row.ts';
import type { Execution } from './execution.ts';
import { FoundGroups, projection } from './grouping.ts';
import type { AggregatedSeries, MergeableOp } from './per-series.ts';

// An aggregation of some of the series, in columns that can be merged with those of the others (merge-partials.ts). No answer depends on
// the order in which the series come.

/** Thrown where only all series together will do. */
export class NeedsWhole extends Error {
  readonly reason: WholeReason;

  constructor(reason: WholeReason) {
    super(reason);
    this.reason = reason;
  }
}

export type PartialColumns = Pick<
  PartialAggregation,
  'groups' | 'counts' | 'values' | 'lost' | 'magnitudes' | 'dropped'
>;

/** The aggregation's input, a block of series after another. */
export interface PartialInput {
  readonly operator: Operator;
  /** The series that are selected, in the order of the operator's rows. */
  readonly selected: readonly Labels[];
  readonly outputs: readonly OutputSeries[];
}

/** Adds up the rows of one block of series after another. */
export class PartialAggregator {
  readonly #execution: Execution;
  readonly #steps: number;
  readonly #groups: Groups;
  readonly #cells: Cells;
  readonly #row: Row;
  readonly #dropsNames: boolean;
  /** Cells that there is room for. */
  #capacity = 0;
  /** The first series whose name is dropped. */
  #named: Labels | undefined;

  constructor(execution: Execution, { node, dropsNames }: AggregatedSeries) {
    const { steps } = node.grid;
    this.#execution = execution;
    this.#steps = steps;
    this.#groups = new Groups(execution, node);
    const ignore = (): void => execution.annotations.histogramIgnoredInAggregation(node.op, node.input.pos);
    this.#cells = cellsOf(node.op, ignore);
    this.#row = execution.passingRow(steps);
    // names that are only marked make no two series the same
    this.#dropsNames = dropsNames && !execution.features.delayedNameRemoval;
  }

  /** @throws NeedsWhole */
  async add({ operator, selected, outputs }: PartialInput): Promise<void> {
    const execution = this.#execution;
    const groupOf = new Uint32Array(outputs.length);
    for (let i = 0; i < outputs.length; i++) {
      if (execution.dueAfter(i)) await execution.breathe();
      if (this.#dropsNames) this.#drop(selected[i]!);
      groupOf[i] = this.#groups.of(selected[i]!, outputs[i]!);
    }
    this.#reserve(this.#groups.count);
    for (let i = 0; i < outputs.length; i++) {
      if (execution.due) await execution.breathe();
      operator.row(i, this.#row);
      if (this.#row.filled > 0) this.#cells.add(this.#row, groupOf[i]!);
    }
  }

  /** @throws NeedsWhole */
  async finish(): Promise<PartialColumns> {
    const execution = this.#execution;
    const { count } = this.#groups;
    const columns = this.#cells.columns(count * this.#steps);
    let points = 0;
    for (const each of columns.counts) if (each > 0) points++;
    execution.stats.atPeak(points);
    const groups: PartialGroup[] = [];
    for (let group = 0; group < count; group++) {
      if (execution.dueAfter(group)) await execution.breathe();
      groups.push(this.#groups.answer(group, this.#cells.unit(group)));
    }
    const dropped = this.#named && JSON.stringify(RESERVED.map((name) => this.#named!.get(name)));
    return { groups, ...columns, dropped };
  }

  /** Where nothing comes of it. */
  close(): void {
    const cells = this.#capacity;
    this.#execution.hold(-cells, -cells * this.#cells.cellBytes - this.#groups.heldBytes);
  }

  /** Makes room for so many groups, within the query's limits. */
  #reserve(groups: number): void {
    const cells = groups * this.#steps;
    const before = this.#capacity;
    if (cells <= before) return;
    // series may come in many blocks, each with groups of its own
    this.#capacity = Math.max(cells, 2 * before);
    const more = this.#capacity - before;
    this.#execution.hold(more, more * this.#cells.cellBytes);
    this.#cells.grow(this.#capacity, this.#capacity / this.#steps);
  }

  #drop(labels: Labels): void {
    const first = this.#named ?? labels;
    this.#named = first;
    for (const name of RESERVED) if (labels.get(name) !== first.get(name)) throw new NeedsWhole('names');
  }
}

const RESERVED = [...RESERVED_NAMES];

const NONE: Float64Array = new Float64Array(0);

class Groups {
  readonly #labels: Labels[] = [];
  heldBytes = 0;
  readonly #execution: Execution;
  readonly #found = new FoundGroups();
  readonly #names: readonly string[];
  readonly #without: boolean;
  readonly #project: (labels: Labels) => Labels;
  readonly #first: Labels[] = [];
  readonly #dropNames: boolean[] = [];

  constructor(execution: Execution, { grouping, without }: AggregatedSeries['node']) {
    this.#execution = execution;
    this.#names = grouping;
    this.#without = without;
    this.#project = projection(grouping, without);
  }

  get count(): number {
    return this.#labels.length;
  }

  of(selected: Labels, { labels, dropName }: OutputSeries): number {
    const group = this.#without
      ? this.#found.ofKey(this.#project(labels).key)
      : this.#found.ofValues(labels, this.#names);
    if (group === this.#labels.length) {
      const own = this.#project(labels);
      this.heldBytes += this.#execution.holdGroup(own, selected);
      this.#labels.push(own);
      this.#first.push(selected);
      this.#dropNames.push(false);
    } else if (Labels.compare(selected, this.#first[group]!) < 0) {
      this.#first[group] = selected;
    }
    // without delayed removal they are gone already
    if (dropName && this.#execution.features.delayedNameRemoval) this.#dropNames[group] = true;
    return group;
  }

  answer(group: number, unit: number): PartialGroup {
    const { pairs } = this.#labels[group]!;
    return { pairs, first: this.#first[group]!.pairs, dropName: this.#dropNames[group]!, unit };
  }
}

type Columns = Pick<PartialAggregation, 'counts' | 'values' | 'lost' | 'magnitudes'>;

/** The columns of an aggregation, which grow with the groups that are found. */
interface Cells {
  readonly cellBytes: number;
  grow(cells: number, groups: number): void;
  add(row: Row, group: number): void;
  /** The power of two that the finite addends of a group are multiples of. */
  unit(group: number): number;
  /** Those of the first cells. @throws NeedsWhole */
  columns(cells: number): Columns;
}

class CountCells implements Cells {
  readonly cellBytes = 8;
  #counts = NONE;

  grow(cells: number): void {
    this.#counts = grown(this.#counts, cells);
  }

  add(row: Row, group: number): void {
    const at = group * row.steps;
    for (let step = 0; step < row.steps; step++) if (row.present[step] !== ABSENT) this.#counts[at + step]!++;
  }

  unit(): number {
    return 1;
  }

  columns(cells: number): Columns {
    return { counts: cut(this.#counts, cells), values: NONE, lost: NONE, magnitudes: NONE };
  }
}

/** Cells with zeros of both signs after which nothing larger is waited for. */
const MIXED_MAX = 1000;

/** A NaN gives way to any number; which of a zero and a negative one comes first is not known. */
class ExtremeCells implements Cells {
  readonly cellBytes = 16;
  readonly #sign: 1 | -1;
  readonly #ignore: () => void;
  #counts = NONE;
  #best = NONE;
  /** Cells whose extreme is a zero of either sign. */
  readonly #mixed = new Set<number>();

  constructor(sign: 1 | -1, ignore: () => void) {
    this.#sign = sign;
    this.#ignore = ignore;
  }

  grow(cells: number): void {
    this.#counts = grown(this.#counts, cells);
    this.#best = grown(this.#best, cells);
  }

  add(row: Row, group: number): void {
    if (row.histogramCount > 0) this.#ignore();
    const counts = this.#counts;
    const best = this.#best;
    const sign = this.#sign;
    const at = group * row.steps;
    for (let step = 0; step < row.steps; step++) {
      if (row.present[step] !== FLOAT_POINT) continue;
      const cell = at + step;
      const value = row.values[step]!;
      const before = best[cell]!;
      if (counts[cell] === 0 || value * sign > before * sign || Number.isNaN(before)) {
        best[cell] = value;
        if (this.#mixed.size > 0) this.#mixed.delete(cell);
      } else if (value === 0 && before === 0 && !Object.is(value, before)) {
        this.#mixed.add(cell);
        if (this.#mixed.size > MIXED_MAX) throw new NeedsWhole('zeros');
      }
      counts[cell]!++;
    }
  }

  unit(): number {
    return 1;
  }

  columns(cells: number): Columns {
    if (this.#mixed.size > 0) throw new NeedsWhole('zeros');
    return { counts: cut(this.#counts, cells), values: cut(this.#best, cells), lost: NONE, magnitudes: NONE };
  }
}

class SumCells implements Cells {
  readonly cellBytes = 32;
  #counts = NONE;
  #sums = NONE;
  #lost = NONE;
  #magnitudes = NONE;
  /** By group. */
  #units = NONE;

  grow(cells: number, groups: number): void {
    this.#counts = grown(this.#counts, cells);
    this.#sums = grown(this.#sums, cells);
    this.#lost = grown(this.#lost, cells);
    this.#magnitudes = grown(this.#magnitudes, cells);
    this.#units = grown(this.#units, groups).fill(1, this.#units.length);
  }

  add(row: Row, group: number): void {
    if (row.histogramCount > 0) throw new NeedsWhole('histograms');
    const counts = this.#counts;
    const sums = this.#sums;
    const lost = this.#lost;
    const magnitudes = this.#magnitudes;
    let unit = this.#units[group]!;
    let scale = 1 / unit;
    const at = group * row.steps;
    for (let step = 0; step < row.steps; step++) {
      if (row.present[step] === ABSENT) continue;
      const value = row.values[step]!;
      const cell = at + step;
      counts[cell]!++;
      const sum = sums[cell]!;
      const next = sum + value;
      sums[cell] = next;
      if (next - next !== 0) {
        // as the engine has it; magnitudes are of what is finite
        lost[cell] = 0;
        if (value - value === 0) magnitudes[cell]! += Math.abs(value);
        continue;
      }
      const taken = next - sum;
      lost[cell]! += sum - (next - taken) + (value - taken);
      magnitudes[cell]! += Math.abs(value);
      const scaled = value * scale;
      if (Math.floor(scaled) !== scaled) {
        unit = Math.min(unit, unitOf(value));
        scale = 1 / unit;
      }
    }
    this.#units[group] = unit;
  }

  unit(group: number): number {
    return this.#units[group]!;
  }

  columns(cells: number): Columns {
    return {
      counts: cut(this.#counts, cells),
      values: cut(this.#sums, cells),
      lost: cut(this.#lost, cells),
      magnitudes: cut(this.#magnitudes, cells),
    };
  }
}

function cellsOf(op: MergeableOp, ignore: () => void): Cells {
  switch (op) {
    case 'sum':
    case 'avg':
      return new SumCells();
    case 'min':
      return new ExtremeCells(-1, ignore);
    case 'max':
      return new ExtremeCells(1, ignore);
    case 'count':
    case 'group':
      return new CountCells();
  }
}

function grown(column: Float64Array, capacity: number): Float64Array {
  const larger = new Float64Array(capacity);
  larger.set(column);
  return larger;
}

function cut(column: Float64Array, cells: number): Float64Array {
  return column.length === cells ? column : column.slice(0, cells);
}

/** All finite doubles are multiples of it. */
const UNIT_LEAST = Number.MIN_VALUE;

/** The largest power of two that a finite value other than 0 is a multiple of. */
function unitOf(value: number): number {
  const low = lowWord(value);
  const high = highWord(value);
  const exponent = (high >>> 20) & 2047;
  // powers below the normal ones have no inverse
  if (exponent <= 64) return UNIT_LEAST;
  const zeros = low !== 0 ? trailingZeros(low) : 32 + trailingZeros((high & 0xfffff) | 0x100000);
  return 2 ** (exponent - 1075 + zeros);
}

function trailingZeros(word: number): number {
  return 31 - Math.clz32(word & -word);
}
