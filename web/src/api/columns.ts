import type { LabelSet } from '../model/labels.ts';

// Answers of the query API as columns, made in a worker and moved to the page without a copy.

/** `[rule, lower, upper, count]` */
export type Bucket = readonly [rule: number, lower: number, upper: number, count: number];

export interface HistogramPoint {
  /** Index into the times. */
  readonly at: number;
  readonly count: number;
  readonly sum: number;
  readonly buckets: readonly Bucket[];
}

export interface SeriesColumns {
  readonly labels: LabelSet;
  /** One for each time; NaN where the series has none. What is NaN in the data is, too: lines break at both. */
  readonly values: Float64Array;
  readonly histograms: readonly HistogramPoint[];
}

/** Points as text, for a table: the value exactly as the server wrote it. */
export interface TableRow {
  readonly labels: LabelSet;
  /** `value @ time` for several. */
  readonly values: readonly (readonly [timeSeconds: number, text: string])[];
  readonly histogram: HistogramPoint | undefined;
}

export interface QueryStats {
  readonly seconds: number;
  readonly totalQueryableSamples: number;
  readonly peakSamples: number;
  /** Other numbers that the server tells, by name. */
  readonly more: Readonly<Record<string, number>>;
}

export interface Answer {
  readonly resultType: 'matrix' | 'vector' | 'scalar' | 'string';
  /** Unix seconds, ascending: a grid of the query's steps. Empty for what is shown as rows. */
  readonly times: Float64Array;
  readonly series: readonly SeriesColumns[];
  readonly rows: readonly TableRow[];
  /** Series of the answer; those beyond the limit are counted only. */
  readonly seriesTotal: number;
  readonly warnings: readonly string[];
  readonly infos: readonly string[];
  readonly stats: QueryStats | undefined;
  /** Length of the answer, inflated. */
  readonly bytes: number;
}

export interface Grid {
  readonly startMs: number;
  readonly endMs: number;
  readonly stepMs: number;
}

type RawPoint = readonly [number, string];
interface RawHistogram {
  readonly count: string;
  readonly sum: string;
  readonly buckets?: readonly (readonly [number, string, string, string])[];
}
interface RawSeries {
  readonly metric: LabelSet;
  readonly values?: readonly RawPoint[];
  readonly histograms?: readonly (readonly [number, RawHistogram])[];
  readonly value?: RawPoint;
  readonly histogram?: readonly [number, RawHistogram];
}
interface RawStats {
  readonly timings?: { readonly execTotalTime?: number; readonly evalTotalTime?: number };
  readonly samples?: Readonly<Record<string, unknown>>;
}
export interface RawAnswer {
  readonly data: { readonly resultType: Answer['resultType']; readonly result: unknown; readonly stats?: RawStats };
  readonly warnings?: readonly string[];
  readonly infos?: readonly string[];
}

/**
 * @param grid of a range query; absent: an instant one
 * @param seriesMax drawn or listed; of a range query those with the largest values are taken
 */
export function columnsOf(raw: RawAnswer, grid: Grid | undefined, seriesMax: number, bytes: number): Answer {
  const { resultType, result, stats } = raw.data;
  const common = {
    resultType,
    warnings: raw.warnings ?? [],
    infos: raw.infos ?? [],
    stats: stats && statsOf(stats),
    bytes,
  };
  if (resultType === 'scalar' || resultType === 'string') {
    const [time, text] = result as RawPoint;
    const row: TableRow = { labels: {}, values: [[time, text]], histogram: undefined };
    return { ...common, times: new Float64Array(0), series: [], rows: [row], seriesTotal: 1 };
  }
  const all = result as readonly RawSeries[];
  if (grid === undefined) {
    const rows = all.slice(0, seriesMax).map(rowOf);
    return { ...common, times: new Float64Array(0), series: [], rows, seriesTotal: all.length };
  }
  const count = Math.floor((grid.endMs - grid.startMs) / grid.stepMs) + 1;
  const times = Float64Array.from({ length: count }, (_, i) => (grid.startMs + i * grid.stepMs) / 1000);
  const series = all.map((one) => alignedSeries(one, grid, count));
  const drawn = series.length <= seriesMax ? series : largest(series, seriesMax);
  return { ...common, times, series: drawn, rows: [], seriesTotal: all.length };
}

function alignedSeries({ metric, values = [], histograms = [] }: RawSeries, grid: Grid, count: number): SeriesColumns {
  const column = new Float64Array(count).fill(Number.NaN);
  const indexOf = (seconds: number) => Math.round((seconds * 1000 - grid.startMs) / grid.stepMs);
  for (const [time, text] of values) {
    const at = indexOf(time);
    if (at >= 0 && at < count) column[at] = numberOf(text);
  }
  return {
    labels: metric,
    values: column,
    histograms: histograms.map(([time, one]) => histogramOf(indexOf(time), one)),
  };
}

function rowOf({ metric, value, values, histogram, histograms }: RawSeries): TableRow {
  const last = histogram ?? histograms?.at(-1);
  return {
    labels: metric,
    values: value === undefined ? (values ?? []) : [value],
    histogram: last && histogramOf(0, last[1]),
  };
}

function histogramOf(at: number, { count, sum, buckets = [] }: RawHistogram): HistogramPoint {
  return {
    at,
    count: numberOf(count),
    sum: numberOf(sum),
    buckets: buckets.map(([rule, lower, upper, many]) => [rule, numberOf(lower), numberOf(upper), numberOf(many)]),
  };
}

/** The series with the largest values, in the order of the answer. */
function largest(series: readonly SeriesColumns[], count: number): SeriesColumns[] {
  const peaks = series.map(({ values }, i) => ({ i, peak: peakOf(values) }));
  const kept = new Set(
    peaks
      .sort((a, b) => b.peak - a.peak || a.i - b.i)
      .slice(0, count)
      .map(({ i }) => i),
  );
  return series.filter((_, i) => kept.has(i));
}

function peakOf(values: Float64Array): number {
  let peak = -1;
  for (const value of values) {
    const size = Math.abs(value);
    if (size > peak && size !== Number.POSITIVE_INFINITY) peak = size;
  }
  return peak;
}

/** As the API writes numbers: `NaN`, `+Inf`, `-Inf` besides those of JSON. */
export function numberOf(text: string): number {
  const value = Number(text);
  if (!Number.isNaN(value)) return value;
  return text === '+Inf' || text === 'Inf'
    ? Number.POSITIVE_INFINITY
    : text === '-Inf'
      ? Number.NEGATIVE_INFINITY
      : Number.NaN;
}

function statsOf({ timings, samples = {}, ...rest }: RawStats): QueryStats {
  const number = (value: unknown) => (typeof value === 'number' ? value : 0);
  const more = Object.entries(rest as Readonly<Record<string, unknown>>).flatMap(([group, value]) =>
    typeof value === 'number'
      ? [[group, value] as const]
      : Object.entries((value ?? {}) as Record<string, unknown>).filter(
          (pair): pair is [string, number] => typeof pair[1] === 'number',
        ),
  );
  return {
    seconds: number(timings?.execTotalTime ?? timings?.evalTotalTime),
    totalQueryableSamples: number(samples.totalQueryableSamples),
    peakSamples: number(samples.peakSamples),
    more: Object.fromEntries(more),
  };
}

/** Buffers that can be moved instead of copied. */
export function transferable({ times, series }: Answer): ArrayBuffer[] {
  return [times, ...series.map(({ values }) => values)].map(({ buffer }) => buffer as ArrayBuffer);
}

/** A table of all points: a column for each series, times as RFC 3339. */
export function csvOf({ times, series, rows }: Answer, nameOf: (labels: LabelSet) => string): string {
  if (rows.length > 0) {
    const names = [...new Set(rows.flatMap(({ labels }) => Object.keys(labels)))].sort();
    const lines = rows.flatMap(({ labels, values }) =>
      values.map(([time, value]) => [...names.map((name) => labels[name] ?? ''), timeText(time), value]),
    );
    return [[...names, 'time', 'value'], ...lines].map(csvLine).join('');
  }
  const head = csvLine(['time', ...series.map(({ labels }) => nameOf(labels))]);
  const lines = Array.from(times, (time, i) =>
    csvLine([timeText(time), ...series.map(({ values }) => (Number.isNaN(values[i]) ? '' : String(values[i])))]),
  );
  return head + lines.join('');
}

function timeText(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}

/** Texts that a spreadsheet would take for formulas get an apostrophe. */
function csvLine(cells: readonly string[]): string {
  const escaped = cells.map((cell) => {
    const safe = /^[=+\-@\t\r]/.test(cell) && Number.isNaN(Number(cell)) && !/^[+-]Inf$/.test(cell) ? `'${cell}` : cell;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  });
  return `${escaped.join(',')}\r\n`;
}
