import { KahanSum } from './kahan.ts';
import { NOTHING, type Window, type WindowAnswer } from './window.ts';

const sumX = new KahanSum();
const sumY = new KahanSum();
const sumXY = new KahanSum();
const sumX2 = new KahanSum();

/** The least-squares line through a window's floats: slope per second, and the value at `interceptMs`. */
function linearRegression(window: Window, interceptMs: number): { slope: number; intercept: number } {
  const { floatTimes, floatValues } = window.samples;
  const { floatsFrom, floatsTo } = window;
  const first = floatValues[floatsFrom]!;
  let constant = true;
  for (const sum of [sumX, sumY, sumXY, sumX2]) sum.start(0);
  for (let i = floatsFrom; i < floatsTo; i++) {
    const y = floatValues[i]!;
    if (i > floatsFrom && y !== first) constant = false;
    const x = (floatTimes[i]! - interceptMs) / 1000;
    sumX.add(x);
    sumY.add(y);
    sumXY.add(x * y);
    sumX2.add(x * x);
  }
  if (constant) {
    return Math.abs(first) === Infinity ? { slope: Number.NaN, intercept: Number.NaN } : { slope: 0, intercept: first };
  }
  const n = floatsTo - floatsFrom;
  const x = sumX.sum + sumX.lost;
  const y = sumY.sum + sumY.lost;
  const xy = sumXY.sum + sumXY.lost;
  const x2 = sumX2.sum + sumX2.lost;
  const slope = (xy - (x * y) / n) / (x2 - (x * x) / n);
  return { slope, intercept: y / n - (slope * x) / n };
}

export function deriv(window: Window): WindowAnswer {
  if (tooFew(window)) return NOTHING;
  // near the values in use, for the sake of precision
  return window.float(linearRegression(window, window.samples.floatTimes[window.floatsFrom]!).slope);
}

export function predictLinear(window: Window): WindowAnswer {
  if (tooFew(window)) return NOTHING;
  const { slope, intercept } = linearRegression(window, window.timeMs);
  return window.float(slope * window.params[0]! + intercept);
}

function tooFew(window: Window): boolean {
  if (window.floats > 0) window.noteIgnoredHistograms();
  return window.floats < 2;
}

/** Holt's linear method. @throws where a factor is not between 0 and 1 */
export function doubleExponentialSmoothing(window: Window): WindowAnswer {
  const smoothing = window.params[0]!;
  const trendFactor = window.params[1]!;
  if (smoothing <= 0 || smoothing >= 1)
    window.fail(`invalid smoothing factor. Expected: 0 < sf < 1, got: ${smoothing.toFixed(6)}`);
  if (trendFactor <= 0 || trendFactor >= 1)
    window.fail(`invalid trend factor. Expected: 0 < tf < 1, got: ${trendFactor.toFixed(6)}`);
  if (tooFew(window)) return NOTHING;
  const { floatValues } = window.samples;
  const { floatsFrom, floatsTo } = window;
  let before = 0;
  let smoothed = floatValues[floatsFrom]!;
  let trend = floatValues[floatsFrom + 1]! - smoothed;
  for (let i = floatsFrom + 1; i < floatsTo; i++) {
    const scaled = smoothing * floatValues[i]!;
    if (i > floatsFrom + 1) {
      const x = trendFactor * (smoothed - before);
      const y = (1 - trendFactor) * trend;
      trend = x + y;
    }
    const rest = (1 - smoothing) * (smoothed + trend);
    before = smoothed;
    smoothed = scaled + rest;
  }
  return window.float(smoothed);
}
