import type { FloatHistogram } from '../../model/histogram.ts';
import { multiplyHistogram } from '../../model/histogram.ts';
import { ABSENT, FLOAT_POINT, type Row } from '../row/row.ts';
import { PLAIN_MEMORY, type RowMemory } from '../row/row-memory.ts';
import type { Windows } from '../row/windows.ts';
import { addNoted, histogramRate } from './histogram-rate.ts';
import { isStartReset, startsOverlap } from './start-time.ts';
import { NOTHING, type Window, type WindowAnswer } from './window.ts';

/** The differences between `rate`, `increase` and `delta`. */
export interface RateKind {
  readonly counter: boolean;
  readonly perSecond: boolean;
}

/** As Go's `Duration.Seconds`, whose last bit is not always that of a division by 1000. */
export function seconds(durationMs: number): number {
  const whole = Math.trunc(durationMs / 1000);
  return whole + ((durationMs - whole * 1000) * 1e6) / 1e9;
}

export const RATE: RateKind = { counter: true, perSecond: true };
export const INCREASE: RateKind = { counter: true, perSecond: false };
export const DELTA: RateKind = { counter: false, perSecond: false };

/**
 * The parts of a rate that depend on the times of samples alone, for each step: found once for series that share their times.
 * In seconds.
 */
export class RateTable {
  /** Between the first and the last sample of the window. */
  readonly sampled: Float64Array;
  /** By how much it is extended to either side, before a counter's zero point is looked at. */
  readonly toStart: Float64Array;
  readonly toEnd: Float64Array;
  /** The factor that the change is multiplied by where no zero point is in the way. */
  readonly factor: Float64Array;
  readonly rangeSeconds: number;
  /** The steps that have a rate, if there is no gap between them; otherwise `runTo` is 0. */
  runFrom = 0;
  runTo = 0;
  /** Whether a window has two samples only. */
  pairs = false;
  /** For a row that is not where the kernel sees it. */
  readonly spare: Float64Array;
  readonly memory: RowMemory;
  #generation = -1;

  /** @param rangeSeconds what to divide by for a rate per second; 1 otherwise */
  constructor(steps: number, rangeSeconds: number, memory = PLAIN_MEMORY) {
    const columns = memory.floats(4 * steps);
    this.factor = columns.subarray(0, steps);
    this.sampled = columns.subarray(steps, 2 * steps);
    this.toStart = columns.subarray(2 * steps, 3 * steps);
    this.toEnd = columns.subarray(3 * steps);
    this.spare = memory.floats(steps);
    this.rangeSeconds = rangeSeconds;
    this.memory = memory;
  }

  find(windows: Windows, times: Float64Array): void {
    if (this.#generation === windows.generation) return;
    this.#generation = windows.generation;
    const { steps, from, to, backMs } = windows;
    let filled = 0;
    this.runFrom = 0;
    this.runTo = 0;
    this.pairs = false;
    for (let step = 0; step < steps; step++) {
      const lo = from[step]!;
      const hi = to[step]!;
      if (hi - lo < 2) continue;
      if (filled++ === 0) this.runFrom = step;
      this.runTo = step + 1;
      if (hi - lo === 2) this.pairs = true;
      const first = times[lo]!;
      const last = times[hi - 1]!;
      const endMs = windows.endMs(step);
      const sampled = (last - first) / 1000;
      const average = sampled / (hi - lo - 1);
      const threshold = average * 1.1;
      let toStart = (first - (endMs - backMs)) / 1000;
      let toEnd = (endMs - last) / 1000;
      if (toStart >= threshold) toStart = average / 2;
      if (toEnd >= threshold) toEnd = average / 2;
      this.sampled[step] = sampled;
      this.toStart[step] = toStart;
      this.toEnd[step] = toEnd;
      this.factor[step] = this.factorFrom(sampled, toStart, toEnd);
    }
    if (this.runTo - this.runFrom !== filled) this.runTo = 0;
  }

  factorFrom(sampled: number, toStart: number, toEnd: number): number {
    return (sampled + toStart + toEnd) / sampled / this.rangeSeconds;
  }
}

/** Samples for each that is in a window, from which on windows are looked through one by one. */
const SPARSE = 2;

/** Indexes of the samples that are below the one before them; reused from series to series. */
export class ResetIndex {
  #at = new Int32Array(16);
  count = 0;

  get at(): Int32Array {
    return this.#at;
  }

  find(values: Float64Array, count: number): void {
    this.count = 0;
    this.#findBetween(values, 0, count);
  }

  /** Only those within a window, where windows leave most samples out. */
  findWithin(values: Float64Array, { from, to, steps }: Windows): void {
    this.count = 0;
    let seen = 0;
    for (let step = 0; step < steps; step++) {
      const first = Math.max(from[step]!, seen - 1);
      if (to[step]! <= first) continue;
      this.#findBetween(values, first, to[step]!);
      seen = to[step]!;
    }
  }

  #findBetween(values: Float64Array, from: number, to: number): void {
    let before = values[from]!;
    for (let i = from + 1; i < to; i++) {
      const value = values[i]!;
      if (value < before) this.#add(i);
      before = value;
    }
  }

  #add(index: number): void {
    if (this.count === this.#at.length) {
      const grown = new Int32Array(this.count * 2);
      grown.set(this.#at);
      this.#at = grown;
    }
    this.#at[this.count++] = index;
  }
}

/**
 * A whole row of rates of a series of `floats` floats, in O(samples + steps). Bit for bit what `rateOfWindow` gives for each step.
 *
 * @param resets of the series before; found anew where they count
 */
export function rateRow(
  values: Float64Array,
  floats: number,
  windows: Windows,
  table: RateTable,
  resets: ResetIndex,
  counter: boolean,
  out: Row,
): void {
  if (rateRowOutside(values, floats, windows, table, counter, out)) return;
  if (counter) {
    if (windows.distinct * SPARSE < floats) resets.findWithin(values, windows);
    else resets.find(values, floats);
  }
  const { from, to, steps } = windows;
  const { sampled, toStart, toEnd, factor } = table;
  const { values: result, present } = out;
  const resetCount = counter ? resets.count : 0;
  const resetAt = resets.at;
  let firstReset = 0;
  let filled = 0;
  for (let step = 0; step < steps; step++) {
    const lo = from[step]!;
    const hi = to[step]!;
    if (hi - lo < 2) {
      present[step] = ABSENT;
      continue;
    }
    const first = values[lo]!;
    let change = values[hi - 1]! - first;
    if (resetCount > 0) {
      while (firstReset < resetCount && resetAt[firstReset]! <= lo) firstReset++;
      for (let r = firstReset; r < resetCount && resetAt[r]! < hi; r++) change += values[resetAt[r]! - 1]!;
    }
    let times = factor[step]!;
    // A counter that has not doubled was 0 at least a whole interval ago. With three samples or more the extension is shorter
    // than that: then there is nothing to divide.
    if (counter && change > 0 && first >= 0 && (first < change || hi - lo === 2)) {
      const interval = sampled[step]!;
      const toZero = interval * (first / change);
      if (toZero < toStart[step]!) times = table.factorFrom(interval, toZero, toEnd[step]!);
    }
    result[step] = change * times;
    present[step] = FLOAT_POINT;
    filled++;
  }
  out.filled = filled;
  out.histogramCount = 0;
}

/** The same by the kernel's loop, if it sees the arrays, and the series is as most are: without resets, all its rates behind each other. */
function rateRowOutside(
  values: Float64Array,
  floats: number,
  { from, to }: Windows,
  table: RateTable,
  counter: boolean,
  out: Row,
): boolean {
  const { runFrom, runTo, factor, memory, rangeSeconds, pairs } = table;
  const count = runTo - runFrom;
  if (count <= 0) return false;
  const direct = memory.loopsOver(out.values) !== undefined;
  const result = direct ? out.values : table.spare;
  const loops = memory.loopsOver(values, factor, from, to, result);
  if (loops === undefined) return false;
  if (counter && loops.rowDrops(values.byteOffset, floats) !== 0) return false;
  loops.rowRate(
    values.byteOffset,
    from.byteOffset + 4 * runFrom,
    to.byteOffset + 4 * runFrom,
    factor.byteOffset + 8 * runFrom,
    factor.byteLength,
    rangeSeconds,
    counter,
    pairs,
    count,
    result.byteOffset + 8 * runFrom,
  );
  if (!direct) out.values.set(result.subarray(runFrom, runTo), runFrom);
  out.setRun(runFrom, runTo);
  return true;
}

/**
 * One step of `rate`, `increase` or `delta`: with histograms, start timestamps, whatever there is.
 * Source: Prometheus `extrapolatedRate`.
 */
export function rateOfWindow(window: Window, kind: RateKind): WindowAnswer {
  const { samples, floats, histograms, floatsFrom, histogramsFrom } = window;
  const { counter } = kind;
  if (floats > 0 && histograms > 0) {
    window.annotations.mixedFloatsHistograms(window.metricName, window.argPos);
    return NOTHING;
  }
  const ofFloats = floats > 0;
  const count = ofFloats ? floats : histograms;
  const from = ofFloats ? floatsFrom : histogramsFrom;
  const times = ofFloats ? samples.floatTimes : samples.histogramTimes;
  const starts = ofFloats ? samples.floatStarts : samples.histogramStarts;
  const useStarts = window.useStarts && samples.hasStarts;
  const firstMs = times[from]!;
  const lastMs = times[from + count - 1]!;

  let change = 0;
  let histogram: FloatHistogram | undefined;
  if (ofFloats) {
    change = floatChange(window, counter, useStarts);
  } else if (histograms > 1) {
    histogram = histogramRate(window, counter, useStarts);
    if (histogram === undefined) return NOTHING;
  }

  let sampled = (lastMs - firstMs) / 1000;
  const average = count > 1 ? sampled / (count - 1) : 0;
  const threshold = average * 1.1;
  let toStart = (firstMs - window.startMs) / 1000;
  let toEnd = (window.endMs - lastMs) / 1000;
  const startMs = useStarts ? starts[from]! : 0;
  if (counter && startMs !== 0 && startMs > window.startMs && startMs < firstMs) {
    // it began within the window: a sample of 0 then, and nothing to extrapolate on that side
    toStart = 0;
    sampled = (lastMs - startMs) / 1000;
    if (ofFloats) {
      change += samples.floatValues[from]!;
    } else {
      const first = samples.histogramValues[from]!;
      histogram = histogram === undefined ? first : addNoted(histogram, first, window);
      if (histogram === undefined) return NOTHING;
    }
  } else if (count === 1) {
    return NOTHING;
  } else {
    if (toStart >= threshold) toStart = average / 2;
    if (counter) {
      // a counter is never below 0: where its slope would reach that, it began
      let toZero = toStart;
      if (ofFloats) {
        const first = samples.floatValues[from]!;
        if (change > 0 && first >= 0) toZero = sampled * (first / change);
      } else {
        const first = samples.histogramValues[from]!.count;
        if (histogram!.count > 0 && first >= 0) toZero = sampled * (first / histogram!.count);
      }
      if (toZero < toStart) toStart = toZero;
    }
  }
  if (toEnd >= threshold) toEnd = average / 2;
  let factor = sampled === 0 ? 1 : (sampled + toStart + toEnd) / sampled;
  if (kind.perSecond) factor /= seconds(window.rangeMs);
  return ofFloats ? window.float(change * factor) : window.histogramAnswer(multiplyHistogram(histogram!, factor));
}

function floatChange(window: Window, counter: boolean, useStarts: boolean): number {
  const { floatsFrom, floatsTo } = window;
  const { floatValues, floatTimes, floatStarts } = window.samples;
  let change = floatValues[floatsTo - 1]! - floatValues[floatsFrom]!;
  if (!counter) return change;
  let overlap = false;
  for (let i = floatsFrom + 1; i < floatsTo; i++) {
    if (useStarts && startsOverlap(floatStarts[i - 1]!, floatTimes[i - 1]!, floatStarts[i]!)) overlap = true;
    const reset =
      floatValues[i]! < floatValues[i - 1]! ||
      (useStarts && isStartReset(floatStarts[i - 1]!, floatTimes[i - 1]!, floatStarts[i]!, floatTimes[i]!));
    if (reset) change += floatValues[i - 1]!;
  }
  if (overlap) window.annotations.startTimeOverlap(window.metricName, window.argPos);
  return change;
}
