import { type FloatHistogram, multiplyHistogram, usesCustomBuckets, withResetHint } from '../../model/histogram.ts';
import { addHistograms, subtractHistograms } from '../../model/histogram-add.ts';
import { detectReset } from '../../model/histogram-reset.ts';
import type { Annotations } from '../annotations.ts';
import type { PosRange } from '../position.ts';
import type { SeriesSamples } from '../row/series-samples.ts';

/** Who is to be told what an interpolation found. */
export interface InterpolationScope {
  readonly annotations: Annotations;
  readonly metricName: string;
  readonly pos: PosRange;
}

/** On the line between two samples; a counter that was reset in between counts as having begun at 0. */
export function interpolate(t1: number, v1: number, t2: number, v2: number, timeMs: number, counter: boolean): number {
  const from = counter && v2 < v1 ? 0 : v1;
  return from + ((v2 - from) * (timeMs - t1)) / (t2 - t1);
}

/** As `interpolate`; `undefined` where the two do not go together, which is then said. */
export function interpolateHistograms(
  h1: FloatHistogram,
  t1: number,
  h2: FloatHistogram,
  t2: number,
  timeMs: number,
  counter: boolean,
  scope: InterpolationScope,
): FloatHistogram | undefined {
  if (timeMs === t1) return h1;
  if (timeMs === t2) return h2;
  const fraction = (timeMs - t1) / (t2 - t1);
  if (counter && detectReset(h2, h1)) return multiplyHistogram(h2, fraction);
  const { annotations, metricName, pos } = scope;
  const difference = subtractHistograms(h2, h1);
  if (difference === undefined) {
    annotations.mixedExponentialCustom(metricName, pos);
    return undefined;
  }
  if (difference.boundsReconciled) annotations.mismatchedCustomBuckets('subtraction', pos);
  const sum = addHistograms(multiplyHistogram(difference.histogram, fraction), h1);
  if (sum === undefined) {
    annotations.mixedExponentialCustom(metricName, pos);
    return undefined;
  }
  if (sum.boundsReconciled) annotations.mismatchedCustomBuckets('addition', pos);
  return sum.histogram;
}

/** The float that a smoothed selector sees at `timeMs`, of those at `from` (inclusive) … `to` (exclusive): after the last, its value. */
export function interpolatedFloat(
  samples: SeriesSamples,
  from: number,
  to: number,
  timeMs: number,
): number | undefined {
  const { floatTimes, floatValues } = samples;
  const at = firstAtOrAfter(floatTimes, from, to, timeMs);
  if (at < to && floatTimes[at] === timeMs) return floatValues[at]!;
  if (at === from) return undefined;
  const before = at - 1;
  if (at === to) return floatValues[before]!;
  return interpolate(floatTimes[before]!, floatValues[before]!, floatTimes[at]!, floatValues[at]!, timeMs, false);
}

export function interpolatedHistogram(
  samples: SeriesSamples,
  from: number,
  to: number,
  timeMs: number,
  scope: InterpolationScope,
): FloatHistogram | undefined {
  const { histogramTimes, histogramValues } = samples;
  const at = firstAtOrAfter(histogramTimes, from, to, timeMs);
  if (at < to && histogramTimes[at] === timeMs) return histogramValues[at]!;
  if (at === from) return undefined;
  const before = histogramValues[at - 1]!;
  // the hint is about two samples in a row, not about the value that is carried on
  if (at === to) return withResetHint(before, 'unknown');
  const after = histogramValues[at]!;
  if (usesCustomBuckets(before) !== usesCustomBuckets(after)) {
    scope.annotations.mixedExponentialCustom(scope.metricName, scope.pos);
    return undefined;
  }
  const counter = before.resetHint !== 'gauge' || after.resetHint !== 'gauge';
  return interpolateHistograms(before, histogramTimes[at - 1]!, after, histogramTimes[at]!, timeMs, counter, scope);
}

/** The first index in `from` … `to` whose time is `timeMs` or later; `to` where there is none. */
export function firstAtOrAfter(times: Float64Array, from: number, to: number, timeMs: number): number {
  let lo = from;
  let hi = to;
  while (lo < hi) {
    const middle = (lo + hi) >> 1;
    if (times[middle]! >= timeMs) hi = middle;
    else lo = middle + 1;
  }
  return lo;
}
