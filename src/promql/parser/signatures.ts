import type { ValueType } from './ast.ts';

/** What a function takes and gives, as Prometheus 3.14 has it. */
export interface Signature {
  readonly argTypes: readonly ValueType[];
  readonly returnType: ValueType;
  /** How many arguments more than all but the last may follow; -1: any number; 0: exactly `argTypes`. */
  readonly variadic: number;
  /** Only with `experimentalFunctions`. */
  readonly experimental: boolean;
}

function fn(
  argTypes: readonly ValueType[],
  returnType: ValueType,
  { variadic = 0, experimental = false }: { variadic?: number; experimental?: boolean } = {},
): Signature {
  return { argTypes, returnType, variadic, experimental };
}

export const signatures: Readonly<Record<string, Signature>> = {
  abs: fn(['vector'], 'vector'),
  absent: fn(['vector'], 'vector'),
  absent_over_time: fn(['matrix'], 'vector'),
  acos: fn(['vector'], 'vector'),
  acosh: fn(['vector'], 'vector'),
  asin: fn(['vector'], 'vector'),
  asinh: fn(['vector'], 'vector'),
  atan: fn(['vector'], 'vector'),
  atanh: fn(['vector'], 'vector'),
  avg_over_time: fn(['matrix'], 'vector'),
  ceil: fn(['vector'], 'vector'),
  changes: fn(['matrix'], 'vector'),
  clamp: fn(['vector', 'scalar', 'scalar'], 'vector'),
  clamp_max: fn(['vector', 'scalar'], 'vector'),
  clamp_min: fn(['vector', 'scalar'], 'vector'),
  cos: fn(['vector'], 'vector'),
  cosh: fn(['vector'], 'vector'),
  count_over_time: fn(['matrix'], 'vector'),
  day_of_month: fn(['vector'], 'vector', { variadic: 1 }),
  day_of_week: fn(['vector'], 'vector', { variadic: 1 }),
  day_of_year: fn(['vector'], 'vector', { variadic: 1 }),
  days_in_month: fn(['vector'], 'vector', { variadic: 1 }),
  deg: fn(['vector'], 'vector'),
  delta: fn(['matrix'], 'vector'),
  deriv: fn(['matrix'], 'vector'),
  double_exponential_smoothing: fn(['matrix', 'scalar', 'scalar'], 'vector', { experimental: true }),
  end: fn([], 'scalar', { experimental: true }),
  exp: fn(['vector'], 'vector'),
  first_over_time: fn(['matrix'], 'vector'),
  floor: fn(['vector'], 'vector'),
  histogram_avg: fn(['vector'], 'vector'),
  histogram_count: fn(['vector'], 'vector'),
  histogram_fraction: fn(['scalar', 'scalar', 'vector'], 'vector'),
  histogram_quantile: fn(['scalar', 'vector'], 'vector'),
  histogram_quantiles: fn(['vector', 'string', 'scalar', 'scalar'], 'vector', { variadic: 9, experimental: true }),
  histogram_stddev: fn(['vector'], 'vector'),
  histogram_stdvar: fn(['vector'], 'vector'),
  histogram_sum: fn(['vector'], 'vector'),
  hour: fn(['vector'], 'vector', { variadic: 1 }),
  idelta: fn(['matrix'], 'vector'),
  increase: fn(['matrix'], 'vector'),
  info: fn(['vector', 'vector'], 'vector', { variadic: 1, experimental: true }),
  irate: fn(['matrix'], 'vector'),
  label_join: fn(['vector', 'string', 'string', 'string'], 'vector', { variadic: -1 }),
  label_replace: fn(['vector', 'string', 'string', 'string', 'string'], 'vector'),
  last_over_time: fn(['matrix'], 'vector'),
  ln: fn(['vector'], 'vector'),
  log10: fn(['vector'], 'vector'),
  log2: fn(['vector'], 'vector'),
  mad_over_time: fn(['matrix'], 'vector', { experimental: true }),
  max_of: fn(['scalar', 'scalar'], 'scalar', { experimental: true }),
  max_over_time: fn(['matrix'], 'vector'),
  min_of: fn(['scalar', 'scalar'], 'scalar', { experimental: true }),
  min_over_time: fn(['matrix'], 'vector'),
  minute: fn(['vector'], 'vector', { variadic: 1 }),
  month: fn(['vector'], 'vector', { variadic: 1 }),
  pi: fn([], 'scalar'),
  predict_linear: fn(['matrix', 'scalar'], 'vector'),
  present_over_time: fn(['matrix'], 'vector'),
  quantile_over_time: fn(['scalar', 'matrix'], 'vector'),
  rad: fn(['vector'], 'vector'),
  range: fn([], 'scalar', { experimental: true }),
  rate: fn(['matrix'], 'vector'),
  resets: fn(['matrix'], 'vector'),
  round: fn(['vector', 'scalar'], 'vector', { variadic: 1 }),
  scalar: fn(['vector'], 'scalar'),
  sgn: fn(['vector'], 'vector'),
  sin: fn(['vector'], 'vector'),
  sinh: fn(['vector'], 'vector'),
  sort: fn(['vector'], 'vector'),
  sort_by_label: fn(['vector', 'string'], 'vector', { variadic: -1, experimental: true }),
  sort_by_label_desc: fn(['vector', 'string'], 'vector', { variadic: -1, experimental: true }),
  sort_desc: fn(['vector'], 'vector'),
  sqrt: fn(['vector'], 'vector'),
  start: fn([], 'scalar', { experimental: true }),
  start_timestamp: fn(['vector'], 'vector', { experimental: true }),
  stddev_over_time: fn(['matrix'], 'vector'),
  stdvar_over_time: fn(['matrix'], 'vector'),
  step: fn([], 'scalar', { experimental: true }),
  sum_over_time: fn(['matrix'], 'vector'),
  tan: fn(['vector'], 'vector'),
  tanh: fn(['vector'], 'vector'),
  time: fn([], 'scalar'),
  timestamp: fn(['vector'], 'vector'),
  ts_of_first_over_time: fn(['matrix'], 'vector', { experimental: true }),
  ts_of_last_over_time: fn(['matrix'], 'vector', { experimental: true }),
  ts_of_max_over_time: fn(['matrix'], 'vector', { experimental: true }),
  ts_of_min_over_time: fn(['matrix'], 'vector', { experimental: true }),
  vector: fn(['scalar'], 'vector'),
  year: fn(['vector'], 'vector', { variadic: 1 }),
};

export function signatureOf(name: string): Signature | undefined {
  return Object.hasOwn(signatures, name) ? signatures[name] : undefined;
}
