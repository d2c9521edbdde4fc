/** A bucket of a classic histogram: how many observations are not above `upperBound`. */
export interface ClassicBucket {
  readonly upperBound: number;
  count: number;
}

export interface ClassicQuantile {
  readonly value: number;
  /** Set where counts fell from one bucket to the next and had to be raised. */
  readonly forced: ForcedMonotonic | undefined;
}

/** The bounds of the first and last bucket that was raised, and the most that one was raised by. */
interface ForcedMonotonic {
  readonly minBound: number;
  readonly maxBound: number;
  readonly maxDifference: number;
}

/** Counts of neighbours that differ by less than this part of their sum differ by rounding. */
const ROUNDING = 1e-12;

/**
 * The φ-quantile of a classic histogram, linear within a bucket.
 * Sorts `buckets`, and changes their counts where they are not monotonic. Source: Prometheus `promql/quantile.go`, `BucketQuantile`.
 */
export function classicQuantile(q: number, buckets: ClassicBucket[]): ClassicQuantile {
  if (Number.isNaN(q)) return { value: Number.NaN, forced: undefined };
  if (q < 0) return { value: -Infinity, forced: undefined };
  if (q > 1) return { value: Infinity, forced: undefined };
  const ascending = coalesced(buckets);
  if (ascending === undefined) return { value: Number.NaN, forced: undefined };
  const forced = makeMonotonic(ascending);
  const last = ascending.length - 1;
  const observations = ascending[last]!.count;
  if (ascending.length < 2 || observations === 0) return { value: Number.NaN, forced };
  let rank = q * observations;
  const at = firstWithCount(ascending, rank);
  if (at === last) return { value: ascending[last - 1]!.upperBound, forced };
  const { upperBound, count } = ascending[at]!;
  if (at === 0) {
    return { value: upperBound <= 0 ? upperBound : upperBound * (rank / count), forced };
  }
  const below = ascending[at - 1]!;
  rank -= below.count;
  const value = below.upperBound + (upperBound - below.upperBound) * (rank / (count - below.count));
  return { value, forced };
}

/** Index of the first bucket, the last left out, with at least `rank` observations, or of the last. */
function firstWithCount(buckets: readonly ClassicBucket[], rank: number): number {
  let low = 0;
  let high = buckets.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (buckets[middle]!.count >= rank) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The part of all observations between `lower` and `upper`. Sorts `buckets`. */
export function classicFraction(lower: number, upper: number, buckets: ClassicBucket[]): number {
  const ascending = coalesced(buckets);
  if (ascending === undefined) return Number.NaN;
  const total = ascending.at(-1)!.count;
  if (total === 0 || Number.isNaN(lower) || Number.isNaN(upper)) return Number.NaN;
  if (lower >= upper) return 0;
  let rank = 0;
  let lowerRank: number | undefined;
  let upperRank: number | undefined;
  // with a first bound above 0 there is nothing below 0
  let from = ascending[0]!.upperBound <= 0 ? -Infinity : 0;
  for (const { upperBound: to, count } of ascending) {
    const rankAt = (value: number): number =>
      from === -Infinity ? count : rank + ((count - rank) * (value - from)) / (to - from);
    if (lowerRank === undefined && from >= lower) lowerRank = rank;
    if (upperRank === undefined && from >= upper) upperRank = rank;
    if (lowerRank !== undefined && upperRank !== undefined) break;
    if (lowerRank === undefined && from < lower && to > lower) lowerRank = rankAt(lower);
    if (upperRank === undefined && from < upper && to > upper) upperRank = rankAt(upper);
    if (lowerRank !== undefined && upperRank !== undefined) break;
    rank = count;
    from = to;
  }
  if (lowerRank === undefined || lowerRank > total) lowerRank = total;
  if (upperRank === undefined || upperRank > total) upperRank = total;
  return (upperRank - lowerRank) / total;
}

/**
 * Ascending, with buckets of the same bound added up; `undefined` where the last is not +Inf. `buckets` has them in front then, and what
 * was there behind them, as in Prometheus: of several quantiles the second sees that.
 */
function coalesced(buckets: ClassicBucket[]): ClassicBucket[] | undefined {
  buckets.sort((a, b) => (a.upperBound < b.upperBound ? -1 : a.upperBound > b.upperBound ? 1 : 0));
  if (buckets.at(-1)?.upperBound !== Infinity) return undefined;
  let end = 0;
  let last = buckets[0]!;
  for (const bucket of buckets.slice(1)) {
    if (bucket.upperBound === last.upperBound) {
      last = { upperBound: last.upperBound, count: last.count + bucket.count };
    } else {
      buckets[end++] = last;
      last = bucket;
    }
  }
  buckets[end++] = last;
  return buckets.slice(0, end);
}

function makeMonotonic(buckets: readonly ClassicBucket[]): ForcedMonotonic | undefined {
  let minBound = Infinity;
  let maxBound = -Infinity;
  let maxDifference = 0;
  let forced = false;
  let previous = buckets[0]!.count;
  for (let i = 1; i < buckets.length; i++) {
    const bucket = buckets[i]!;
    const { count, upperBound } = bucket;
    if (count === previous) continue;
    if (differByRounding(previous, count)) {
      bucket.count = previous;
    } else if (count < previous) {
      bucket.count = previous;
      forced = true;
      minBound = Math.min(minBound, upperBound);
      maxBound = Math.max(maxBound, upperBound);
      maxDifference = Math.max(maxDifference, previous - count);
    } else previous = count;
  }
  return forced ? { minBound, maxBound, maxDifference } : undefined;
}

function differByRounding(a: number, b: number): boolean {
  if (Number.isNaN(a) && Number.isNaN(b)) return true;
  const total = Math.abs(a) + Math.abs(b);
  const difference = Math.abs(a - b);
  const smallestNormal = 2 ** -1022;
  if (a === 0 || b === 0 || total < smallestNormal) return difference < ROUNDING * smallestNormal;
  return difference / Math.min(total, Number.MAX_VALUE) < ROUNDING;
}
