import type { FloatHistogram, ResetHint } from './histogram.ts';
import { equalBounds, usesCustomBuckets } from './histogram.ts';
import { exponentialBound } from './histogram-bounds.ts';
import {
  addToBounds,
  bucketsWithinZero,
  coarserSide,
  combineSides,
  compactSide,
  EMPTY_SIDE,
  negativeSide,
  positiveSide,
  type Side,
  SideBuilder,
  SideCursor,
  sharedBounds,
  sideOfCounts,
} from './histogram-side.ts';

/** The result of adding or subtracting, and what a user should be told of it. */
export interface CombinedHistogram {
  readonly histogram: FloatHistogram;
  /** One began with a counter reset, the other had none. */
  readonly resetsCollide: boolean;
  /** Both have custom buckets with different bounds: the result has those that both have. */
  readonly boundsReconciled: boolean;
}

/**
 * a + b, in the coarser schema and the wider zero bucket of the two. Not compacted.
 * `undefined` where one has exponential buckets and the other custom ones.
 * Source: Prometheus `FloatHistogram.Add`.
 */
export function addHistograms(a: FloatHistogram, b: FloatHistogram): CombinedHistogram | undefined {
  return combine(a, b, 1);
}

/** a − b, as `addHistograms`. The reset hint comes out as of an addition: who means the operator of PromQL sets it to gauge. */
export function subtractHistograms(a: FloatHistogram, b: FloatHistogram): CombinedHistogram | undefined {
  return combine(a, b, -1);
}

function combine(a: FloatHistogram, b: FloatHistogram, sign: 1 | -1): CombinedHistogram | undefined {
  const custom = usesCustomBuckets(a);
  if (custom !== usesCustomBuckets(b)) return undefined;
  const resetsCollide = hintsCollide(a.resetHint, b.resetHint);
  const resetHint = combinedHint(a.resetHint, b.resetHint);
  const count = a.count + sign * b.count;
  const sum = a.sum + sign * b.sum;
  if (custom) {
    const boundsReconciled = !equalBounds(a.customValues, b.customValues);
    const bounds = boundsReconciled ? sharedBounds(a.customValues, b.customValues) : a.customValues;
    const side = boundsReconciled
      ? combineOnBounds(a, b, sign, bounds)
      : combineSides(positiveSide(a), positiveSide(b), sign, 0);
    const histogram = assemble(resetHint, a.schema, 0, 0, count, sum, side, EMPTY_SIDE, bounds);
    return { histogram, resetsCollide, boundsReconciled };
  }
  const [left, right] = reconcileZeroBuckets(a, b);
  const schema = Math.min(a.schema, b.schema);
  const { zeroThreshold } = left;
  const histogram = assemble(
    resetHint,
    schema,
    zeroThreshold,
    left.zeroCount + sign * right.zeroCount,
    count,
    sum,
    combineAt(positiveSide(left), a.schema, positiveSide(right), b.schema, schema, zeroThreshold, sign),
    combineAt(negativeSide(left), a.schema, negativeSide(right), b.schema, schema, zeroThreshold, sign),
    a.customValues,
  );
  return { histogram, resetsCollide, boundsReconciled: false };
}

function combineAt(
  a: Side,
  schemaA: number,
  b: Side,
  schemaB: number,
  schema: number,
  zeroThreshold: number,
  sign: 1 | -1,
): Side {
  const right = coarserSide(b, schemaB, schema);
  return combineSides(coarserSide(a, schemaA, schema), right, sign, bucketsWithinZero(right, schema, zeroThreshold));
}

function combineOnBounds(a: FloatHistogram, b: FloatHistogram, sign: 1 | -1, bounds: readonly number[]): Side {
  const counts = new Array<number>(bounds.length + 1).fill(0);
  const lost = new Array<number>(bounds.length + 1).fill(0);
  addToBounds(positiveSide(a), a.customValues, 1, bounds, counts, lost);
  addToBounds(positiveSide(b), b.customValues, sign, bounds, counts, lost);
  return sideOfCounts(counts);
}

function assemble(
  resetHint: ResetHint,
  schema: number,
  zeroThreshold: number,
  zeroCount: number,
  count: number,
  sum: number,
  positive: Side,
  negative: Side,
  customValues: readonly number[],
): FloatHistogram {
  return {
    resetHint,
    schema,
    zeroThreshold,
    zeroCount,
    count,
    sum,
    positiveSpans: positive.spans,
    positiveBuckets: positive.buckets,
    negativeSpans: negative.spans,
    negativeBuckets: negative.buckets,
    customValues,
  };
}

/** Whether one says that the counter was reset and the other that it was not. */
function hintsCollide(a: ResetHint, b: ResetHint): boolean {
  return (a === 'reset' && b === 'not_reset') || (a === 'not_reset' && b === 'reset');
}

/** The hint of a sum: a gauge makes it a gauge, otherwise what is not the same is unknown. */
export function combinedHint(a: ResetHint, b: ResetHint): ResetHint {
  if (a === b) return a;
  return a === 'gauge' || b === 'gauge' ? 'gauge' : 'unknown';
}

/** In a coarser schema (exponential ones only), otherwise as it is. */
export function copyToSchema(histogram: FloatHistogram, schema: number): FloatHistogram {
  if (schema === histogram.schema) return histogram;
  const positive = coarserSide(positiveSide(histogram), histogram.schema, schema);
  const negative = coarserSide(negativeSide(histogram), histogram.schema, schema);
  return {
    ...histogram,
    schema,
    positiveSpans: positive.spans,
    positiveBuckets: positive.buckets,
    negativeSpans: negative.spans,
    negativeBuckets: negative.buckets,
  };
}

/** Without empty buckets, or with runs of at most `emptyMax` of them kept so that there are fewer spans. */
export function compactHistogram(histogram: FloatHistogram, emptyMax = 0): FloatHistogram {
  const positive = compactSide(positiveSide(histogram), emptyMax);
  const negative = compactSide(negativeSide(histogram), emptyMax);
  if (positive.buckets === histogram.positiveBuckets && negative.buckets === histogram.negativeBuckets)
    return histogram;
  return {
    ...histogram,
    positiveSpans: positive.spans,
    positiveBuckets: positive.buckets,
    negativeSpans: negative.spans,
    negativeBuckets: negative.buckets,
  };
}

/** Both with the same zero bucket: the narrowest that holds both and ends within no populated bucket of either. */
export function reconcileZeroBuckets(a: FloatHistogram, b: FloatHistogram): [a: FloatHistogram, b: FloatHistogram] {
  let left = a;
  let right = b;
  for (;;) {
    if (left.zeroThreshold < right.zeroThreshold) left = widenZeroBucket(left, right.zeroThreshold);
    else if (left.zeroThreshold > right.zeroThreshold) right = widenZeroBucket(right, left.zeroThreshold);
    else return [left, right];
  }
}

/**
 * With the buckets below `zeroThreshold` in the zero bucket. Where that is within a populated bucket the zero bucket takes it
 * in whole, so the threshold may come out larger.
 */
function widenZeroBucket(histogram: FloatHistogram, zeroThreshold: number): FloatHistogram {
  const { schema } = histogram;
  const threshold = widerThreshold(positiveSide(histogram), negativeSide(histogram), schema, zeroThreshold);
  const positive = splitAt(positiveSide(histogram), schema, threshold);
  const negative = splitAt(negativeSide(histogram), schema, threshold);
  return {
    ...histogram,
    zeroThreshold: threshold,
    zeroCount: addAll(addAll(histogram.zeroCount, positive.within), negative.within),
    positiveSpans: positive.rest.spans,
    positiveBuckets: positive.rest.buckets,
    negativeSpans: negative.rest.spans,
    negativeBuckets: negative.rest.buckets,
  };
}

/** The least threshold from `zeroThreshold` on that lies within no populated bucket. */
function widerThreshold(positive: Side, negative: Side, schema: number, zeroThreshold: number): number {
  let threshold = zeroThreshold;
  for (;;) {
    const beyond = populatedBoundAbove(positive, schema, threshold);
    threshold = populatedBoundAbove(negative, schema, beyond);
    if (threshold === beyond) return threshold;
  }
}

/** The upper end of the populated bucket that `threshold` lies inside, or `threshold`. */
function populatedBoundAbove(side: Side, schema: number, threshold: number): number {
  const cursor = new SideCursor(side.spans, side.buckets);
  while (cursor.next()) {
    if (exponentialBound(cursor.index - 1, schema) >= threshold) return threshold;
    const upper = exponentialBound(cursor.index, schema);
    if (upper > threshold) return cursor.count === 0 ? threshold : upper;
  }
  return threshold;
}

/** The counts of the buckets that begin below `threshold`, and the others without empty ones. */
function splitAt(side: Side, schema: number, threshold: number): { within: number[]; rest: Side } {
  const within: number[] = [];
  const rest = new SideBuilder();
  const cursor = new SideCursor(side.spans, side.buckets);
  while (cursor.next()) {
    if (exponentialBound(cursor.index - 1, schema) < threshold) within.push(cursor.count);
    else if (cursor.count !== 0) rest.push(cursor.index, cursor.count);
  }
  return { within, rest: rest.finish() };
}

function addAll(start: number, addends: readonly number[]): number {
  let sum = start;
  for (const addend of addends) sum += addend;
  return sum;
}
