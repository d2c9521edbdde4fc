import { divideHistogram, type FloatHistogram, withResetHint } from '../../model/histogram.ts';
import { compactHistogram } from '../../model/histogram-add.ts';
import { detectReset } from '../../model/histogram-reset.ts';
import { subtractNoted } from './histogram-rate.ts';
import { isStartReset } from './start-time.ts';
import { NOTHING, type Window, type WindowAnswer } from './window.ts';

interface Sample {
  readonly timeMs: number;
  readonly startMs: number;
  readonly value: number;
  readonly histogram: FloatHistogram | undefined;
}

/** `irate` (a counter, per second) and `idelta`: from the last two samples. Source: Prometheus `instantValue`. */
export function instantRate(window: Window, counter: boolean): WindowAnswer {
  if (window.floats + window.histograms < 2) return NOTHING;
  const [before, after] = lastTwo(window);
  const { annotations, metricName, argPos } = window;
  const seconds = (after.timeMs - before.timeMs) / 1000;
  if (seconds === 0) return NOTHING;
  const startReset = counter && isStartReset(before.startMs, before.timeMs, after.startMs, after.timeMs);
  if (before.histogram === undefined && after.histogram === undefined) {
    // after a reset all of the last value came since
    const reset = counter && (after.value < before.value || startReset);
    const change = reset ? after.value : after.value - before.value;
    return window.float(counter ? change / seconds : change);
  }
  if (before.histogram === undefined || after.histogram === undefined) {
    annotations.mixedFloatsHistograms(metricName, argPos);
    return NOTHING;
  }
  const gauges = Number(before.histogram.resetHint === 'gauge') + Number(after.histogram.resetHint === 'gauge');
  if (counter && gauges > 0) annotations.notCounter(metricName, argPos);
  if (!counter && gauges < 2) annotations.notGauge(metricName, argPos);
  let change: FloatHistogram | undefined = after.histogram;
  if (!counter || !(startReset || detectReset(after.histogram, before.histogram))) {
    change = subtractNoted(change, before.histogram, window);
    if (change === undefined) return NOTHING;
  }
  change = compactHistogram(withResetHint(change, 'gauge'));
  return window.histogramAnswer(counter ? divideHistogram(change, seconds) : change);
}

/** The two newest samples, of whichever kind, in their order. */
function lastTwo(window: Window): [Sample, Sample] {
  const { samples, useStarts } = window;
  const starts = useStarts && samples.hasStarts;
  let float = window.floatsTo - 1;
  let histogram = window.histogramsTo - 1;
  const take = (): Sample => {
    const takeFloat =
      histogram < window.histogramsFrom ||
      (float >= window.floatsFrom && samples.floatTimes[float]! > samples.histogramTimes[histogram]!);
    if (takeFloat) {
      const at = float--;
      return {
        timeMs: samples.floatTimes[at]!,
        startMs: starts ? samples.floatStarts[at]! : 0,
        value: samples.floatValues[at]!,
        histogram: undefined,
      };
    }
    const at = histogram--;
    return {
      timeMs: samples.histogramTimes[at]!,
      startMs: starts ? samples.histogramStarts[at]! : 0,
      value: 0,
      histogram: samples.histogramValues[at]!,
    };
  };
  const after = take();
  return [take(), after];
}
