import type { ClassicBucket } from '../../model/classic-quantile.ts';
import { classicFraction, classicQuantile } from '../../model/classic-quantile.ts';
import type { FloatHistogram } from '../../model/histogram.ts';
import { histogramFraction, histogramQuantile } from '../../model/histogram-quantile.ts';
import type { Labels } from '../../model/labels.ts';
import { type Grid, stepMs } from '../plan/grid.ts';
import type { PosRange } from '../position.ts';
import { FLOAT_POINT, HISTOGRAM_POINT, type Operator, type OutputSeries, Row, RowTable, rowBytes } from '../row/row.ts';
import type { Execution } from './execution.ts';

/** A number that is taken from a histogram, native or classic, at each step. */
export interface HistogramAnswer {
  readonly series: (labels: Labels) => Labels;
  readonly ofNative: (histogram: FloatHistogram, step: number, metricName: string) => number;
  /** @param buckets may be changed */
  readonly ofClassic: (buckets: ClassicBucket[], step: number, metricName: string) => number;
  /**
   * The answer for a classic histogram without gaps whose bounds ascend to +Inf. Bucket i at `step` is `counts[i]![step]`.
   * `undefined` where `ofClassic` must look.
   */
  readonly ofRows:
    | ((bounds: Float64Array, counts: readonly Float64Array[], step: number) => number | undefined)
    | undefined;
}

/** `histogram_quantile(φ, …)`. */
export function quantileAnswer(execution: Execution, q: Row, notes: HistogramNotes): HistogramAnswer {
  const { annotations } = execution;
  return {
    series: (labels) => labels,
    ofNative: (histogram, step, metricName) => {
      const { value, nans } = histogramQuantile(q.values[step]!, histogram);
      if (nans === 'skew') annotations.quantileNaNSkew(metricName, notes.nativePos);
      if (nans === 'result') annotations.quantileNaNResult(metricName, notes.nativePos);
      return value;
    },
    ofClassic: (buckets, step, metricName) => {
      const { value, forced } = classicQuantile(q.values[step]!, buckets);
      if (forced !== undefined) {
        annotations.forcedMonotonicity(
          execution.features.delayedNameRemoval ? metricName : '',
          notes.classicPos,
          stepMs(notes.grid, step),
          { minBucket: forced.minBound, maxBucket: forced.maxBound, maxDiff: forced.maxDifference },
        );
      }
      return value;
    },
    ofRows: (bounds, counts, step) => quantileOfRows(q.values[step]!, bounds, counts, step),
  };
}

/** `histogram_fraction(lower, upper, …)`. */
export function fractionAnswer(execution: Execution, lower: Row, upper: Row, notes: HistogramNotes): HistogramAnswer {
  return {
    series: (labels) => labels,
    ofNative: (histogram, step, metricName) => {
      const { value, nans } = histogramFraction(lower.values[step]!, upper.values[step]!, histogram);
      if (nans !== 'none') execution.annotations.fractionNaNs(metricName, notes.nativePos);
      return value;
    },
    ofClassic: (buckets, step) => classicFraction(lower.values[step]!, upper.values[step]!, buckets),
    ofRows: undefined,
  };
}

/** Where a function's notes point. */
export interface HistogramNotes {
  readonly grid: Grid;
  readonly nativePos: PosRange;
  readonly classicPos: PosRange;
}

/** A classic histogram: its bucket series, ascending by bound. */
interface ClassicHistogram {
  readonly labels: Labels;
  readonly buckets: { readonly bound: number; readonly series: number }[];
}

const WITHOUT_BOUND: ReadonlySet<string> = new Set(['le']);

/**
 * Takes a number from each histogram of `input`: native ones, and classic ones whose buckets are series with `le`. The rows of
 * one classic histogram are read together; rows of `input` are read once, or twice where both kinds have the same labels.
 */
export async function histogramFunction(
  execution: Execution,
  input: Operator,
  inputPos: PosRange,
  answers: readonly HistogramAnswer[],
): Promise<Operator> {
  const { steps } = input;
  const { annotations, features } = execution;
  const nameOf = (labels: Labels): string => (features.delayedNameRemoval ? labels.metricName : '');
  const table = await execution.keep(input);

  const classics = new Map<string, ClassicHistogram>();
  const natives: number[] = [];
  for (let i = 0; i < table.series.length; i++) {
    if (execution.dueAfter(i)) await execution.breathe();
    const row = table.rowAt(i);
    const { labels } = table.series[i]!;
    if (row.histogramCount > 0) natives.push(i);
    if (row.filled === row.histogramCount) continue;
    const le = labels.get('le');
    const bound = parseBound(le);
    if (bound === undefined) {
      annotations.badBucketLabel(nameOf(labels), le, inputPos);
      continue;
    }
    const own = labels.drop(WITHOUT_BOUND);
    let classic = classics.get(own.key);
    if (classic === undefined) {
      classic = { labels: own, buckets: [] };
      classics.set(own.key, classic);
    }
    classic.buckets.push({ bound, series: i });
  }
  for (const { buckets } of classics.values()) buckets.sort((a, b) => a.bound - b.bound);

  /** Steps at which a native histogram and a classic one of the same labels both are: neither is looked at. */
  const conflicts = new Map<string, Uint8Array>();
  for (const i of natives) {
    const { labels } = table.series[i]!;
    const classic = classics.get(labels.key);
    if (classic === undefined) continue;
    const row = table.rowAt(i);
    const conflict = new Uint8Array(steps);
    for (let step = 0; step < steps; step++) {
      if (row.present[step] !== HISTOGRAM_POINT) continue;
      if (!classic.buckets.some(({ series }) => table.rowAt(series).present[step] === FLOAT_POINT)) continue;
      conflict[step] = 1;
      annotations.mixedClassicNative(nameOf(labels), inputPos);
    }
    conflicts.set(labels.key, conflict);
  }

  const series: OutputSeries[] = [];
  const rows: Row[] = [];
  const add = (labels: Labels, row: Row): void => {
    if (row.filled === 0) return;
    execution.hold(row.filled, rowBytes(steps));
    series.push({ labels: features.delayedNameRemoval ? labels : labels.dropReserved(), dropName: true });
    rows.push(row);
  };
  const classicRows = new Map<ClassicHistogram, readonly Row[]>();
  for (const classic of classics.values()) {
    if (execution.due) await execution.breathe();
    const own = answers.map(() => new Row(steps));
    fillClassic(classic, table, answers, conflicts.get(classic.labels.key), own);
    classicRows.set(classic, own);
  }
  for (const [a, answer] of answers.entries()) {
    for (const i of natives) {
      if (execution.due) await execution.breathe();
      const { labels } = table.series[i]!;
      const from = table.rowAt(i);
      const conflict = conflicts.get(labels.key);
      const row = new Row(steps);
      for (let step = 0; step < steps; step++) {
        if (from.present[step] !== HISTOGRAM_POINT || conflict?.[step] === 1) continue;
        row.setFloat(step, answer.ofNative(from.histograms[step]!, step, nameOf(labels)));
      }
      add(answer.series(labels), row);
    }
    for (const [classic, own] of classicRows) {
      if (execution.due) await execution.breathe();
      add(answer.series(classic.labels), own[a]!);
    }
  }
  return new RowTable(steps, series, rows);
}

/** @param outs one for each answer */
function fillClassic(
  { buckets, labels }: ClassicHistogram,
  table: RowTable,
  answers: readonly HistogramAnswer[],
  conflict: Uint8Array | undefined,
  outs: readonly Row[],
): void {
  const rows = buckets.map(({ series }) => table.rowAt(series));
  const bounds = Float64Array.from(buckets, ({ bound }) => bound);
  const { run, filled } = rows[0]!;
  /** Where all buckets have floats, and nowhere else any. */
  const whole =
    answers.some(({ ofRows }) => ofRows !== undefined) &&
    conflict === undefined &&
    rows.length > 1 &&
    run >= 0 &&
    rows.every((row) => row.filled === filled && row.run === run) &&
    bounds.at(-1) === Infinity &&
    bounds.every((bound, i) => i === 0 || bound > bounds[i - 1]!);
  const counts = whole ? rows.map((row) => row.values) : [];
  const { metricName } = labels;
  for (let step = 0; step < table.steps; step++) {
    const isWhole = whole && step >= run && step < run + filled;
    // made once for all answers: what one of them mends in it is told by that one alone, as Prometheus does
    let present: ClassicBucket[] | undefined;
    for (const [a, answer] of answers.entries()) {
      const value = isWhole ? answer.ofRows?.(bounds, counts, step) : undefined;
      if (value !== undefined) {
        outs[a]!.setFloat(step, value);
        continue;
      }
      if (conflict?.[step] === 1) continue;
      present ??= bucketsAt(rows, bounds, step);
      if (present.length > 0) outs[a]!.setFloat(step, answer.ofClassic(present, step, metricName));
    }
  }
}

function bucketsAt(rows: readonly Row[], bounds: Float64Array, step: number): ClassicBucket[] {
  const present: ClassicBucket[] = [];
  for (let i = 0; i < rows.length; i++) {
    if (rows[i]!.present[step] === FLOAT_POINT) {
      present.push({ upperBound: bounds[i]!, count: rows[i]!.values[step]! });
    }
  }
  return present;
}

/** Neighbours that differ by less than this part of their sum are left to `classicQuantile`, which may take them as equal. */
const NEARLY_EQUAL = 1e-11;

/** As `classicQuantile`, where counts rise clearly or not at all; `undefined` where they may need mending. */
function quantileOfRows(
  q: number,
  bounds: Float64Array,
  counts: readonly Float64Array[],
  step: number,
): number | undefined {
  if (!(q >= 0 && q <= 1)) return undefined;
  const last = counts.length - 1;
  const observations = counts[last]![step]!;
  if (!(observations > 0)) return undefined;
  const rank = q * observations;
  let at = last;
  let before = 0;
  let previous = counts[0]![step]!;
  if (!(previous >= 0)) return undefined;
  if (previous >= rank) at = 0;
  for (let i = 1; i <= last; i++) {
    const count = counts[i]![step]!;
    if (count !== previous && !(count - previous > (count + previous) * NEARLY_EQUAL)) return undefined;
    if (at === last && i < last && count >= rank) {
      at = i;
      before = previous;
    }
    previous = count;
  }
  if (at === last) return bounds[last - 1]!;
  const upper = bounds[at]!;
  const count = counts[at]![step]!;
  if (at === 0) return upper <= 0 ? upper : upper * (rank / count);
  const lower = bounds[at - 1]!;
  return lower + (upper - lower) * ((rank - before) / (count - before));
}

/** The value of an `le` label as Go reads it; `undefined` where that is no number, or NaN. */
function parseBound(text: string): number | undefined {
  if (/^[+-]?inf(?:inity)?$/i.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}
