import { extendedRateOfWindow } from './extended-rate.ts';
import { instantRate } from './instant-rate.ts';
import * as overTime from './over-time.ts';
import { DELTA, INCREASE, RATE, type RateKind, rateOfWindow } from './rate.ts';
import { deriv, doubleExponentialSmoothing, predictLinear } from './regression.ts';
import type { WindowFunction } from './window.ts';

/** How whole rows of floats can be had at once. */
export type RowMethod =
  | { readonly kind: 'rate'; readonly rate: RateKind }
  | { readonly kind: 'extreme'; readonly sign: 1 | -1 }
  | { readonly kind: 'transitions'; readonly falls: boolean };

/** A function of range vectors. */
export interface RangeFunction {
  readonly window: WindowFunction;
  readonly rows?: RowMethod;
  /** The result is still a value of the metric: its name stays. */
  readonly keepsName?: boolean;
  readonly anchorable?: boolean;
  readonly smoothable?: boolean;
  /** Sees start timestamps. */
  readonly starts?: boolean;
}

function rateFunction(rate: RateKind): RangeFunction {
  return {
    window: (window) =>
      window.anchored || window.smoothed ? extendedRateOfWindow(window, rate) : rateOfWindow(window, rate),
    rows: { kind: 'rate', rate },
    anchorable: true,
    smoothable: true,
    starts: rate.counter,
  };
}

export const rangeFunctions: Readonly<Record<string, RangeFunction>> = {
  absent_over_time: { window: overTime.presentOverTime },
  avg_over_time: { window: overTime.avgOverTime },
  changes: { window: overTime.changes, rows: { kind: 'transitions', falls: false }, anchorable: true },
  count_over_time: { window: overTime.countOverTime },
  delta: rateFunction(DELTA),
  deriv: { window: deriv },
  double_exponential_smoothing: { window: doubleExponentialSmoothing },
  first_over_time: { window: overTime.firstOverTime, keepsName: true },
  idelta: { window: (window) => instantRate(window, false) },
  increase: rateFunction(INCREASE),
  irate: { window: (window) => instantRate(window, true), starts: true },
  last_over_time: { window: overTime.lastOverTime, keepsName: true },
  mad_over_time: { window: overTime.madOverTime },
  max_over_time: { window: overTime.maxOverTime, rows: { kind: 'extreme', sign: 1 } },
  min_over_time: { window: overTime.minOverTime, rows: { kind: 'extreme', sign: -1 } },
  predict_linear: { window: predictLinear },
  present_over_time: { window: overTime.presentOverTime },
  quantile_over_time: { window: overTime.quantileOverTime },
  rate: rateFunction(RATE),
  resets: { window: overTime.resets, rows: { kind: 'transitions', falls: true }, anchorable: true, starts: true },
  stddev_over_time: { window: overTime.stddevOverTime },
  stdvar_over_time: { window: overTime.stdvarOverTime },
  sum_over_time: { window: overTime.sumOverTime },
  ts_of_first_over_time: { window: overTime.tsOfFirstOverTime },
  ts_of_last_over_time: { window: overTime.tsOfLastOverTime },
  ts_of_max_over_time: { window: overTime.tsOfMaxOverTime },
  ts_of_min_over_time: { window: overTime.tsOfMinOverTime },
};

/** The names of the functions for which `allowed` holds, ascending, as errors list them. */
export function functionNames(allowed: (func: RangeFunction) => boolean | undefined): string {
  return Object.keys(rangeFunctions)
    .filter((name) => allowed(rangeFunctions[name]!))
    .sort()
    .join(', ');
}
