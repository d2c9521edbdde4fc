import { histogramAverage, histogramDeviation, histogramVariance } from '../../model/histogram-moments.ts';
import { ROW_AVG, ROW_COUNT, ROW_LAST, ROW_PRESENT, ROW_SUM } from '../../storage/row-layout.ts';
import * as dates from './date.ts';
import { extendedRateOfWindow } from './extended-rate.ts';
import type { Opening, PromFunction, Signature, ValueType } from './function.ts';
import { instantRate } from './instant-rate.ts';
import { integral } from './integral.ts';
import { labelJoin, labelReplace } from './labels.ts';
import * as math from './math.ts';
import * as overTime from './over-time.ts';
import { DELTA, INCREASE, RATE, type RateKind, rateOfWindow } from './rate.ts';
import { deriv, doubleExponentialSmoothing, predictLinear } from './regression.ts';

type Definition = Omit<PromFunction, 'name'>;
type Flags = Omit<Definition, 'signature' | 'open'>;

const EXPERIMENTAL = { experimental: true } as const;

function takes(
  argTypes: readonly ValueType[],
  returnType: ValueType = 'vector',
  { variadic = 0, experimental = false }: { variadic?: number; experimental?: boolean } = {},
): Signature {
  return { argTypes, returnType, variadic, experimental };
}

const VECTOR = takes(['vector']);
const MATRIX = takes(['matrix']);
const NEW_MATRIX = takes(['matrix'], 'vector', EXPERIMENTAL);

function floats(map: (value: number) => number): Definition {
  return { signature: VECTOR, open: { kind: 'floats', map } };
}

function date(part: (seconds: number) => number): Definition {
  return { signature: takes(['vector'], 'vector', { variadic: 1 }), open: { kind: 'date', part }, stepDependent: true };
}

function ofHistogram(open: Opening, signature = VECTOR, flags: Flags = {}): Definition {
  return { signature, open, silent: false, ...flags };
}

function range(
  open: Omit<Extract<Opening, { kind: 'range' }>, 'kind'>,
  flags: Flags = {},
  signature = MATRIX,
): Definition {
  return { signature, open: { kind: 'range', ...open }, ...flags };
}

function rate(kind: RateKind, flags: Flags = {}): Definition {
  return range(
    {
      window: (window) =>
        window.anchored || window.smoothed ? extendedRateOfWindow(window, kind) : rateOfWindow(window, kind),
      rows: { kind: 'rate', rate: kind },
    },
    { anchorable: true, smoothable: true, starts: kind.counter, ...flags },
  );
}

function ofQuery(seconds: Extract<Opening, { kind: 'query' }>['seconds']): Definition {
  return { signature: takes([], 'scalar', EXPERIMENTAL), open: { kind: 'query', seconds } };
}

function pick(of: (a: number, b: number) => number): Definition {
  return { signature: takes(['scalar', 'scalar'], 'scalar', EXPERIMENTAL), open: { kind: 'pick', pick: of } };
}

function sort(by: 'value' | 'label', descending: boolean): Definition {
  const signature =
    by === 'value' ? VECTOR : takes(['vector', 'string'], 'vector', { variadic: -1, experimental: true });
  return { signature, open: { kind: 'sort', by, descending } };
}

const definitions: Readonly<Record<string, Definition>> = {
  abs: floats(Math.abs),
  absent: { signature: VECTOR, open: { kind: 'absent' }, absent: true, histograms: 'stats' },
  absent_over_time: range({ window: overTime.presentOverTime }, { absent: true }),
  acos: floats(Math.acos),
  acosh: floats(Math.acosh),
  asin: floats(Math.asin),
  asinh: floats(Math.asinh),
  atan: floats(Math.atan),
  atanh: floats(Math.atanh),
  avg_over_time: range({ window: overTime.avgOverTime, program: ROW_AVG }),
  ceil: floats(Math.ceil),
  changes: range(
    { window: overTime.changes, rows: { kind: 'transitions', falls: false } },
    { anchorable: true, histograms: 'buckets' },
  ),
  clamp: { signature: takes(['vector', 'scalar', 'scalar']), open: { kind: 'clamp', min: 1, max: 2 } },
  clamp_max: { signature: takes(['vector', 'scalar']), open: { kind: 'clamp', min: undefined, max: 1 } },
  clamp_min: { signature: takes(['vector', 'scalar']), open: { kind: 'clamp', min: 1, max: undefined } },
  cos: floats(Math.cos),
  cosh: floats(math.cosh),
  count_over_time: range({ window: overTime.countOverTime, program: ROW_COUNT }),
  day_of_month: date(dates.dayOfMonth),
  day_of_week: date(dates.dayOfWeek),
  day_of_year: date(dates.dayOfYear),
  days_in_month: date(dates.daysInMonth),
  deg: floats(math.toDegrees),
  delta: rate(DELTA),
  deriv: range({ window: deriv }),
  double_exponential_smoothing: range(
    { window: doubleExponentialSmoothing },
    {},
    takes(['matrix', 'scalar', 'scalar'], 'vector', EXPERIMENTAL),
  ),
  end: ofQuery(({ endMs }) => endMs / 1000),
  exp: floats(Math.exp),
  first_over_time: range({ window: overTime.firstOverTime }, { keepsName: true }),
  floor: floats(Math.floor),
  histogram_avg: ofHistogram({ kind: 'histograms', map: histogramAverage }, VECTOR, { histograms: 'stats' }),
  histogram_count: ofHistogram({ kind: 'histograms', map: ({ count }) => count }, VECTOR, { histograms: 'stats' }),
  histogram_fraction: ofHistogram({ kind: 'fraction' }, takes(['scalar', 'scalar', 'vector']), {
    histograms: 'buckets',
  }),
  histogram_quantile: ofHistogram({ kind: 'quantile' }, takes(['scalar', 'vector']), {
    histograms: 'buckets',
    counts: true,
  }),
  histogram_quantiles: ofHistogram(
    { kind: 'quantiles' },
    takes(['vector', 'string', 'scalar', 'scalar'], 'vector', { variadic: 9, experimental: true }),
    { histograms: 'buckets', counts: true },
  ),
  histogram_stddev: ofHistogram({ kind: 'histograms', map: histogramDeviation }, VECTOR, { histograms: 'buckets' }),
  histogram_stdvar: ofHistogram({ kind: 'histograms', map: histogramVariance }, VECTOR, { histograms: 'buckets' }),
  histogram_sum: ofHistogram({ kind: 'histograms', map: ({ sum }) => sum }, VECTOR, { histograms: 'stats' }),
  hour: date(dates.hour),
  idelta: range({ window: (window) => instantRate(window, false) }),
  increase: rate(INCREASE, { ofCounters: true }),
  info: {
    signature: takes(['vector', 'vector'], 'vector', { variadic: 1, experimental: true }),
    open: { kind: 'info' },
    info: true,
    silent: false,
  },
  integral: range({ window: integral }, {}, takes(['matrix', 'scalar'], 'vector', { variadic: 1, experimental: true })),
  irate: range({ window: (window) => instantRate(window, true) }, { starts: true }),
  label_join: {
    signature: takes(['vector', 'string', 'string', 'string'], 'vector', { variadic: -1 }),
    open: {
      kind: 'relabel',
      relabel: ([dst, separator, ...sources], admit) => labelJoin(dst!, separator!, sources, admit),
    },
  },
  label_replace: {
    signature: takes(['vector', 'string', 'string', 'string', 'string']),
    open: {
      kind: 'relabel',
      relabel: ([dst, replacement, src, regex], admit) => labelReplace(dst!, replacement!, src!, regex!, admit),
    },
  },
  last_over_time: range({ window: overTime.lastOverTime, program: ROW_LAST }, { keepsName: true }),
  ln: floats(Math.log),
  log10: floats(Math.log10),
  log2: floats(Math.log2),
  mad_over_time: range({ window: overTime.madOverTime }, {}, NEW_MATRIX),
  max_of: pick(math.goMax),
  max_over_time: range({ window: overTime.maxOverTime, rows: { kind: 'extreme', sign: 1 } }),
  min_of: pick(math.goMin),
  min_over_time: range({ window: overTime.minOverTime, rows: { kind: 'extreme', sign: -1 } }),
  minute: date(dates.minute),
  month: date(dates.month),
  pi: { signature: takes([], 'scalar'), open: { kind: 'constant', value: Math.PI } },
  predict_linear: range({ window: predictLinear }, { stepDependent: true }, takes(['matrix', 'scalar'])),
  present_over_time: range({ window: overTime.presentOverTime, program: ROW_PRESENT }),
  quantile_over_time: range({ window: overTime.quantileOverTime }, {}, takes(['scalar', 'matrix'])),
  rad: floats(math.toRadians),
  range: ofQuery(({ startMs, endMs }) => (endMs - startMs) / 1000),
  rate: rate(RATE, { ofCounters: true }),
  resets: range(
    { window: overTime.resets, rows: { kind: 'transitions', falls: true } },
    { anchorable: true, starts: true },
  ),
  round: { signature: takes(['vector', 'scalar'], 'vector', { variadic: 1 }), open: { kind: 'round' } },
  scalar: { signature: takes(['vector'], 'scalar'), open: { kind: 'scalar' } },
  sgn: floats(math.sign),
  sin: floats(Math.sin),
  sinh: floats(math.sinh),
  sort: sort('value', false),
  sort_by_label: sort('label', false),
  sort_by_label_desc: sort('label', true),
  sort_desc: sort('value', true),
  sqrt: floats(Math.sqrt),
  start: ofQuery(({ startMs }) => startMs / 1000),
  start_timestamp: {
    signature: takes(['vector'], 'vector', EXPERIMENTAL),
    open: { kind: 'timestamp', of: 'start' },
    histograms: 'stats',
  },
  stddev_over_time: range({ window: overTime.stddevOverTime }),
  stdvar_over_time: range({ window: overTime.stdvarOverTime }),
  step: ofQuery(({ startMs, endMs, stepMs }) => (startMs === endMs ? 0 : stepMs / 1000)),
  sum_over_time: range({ window: overTime.sumOverTime, program: ROW_SUM }),
  tan: floats(Math.tan),
  tanh: floats(Math.tanh),
  time: { signature: takes([], 'scalar'), open: { kind: 'time' }, stepDependent: true },
  timestamp: {
    signature: VECTOR,
    open: { kind: 'timestamp', of: 'sample' },
    stepDependent: true,
    histograms: 'stats',
  },
  ts_of_first_over_time: range({ window: overTime.tsOfFirstOverTime }, {}, NEW_MATRIX),
  ts_of_last_over_time: range({ window: overTime.tsOfLastOverTime }, {}, NEW_MATRIX),
  ts_of_max_over_time: range({ window: overTime.tsOfMaxOverTime }, {}, NEW_MATRIX),
  ts_of_min_over_time: range({ window: overTime.tsOfMinOverTime }, {}, NEW_MATRIX),
  vector: { signature: takes(['scalar']), open: { kind: 'vector' } },
  year: date(dates.year),
};

/** Every function of the language under its name. What parser, plan and operators need to know of one stands here and nowhere else. */
export const functions: Readonly<Record<string, PromFunction>> = Object.fromEntries(
  Object.entries(definitions).map(([name, definition]) => [name, { name, ...definition }]),
);

export function functionOf(name: string): PromFunction | undefined {
  return Object.hasOwn(functions, name) ? functions[name] : undefined;
}

/** The names of the functions for which `allowed` holds, ascending, as errors list them. */
export function functionNames(allowed: (func: PromFunction) => boolean | undefined): string {
  return Object.keys(functions)
    .filter((name) => allowed(functions[name]!))
    .sort()
    .join(', ');
}
