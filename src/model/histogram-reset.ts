import type { FloatHistogram } from './histogram.ts';
import { equalBounds, usesCustomBuckets } from './histogram.ts';
import { reconcileZeroBuckets } from './histogram-add.ts';
import { bucketsWithinZero, coarserSide, negativeSide, positiveSide, type Side, SideCursor } from './histogram-side.ts';

/**
 * Whether the counters began anew between `previous` and `current`: the hint says so or, where it does not know, some count has
 * fallen, a populated bucket is gone, the zero bucket has shrunk or the resolution has grown.
 * Source: Prometheus `FloatHistogram.DetectReset`.
 */
export function detectReset(current: FloatHistogram, previous: FloatHistogram): boolean {
  if (current.resetHint === 'reset') return true;
  if (current.resetHint === 'not_reset') return false;
  if (current.count < previous.count) return true;
  if (usesCustomBuckets(current)) {
    if (!usesCustomBuckets(previous)) return true;
    if (!equalBounds(current.customValues, previous.customValues)) return sharedBoundsReset(current, previous);
    return sideReset(positiveSide(current), positiveSide(previous), 0, 0);
  }
  if (current.schema > previous.schema || current.zeroThreshold < previous.zeroThreshold) return true;
  // previous custom buckets have a schema below all others, so both are exponential from here on
  const [same, before] = reconcileZeroBuckets(current, previous);
  // the zero bucket ends within a populated bucket of the previous one
  if (same.zeroThreshold !== current.zeroThreshold || before.zeroThreshold !== current.zeroThreshold) return true;
  if (current.zeroCount < before.zeroCount) return true;
  return (
    resetOf(positiveSide(current), positiveSide(before), current, before.schema) ||
    resetOf(negativeSide(current), negativeSide(before), current, before.schema)
  );
}

function resetOf(
  current: Side,
  before: Side,
  { schema, zeroThreshold }: FloatHistogram,
  schemaBefore: number,
): boolean {
  const previous = coarserSide(before, schemaBefore, schema);
  return sideReset(
    current,
    previous,
    bucketsWithinZero(current, schema, zeroThreshold),
    bucketsWithinZero(previous, schema, zeroThreshold),
  );
}

/** Whether a bucket of `previous` holds more than the same one of `current`, leaving out the first few of each. */
function sideReset(current: Side, previous: Side, currentSkip: number, previousSkip: number): boolean {
  if (currentSkip === 0 && previousSkip === 0 && current.spans === previous.spans) {
    for (let i = 0; i < previous.buckets.length; i++) if (current.buckets[i]! < previous.buckets[i]!) return true;
    return false;
  }
  const now = new SideCursor(current.spans, current.buckets);
  const before = new SideCursor(previous.spans, previous.buckets);
  let hasNow = now.next();
  while (hasNow && now.at < currentSkip) hasNow = now.next();
  while (before.next()) {
    if (before.at < previousSkip) continue;
    while (hasNow && now.index < before.index) hasNow = now.next();
    if (!hasNow || now.index > before.index) {
      if (before.count !== 0) return true;
    } else if (now.count < before.count) return true;
  }
  return false;
}

/** Whether between any two bounds that both have fewer are counted than before. */
function sharedBoundsReset(current: FloatHistogram, previous: FloatHistogram): boolean {
  const now = new BoundedCounts(current);
  const before = new BoundedCounts(previous);
  const boundsNow = current.customValues;
  const boundsBefore = previous.customValues;
  let i = 0;
  let j = 0;
  while (i <= boundsNow.length && j <= boundsBefore.length) {
    const a = i < boundsNow.length ? boundsNow[i]! : Infinity;
    const b = j < boundsBefore.length ? boundsBefore[j]! : Infinity;
    if (a === b) {
      if (now.upTo(a) < before.upTo(a)) return true;
      i++;
      j++;
    } else if (a < b) i++;
    else j++;
  }
  return false;
}

/** Counts of custom buckets, taken from bound to bound. */
class BoundedCounts {
  readonly #cursor: SideCursor;
  readonly #bounds: readonly number[];
  #more: boolean;

  constructor({ positiveSpans, positiveBuckets, customValues }: FloatHistogram) {
    this.#cursor = new SideCursor(positiveSpans, positiveBuckets);
    this.#bounds = customValues;
    this.#more = this.#cursor.next();
  }

  /** The sum of the buckets that end at or before `bound` (inclusive) and were not asked for before. */
  upTo(bound: number): number {
    let sum = 0;
    while (this.#more && (this.#bounds[this.#cursor.index] ?? Infinity) <= bound) {
      sum += this.#cursor.count;
      this.#more = this.#cursor.next();
    }
    return sum;
  }
}
