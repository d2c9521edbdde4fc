import type { NoteList, QueryResult, QueryStatistics, RangeRequest, ResultSeries } from '../contract/query.ts';
import { sortInTurns } from '../lib/sort-in-turns.ts';
import type { Turns } from '../lib/turns.ts';
import { Labels } from '../model/labels.ts';
import { addedCounts } from '../promql/add-statistics.ts';
import { Annotations } from '../promql/annotations.ts';
import { positionsIn } from '../promql/position.ts';
import { joinColumns, type Steps } from './step-columns.ts';

/** Series that are merged without a look at the clock. */
const SERIES_BETWEEN = 256;

/** Whether there is anything to say of the steps. */
export function isNoted({ notes: { storage, warnings, infos } }: Steps): boolean {
  const isEmpty = (list: NoteList) => list.notes.length === 0 && list.omitted === 0;
  return storage.length > 0 || !isEmpty(warnings) || !isEmpty(infos);
}

export type Grid = Pick<RangeRequest, 'startMs' | 'endMs' | 'stepMs'>;

/** The steps of a part's answer. */
export function stepsOf({ value, notes }: QueryResult): Steps {
  if (value.type !== 'matrix' || notes === undefined) throw new Error('bug: not the answer of some steps');
  return { series: value.series, notes };
}

/**
 * Steps in a row, as one.
 *
 * @param grid of all of them
 * @param parts ascending by time, each with steps that the others have not
 * @param turns asked now and then whether others should have theirs
 */
export async function joinSteps(grid: Grid, parts: readonly Steps[], turns: Turns): Promise<Steps> {
  const series = await mergedSeries(grid, parts, turns);
  return { series, ...joinNotes(parts) };
}

/** Notes of several parts of a query, as one. */
export function joinNotes(parts: readonly Steps[]): Pick<Steps, 'notes'> {
  const annotations = new Annotations();
  for (const { notes } of parts) annotations.absorb(notes);
  return { notes: annotations.plain() };
}

/** The same steps as the answer of a query. */
export function resultOfSteps(expr: string, { series, notes }: Steps) {
  const annotations = new Annotations();
  annotations.absorb(notes);
  const positionAt = positionsIn(expr);
  const texts = annotations.strings(({ start, unplaced }) => positionAt(unplaced ? 0 : start));
  return { value: { type: 'matrix', series } as const, ...texts };
}

/** The points of a series, a piece from each part that has any. */
interface Pieces {
  readonly labels: Labels;
  readonly pieces: ResultSeries[];
}

async function mergedSeries(
  { startMs, endMs, stepMs }: Grid,
  parts: readonly Steps[],
  turns: Turns,
): Promise<readonly ResultSeries[]> {
  const steps = Math.floor((endMs - startMs) / stepMs) + 1;
  const allTimes = new Float64Array(steps);
  for (let step = 0; step < steps; step++) allTimes[step] = startMs + step * stepMs;
  const inPlaces = await joinColumns(parts, allTimes, turns);
  if (inPlaces !== undefined) return inPlaces;
  const found = await piecesOf(parts, turns);
  const ordered = await sortInTurns(turns, found, (a, b) => Labels.compare(a.labels, b.labels));
  const series: ResultSeries[] = [];
  for (const [i, { labels, pieces }] of ordered.entries()) {
    if (i % SERIES_BETWEEN === 0 && turns.due) await turns.pause();
    series.push(joined(labels, pieces, allTimes));
  }
  return series;
}

async function piecesOf(parts: readonly Steps[], turns: Turns): Promise<Pieces[]> {
  const byKey = new Map<string, Pieces>();
  let count = 0;
  for (const part of parts) {
    for (const series of part.series) {
      if (++count % SERIES_BETWEEN === 0 && turns.due) await turns.pause();
      const labels = Labels.fromSortedPairs(series.pairs);
      const known = byKey.get(labels.key);
      if (known === undefined) byKey.set(labels.key, { labels, pieces: [series] });
      else known.pieces.push(series);
    }
  }
  return [...byKey.values()];
}

/** @param allTimes shared by all series that have a point at every step */
function joined({ pairs }: Labels, pieces: readonly ResultSeries[], allTimes: Float64Array): ResultSeries {
  const count = pieces.reduce((sum, { times }) => sum + times.length, 0);
  const isFull = count === allTimes.length;
  const times = isFull ? allTimes : new Float64Array(count);
  const values = new Float64Array(count);
  const hasHistograms = pieces.some(({ histograms }) => histograms !== undefined);
  const histograms = hasHistograms ? new Array<ResultHistogram>(count) : undefined;
  let at = 0;
  for (const piece of pieces) {
    if (!isFull) times.set(piece.times, at);
    values.set(piece.values, at);
    piece.histograms?.forEach((histogram, i) => {
      histograms![at + i] = histogram;
    });
    at += piece.times.length;
  }
  return { pairs, times, values, histograms };
}

type ResultHistogram = NonNullable<ResultSeries['histograms']>[number];

/** The cost of all parts together. Windows that two parts look at are counted for both. */
export function addedStatistics(parts: readonly QueryStatistics[]): QueryStatistics {
  const perStep = parts.map(({ totalQueryableSamplesPerStep }) => totalQueryableSamplesPerStep);
  return {
    ...addedCounts(parts),
    evaluatedMs: parts.reduce((total, { evaluatedMs }) => total + evaluatedMs, 0),
    peakSamples: parts.reduce((most, { peakSamples }) => Math.max(most, peakSamples), 0),
    totalQueryableSamplesPerStep:
      parts.length === 0 || perStep.includes(undefined) ? undefined : perStep.flatMap((counts) => [...counts!]),
  };
}
