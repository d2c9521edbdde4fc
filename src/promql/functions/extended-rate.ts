import { divideHistogram, type FloatHistogram, usesCustomBuckets, withResetHint } from '../../model/histogram.ts';
import { compactHistogram } from '../../model/histogram-add.ts';
import { detectReset } from '../../model/histogram-reset.ts';
import { addNoted, subtractNoted } from './histogram-rate.ts';
import { firstAtOrAfter, type InterpolationScope, interpolate, interpolateHistograms } from './interpolate.ts';
import { type RateKind, seconds } from './rate.ts';
import { NOTHING, type Window, type WindowAnswer } from './window.ts';

/**
 * One step of a rate over an `anchored` or `smoothed` range: from the value at its start to that at its end, nothing
 * extrapolated. The window holds samples on both sides of the range. Source: Prometheus `extendedRate`.
 */
export function extendedRateOfWindow(window: Window, kind: RateKind): WindowAnswer {
  if (window.floats > 0 && window.histograms > 0) {
    window.annotations.mixedFloatsHistograms(window.metricName, window.argPos);
    return NOTHING;
  }
  return window.histograms > 0 ? histograms(window, kind) : floats(window, kind);
}

/** Indexes of the samples at or next to the range's ends; `undefined` where nothing lies in it. */
function boundsOf(
  times: Float64Array,
  from: number,
  to: number,
  window: Window,
): { first: number; last: number } | undefined {
  let last = to - 1;
  // the last sample at or before the start, or the first of all
  const first = Math.max(from, firstAtOrAfter(times, from, last, window.startMs + 1) - 1);
  if (window.smoothed) last = firstAtOrAfter(times, from, last, window.endMs);
  if (times[last]! <= window.startMs) return undefined;
  if (window.smoothed && times[first]! > window.endMs) return undefined;
  return { first, last };
}

function floats(window: Window, kind: RateKind): WindowAnswer {
  const { floatTimes: times, floatValues: values } = window.samples;
  const { startMs, endMs, smoothed, floatsFrom } = window;
  const bounds = boundsOf(times, floatsFrom, window.floatsTo, window);
  if (bounds === undefined) return NOTHING;
  let { first, last } = bounds;
  const { counter } = kind;
  const left =
    smoothed && times[first]! < startMs
      ? interpolate(times[first]!, values[first]!, times[first + 1]!, values[first + 1]!, startMs, counter)
      : values[first]!;
  const right =
    smoothed && last > floatsFrom && times[last]! > endMs
      ? interpolate(times[last - 1]!, values[last - 1]!, times[last]!, values[last]!, endMs, counter)
      : values[last]!;
  let change = right - left;
  if (counter) {
    // what lies on the bounds is in `left` and `right` already, with its resets
    if (times[first]! <= startMs) first++;
    if (times[last]! >= endMs) last--;
    let correction = 0;
    let previous = left;
    for (let i = first; i <= last; i++) {
      if (values[i]! < previous) correction += previous;
      previous = values[i]!;
    }
    if (right < previous) correction += previous;
    change += correction;
  }
  return window.float(kind.perSecond ? change / seconds(window.rangeMs) : change);
}

function histograms(window: Window, kind: RateKind): WindowAnswer {
  const { histogramTimes: times, histogramValues: values } = window.samples;
  const { annotations, metricName, argPos, startMs, endMs, smoothed, histogramsFrom } = window;
  const { counter } = kind;
  const bounds = boundsOf(times, histogramsFrom, window.histogramsTo, window);
  if (bounds === undefined) return NOTHING;
  const { first, last } = bounds;
  const custom = usesCustomBuckets(values[first]!);
  for (let i = first; i <= last; i++) {
    if (usesCustomBuckets(values[i]!) !== custom) {
      annotations.mixedExponentialCustom(metricName, argPos);
      return NOTHING;
    }
    if (counter && values[i]!.resetHint === 'gauge') annotations.notCounter(metricName, argPos);
  }
  const scope: InterpolationScope = { annotations, metricName, pos: argPos };
  const between = (i: number, timeMs: number): FloatHistogram | undefined =>
    interpolateHistograms(values[i]!, times[i]!, values[i + 1]!, times[i + 1]!, timeMs, counter, scope);
  const left = smoothed && times[first]! < startMs ? between(first, startMs) : values[first]!;
  const right = smoothed && last > histogramsFrom && times[last]! > endMs ? between(last - 1, endMs) : values[last]!;
  if (left === undefined || right === undefined) return NOTHING;
  if (!counter && (left.resetHint !== 'gauge' || right.resetHint !== 'gauge')) annotations.notGauge(metricName, argPos);
  let change = subtractNoted(right, left, window);
  if (change === undefined) return NOTHING;
  if (counter) {
    const correction = resetCorrection(window, first, last, left, right);
    if (correction === 'failed') return NOTHING;
    if (correction !== undefined) change = addNoted(change, correction, window);
    if (change === undefined) return NOTHING;
  }
  if (kind.perSecond) change = divideHistogram(change, seconds(window.rangeMs));
  return window.histogramAnswer(compactHistogram(withResetHint(change, 'gauge')));
}

/** What was lost to resets between the samples `first` and `last`, of which `left` and `right` stand for the ends. */
function resetCorrection(
  window: Window,
  first: number,
  last: number,
  left: FloatHistogram,
  right: FloatHistogram,
): FloatHistogram | undefined | 'failed' {
  const { histogramTimes: times, histogramValues: values } = window.samples;
  let from = first + 1;
  let previous = left;
  if (window.smoothed && times[first]! < window.startMs && detectReset(values[first + 1]!, values[first]!)) {
    // the interpolation on the left has that reset in it
    previous = values[first + 1]!;
    from++;
  }
  if (from > last) return undefined;
  let correction: FloatHistogram | undefined;
  const correct = (by: FloatHistogram): boolean => {
    correction = correction === undefined ? by : addNoted(correction, by, window);
    return correction !== undefined;
  };
  for (let i = from; i < last; i++) {
    if (detectReset(values[i]!, previous) && !correct(previous)) return 'failed';
    previous = values[i]!;
  }
  if (detectReset(right, previous) && !correct(previous)) return 'failed';
  return correction;
}
