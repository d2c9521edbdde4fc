import { log2 } from '../lib/exp2.ts';
import type { FloatHistogram } from './histogram.ts';
import { usesCustomBuckets } from './histogram.ts';
import { bucketBound } from './histogram-bounds.ts';
import { ReverseSideCursor, SideCursor } from './histogram-side.ts';

/** A bucket with its bounds. */
export interface Bucket {
  lower: number;
  upper: number;
  lowerInclusive: boolean;
  upperInclusive: boolean;
  count: number;
}

/**
 * Walks all buckets, of empty ones those that the spans name: negative, zero bucket (where populated), positive, or the other way
 * round. Buckets next to the zero bucket end where it begins. Is itself the current bucket.
 */
export class BucketCursor implements Bucket {
  lower = 0;
  upper = 0;
  lowerInclusive = false;
  upperInclusive = false;
  count = 0;
  readonly #histogram: FloatHistogram;
  readonly #custom: boolean;
  /** The side walked towards the zero bucket, and the one away from it. */
  readonly #inwards: ReverseSideCursor;
  readonly #outwards: SideCursor;
  readonly #ascending: boolean;
  #phase: 'inwards' | 'zero' | 'outwards' | 'end' = 'inwards';

  private constructor(histogram: FloatHistogram, ascending: boolean) {
    const { positiveSpans, positiveBuckets, negativeSpans, negativeBuckets } = histogram;
    this.#histogram = histogram;
    this.#custom = usesCustomBuckets(histogram);
    this.#ascending = ascending;
    this.#inwards = ascending
      ? new ReverseSideCursor(negativeSpans, negativeBuckets)
      : new ReverseSideCursor(positiveSpans, positiveBuckets);
    this.#outwards = ascending
      ? new SideCursor(positiveSpans, positiveBuckets)
      : new SideCursor(negativeSpans, negativeBuckets);
  }

  static ascending(histogram: FloatHistogram): BucketCursor {
    return new BucketCursor(histogram, true);
  }

  static descending(histogram: FloatHistogram): BucketCursor {
    return new BucketCursor(histogram, false);
  }

  next(): boolean {
    if (this.#phase === 'inwards') {
      if (this.#inwards.next()) {
        this.#set(this.#inwards.index, this.#inwards.count, !this.#ascending);
        return true;
      }
      this.#phase = 'zero';
    }
    if (this.#phase === 'zero') {
      this.#phase = 'outwards';
      const { zeroCount, zeroThreshold } = this.#histogram;
      if (zeroCount > 0) {
        this.lower = -zeroThreshold;
        this.upper = zeroThreshold;
        this.lowerInclusive = true;
        this.upperInclusive = true;
        this.count = zeroCount;
        return true;
      }
    }
    if (this.#phase === 'outwards') {
      if (this.#outwards.next()) {
        this.#set(this.#outwards.index, this.#outwards.count, this.#ascending);
        return true;
      }
      this.#phase = 'end';
    }
    return false;
  }

  #set(index: number, count: number, positive: boolean): void {
    const { schema, customValues, zeroThreshold } = this.#histogram;
    setBucket(this, index, count, positive, schema, customValues);
    if (this.#custom) return;
    if (positive && this.lower < zeroThreshold) this.lower = zeroThreshold;
    else if (!positive && this.upper > -zeroThreshold) this.upper = -zeroThreshold;
  }
}

/** Fills in bucket `index` of a side. */
export function setBucket(
  bucket: Bucket,
  index: number,
  count: number,
  positive: boolean,
  schema: number,
  customValues: readonly number[],
): void {
  bucket.count = count;
  const outer = bucketBound(index, schema, customValues);
  const inner = bucketBound(index - 1, schema, customValues);
  bucket.lower = positive ? inner : -outer;
  bucket.upper = positive ? outer : -inner;
  const custom = schema < -4;
  bucket.lowerInclusive = custom ? index === 0 : bucket.lower < 0;
  bucket.upperInclusive = custom || bucket.upper > 0;
}

export function emptyBucket(): Bucket {
  return { lower: 0, upper: 0, lowerInclusive: false, upperInclusive: false, count: 0 };
}

/**
 * Which part of a bucket lies below `value`, which is strictly between its bounds: as if observations were spread evenly
 * (`linear`) or evenly on a logarithmic scale.
 */
export function fractionBelow(lower: number, upper: number, value: number, linear: boolean): number {
  if (linear) return (value - lower) / (upper - lower);
  const logLower = log2(Math.abs(lower));
  const logUpper = log2(Math.abs(upper));
  const logValue = log2(Math.abs(value));
  return value > 0 ? (logValue - logLower) / (logUpper - logLower) : 1 - (logValue - logUpper) / (logLower - logUpper);
}
