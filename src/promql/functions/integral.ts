import { KahanSum } from './kahan.ts';
import { NOTHING, type Window, type WindowAnswer } from './window.ts';

const LEFT_POINT = 0;
const RIGHT_POINT = 1;
const TRAPEZOIDAL = 2;

const sum = new KahanSum();
const pair = new KahanSum();

/**
 * The area under a window's floats, times in seconds. Between two samples the value is that of the left one, of the right one or,
 * without such a parameter, the mean of both; a NaN counts as 0. Source: Prometheus `funcIntegral`.
 */
export function integral(window: Window): WindowAnswer {
  if (window.floats === 0) return NOTHING;
  window.noteIgnoredHistograms();
  const strategy = strategyOf(window);
  const { floatTimes, floatValues } = window.samples;
  sum.start(0);
  for (let i = window.floatsFrom + 1; i < window.floatsTo; i++) {
    const before = floatValues[i - 1]! || 0;
    const value = floatValues[i]! || 0;
    pair.start(strategy === LEFT_POINT ? before : value);
    if (strategy === TRAPEZOIDAL) takeMean(before, value);
    if (pair.sum === 0 && pair.lost === 0) continue;
    const seconds = (floatTimes[i]! - floatTimes[i - 1]!) / 1000;
    sum.lost += pair.lost * seconds;
    sum.add(pair.sum * seconds);
  }
  return window.float(Math.abs(sum.sum) === Infinity ? sum.sum : sum.sum + sum.lost);
}

function strategyOf(window: Window): number {
  const given = window.params[0] ?? TRAPEZOIDAL;
  if (given === LEFT_POINT || given === RIGHT_POINT || given === TRAPEZOIDAL) return given;
  window.annotations.invalidIntegralStrategy(given, window.callArgPos(1), window.callPos);
  return TRAPEZOIDAL;
}

/** The mean of the left value, `before`, and the right one is left in `pair`. */
function takeMean(before: number, value: number): void {
  pair.start(before);
  pair.add(value);
  if (Math.abs(pair.sum) === Infinity && Math.abs(before) < Infinity && Math.abs(value) < Infinity) {
    // each half is finite
    pair.start(before / 2);
    pair.add(value / 2);
    return;
  }
  pair.sum /= 2;
  pair.lost /= 2;
}
