import type { FloatHistogram } from '../../model/histogram.ts';
import { HistogramMean, HistogramSum } from '../../model/histogram-sum.ts';
import type { Window } from './window.ts';

/** The sum of a window of histograms; `undefined` where they do not go together, which is then said. */
export function sumHistograms(window: Window): FloatHistogram | undefined {
  return combined(window, new HistogramSum(window.samples.histogramValues[window.histogramsFrom]!));
}

/** As `sumHistograms`, of the mean. */
export function averageHistograms(window: Window): FloatHistogram | undefined {
  return combined(window, new HistogramMean(window.samples.histogramValues[window.histogramsFrom]!));
}

function combined(window: Window, into: HistogramSum | HistogramMean): FloatHistogram | undefined {
  const { annotations, metricName, argPos, histogramsFrom, histogramsTo } = window;
  for (let i = histogramsFrom + 1; i < histogramsTo; i++) {
    if (!into.add(window.samples.histogramValues[i]!)) {
      annotations.mixedExponentialCustom(metricName, argPos);
      return undefined;
    }
  }
  if (into.resetsCollide) annotations.counterResetCollision('aggregation', argPos);
  if (into.boundsReconciled) annotations.mismatchedCustomBuckets('aggregation', argPos);
  return into.result();
}
