import { lostIn } from '../lib/kahan.ts';
import type { FloatHistogram } from './histogram.ts';
import { usesCustomBuckets } from './histogram.ts';
import { BucketCursor } from './histogram-bucket.ts';

export function histogramAverage({ sum, count }: FloatHistogram): number {
  return sum / count;
}

export function histogramDeviation(histogram: FloatHistogram): number {
  return Math.sqrt(histogramVariance(histogram));
}

/**
 * The variance, as if every observation lay in the middle of its bucket: the arithmetic one of custom buckets, 0 of the zero
 * bucket, the geometric one of the others. Source: Prometheus `promql/functions.go`, `histogramVariance`.
 */
export function histogramVariance(histogram: FloatHistogram): number {
  const custom = usesCustomBuckets(histogram);
  const mean = histogramAverage(histogram);
  let variance = 0;
  let lost = 0;
  const bucket = BucketCursor.ascending(histogram);
  while (bucket.next()) {
    const { lower, upper, count } = bucket;
    if (count === 0) continue;
    const delta = middleOf(lower, upper, custom) - mean;
    const addend = count * delta * delta;
    const next = variance + addend;
    lost = lostIn(variance, addend, next, lost);
    variance = next;
  }
  return (variance + lost) / histogram.count;
}

function middleOf(lower: number, upper: number, custom: boolean): number {
  if (custom) return (upper + lower) / 2;
  if (lower <= 0 && upper >= 0) return 0;
  const middle = Math.sqrt(upper * lower);
  return upper < 0 ? -middle : middle;
}
