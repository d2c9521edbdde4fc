import { formatG } from '../lib/go-float.ts';
import type { FloatHistogram } from './histogram.ts';
import { CUSTOM_BUCKETS_SCHEMA, floatHistogram, usesCustomBuckets } from './histogram.ts';
import { compactHistogram } from './histogram-add.ts';
import { type Histogram, toIntegerHistogram } from './histogram-integer.ts';
import { SideCursor } from './histogram-side.ts';
import { floatHistogramFault, histogramFault } from './histogram-validate.ts';

/** Why the series of a classic histogram do not make one. */
export class ClassicHistogramError extends Error {}

/**
 * Collects `_bucket`, `_count` and `_sum` of a classic histogram at one time, and makes a native histogram with custom buckets of
 * them. Source: Prometheus `util/convertnhcb`.
 */
export class ClassicHistogram {
  /** Ascending by bound; counts cumulative. */
  readonly #buckets: { upperBound: number; count: number }[] = [];
  #count: number | undefined;
  #sum = 0;

  /** A second count for the same bound is left out. @throws ClassicHistogramError */
  setBucket(upperBound: number, count: number): void {
    if (Number.isNaN(upperBound)) throw new ClassicHistogramError('bucket boundary must not be NaN');
    if (count < 0) {
      throw new ClassicHistogramError(
        `bucket count must be non-negative: le=${formatG(upperBound)}, count=${formatG(count)}`,
      );
    }
    const buckets = this.#buckets;
    let at = buckets.length;
    while (at > 0 && buckets[at - 1]!.upperBound >= upperBound) at--;
    if (buckets[at]?.upperBound === upperBound) return;
    const below = buckets[at - 1]?.count ?? 0;
    const above = buckets[at]?.count ?? Infinity;
    if (count < below) {
      throw new ClassicHistogramError(`count is not cumulative: ${formatG(count)} < ${formatG(below)}`);
    }
    if (count > above) {
      throw new ClassicHistogramError(`count is not cumulative: ${formatG(count)} > ${formatG(above)}`);
    }
    buckets.splice(at, 0, { upperBound, count });
  }

  /** @throws ClassicHistogramError */
  setCount(count: number): void {
    if (count < 0) throw new ClassicHistogramError(`count must be non-negative: count=${formatG(count)}`);
    this.#count = count;
  }

  setSum(sum: number): void {
    this.#sum = sum;
  }

  /** An integer histogram where every count is an integer. @throws ClassicHistogramError */
  toNative(): Histogram | FloatHistogram {
    const buckets = this.#buckets.slice();
    const highest = buckets.at(-1);
    const count = this.#count ?? highest?.count;
    if (count === undefined) throw new ClassicHistogramError('count must be provided when no buckets are present');
    if (highest?.upperBound !== Infinity) buckets.push({ upperBound: Infinity, count });
    const last = buckets.at(-1)!;
    const whole = Number.isSafeInteger(count) && buckets.every((bucket) => Number.isSafeInteger(bucket.count));
    if (count !== last.count) {
      throw new ClassicHistogramError(
        `count mismatch: count=${formatG(count)} != le=${formatG(last.upperBound)} count=${formatG(last.count)}`,
      );
    }
    const counts = buckets.map((bucket, i) => bucket.count - (buckets[i - 1]?.count ?? 0));
    const native = floatHistogram({
      schema: CUSTOM_BUCKETS_SCHEMA,
      count,
      sum: this.#sum,
      positiveSpans: [{ offset: 0, length: counts.length }],
      positiveBuckets: counts,
      customValues: buckets.slice(0, -1).map((bucket) => bucket.upperBound),
    });
    if (whole) {
      const integer = toIntegerHistogram(compactHistogram(native, 2));
      const fault = histogramFault(integer);
      if (fault !== undefined) throw new ClassicHistogramError(`invalid histogram: ${fault.text}`);
      return integer;
    }
    const compact = compactHistogram(native);
    const fault = floatHistogramFault(compact);
    if (fault !== undefined) throw new ClassicHistogramError(`invalid float histogram: ${fault.text}`);
    return compact;
  }
}

/** Cumulative counts of a histogram with custom buckets: one for each of its bounds, and one for +Inf. */
export function classicBucketCounts(histogram: FloatHistogram): number[] {
  if (!usesCustomBuckets(histogram)) throw new RangeError('only a histogram with custom buckets has classic ones');
  const counts = new Array<number>(histogram.customValues.length + 1).fill(0);
  const cursor = new SideCursor(histogram.positiveSpans, histogram.positiveBuckets);
  while (cursor.next()) if (cursor.index < counts.length) counts[cursor.index]! += cursor.count;
  for (let i = 1; i < counts.length; i++) counts[i]! += counts[i - 1]!;
  return counts;
}
