import type { FloatHistogram } from './histogram.ts';
import { compactHistogram } from './histogram-add.ts';
import { type Bucket, emptyBucket, fractionBelow, setBucket } from './histogram-bucket.ts';
import { negativeSide, positiveSide, type Side, SideCursor } from './histogram-side.ts';

/** The observations that a bucket keeps, and the value that it adds to the sum for each of them. */
interface Kept {
  count: number;
  middle: number;
}

/**
 * Leaves out the observations above `bound` (`keep` = `below`, the operator `</`) or below it (`above`, `>/`), estimated within the
 * bucket where it lies. Count and sum are estimated anew from the buckets where anything was left out.
 * Source: Prometheus `FloatHistogram.TrimBuckets`.
 */
export function trimHistogram(histogram: FloatHistogram, bound: number, keep: 'below' | 'above'): FloatHistogram {
  const total = { count: 0, sum: 0, trimmed: false };
  const positive = trimSide(histogram, positiveSide(histogram), true, bound, keep, total);
  const negative = trimSide(histogram, negativeSide(histogram), false, bound, keep, total);
  let { zeroCount } = histogram;
  if (zeroCount > 0) {
    const kept = trimZeroBucket(histogram, bound, keep);
    if (kept.count !== zeroCount) total.trimmed = true;
    zeroCount = kept.count;
    total.sum += kept.middle * kept.count;
    total.count += kept.count;
  }
  if (!total.trimmed) return histogram;
  return compactHistogram({
    ...histogram,
    zeroCount,
    count: total.count,
    sum: total.sum,
    positiveBuckets: positive,
    negativeBuckets: negative,
  });
}

function trimSide(
  { schema, customValues }: FloatHistogram,
  side: Side,
  positive: boolean,
  bound: number,
  keep: 'below' | 'above',
  total: { count: number; sum: number; trimmed: boolean },
): readonly number[] {
  const buckets = side.buckets.slice();
  const cursor = new SideCursor(side.spans, side.buckets);
  const bucket = emptyBucket();
  while (cursor.next()) {
    if (cursor.count === 0) continue;
    setBucket(bucket, cursor.index, cursor.count, positive, schema, customValues);
    const kept = trimBucket(bucket, positive, schema < -4, bound, keep);
    total.count += kept.count;
    total.sum += kept.middle * kept.count;
    if (kept.count !== cursor.count) {
      buckets[cursor.at] = kept.count;
      total.trimmed = true;
    }
  }
  return buckets;
}

function trimBucket(bucket: Bucket, positive: boolean, custom: boolean, bound: number, keep: 'below' | 'above'): Kept {
  const { lower, upper, count } = bucket;
  const below = keep === 'below';
  if (below ? upper <= bound : lower >= bound) return { count, middle: middleOf(lower, upper, positive, custom) };
  if (!(below ? lower < bound : upper > bound)) return { count: 0, middle: 0 };
  if (lower === -Infinity) return trimFromInfinity(upper, count, bound, below);
  if (upper === Infinity) return trimToInfinity(lower, count, bound, below);
  const under = partBelow(bucket, bound, custom);
  return below
    ? { count: under, middle: middleOf(lower, bound, positive, custom) }
    : { count: count - under, middle: middleOf(bound, upper, positive, custom) };
}

function partBelow({ lower, upper, count }: Bucket, bound: number, linear: boolean): number {
  if (bound <= lower) return 0;
  return bound >= upper ? count : count * fractionBelow(lower, upper, bound, linear);
}

/** The bucket that begins at −Inf, trimmed. It is a custom one. Where it ends above 0 it is taken to begin at 0. */
function trimFromInfinity(upper: number, count: number, bound: number, below: boolean): Kept {
  if (below) {
    if (bound >= upper) return { count, middle: 0 };
    if (bound > 0 && upper > 0 && upper !== Infinity) return { count: (count * bound) / upper, middle: bound / 2 };
    if (upper <= 0) return { count, middle: bound };
  } else {
    if (bound === -Infinity) return { count, middle: 0 };
    if (bound >= 0 && upper > bound && upper !== Infinity) {
      return { count: count * (1 - bound / upper), middle: (bound + upper) / 2 };
    }
  }
  // nobody knows where in an infinite bucket its observations are
  return { count: 0, middle: 0 };
}

/** The bucket that ends at +Inf, trimmed. */
function trimToInfinity(lower: number, count: number, bound: number, below: boolean): Kept {
  return !below && bound >= lower ? { count, middle: bound } : { count: 0, middle: 0 };
}

function trimZeroBucket(histogram: FloatHistogram, bound: number, keep: 'below' | 'above'): Kept {
  const { zeroCount: count, zeroThreshold } = histogram;
  const hasNegative = histogram.negativeBuckets.some((bucket) => bucket !== 0);
  const hasPositive = histogram.positiveBuckets.some((bucket) => bucket !== 0);
  const lower = hasPositive && !hasNegative ? 0 : -zeroThreshold;
  const upper = hasNegative && !hasPositive ? 0 : zeroThreshold;
  if (keep === 'below') {
    if (bound <= lower) return { count: 0, middle: 0 };
    if (bound >= upper) return { count, middle: (lower + upper) / 2 };
    return { count: count * ((bound - lower) / (upper - lower)), middle: (lower + bound) / 2 };
  }
  if (bound <= lower) return { count, middle: (lower + upper) / 2 };
  if (bound >= upper) return { count: 0, middle: 0 };
  return { count: count * ((upper - bound) / (upper - lower)), middle: (bound + upper) / 2 };
}

function middleOf(lower: number, upper: number, positive: boolean, linear: boolean): number {
  if (lower === -Infinity || lower === Infinity) {
    if (upper === -Infinity || upper === Infinity) return 0;
    return upper > 0 ? upper / 2 : upper;
  }
  if (upper === -Infinity || upper === Infinity) return lower;
  if (linear) return (lower + upper) / 2;
  const middle = Math.sqrt(Math.abs(lower * upper));
  return positive ? middle : -middle;
}
