import { Pacer } from '../../lib/pacer.ts';
import { sortInTurns } from '../../lib/sort-in-turns.ts';
import { nextTurn } from '../../lib/turn.ts';
import { queryErrors } from '../../model/errors-query.ts';
import type { Labels } from '../../model/labels.ts';
import { SampleColumns } from '../../storage/columns.ts';
import type { Queryable, QueryContext } from '../../storage/queryable.ts';
import type { Annotations } from '../annotations.ts';
import { checkSteps } from '../plan/size.ts';
import { type Operator, type OutputSeries, Row, RowSlabs, RowTable, rowBytes } from '../row/row.ts';
import { type RowKernel, RowMemory } from '../row/row-memory.ts';
import type { SampleStats } from '../stats.ts';

/** Switches of the engine that change what a query answers. */
export interface Features {
  readonly delayedNameRemoval: boolean;
  readonly startTimestamps: boolean;
  readonly typeAndUnitLabels: boolean;
}

/** Work between two looks at the clock may take so long. */
const SLICE_MS = 10;

/** Memory of a time and a float. */
const SAMPLE_BYTES = 16;

/** Memory of a label set beside its characters: the object, its list, its place in a map. */
const LABELS_BYTES = 160;
/** Memory of a label's place in its set. */
const LABEL_BYTES = 16;
/** A made label set may have so many times the characters of one label value. */
const LABEL_SET_VALUES = 16;

/** Series that are looked at without a look at the clock. */
const SERIES_BETWEEN = 1024;

/** An `OutputSeries` and its place in a list. */
const OUTPUT_SERIES_BYTES = 40;

/** Two bytes for each character of the key. */
function labelSetBytes(labels: number, chars: number): number {
  return LABELS_BYTES + LABEL_BYTES * labels + 2 * chars;
}

/** The state that all parts of one running query share. */
export class Execution {
  readonly queryable: Queryable;
  readonly context: QueryContext;
  readonly annotations: Annotations;
  readonly features: Features;
  /** The steps are pieces of one window, to be put together (`WholeQuery.windows`). */
  readonly areWindows: boolean;
  readonly lookbackMs: number;
  readonly stats: SampleStats;
  readonly memory: RowMemory;
  /** Whether sources are asked for rows in place of samples. */
  readonly rowPrograms: boolean;
  readonly #samplesMax: number;
  readonly #labelValueCharsMax: number;
  readonly #timeoutMs: number;
  readonly #nowMs: () => number;
  readonly #startedMs: number;
  readonly #pacer: Pacer;
  #heldBytes = 0;
  /** Steps of all parts. */
  #steps = 0;
  /** Points. */
  #held = 0;

  constructor(init: {
    queryable: Queryable;
    context: QueryContext;
    annotations: Annotations;
    features: Features;
    areWindows: boolean;
    lookbackMs: number;
    stats: SampleStats;
    samplesMax: number;
    labelValueCharsMax: number;
    timeoutMs: number;
    nowMs: () => number;
    rowKernel: RowKernel | undefined;
    rowPrograms: boolean;
  }) {
    this.queryable = init.queryable;
    this.context = init.context;
    this.annotations = init.annotations;
    this.features = init.features;
    this.areWindows = init.areWindows;
    this.lookbackMs = init.lookbackMs;
    this.stats = init.stats;
    this.memory = new RowMemory(init.rowKernel);
    // samples of single steps are only counted where they are seen
    this.rowPrograms = init.rowPrograms && init.stats.perStep === undefined;
    this.#samplesMax = init.samplesMax;
    this.#labelValueCharsMax = init.labelValueCharsMax;
    this.#timeoutMs = init.timeoutMs;
    this.#nowMs = init.nowMs;
    this.#startedMs = init.nowMs();
    const turn = () => init.context.turn?.() ?? nextTurn();
    this.#pacer = new Pacer({ monotonicMs: init.nowMs, turn }, { sliceMs: SLICE_MS });
  }

  get nowMs(): number {
    return this.#nowMs();
  }

  /** For what others do for the query with turns in between. */
  get turns(): { readonly due: boolean; pause(): Promise<void> } {
    const execution = this;
    return {
      get due() {
        return execution.due;
      },
      pause: () => execution.breathe(),
    };
  }

  /** Whether it is time to `breathe`. Cheap enough for every series, not for every step. */
  get due(): boolean {
    return this.#pacer.due;
  }

  /**
   * Whether it is time to `breathe` after `i` things of which each is quick: cheaper than `due`.
   * @param names of labels that each thing has to do with
   */
  dueAfter(i: number, names = 1): boolean {
    const between = names < SERIES_BETWEEN ? Math.ceil(SERIES_BETWEEN / (1 + names)) : 1;
    return i % between === between - 1 && this.due;
  }

  /** Lets others run, and sees whether the query was cancelled or is out of time. */
  async breathe(): Promise<void> {
    this.check();
    await this.#pacer.pause();
    this.check();
  }

  /** Cheap; for within long loops, where a cancellation cannot be heard but the time still runs out. */
  check(): void {
    if (this.context.signal.aborted) throw queryErrors.queryCanceled({});
    if (this.#nowMs() - this.#startedMs > this.#timeoutMs)
      throw queryErrors.queryTimedOut({ limitMs: this.#timeoutMs });
  }

  /** Sees that a part of the query with so many steps can be evaluated at all, and accounts for its row. */
  admit(steps: number): void {
    if (steps > this.#samplesMax) throw queryErrors.queryTooManySamples({ limit: this.#samplesMax });
    this.#steps += steps;
    checkSteps(this.#steps);
    this.hold(0, rowBytes(steps));
  }

  /** Accounts for points that are kept until `release`. */
  hold(points: number, bytes: number): void {
    this.#held += points;
    this.#heldBytes += bytes;
    this.context.budget.addMemory(bytes);
    if (this.#held > this.#samplesMax) throw queryErrors.queryTooManySamples({ limit: this.#samplesMax });
  }

  /** Accounts for a label that `labels` get, before it is made: its value, and a set with a key of its own. */
  readonly admitLabel = (labels: Labels, name: string, chars: number): void => {
    const limit = this.#labelValueCharsMax;
    if (chars > limit) throw queryErrors.queryLabelTooLong({ name, chars, limit });
    const setChars = labels.chars + name.length + chars;
    if (setChars > LABEL_SET_VALUES * limit) {
      throw queryErrors.queryLabelsTooLong({ chars: setChars, limit: LABEL_SET_VALUES * limit });
    }
    this.hold(0, 2 * chars + labelSetBytes(labels.size + 1, setChars));
  };

  /** Accounts for labels that `labels` get and share with others. */
  admitLabels(labels: Labels, count: number, chars: number): void {
    const setChars = labels.chars + chars;
    const limit = LABEL_SET_VALUES * this.#labelValueCharsMax;
    if (setChars > limit) throw queryErrors.queryLabelsTooLong({ chars: setChars, limit });
    this.hold(0, labelSetBytes(labels.size + count, setChars));
  }

  /** Accounts for a label set that shares its values with others. */
  holdLabels(labels: Labels): void {
    this.hold(0, labelSetBytes(labels.size, labels.chars));
  }

  /** Accounts for what an operator keeps for each series, beside labels and rows. */
  holdSeries(count: number): void {
    this.hold(0, count * OUTPUT_SERIES_BYTES);
  }

  /** Accounts for the labels of a group and those of its first series, and answers their bytes. */
  holdGroup(labels: Labels, first: Labels): number {
    const bytes = labelSetBytes(labels.size, labels.chars) + labelSetBytes(first.size, first.chars);
    this.hold(0, bytes);
    return bytes;
  }

  /** In turns with others. */
  sorted<T>(items: readonly T[], compare: (a: T, b: T) => number): Promise<readonly T[]> {
    return sortInTurns(this.turns, items, compare);
  }

  /** Accounts for a row that is kept, with its histograms. */
  holdRow(row: Row): void {
    const weight = row.histogramWeight;
    this.hold(row.filled - row.histogramCount + weight, rowBytes(row.steps) + SAMPLE_BYTES * weight);
  }

  /** Accounts for points of a result: times and values. */
  holdPoints(points: number): void {
    this.hold(points, SAMPLE_BYTES * points);
  }

  /** Sees that so many samples more, held for one series only, are not too many. */
  pass(samples: number): void {
    if (this.#held + samples > this.#samplesMax) throw queryErrors.queryTooManySamples({ limit: this.#samplesMax });
  }

  close(): void {
    this.memory.close();
    this.context.budget.addMemory(-this.#heldBytes);
    this.#heldBytes = 0;
  }

  /** A row that one series after another is put into, for hot loops to work on. */
  passingRow(steps: number): Row {
    return new Row(steps, this.memory.floats(steps));
  }

  /** Columns that one series after another is read into. */
  passingColumns(): SampleColumns {
    return new SampleColumns(undefined, (count) => this.memory.floats(count));
  }

  fail(text: string): never {
    throw queryErrors.queryFailed({ text });
  }

  /** The labels that a result without its metric name has now; with delayed removal only a mark is set. */
  withoutName({ labels, dropName }: OutputSeries): OutputSeries {
    if (this.features.delayedNameRemoval) return dropName ? { labels, dropName } : { labels, dropName: true };
    return { labels: labels.dropReserved(), dropName: true };
  }

  /** Every row of `input`, kept; series without any point are left out. */
  keep(input: Operator): Promise<RowTable> {
    return this.#keep(input, false);
  }

  /** Makes rows for what there is to say of them only. */
  async drain(input: Operator, indexes: Iterable<number> = input.series.keys()): Promise<void> {
    if (input instanceof RowTable) return;
    const row = new Row(input.steps);
    for (const index of indexes) {
      if (this.due) await this.breathe();
      input.row(index, row);
    }
  }

  /** Every row of `input`, kept under its index. */
  keepAll(input: Operator): Promise<RowTable> {
    return this.#keep(input, true);
  }

  async #keep(input: Operator, empty: boolean): Promise<RowTable> {
    if (input instanceof RowTable) return input;
    const series: OutputSeries[] = [];
    const rows: Row[] = [];
    const slabs = new RowSlabs(input.steps, input.series.length);
    let row = slabs.row();
    for (let i = 0; i < input.series.length; i++) {
      if (this.due) await this.breathe();
      input.row(i, row);
      if (row.filled === 0 && !empty) continue;
      this.holdRow(row);
      series.push(input.series[i]!);
      rows.push(row);
      row = slabs.row();
    }
    return new RowTable(input.steps, series, rows);
  }
}
