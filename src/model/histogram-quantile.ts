import { exp2, log2 } from '../lib/exp2.ts';
import type { FloatHistogram } from './histogram.ts';
import { usesCustomBuckets } from './histogram.ts';
import { BucketCursor, fractionBelow } from './histogram-bucket.ts';

/** A number taken from a histogram, and whether its observations of NaN have bent it. */
export interface HistogramEstimate {
  readonly value: number;
  /** `result`: the answer is NaN because of them; `skew`: they were counted as above all others, or left out. */
  readonly nans: 'none' | 'skew' | 'result';
}

function estimate(value: number, nans: HistogramEstimate['nans'] = 'none'): HistogramEstimate {
  return { value, nans };
}

/**
 * The φ-quantile: linear within custom buckets and the zero bucket, on a logarithmic scale within the others.
 * Source: Prometheus `promql/quantile.go`, `HistogramQuantile`.
 */
export function histogramQuantile(q: number, histogram: FloatHistogram): HistogramEstimate {
  if (q < 0) return estimate(-Infinity);
  if (q > 1) return estimate(Infinity);
  if (histogram.count === 0 || Number.isNaN(q)) return estimate(Number.NaN);
  const custom = usesCustomBuckets(histogram);
  const nanSum = Number.isNaN(histogram.sum);
  // observations of NaN are in `count` but in no bucket: with them ranks only hold counted from below
  const upwards = nanSum || q < 0.5;
  const bucket = upwards ? BucketCursor.ascending(histogram) : BucketCursor.descending(histogram);
  let rank = (upwards ? q : 1 - q) * histogram.count;
  let seen = 0;
  let lower = 0;
  let upper = 0;
  let inBucket = 0;
  while (bucket.next()) {
    ({ lower, upper, count: inBucket } = bucket);
    if (inBucket === 0) continue;
    seen += inBucket;
    if (seen >= rank) break;
  }
  if (!custom) {
    if (lower < 0 && upper > 0) [lower, upper] = zeroBounds(histogram, lower, upper);
  } else if (lower === -Infinity) {
    if (upper <= 0) return estimate(upper);
    lower = 0;
  } else if (upper === Infinity) return estimate(lower);
  seen = Math.min(seen, histogram.count);
  if (seen < rank) return nanSum ? estimate(Number.NaN, 'result') : estimate(upper);
  rank = upwards ? rank - (seen - inBucket) : seen - rank;
  let nans: HistogramEstimate['nans'] = 'none';
  if (nanSum) {
    // a NaN sum without missing observations comes of +Inf and −Inf
    let total = seen;
    while (bucket.next()) total += bucket.count;
    if (total < histogram.count) nans = 'skew';
  }
  const fraction = rank / inBucket;
  if (custom || (lower <= 0 && upper >= 0)) return estimate(lower + (upper - lower) * fraction, nans);
  const logLower = log2(Math.abs(lower));
  const logUpper = log2(Math.abs(upper));
  const value =
    lower > 0
      ? exp2(logLower + (logUpper - logLower) * fraction)
      : -exp2(logUpper + (logLower - logUpper) * (1 - fraction));
  return estimate(value, nans);
}

/** A histogram with observations on one side only has its zero bucket on that side too. */
function zeroBounds(histogram: FloatHistogram, lower: number, upper: number): [lower: number, upper: number] {
  const negative = histogram.negativeBuckets.length > 0;
  const positive = histogram.positiveBuckets.length > 0;
  if (negative === positive) return [lower, upper];
  return positive ? [0, upper] : [lower, 0];
}

/** The part of all observations between `lower` and `upper`. `nans` is never `result`. */
export function histogramFraction(lower: number, upper: number, histogram: FloatHistogram): HistogramEstimate {
  if (histogram.count === 0 || Number.isNaN(lower) || Number.isNaN(upper)) return estimate(Number.NaN);
  if (lower >= upper) return estimate(0);
  const custom = usesCustomBuckets(histogram);
  const bucket = BucketCursor.ascending(histogram);
  let total = 0;
  let rank = 0;
  let lowerRank: number | undefined;
  let upperRank: number | undefined;
  while (bucket.next()) {
    const { count } = bucket;
    total += count;
    let from = bucket.lower;
    let to = bucket.upper;
    let linear = custom;
    if (custom) {
      if (from === -Infinity && to > 0) from = 0;
    } else if (from <= 0 && to >= 0) {
      linear = true;
      [from, to] = zeroBounds(histogram, from, to);
    }
    const rankAt = (value: number): number =>
      linear && from === -Infinity ? count : rank + count * fractionBelow(from, to, value, linear);
    if (lowerRank === undefined && from >= lower) lowerRank = rank;
    if (upperRank === undefined && from >= upper) upperRank = rank;
    if (lowerRank !== undefined && upperRank !== undefined) break;
    if (lowerRank === undefined && from < lower && to > lower) lowerRank = rankAt(lower);
    if (upperRank === undefined && from < upper && to > upper) upperRank = rankAt(upper);
    if (lowerRank !== undefined && upperRank !== undefined) break;
    rank += count;
  }
  let nans: HistogramEstimate['nans'] = 'none';
  if (Number.isNaN(histogram.sum)) {
    while (bucket.next()) total += bucket.count;
    if (total < histogram.count) nans = 'skew';
  } else total = histogram.count;
  if (lowerRank === undefined || lowerRank > total) lowerRank = total;
  if (upperRank === undefined || upperRank > total) upperRank = total;
  return estimate((upperRank - lowerRank) / histogram.count, nans);
}
