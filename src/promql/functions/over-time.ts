import type { FloatHistogram } from '../../model/histogram.ts';
import { equalHistograms } from '../../model/histogram.ts';
import { detectReset } from '../../model/histogram-reset.ts';
import { averageHistograms, sumHistograms } from './histogram-over-time.ts';
import { firstAtOrAfter } from './interpolate.ts';
import { KahanSum } from './kahan.ts';
import { quantile } from './quantile.ts';
import { isStartReset } from './start-time.ts';
import { NOTHING, type Window, type WindowAnswer } from './window.ts';

/** Functions of one window; whole rows of floats have faster ways in `over-time-rows.ts` and `rate.ts`. */

export function countOverTime(window: Window): WindowAnswer {
  return window.float(window.floats + window.histograms);
}

export function presentOverTime(window: Window): WindowAnswer {
  return window.float(1);
}

export function firstOverTime(window: Window): WindowAnswer {
  const { samples, floatsFrom, histogramsFrom } = window;
  const older =
    window.histograms === 0 ||
    (window.floats > 0 && samples.floatTimes[floatsFrom]! < samples.histogramTimes[histogramsFrom]!);
  return older
    ? window.float(samples.floatValues[floatsFrom]!)
    : window.histogramAnswer(samples.histogramValues[histogramsFrom]!);
}

export function lastOverTime(window: Window): WindowAnswer {
  const { samples, floatsTo, histogramsTo } = window;
  const newer =
    window.histograms === 0 ||
    (window.floats > 0 && samples.histogramTimes[histogramsTo - 1]! < samples.floatTimes[floatsTo - 1]!);
  return newer
    ? window.float(samples.floatValues[floatsTo - 1]!)
    : window.histogramAnswer(samples.histogramValues[histogramsTo - 1]!);
}

export function tsOfFirstOverTime(window: Window): WindowAnswer {
  const { samples } = window;
  const float = window.floats > 0 ? samples.floatTimes[window.floatsFrom]! : Infinity;
  const histogram = window.histograms > 0 ? samples.histogramTimes[window.histogramsFrom]! : Infinity;
  return window.float(Math.min(float, histogram) / 1000);
}

export function tsOfLastOverTime(window: Window): WindowAnswer {
  const { samples } = window;
  const float = window.floats > 0 ? samples.floatTimes[window.floatsTo - 1]! : -Infinity;
  const histogram = window.histograms > 0 ? samples.histogramTimes[window.histogramsTo - 1]! : -Infinity;
  return window.float(Math.max(float, histogram) / 1000);
}

export function maxOverTime(window: Window): WindowAnswer {
  return extreme(window, (value, best) => value > best, false);
}

export function minOverTime(window: Window): WindowAnswer {
  return extreme(window, (value, best) => value < best, false);
}

export function tsOfMaxOverTime(window: Window): WindowAnswer {
  return extreme(window, (value, best) => value >= best, true);
}

export function tsOfMinOverTime(window: Window): WindowAnswer {
  return extreme(window, (value, best) => value <= best, true);
}

function extreme(window: Window, better: (value: number, best: number) => boolean, time: boolean): WindowAnswer {
  if (window.floats === 0) {
    window.noteHistogramsAlone();
    return NOTHING;
  }
  window.noteIgnoredHistograms();
  const { floatValues, floatTimes } = window.samples;
  let at = window.floatsFrom;
  for (let i = window.floatsFrom; i < window.floatsTo; i++) {
    const best = floatValues[at]!;
    if (better(floatValues[i]!, best) || Number.isNaN(best)) at = i;
  }
  return window.float(time ? floatTimes[at]! / 1000 : floatValues[at]!);
}

export function sumOverTime(window: Window): WindowAnswer {
  if (isMixed(window)) return NOTHING;
  if (window.floats === 0) return histogramAnswer(window, sumHistograms(window));
  if (window.isPiece && !isExactSum(window)) window.annotations.roundedPiece(window.argPos);
  kahan.start(0);
  kahan.addRange(window.samples.floatValues, window.floatsFrom, window.floatsTo);
  return window.float(Number.isFinite(kahan.sum) ? kahan.sum + kahan.lost : kahan.sum);
}

/** Magnitudes of all samples of a piece: those of 512 pieces together are at most 2⁵³. */
const EXACT_MAX = 2 ** 44;

/** Whether no order of addition rounds, whichever pieces are added to it. */
function isExactSum({ samples, floatsFrom, floatsTo }: Window): boolean {
  let magnitude = 0;
  for (let i = floatsFrom; i < floatsTo; i++) {
    const value = samples.floatValues[i]!;
    if (!Number.isInteger(value)) return false;
    magnitude += Math.abs(value);
  }
  return magnitude <= EXACT_MAX;
}

export function avgOverTime(window: Window): WindowAnswer {
  if (isMixed(window)) return NOTHING;
  if (window.floats === 0) return histogramAnswer(window, averageHistograms(window));
  const { floatValues } = window.samples;
  const { floatsFrom, floatsTo } = window;
  kahan.start(floatValues[floatsFrom]!);
  kahan.addRange(floatValues, floatsFrom + 1, floatsTo);
  const count = floatsTo - floatsFrom;
  if (Number.isFinite(kahan.sum)) return window.float(kahan.sum / count + kahan.lost / count);
  return window.float(meanOfMany(window));
}

/** The mean of values whose sum overflows, or among which are NaN or infinities. */
function meanOfMany(window: Window): number {
  const { floatValues } = window.samples;
  const { floatsFrom, floatsTo } = window;
  kahan.start(floatValues[floatsFrom]!);
  for (let i = floatsFrom + 1; i < floatsTo; i++) {
    const { sum, lost } = kahan;
    kahan.add(floatValues[i]!);
    // the sum overflows: from here on the mean is kept instead
    if (kahan.sum === Infinity || kahan.sum === -Infinity) return meanFrom(window, i, sum, lost);
  }
  const count = floatsTo - floatsFrom;
  return kahan.sum / count + kahan.lost / count;
}

/** Goes on from the sum of the samples ahead of `at`, incrementally. */
function meanFrom(window: Window, at: number, sum: number, lost: number): number {
  const { floatValues } = window.samples;
  const { floatsFrom, floatsTo } = window;
  const before = at - floatsFrom;
  let mean = sum / before;
  let meanLost = lost / before;
  for (let i = at; i < floatsTo; i++) {
    const count = i - floatsFrom + 1;
    const share = (count - 1) / count;
    kahan.start(share * mean);
    kahan.lost = share * meanLost;
    kahan.add(floatValues[i]! / count);
    mean = kahan.sum;
    meanLost = kahan.lost;
  }
  return mean + meanLost;
}

/** Reused: none of these functions runs inside another. */
const kahan = new KahanSum();
const kahanSquares = new KahanSum();

export function stdvarOverTime(window: Window): WindowAnswer {
  if (window.floats === 0) return NOTHING;
  return window.float(variance(window));
}

export function stddevOverTime(window: Window): WindowAnswer {
  if (window.floats === 0) return NOTHING;
  return window.float(Math.sqrt(variance(window)));
}

function variance(window: Window): number {
  window.noteIgnoredHistograms();
  const { floatValues } = window.samples;
  kahan.start(0);
  kahanSquares.start(0);
  let count = 0;
  for (let i = window.floatsFrom; i < window.floatsTo; i++) {
    const value = floatValues[i]!;
    count++;
    const delta = value - (kahan.sum + kahan.lost);
    kahan.add(delta / count);
    kahanSquares.add(delta * (value - (kahan.sum + kahan.lost)));
  }
  return (kahanSquares.sum + kahanSquares.lost) / count;
}

export function quantileOverTime(window: Window): WindowAnswer {
  if (window.floats === 0) return NOTHING;
  const q = window.params[0]!;
  if (Number.isNaN(q) || q < 0 || q > 1) window.annotations.invalidQuantile(q, window.callArgPos(0), window.callPos);
  window.noteIgnoredHistograms();
  return window.float(quantile(q, valuesOf(window)));
}

export function madOverTime(window: Window): WindowAnswer {
  if (window.floats === 0) return NOTHING;
  window.noteIgnoredHistograms();
  const values = valuesOf(window);
  if (values.some(Number.isNaN)) return window.float(Number.NaN);
  const median = quantile(0.5, values);
  for (let i = 0; i < values.length; i++) values[i] = Math.abs(values[i]! - median);
  return window.float(quantile(0.5, values));
}

function valuesOf(window: Window): Float64Array {
  return window.samples.floatValues.slice(window.floatsFrom, window.floatsTo);
}

export function resets(window: Window): WindowAnswer {
  const starts = window.useStarts && window.samples.hasStarts;
  return countTransitions(window, (from, to) => {
    const { samples } = window;
    if (from.histogram !== to.histogram) return true;
    const startsOf = from.histogram ? samples.histogramStarts : samples.floatStarts;
    const timesOf = from.histogram ? samples.histogramTimes : samples.floatTimes;
    if (starts && isStartReset(startsOf[from.at]!, timesOf[from.at]!, startsOf[to.at]!, timesOf[to.at]!)) return true;
    return from.histogram
      ? detectReset(samples.histogramValues[to.at]!, samples.histogramValues[from.at]!)
      : samples.floatValues[to.at]! < samples.floatValues[from.at]!;
  });
}

export function changes(window: Window): WindowAnswer {
  return countTransitions(window, (from, to) => {
    const { samples } = window;
    if (from.histogram !== to.histogram) return true;
    if (from.histogram) return !equalHistograms(samples.histogramValues[to.at]!, samples.histogramValues[from.at]!);
    const before = samples.floatValues[from.at]!;
    const after = samples.floatValues[to.at]!;
    return after !== before && !(Number.isNaN(after) && Number.isNaN(before));
  });
}

interface SampleRef {
  readonly at: number;
  readonly histogram: boolean;
}

/** How many pairs of samples that follow each other, whatever their kinds, satisfy `counts`. */
function countTransitions(window: Window, counts: (from: SampleRef, to: SampleRef) => boolean): WindowAnswer {
  const { samples, floatsTo, histogramsTo } = window;
  const start = window.anchored ? anchor(window) : window;
  if (start === undefined) return NOTHING;
  let float = start.floatsFrom;
  let histogram = start.histogramsFrom;
  let previous: SampleRef | undefined;
  let count = 0;
  while (float < floatsTo || histogram < histogramsTo) {
    const takeFloat =
      histogram >= histogramsTo ||
      (float < floatsTo && samples.floatTimes[float]! < samples.histogramTimes[histogram]!);
    const current: SampleRef = takeFloat ? { at: float++, histogram: false } : { at: histogram++, histogram: true };
    if (previous !== undefined && counts(previous, current)) count++;
    previous = current;
  }
  return window.float(count);
}

/** Where an anchored range begins: at the last sample at or before its start, of whichever kind. */
function anchor(window: Window): { floatsFrom: number; histogramsFrom: number } | undefined {
  const { samples, floatsFrom, floatsTo, histogramsFrom, histogramsTo, startMs } = window;
  const float = firstAtOrAfter(samples.floatTimes, floatsFrom, floatsTo, startMs + 1);
  const histogram = firstAtOrAfter(samples.histogramTimes, histogramsFrom, histogramsTo, startMs + 1);
  if (float >= floatsTo && histogram >= histogramsTo) return undefined;
  const noFloat = float === floatsFrom;
  const noHistogram = histogram === histogramsFrom;
  if (noFloat && noHistogram) return { floatsFrom, histogramsFrom };
  return noHistogram || (!noFloat && samples.floatTimes[float - 1]! >= samples.histogramTimes[histogram - 1]!)
    ? { floatsFrom: float - 1, histogramsFrom: histogram }
    : { floatsFrom: float, histogramsFrom: histogram - 1 };
}

function isMixed(window: Window): boolean {
  if (window.floats === 0 || window.histograms === 0) return false;
  window.annotations.mixedFloatsHistograms(window.metricName, window.argPos);
  return true;
}

function histogramAnswer(window: Window, histogram: FloatHistogram | undefined): WindowAnswer {
  return histogram === undefined ? NOTHING : window.histogramAnswer(histogram);
}
