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
  readonly #op: MergeableOp;
  readonly #steps: number;
  readonly #groups: Groups;
  readonly #cells: Cells;
  readonly #row: Row;
  readonly #dropsNames: boolean;
  #heldBytes = 0;
  /** The first series whose name is dropped. */
  #named: Labels | undefined;

  constructor(execution: Execution, { node, dropsNames }: AggregatedSeries) {
    const { steps } = node.grid;
    this.#execution = execution;
    this.#op = node.op;
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
    const grewBytes = this.#cells.reserve(this.#groups.count * this.#steps, this.#groups.count);
    this.#heldBytes += grewBytes;
    execution.hold(0, grewBytes);
    for (let i = 0; i < outputs.length; i++) {
      if (execution.due) await execution.breathe();
      operator.row(i, this.#row);
      if (this.#row.filled > 0) this.#cells.add(this.#row, groupOf[i]!);
    }
  }

  /** @throws NeedsWhole */
  finish(): PartialColumns {
    const { labels } = this.#groups;
    const cells = labels.length * this.#steps;
    const { counts, values, lost, magnitudes } = this.#cells.columns(cells);
    const isSum = this.#op === 'sum' || this.#op === 'avg';
    const hasValues = this.#op !== 'count' && this.#op !== 'group';
    let points = 0;
    for (const count of counts) if (count > 0) points++;
    this.#execution.hold(points, 0);
    this.#execution.stats.atPeak(points);
    return {
      groups: labels.map((own, group) => this.#groups.answer(group, own, isSum ? this.#cells.unit(group) : 1)),
      counts,
      values: hasValues ? values : NONE,
      lost: isSum ? lost : NONE,
      magnitudes: isSum ? magnitudes : NONE,
      dropped: this.#named && JSON.stringify(RESERVED.map((name) => this.#named!.get(name))),
    };
  }

  /** Where nothing comes of it. */
  close(): void {
    this.#execution.hold(0, -this.#heldBytes - this.#groups.heldBytes);
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
  readonly labels: Labels[] = [];
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
    return this.labels.length;
  }

  of(selected: Labels, { labels, dropName }: OutputSeries): number {
    const group = this.#without
      ? this.#found.ofKey(this.#project(labels).key)
      : this.#found.ofValues(labels, this.#names);
    if (group === this.labels.length) {
      const own = this.#project(labels);
      this.heldBytes += this.#execution.holdGroup(own, selected);
      this.labels.push(own);
      this.#first.push(selected);
      this.#dropNames.push(false);
    } else if (Labels.compare(selected, this.#first[group]!) < 0) {
      this.#first[group] = selected;
    }
    // without delayed removal they are gone already
    if (dropName && this.#execution.features.delayedNameRemoval) this.#dropNames[group] = true;
    return group;
  }

  answer(group: number, { pairs }: Labels, unit: number): PartialGroup {
    return { pairs, first: this.#first[group]!.pairs, dropName: this.#dropNames[group]!, unit };
  }
}

/** The columns of an aggregation, which grow with the groups that are found. */
abstract class Cells {
  protected counts = NONE;
  protected values = NONE;
  protected lost = NONE;
  protected magnitudes = NONE;
  #capacity = 0;

  abstract add(row: Row, group: number): void;

  /** The power of two that the finite addends of a group are multiples of. */
  unit(_group: number): number {
    return 1;
  }

  /** Makes room. @returns the bytes by which the columns grew */
  reserve(cells: number, _groups: number): number {
    if (cells <= this.#capacity) return 0;
    const before = this.#capacity;
    this.#capacity = Math.max(cells, before === 0 ? 0 : 2 * before);
    return (this.#capacity - before) * this.grow(this.#capacity);
  }

  /** @returns bytes of a cell */
  protected grow(capacity: number): number {
    this.counts = grown(this.counts, capacity);
    return 8;
  }

  /** Cut to exactly so many cells. */
  columns(cells: number) {
    const of = (column: Float64Array) => (column.length === cells ? column : column.slice(0, cells));
    return { counts: of(this.counts), values: of(this.values), lost: of(this.lost), magnitudes: of(this.magnitudes) };
  }
}

class CountCells extends Cells {
  add(row: Row, group: number): void {
    const at = group * row.steps;
    for (let step = 0; step < row.steps; step++) if (row.present[step] !== ABSENT) this.counts[at + step]!++;
  }
}

/** A NaN gives way to any number; which of a zero and a negative one comes first is not known. */
class ExtremeCells extends Cells {
  readonly #sign: 1 | -1;
  readonly #ignore: () => void;
  /** Cells whose extreme is a zero of either sign. */
  readonly #mixed = new Set<number>();

  constructor(sign: 1 | -1, ignore: () => void) {
    super();
    this.#sign = sign;
    this.#ignore = ignore;
  }

  protected override grow(capacity: number): number {
    this.values = grown(this.values, capacity);
    return super.grow(capacity) + 8;
  }

  add(row: Row, group: number): void {
    if (row.histogramCount > 0) this.#ignore();
    const { counts, values: best } = this;
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
      } else if (value === 0 && before === 0 && !Object.is(value, before)) this.#mixed.add(cell);
      counts[cell]!++;
    }
  }

  override columns(cells: number) {
    if (this.#mixed.size > 0) throw new NeedsWhole('zeros');
    return super.columns(cells);
  }
}

class SumCells extends Cells {
  /** By group. */
  #units = NONE;

  protected override grow(capacity: number): number {
    this.values = grown(this.values, capacity);
    this.lost = grown(this.lost, capacity);
    this.magnitudes = grown(this.magnitudes, capacity);
    return super.grow(capacity) + 24;
  }

  override reserve(cells: number, groups: number): number {
    const before = this.#units.length;
    let bytes = 0;
    if (groups > before) {
      this.#units = grown(this.#units, Math.max(groups, 2 * before)).fill(1, before);
      bytes = 8 * (this.#units.length - before);
    }
    return super.reserve(cells, groups) + bytes;
  }

  override unit(group: number): number {
    return this.#units[group]!;
  }

  add(row: Row, group: number): void {
    if (row.histogramCount > 0) throw new NeedsWhole('histograms');
    const { counts, values: sums, lost, magnitudes } = this;
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
