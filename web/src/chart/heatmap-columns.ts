import { type Answer, type Bucket, numberOf, type SeriesColumns } from '../api/columns.ts';

/** Histograms over time: a row for each bucket, from below. */
export interface HeatmapColumns {
  readonly times: Float64Array;
  readonly rows: readonly { readonly lower: number; readonly upper: number }[];
  /** (row, time) row-major; 0 where there is none. */
  readonly cells: Float64Array;
  readonly most: number;
}

/** More rows than this are put together by pairs. */
const ROWS_MAX = 160;

/** A heatmap of classic buckets (`le`), summed up over other labels, or of native histograms; undefined where an answer has neither. */
export function heatmapOf({ times, series }: Pick<Answer, 'times' | 'series'>): HeatmapColumns | undefined {
  const native = series.filter(isNative);
  if (native.length > 0) return nativeHeatmap(times, native);
  const classic = series.filter(({ labels }) => labels.le !== undefined);
  return classic.length > 0 ? classicHeatmap(times, classic) : undefined;
}

/** Sentence on what of the series is not to be seen in a heatmap, or in lines; undefined where all of it is. */
export function undrawnIn(series: readonly SeriesColumns[], as: 'heatmap' | 'lines'): string | undefined {
  const hasNative = series.some(isNative);
  if (as === 'lines') {
    return hasNative ? `Not drawn: native histograms of ${counted(series.filter(isNative))}.` : undefined;
  }
  // beside native histograms classic buckets are left out, too
  const left = series.filter((one) => (hasNative ? hasFloats(one) : one.labels.le === undefined));
  return left.length > 0 ? `Not drawn: float samples of ${counted(left)}.` : undefined;
}

/** Whether there is nothing else in any series: of native histograms there are no lines. */
export function areNative(series: readonly SeriesColumns[]): boolean {
  return series.every(isNative);
}

function isNative({ histograms }: SeriesColumns): boolean {
  return histograms.length > 0;
}

function hasFloats({ values }: SeriesColumns): boolean {
  return values.some((value) => !Number.isNaN(value));
}

function counted({ length }: readonly SeriesColumns[]): string {
  return length === 1 ? 'one series' : `${length} series`;
}

function classicHeatmap(times: Float64Array, series: readonly SeriesColumns[]): HeatmapColumns {
  const byBound = Map.groupBy(series, ({ labels }) => numberOf(labels.le!));
  const bounds = [...byBound.keys()].filter((bound) => !Number.isNaN(bound)).sort((a, b) => a - b);
  const cells = new Float64Array(bounds.length * times.length);
  for (const [row, bound] of bounds.entries()) {
    for (const { values } of byBound.get(bound)!) {
      for (let i = 0; i < values.length; i++) cells[row * times.length + i]! += finite(values[i]!);
    }
  }
  // counts up to each bound → counts between two
  for (let row = bounds.length - 1; row > 0; row--) {
    for (let i = 0; i < times.length; i++) {
      const at = row * times.length + i;
      cells[at] = Math.max(0, cells[at]! - cells[at - times.length]!);
    }
  }
  const rows = bounds.map((upper, i) => ({ lower: bounds[i - 1] ?? Number.NEGATIVE_INFINITY, upper }));
  return withMost({ times, rows, cells });
}

function nativeHeatmap(times: Float64Array, series: readonly SeriesColumns[]): HeatmapColumns {
  const points = series.flatMap(({ histograms }) => histograms);
  const byBounds = new Map<string, Bucket>();
  for (const { buckets } of points) for (const bucket of buckets) byBounds.set(`${bucket[1]} ${bucket[2]}`, bucket);
  let rows = [...byBounds.values()]
    .sort((a, b) => a[1] - b[1] || a[2] - b[2])
    .map(([, lower, upper]) => ({ lower, upper }));
  while (rows.length > ROWS_MAX) {
    rows = rows.flatMap((row, i) =>
      i % 2 === 1 ? [] : [{ lower: row.lower, upper: rows[i + 1]?.upper ?? row.upper }],
    );
  }
  const cells = new Float64Array(rows.length * times.length);
  for (const { at, buckets } of points) {
    for (const [, lower, upper, count] of buckets) {
      const row = rowWith(rows, (lower + upper) / 2);
      if (row >= 0 && at >= 0 && at < times.length) cells[row * times.length + at]! += finite(count);
    }
  }
  return withMost({ times, rows, cells });
}

function rowWith(rows: HeatmapColumns['rows'], value: number): number {
  let [low, high] = [0, rows.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (value < rows[middle]!.lower) high = middle - 1;
    else if (value > rows[middle]!.upper) low = middle + 1;
    else return middle;
  }
  return -1;
}

function withMost(columns: Omit<HeatmapColumns, 'most'>): HeatmapColumns {
  let most = 0;
  for (const cell of columns.cells) if (cell > most) most = cell;
  return { ...columns, most };
}

function finite(value: number): number {
  return Number.isFinite(value) ? value : 0;
}
