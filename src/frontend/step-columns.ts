import type { QueryNotes, ResultSeries } from '../contract/query.ts';
import type { Turns } from '../lib/turns.ts';

/** Series that are joined without a look at the clock. */
const SERIES_BETWEEN = 64;

/** Some of a query's steps, answered. */
export interface Steps {
  /** Ascending by labels. */
  readonly series: readonly ResultSeries[];
  readonly notes: QueryNotes;
}

/** The labels of an answer's series, ascending. Those of several answers are one object where they are known to be equal. */
export interface LabelList {
  /** name, value, … of each series. */
  readonly pairs: readonly (readonly string[])[];
}

/** Points of floats, those of one series behind those of another. */
export interface StepColumns {
  readonly labels: LabelList;
  /** Where the points of each series end. */
  readonly ends: Uint32Array;
  readonly values: Float64Array;
  /** Times that several series have in common, and which of them each has. */
  readonly times: readonly Float64Array[];
  readonly timesOf: Uint32Array;
}

/** Steps that are kept as columns: no series is an object of its own until somebody asks for it. */
export class ColumnSteps implements Steps {
  readonly columns: StepColumns;
  readonly notes: QueryNotes;
  #series: readonly ResultSeries[] | undefined;

  constructor(columns: StepColumns, notes: QueryNotes) {
    this.columns = columns;
    this.notes = notes;
  }

  get series(): readonly ResultSeries[] {
    const { labels, ends, values, times, timesOf } = this.columns;
    this.#series ??= labels.pairs.map((pairs, i) => ({
      pairs,
      times: times[timesOf[i]!]!,
      values: values.subarray(i === 0 ? 0 : ends[i - 1]!, ends[i]!),
      histograms: undefined,
    }));
    return this.#series;
  }
}

/** Points of all series. */
export function pointsOf(steps: Steps): number {
  if (steps instanceof ColumnSteps) return steps.columns.values.length;
  return steps.series.reduce((sum, { times }) => sum + times.length, 0);
}

export function seriesCountOf(steps: Steps): number {
  return steps instanceof ColumnSteps ? steps.columns.ends.length : steps.series.length;
}

/** The series as columns; undefined where any has histograms. */
export function columnsOf(series: readonly ResultSeries[]): StepColumns | undefined {
  const ends = new Uint32Array(series.length);
  const timesOf = new Uint32Array(series.length);
  const times: Float64Array[] = [];
  let count = 0;
  for (const [i, each] of series.entries()) {
    if (each.histograms !== undefined) return undefined;
    count += each.values.length;
    ends[i] = count;
    const last = times.at(-1);
    if (last === undefined || !haveEqualTimes(last, each.times)) times.push(each.times);
    timesOf[i] = times.length - 1;
  }
  const values = new Float64Array(count);
  for (const [i, each] of series.entries()) values.set(each.values, i === 0 ? 0 : ends[i - 1]!);
  return { labels: { pairs: series.map(({ pairs }) => pairs) }, ends, values, times, timesOf };
}

function haveEqualTimes(a: Float64Array, b: Float64Array): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/**
 * Steps in a row as one, series by series in their places; undefined where the parts have not all the same series, or histograms.
 *
 * @param allTimes shared by all series that have a point at every step
 * @param turns asked now and then whether others should have theirs
 */
export async function joinColumns(
  parts: readonly Steps[],
  allTimes: Float64Array,
  turns: Turns,
): Promise<readonly ResultSeries[] | undefined> {
  const first = parts.find((part) => part instanceof ColumnSteps);
  if (first === undefined) return undefined;
  const { labels } = first.columns;
  const all: StepColumns[] = [];
  for (const part of parts) {
    const columns = part instanceof ColumnSteps ? part.columns : sameSeries(part, labels);
    if (columns === undefined || columns.labels !== labels) return undefined;
    all.push(columns);
  }
  const values = new Float64Array(all.reduce((sum, columns) => sum + columns.values.length, 0));
  const joined: ResultSeries[] = [];
  let at = 0;
  for (const [i, pairs] of labels.pairs.entries()) {
    if (i % SERIES_BETWEEN === 0 && turns.due) await turns.pause();
    const from = at;
    for (const { ends, values: own } of all) {
      const start = i === 0 ? 0 : ends[i - 1]!;
      const end = ends[i]!;
      values.set(own.subarray(start, end), at);
      at += end - start;
    }
    const count = at - from;
    const times = count === allTimes.length ? allTimes : joinedTimes(all, i, count);
    joined.push({ pairs, times, values: values.subarray(from, at), histograms: undefined });
  }
  return joined;
}

function joinedTimes(all: readonly StepColumns[], i: number, count: number): Float64Array {
  const joined = new Float64Array(count);
  let at = 0;
  for (const { times, timesOf } of all) {
    const own = times[timesOf[i]!]!;
    joined.set(own, at);
    at += own.length;
  }
  return joined;
}

/** Steps whose series are those of a list, as columns of that list. */
function sameSeries({ series }: Steps, labels: LabelList): StepColumns | undefined {
  const { pairs } = labels;
  if (series.length !== pairs.length) return undefined;
  for (const [i, each] of series.entries()) if (!haveEqualPairs(each.pairs, pairs[i]!)) return undefined;
  const columns = columnsOf(series);
  return columns && { ...columns, labels };
}

function haveEqualPairs(a: readonly string[], b: readonly string[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
