import { divideHistogram, type FloatHistogram, usesCustomBuckets, withResetHint } from '../../model/histogram.ts';
import { compactHistogram } from '../../model/histogram-add.ts';
import { detectReset } from '../../model/histogram-reset.ts';
import { addNoted, subtractNoted } from './histogram-rate.ts';
import { firstAtOrAfter, type InterpolationScope, interpolate, interpolateHistograms } from './interpolate.ts';
import { type RateKind, seconds } from './rate.ts';
import { isStartReset, isStartResetAfter } from './start-time.ts';
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
  const { floatTimes: times } = window.samples;
  const { startMs, endMs, smoothed, floatsFrom } = window;
  const { counter } = kind;
  let last = window.floatsTo - 1;
  // the last sample at or before the start, or the first of all
  let first = Math.max(floatsFrom, firstAtOrAfter(times, floatsFrom, last, startMs + 1) - 1);
  if (smoothed) last = firstAtOrAfter(times, floatsFrom, last, endMs);
  if (times[last]! <= startMs) return NOTHING;
  if (smoothed && times[first]! > endMs && !(counter && beganWithin(window, first))) return NOTHING;
  const left = leftEnd(window, first, counter);
  const right = rightEnd(window, last, counter);
  let change = right.value - left.value;
  if (counter) {
    // what lies on the bounds is in `left` and `right` already, with its resets
    if (times[first]! <= startMs) first++;
    if (times[last]! >= endMs) last--;
    change += lostToResets(window, first, last, left, right);
  }
  return window.float(kind.perSecond ? change / seconds(window.rangeMs) : change);
}

/** The value of a counter or gauge at an end of the range, and since when it counts; 0 where that is unknown. */
interface RangeEnd {
  readonly value: number;
  readonly startMs: number;
}

function startAt(window: Window, i: number): number {
  return window.useStarts && window.samples.hasStarts ? window.samples.floatStarts[i]! : 0;
}

/** Whether the sample at `i`, which is after the range, tells of a start within it or shortly before. */
function beganWithin(window: Window, i: number): boolean {
  const timeMs = window.samples.floatTimes[i]!;
  const startMs = startAt(window, i);
  return (
    isStartResetAfter(window.startMs - window.lookbackMs, startMs, timeMs) &&
    !isStartResetAfter(window.endMs, startMs, timeMs)
  );
}

/**
 * The value at the range's start.
 *
 * @param first the last sample at or before it or, without one, the first after it
 */
function leftEnd(window: Window, first: number, counter: boolean): RangeEnd {
  const { floatTimes: times, floatValues: values } = window.samples;
  const { startMs: atMs, smoothed } = window;
  const timeMs = times[first]!;
  const firstStart = startAt(window, first);
  if (timeMs === atMs) return { value: values[first]!, startMs: firstStart };
  const startMs = firstStart > atMs ? 0 : firstStart;
  if (timeMs > atMs) return { value: counter ? beforeFirst(window, first, atMs) : values[first]!, startMs };

  const next = first + 1;
  const nextStart = startAt(window, next);
  let [t1, v1, t2, v2] = [timeMs, values[first]!, times[next]!, values[next]!];
  let since = startMs;
  if (counter && isStartResetAfter(atMs, nextStart, t2)) {
    [t2, v2] = [nextStart, 0];
  } else if (counter && isStartReset(firstStart, t1, nextStart, t2)) {
    [t1, v1] = [nextStart, 0];
    since = nextStart;
  }
  return { value: smoothed ? interpolate(t1, v1, t2, v2, atMs, counter) : v1, startMs: since };
}

/** The value at the range's end. @param last the first sample at or after it or, without one, the last of all */
function rightEnd(window: Window, last: number, counter: boolean): RangeEnd {
  const { floatTimes: times, floatValues: values } = window.samples;
  const { endMs: atMs, smoothed } = window;
  const timeMs = times[last]!;
  const lastStart = startAt(window, last);
  const startMs = lastStart > atMs ? 0 : lastStart;
  if (timeMs <= atMs) return { value: values[last]!, startMs };
  if (last === window.floatsFrom) return { value: counter ? beforeFirst(window, last, atMs) : values[last]!, startMs };

  const previous = last - 1;
  const previousStart = startAt(window, previous);
  let [t1, v1, t2, v2] = [times[previous]!, values[previous]!, timeMs, values[last]!];
  let since = startMs;
  if (counter && isStartResetAfter(atMs, lastStart, t2)) {
    [t2, v2] = [lastStart, 0];
    since = previousStart;
  } else if (counter && isStartReset(previousStart, t1, lastStart, t2)) {
    [t1, v1] = [lastStart, 0];
  }
  return { value: smoothed ? interpolate(t1, v1, t2, v2, atMs, counter) : v1, startMs: since };
}

/** A counter at `atMs`, ahead of its first sample: what its start timestamp says, where it has one that is not too far back. */
function beforeFirst(window: Window, first: number, atMs: number): number {
  const timeMs = window.samples.floatTimes[first]!;
  const value = window.samples.floatValues[first]!;
  const startMs = startAt(window, first);
  if (!isStartResetAfter(window.startMs - window.lookbackMs, startMs, timeMs)) return value;
  if (isStartResetAfter(atMs, startMs, timeMs)) return 0;
  return window.smoothed ? interpolate(startMs, 0, timeMs, value, atMs, true) : 0;
}

/** The amount that a counter lost to resets at the samples `first` … `last`, both inclusive, and at the range's end. */
function lostToResets(window: Window, first: number, last: number, left: RangeEnd, right: RangeEnd): number {
  const { floatTimes: times, floatValues: values } = window.samples;
  let lost = 0;
  let previous = left.value;
  let previousMs = window.startMs;
  let previousStart = left.startMs;
  for (let i = first; i <= last; i++) {
    const startMs = startAt(window, i);
    if (values[i]! < previous || isStartReset(previousStart, previousMs, startMs, times[i]!)) lost += previous;
    previous = values[i]!;
    previousMs = times[i]!;
    previousStart = startMs;
  }
  if (right.value < previous || isStartReset(previousStart, previousMs, right.startMs, window.endMs)) lost += previous;
  return lost;
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

/** The amount lost to resets after the sample `first` up to `last`, inclusive; `left` and `right` stand for these two. */
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
