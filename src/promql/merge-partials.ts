import type {
  PartialAggregation,
  PartialResult,
  PartialSteps,
  QueryExplanation,
  QueryNotes,
  QueryResult,
  QueryStatistics,
  QueryValue,
  ResultSeries,
  VectorColumns,
  WholeNeeded,
  WholeReason,
} from '../contract/query.ts';
import { ExactSum } from '../lib/exact-sum.ts';
import { sortInTurns } from '../lib/sort-in-turns.ts';
import type { Turns } from '../lib/turns.ts';
import { Labels } from '../model/labels.ts';
import { addedCounts } from './add-statistics.ts';
import { Annotations, NOTES_CHARS_MAX, NOTES_MAX } from './annotations.ts';

/** The largest part of a sum that rounding to nearest may take from it. */
const ROUNDING = 2 ** -53;
/** Magnitudes together up to which no sum of some of them overflows. */
const MAGNITUDE_MAX = Number.MAX_VALUE / 4;
/** Cells that are merged without a look at the clock. */
const CELLS_BETWEEN = 1024;

const NEVER: Turns = { due: false, pause: async () => {} };

/**
 * The plain engine's answer, to the last bit, from the answers of all shards of a query; or that it needs the series whole. Why and when
 * that is: docs/decisions/partial-aggregations.md.
 *
 * @param parts one answer of each shard, in any order
 * @param turns asked now and then whether others should have theirs
 */
export async function mergePartials(
  parts: readonly PartialResult[],
  turns: Turns = NEVER,
): Promise<QueryResult | WholeNeeded> {
  const statistics = statisticsOf(parts.map((part) => part.statistics));
  const whole = (reason: WholeReason): WholeNeeded => ({ type: 'whole', reason, statistics });
  const answers: PartialAggregation[] = [];
  for (const part of parts) {
    if (part.type === 'whole') return whole(part.reason);
    answers.push(part);
  }
  const ordered = answers.sort((a, b) => a.shard.index - b.shard.index);
  checkShards(ordered);
  const names = new Set(ordered.flatMap(({ dropped }) => (dropped === undefined ? [] : [dropped])));
  if (names.size > 1) return whole('names');
  const warnings = notesOf(ordered.map((part) => part.warnings));
  const infos = notesOf(ordered.map((part) => part.infos));
  if (warnings === undefined || infos === undefined) return whole('notes');
  const groups = await mergedGroups(ordered, turns);
  if (groups === undefined) return whole('names');
  const value = await mergedValue(ordered, groups, turns);
  if (typeof value === 'string') return whole(value);
  const notes = plainNotesOf(ordered);
  const told = { warnings, infos, ...(notes === undefined ? {} : { notes }) };
  return { value, ...told, statistics, explanation: explanationOf(ordered) };
}

function checkShards(parts: readonly PartialAggregation[]): void {
  const [first] = parts;
  if (first === undefined) throw new Error('bug: no shard has answered');
  for (const [index, { shard, op, steps }] of parts.entries()) {
    const { startMs, stepMs, count, instant } = first.steps;
    const isSame = steps.startMs === startMs && steps.stepMs === stepMs && steps.count === count;
    if (shard.index !== index || shard.count !== parts.length || op !== first.op || !isSame)
      throw new Error('bug: these are not the answers of all shards of one query');
    if (steps.instant !== instant) throw new Error('bug: an instant and a range are merged');
  }
}

interface MergedGroup {
  /** As the answer has them. */
  readonly labels: Labels;
  first: Labels;
  /** The group's number in each part; −1 where it has none. */
  readonly places: Int32Array;
  dropName: boolean;
}

/** Groups in the order of the answer; undefined where some become the same without their names. */
async function mergedGroups(
  parts: readonly PartialAggregation[],
  turns: Turns,
): Promise<readonly MergedGroup[] | undefined> {
  const byKey = new Map<string, MergedGroup>();
  for (const [p, { groups }] of parts.entries()) {
    for (const [g, { pairs, first: firstPairs, dropName }] of groups.entries()) {
      if (g % CELLS_BETWEEN === 0 && turns.due) await turns.pause();
      const labels = Labels.fromSortedPairs(pairs);
      const first = Labels.fromSortedPairs(firstPairs);
      let group = byKey.get(labels.key);
      if (group === undefined) {
        group = { labels, first, places: new Int32Array(parts.length).fill(-1), dropName };
        byKey.set(labels.key, group);
      } else if (Labels.compare(first, group.first) < 0) group.first = first;
      group.places[p] = g;
      group.dropName ||= dropName;
    }
  }
  const groups = [...byKey.values()];
  const named = groups.some(({ dropName }) => dropName) ? withoutNames(groups) : groups;
  if (named === undefined) return undefined;
  const { instant } = parts[0]!.steps;
  return sortInTurns(turns, named, (a, b) =>
    instant ? Labels.compare(a.first, b.first) : Labels.compare(a.labels, b.labels),
  );
}

function withoutNames(groups: readonly MergedGroup[]): readonly MergedGroup[] | undefined {
  const named = groups.map((group) => (group.dropName ? { ...group, labels: group.labels.dropReserved() } : group));
  return new Set(named.map(({ labels }) => labels.key)).size < named.length ? undefined : named;
}

async function mergedValue(
  parts: readonly PartialAggregation[],
  groups: readonly MergedGroup[],
  turns: Turns,
): Promise<QueryValue | WholeReason> {
  const { steps } = parts[0]!;
  const merger = mergerOf(parts);
  const answer = steps.instant ? new InstantAnswer(steps) : new RangeAnswer(steps);
  let cells = 0;
  for (const { labels, places } of groups) {
    for (let step = 0; step < steps.count; step++) {
      if (++cells % CELLS_BETWEEN === 0 && turns.due) await turns.pause();
      const reason = merger.merge(places, step);
      if (reason !== undefined) return reason;
      if (merger.count > 0) answer.add(step, merger.value);
    }
    answer.end(labels);
  }
  return answer.value();
}

class InstantAnswer {
  readonly #steps: PartialSteps;
  readonly #pairs: (readonly string[])[] = [];
  readonly #values: number[] = [];

  constructor(steps: PartialSteps) {
    this.#steps = steps;
  }

  add(_step: number, value: number): void {
    this.#values.push(value);
  }

  end({ pairs }: Labels): void {
    if (this.#values.length > this.#pairs.length) this.#pairs.push(pairs);
  }

  value(): VectorColumns {
    const { startMs: timeMs } = this.#steps;
    const values = Float64Array.from(this.#values);
    return { type: 'vector', timeMs, pairs: this.#pairs, values, histograms: undefined };
  }
}

class RangeAnswer {
  readonly #allTimes: Float64Array;
  readonly #times: Float64Array;
  readonly #values: Float64Array;
  #count = 0;
  readonly #series: ResultSeries[] = [];

  constructor({ startMs, stepMs, count }: PartialSteps) {
    this.#allTimes = Float64Array.from({ length: count }, (_, step) => startMs + step * stepMs);
    this.#times = new Float64Array(count);
    this.#values = new Float64Array(count);
  }

  add(step: number, value: number): void {
    this.#times[this.#count] = this.#allTimes[step]!;
    this.#values[this.#count++] = value;
  }

  end({ pairs }: Labels): void {
    const count = this.#count;
    this.#count = 0;
    if (count === 0) return;
    // series without gaps share their times
    const times = count === this.#allTimes.length ? this.#allTimes : this.#times.slice(0, count);
    this.#series.push({ pairs, times, values: this.#values.slice(0, count), histograms: undefined });
  }

  value(): QueryValue {
    return { type: 'matrix', series: this.#series };
  }
}

/** Merges a cell after another. */
interface CellMerger {
  /** Points of the cell that was merged last; 0: it is absent. */
  readonly count: number;
  readonly value: number;
  /** @returns why not, where it cannot */
  merge(places: Int32Array, step: number): WholeReason | undefined;
}

function mergerOf(parts: readonly PartialAggregation[]): CellMerger {
  switch (parts[0]!.op) {
    case 'sum':
      return new SumMerger(parts, false);
    case 'avg':
      return new SumMerger(parts, true);
    case 'min':
      return new ExtremeMerger(parts, -1);
    case 'max':
      return new ExtremeMerger(parts, 1);
    case 'count':
      return new CountMerger(parts, false);
    case 'group':
      return new CountMerger(parts, true);
  }
}

class CountMerger implements CellMerger {
  readonly #parts: readonly PartialAggregation[];
  readonly #one: boolean;
  count = 0;

  constructor(parts: readonly PartialAggregation[], one: boolean) {
    this.#parts = parts;
    this.#one = one;
  }

  get value(): number {
    return this.#one ? 1 : this.count;
  }

  merge(places: Int32Array, step: number): undefined {
    this.count = 0;
    for (const [p, part] of this.#parts.entries()) {
      if (places[p]! >= 0) this.count += part.counts[places[p]! * part.steps.count + step]!;
    }
  }
}

/** A NaN gives way to any number. */
class ExtremeMerger implements CellMerger {
  readonly #parts: readonly PartialAggregation[];
  readonly #sign: 1 | -1;
  count = 0;
  value = 0;

  constructor(parts: readonly PartialAggregation[], sign: 1 | -1) {
    this.#parts = parts;
    this.#sign = sign;
  }

  merge(places: Int32Array, step: number): WholeReason | undefined {
    const sign = this.#sign;
    let isMixed = false;
    this.count = 0;
    for (const [p, part] of this.#parts.entries()) {
      const cell = places[p]! * part.steps.count + step;
      const count = places[p]! < 0 ? 0 : part.counts[cell]!;
      if (count === 0) continue;
      const value = part.values[cell]!;
      if (this.count === 0 || value * sign > this.value * sign || Number.isNaN(this.value)) {
        this.value = value;
        isMixed = false;
      } else if (value === 0 && this.value === 0 && !Object.is(value, this.value)) isMixed = true;
      this.count += count;
    }
    return isMixed ? 'zeros' : undefined;
  }
}

/**
 * Sums with compensation. The engine's sum and compensation have, as real numbers, the exact sum of the addends together, or miss it by
 * a bounded error; what it answers is both added and rounded. So where all numbers within that error round to the same, that is the
 * answer, in whatever order the engine adds.
 */
class SumMerger implements CellMerger {
  readonly #parts: readonly PartialAggregation[];
  readonly #mean: boolean;
  readonly #sum = new ExactSum();
  count = 0;
  value = 0;

  constructor(parts: readonly PartialAggregation[], mean: boolean) {
    this.#parts = parts;
    this.#mean = mean;
  }

  merge(places: Int32Array, step: number): WholeReason | undefined {
    const parts = this.#parts;
    let count = 0;
    let having = 0;
    let magnitude = 0;
    let unit = 1;
    let simple = 0;
    /** 0 as long as all is finite, then the infinity or NaN. */
    let special = 0;
    for (let p = 0; p < parts.length; p++) {
      const place = places[p]!;
      if (place < 0) continue;
      const part = parts[p]!;
      const cell = place * part.steps.count + step;
      if (part.counts[cell] === 0) continue;
      having++;
      count += part.counts[cell]!;
      magnitude += part.magnitudes[cell]!;
      unit = Math.min(unit, part.groups[place]!.unit);
      const sum = part.values[cell]!;
      simple += sum + part.lost[cell]!;
      if (sum - sum !== 0) special += sum;
    }
    this.count = count;
    if (count === 0) return undefined;
    if (magnitude > MAGNITUDE_MAX) return 'overflow';
    // the finite ones are too small to matter, in whatever order: of infinities with different signs, and of a NaN, the sum is NaN
    if (special !== 0) {
      this.value = special;
      return undefined;
    }
    // no sum is ever rounded, and there is nothing to compensate
    const isPlain = magnitude <= 2 ** 52 * unit;
    // nothing but the exponent changes
    const isDivided = this.#mean && 2 ** Math.round(Math.log2(count)) === count && (unit / count) * count === unit;
    // the engine divides sum and compensation, each by itself: how much is in which of them matters where either quotient is rounded
    if (this.#mean && !isPlain && !isDivided) return 'rounding';
    const error = errorOf(count, magnitude, unit);
    if (error === 0 && (isPlain || having === 1)) this.value = simple;
    else if (!this.#add(places, step, error)) return 'rounding';
    // never a negative zero, as the compensation is added
    if (this.#mean) this.value = this.value / count + 0;
    return undefined;
  }

  /** @returns whether all numbers that miss the sum by at most `error` round to the same */
  #add(places: Int32Array, step: number, error: number): boolean {
    this.#addAll(places, step);
    const sum = this.#sum.rounded();
    this.value = sum;
    if (error === 0) return true;
    this.#sum.add(error);
    const above = this.#sum.rounded();
    this.#sum.add(-2 * error);
    return Object.is(above, sum) && Object.is(this.#sum.rounded(), sum);
  }

  #addAll(places: Int32Array, step: number): void {
    this.#sum.clear();
    for (let p = 0; p < this.#parts.length; p++) {
      const part = this.#parts[p]!;
      const cell = places[p]! * part.steps.count + step;
      if (places[p]! < 0 || part.counts[cell] === 0) continue;
      this.#sum.add(part.values[cell]!);
      this.#sum.add(part.lost[cell]!);
    }
  }
}

/**
 * The most by which the engine's sum and compensation, and those of all parts together, may miss the exact sum. Each addition loses at
 * most ROUNDING of the magnitude so far, and that exactly is added to the compensation: so the compensation is at most `count` × ROUNDING ×
 * `magnitude`, and each of its own additions loses at most ROUNDING of that. All that is ever lost is a multiple of `unit`: while the
 * compensation has less than 2^53 of them, it loses nothing. The factors leave room for the rounding of `magnitude` itself.
 */
function errorOf(count: number, magnitude: number, unit: number): number {
  if (count <= 2 || count * magnitude * ROUNDING <= 2 ** 51 * unit) return 0;
  const lost = 2 * count * ROUNDING * magnitude;
  return 2 * count * ROUNDING * lost + Number.MIN_VALUE;
}

const POSITION = / \(\d+:\d+\)$/;

/** All texts, each once; undefined where one has several positions, or some would have been left out. */
function notesOf(lists: readonly (readonly string[])[]): string[] | undefined {
  const byText = new Map<string, string>();
  let chars = 0;
  for (const note of lists.flat()) {
    const text = note.replace(POSITION, '');
    const known = byText.get(text);
    if (known === undefined) {
      byText.set(text, note);
      chars += text.length;
    } else if (known !== note) return undefined;
  }
  return byText.size > NOTES_MAX || chars > NOTES_CHARS_MAX ? undefined : [...byText.values()];
}

/** Notes as data, where the parts are of some of a query's steps. */
function plainNotesOf(parts: readonly PartialAggregation[]): QueryNotes | undefined {
  const annotations = new Annotations();
  for (const { notes } of parts) {
    if (notes === undefined) return undefined;
    annotations.absorb(notes);
  }
  return annotations.plain();
}

/** Shards run side by side: the time is that of the longest. */
function statisticsOf(parts: readonly QueryStatistics[]): QueryStatistics {
  const perStep = parts.map(({ totalQueryableSamplesPerStep }) => totalQueryableSamplesPerStep);
  return {
    ...addedCounts(parts),
    evaluatedMs: Math.max(0, ...parts.map(({ evaluatedMs }) => evaluatedMs)),
    peakSamples: parts.reduce((total, { peakSamples }) => total + peakSamples, 0),
    totalQueryableSamplesPerStep: perStep[0]?.map(([timeMs], step) => [
      timeMs,
      perStep.reduce((total, steps) => total + (steps?.[step]?.[1] ?? 0), 0),
    ]),
  };
}

/** That of each shard, below a node of their own. */
function explanationOf(parts: readonly PartialAggregation[]): QueryExplanation | undefined {
  const children = parts.flatMap(({ explanation }) => (explanation === undefined ? [] : [explanation]));
  if (children.length === 0) return undefined;
  const { op, steps, groups } = parts[0]!;
  return { what: `merge of ${op}`, steps: steps.count, series: groups.length, points: 0, ms: 0, children };
}
