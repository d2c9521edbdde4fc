import type { FloatHistogram } from '../../model/histogram.ts';
import { floatHistogram, usesCustomBuckets, withResetHint } from '../../model/histogram.ts';
import { addHistograms, compactHistogram, copyToSchema, subtractHistograms } from '../../model/histogram-add.ts';
import { detectReset } from '../../model/histogram-reset.ts';
import { isStartReset, startsOverlap } from './start-time.ts';
import type { Window } from './window.ts';

/**
 * The change of a native histogram over a window of at least two, without extrapolation; `undefined` where the histograms do
 * not go together, which is then said. Source: Prometheus `histogramRate`.
 */
export function histogramRate(window: Window, counter: boolean, useStarts: boolean): FloatHistogram | undefined {
  const { annotations, metricName, argPos, histogramsFrom, histogramsTo } = window;
  const { histogramValues, histogramTimes, histogramStarts } = window.samples;
  const first = histogramValues[histogramsFrom]!;
  const second = histogramValues[histogramsFrom + 1]!;
  const last = histogramValues[histogramsTo - 1]!;
  if (counter && (first.resetHint === 'gauge' || last.resetHint === 'gauge'))
    annotations.notCounter(metricName, argPos);

  const resetAt = (i: number, previous: FloatHistogram): boolean =>
    (useStarts &&
      isStartReset(histogramStarts[i - 1]!, histogramTimes[i - 1]!, histogramStarts[i]!, histogramTimes[i]!)) ||
    detectReset(histogramValues[i]!, previous);

  // After a reset the first sample does not matter, so neither does its layout.
  let previous = first;
  if (counter && resetAt(histogramsFrom + 1, first)) {
    previous = floatHistogram({ schema: second.schema, customValues: second.customValues });
  }
  const custom = usesCustomBuckets(previous);
  if (usesCustomBuckets(last) !== custom) {
    annotations.mixedExponentialCustom(metricName, argPos);
    return undefined;
  }
  let schema = Math.min(last.schema, previous.schema);
  if (counter) {
    for (let i = histogramsFrom + 1; i < histogramsTo - 1; i++) {
      const histogram = histogramValues[i]!;
      if (histogram.resetHint === 'gauge') annotations.notCounter(metricName, argPos);
      schema = Math.min(schema, histogram.schema);
      if (usesCustomBuckets(histogram) !== custom) {
        annotations.mixedExponentialCustom(metricName, argPos);
        return undefined;
      }
    }
  }

  const difference = subtractHistograms(copyToSchema(last, schema), previous);
  if (difference === undefined) {
    annotations.mixedExponentialCustom(metricName, argPos);
    return undefined;
  }
  if (difference.boundsReconciled) annotations.mismatchedCustomBuckets('subtraction', argPos);
  let change = difference.histogram;

  if (counter) {
    let overlap = false;
    for (let i = histogramsFrom + 1; i < histogramsTo; i++) {
      if (useStarts && startsOverlap(histogramStarts[i - 1]!, histogramTimes[i - 1]!, histogramStarts[i]!)) {
        overlap = true;
      }
      if (resetAt(i, previous)) {
        const sum = addNoted(change, previous, window);
        if (sum === undefined) return undefined;
        change = sum;
      }
      previous = histogramValues[i]!;
    }
    if (overlap) annotations.startTimeOverlap(metricName, argPos);
  } else if (first.resetHint !== 'gauge' || last.resetHint !== 'gauge') {
    annotations.notGauge(metricName, argPos);
  }
  return compactHistogram(withResetHint(change, 'gauge'));
}

/** The sum; what there is to say of it is said. `undefined` where they cannot be added. */
export function addNoted(a: FloatHistogram, b: FloatHistogram, window: Window): FloatHistogram | undefined {
  const sum = addHistograms(a, b);
  if (sum === undefined) {
    window.annotations.mixedExponentialCustom(window.metricName, window.argPos);
    return undefined;
  }
  if (sum.boundsReconciled) window.annotations.mismatchedCustomBuckets('addition', window.argPos);
  return sum.histogram;
}

/** As `addNoted`, of the difference. */
export function subtractNoted(a: FloatHistogram, b: FloatHistogram, window: Window): FloatHistogram | undefined {
  const difference = subtractHistograms(a, b);
  if (difference === undefined) {
    window.annotations.mixedExponentialCustom(window.metricName, window.argPos);
    return undefined;
  }
  if (difference.boundsReconciled) window.annotations.mismatchedCustomBuckets('subtraction', window.argPos);
  return difference.histogram;
}
