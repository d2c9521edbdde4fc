import { lostIn } from '../lib/kahan.ts';
import type { FloatHistogram, ResetHint, Span } from './histogram.ts';
import { divideHistogram, equalBounds, usesCustomBuckets } from './histogram.ts';
import { combinedHint, reconcileZeroBuckets } from './histogram-add.ts';
import { coarserIndex, exponentialBound } from './histogram-bounds.ts';
import {
  addToBounds,
  bucketsWithinZero,
  negativeSide,
  positiveSide,
  type Side,
  SideBuilder,
  SideCursor,
  sameLayout,
  sharedBounds,
} from './histogram-side.ts';

/** Buckets, and beside each what additions to it have rounded away. The arrays are this side's own. */
interface CompensatedSide {
  readonly spans: readonly Span[];
  readonly buckets: number[];
  readonly lost: number[];
}

/**
 * Sums histograms with compensation (Kahan), as `sum` and `sum_over_time` do. Take `result` when all are in.
 * Source: Prometheus `FloatHistogram.KahanAdd`.
 */
export class HistogramSum {
  /** Whether some began with a counter reset and others had none. */
  get resetsCollide(): boolean {
    return this.#resetSeen && this.#notResetSeen;
  }
  /** Whether custom bounds differed, so that only those are left that all have. */
  boundsReconciled = false;

  #isAlone = true;
  #resetHint: ResetHint;
  #resetSeen: boolean;
  #notResetSeen: boolean;
  #schema: number;
  #zeroThreshold: number;
  #customValues: readonly number[];
  // what lies under `#…Lost` is still to be added to its neighbour
  #zeroCount: number;
  #zeroLost = 0;
  #count: number;
  #countLost = 0;
  #sum: number;
  #sumLost = 0;
  #positive: CompensatedSide;
  #negative: CompensatedSide;

  constructor(first: FloatHistogram) {
    this.#resetHint = first.resetHint;
    this.#resetSeen = first.resetHint === 'reset';
    this.#notResetSeen = first.resetHint === 'not_reset';
    this.#schema = first.schema;
    this.#zeroThreshold = first.zeroThreshold;
    this.#customValues = first.customValues;
    this.#zeroCount = first.zeroCount;
    this.#count = first.count;
    this.#sum = first.sum;
    this.#positive = uncompensated(positiveSide(first));
    this.#negative = uncompensated(negativeSide(first));
  }

  /** @returns false where one has exponential buckets and the other custom ones: then nothing was added */
  add(histogram: FloatHistogram): boolean {
    const custom = this.#schema < -4;
    if (custom !== usesCustomBuckets(histogram)) return false;
    this.#isAlone = false;
    this.#resetSeen ||= histogram.resetHint === 'reset';
    this.#notResetSeen ||= histogram.resetHint === 'not_reset';
    this.#resetHint = combinedHint(this.#resetHint, histogram.resetHint);
    this.#addCountAndSum(histogram);
    if (custom) this.#addCustom(histogram);
    else this.#addExponential(histogram);
    return true;
  }

  #addCountAndSum({ count, sum }: FloatHistogram): void {
    const nextCount = this.#count + count;
    this.#countLost = lostIn(this.#count, count, nextCount, this.#countLost);
    this.#count = nextCount;
    const nextSum = this.#sum + sum;
    this.#sumLost = lostIn(this.#sum, sum, nextSum, this.#sumLost);
    this.#sum = nextSum;
  }

  #addZeroCount(addend: number): void {
    const next = this.#zeroCount + addend;
    this.#zeroLost = lostIn(this.#zeroCount, addend, next, this.#zeroLost);
    this.#zeroCount = next;
  }

  #addCustom(histogram: FloatHistogram): void {
    const bounds = this.#customValues;
    if (equalBounds(bounds, histogram.customValues)) {
      this.#positive = addSide(this.#positive, positiveSide(histogram), undefined, 0);
      return;
    }
    this.boundsReconciled = true;
    const shared = sharedBounds(bounds, histogram.customValues);
    const counts = new Array<number>(shared.length + 1).fill(0);
    const lost = new Array<number>(shared.length + 1).fill(0);
    const { spans, buckets } = this.#positive;
    addToBounds({ spans, buckets }, bounds, 1, shared, counts, lost);
    addToBounds({ spans, buckets: this.#positive.lost }, bounds, 1, shared, counts, lost);
    addToBounds(positiveSide(histogram), histogram.customValues, 1, shared, counts, lost);
    const out = new CompensatedSideBuilder();
    for (let i = 0; i < counts.length; i++) if (counts[i] !== 0 || lost[i] !== 0) out.push(i, counts[i]!, lost[i]!);
    this.#positive = out.finish();
    this.#customValues = shared;
  }

  #addExponential(histogram: FloatHistogram): void {
    const other = this.#reconcileZeroBucket(histogram);
    this.#addZeroCount(other.zeroCount);
    const schema = Math.min(this.#schema, other.schema);
    if (schema < this.#schema) {
      this.#positive = coarser(this.#positive, this.#schema, schema);
      this.#negative = coarser(this.#negative, this.#schema, schema);
      this.#schema = schema;
    }
    let positive: Side = positiveSide(other);
    let negative: Side = negativeSide(other);
    let positiveLost: readonly number[] | undefined;
    let negativeLost: readonly number[] | undefined;
    if (schema < other.schema) {
      const coarsePositive = coarser(uncompensated(positive), other.schema, schema);
      const coarseNegative = coarser(uncompensated(negative), other.schema, schema);
      positiveLost = coarsePositive.lost;
      negativeLost = coarseNegative.lost;
      positive = coarsePositive;
      negative = coarseNegative;
    }
    const { zeroThreshold } = other;
    const positiveSkip = bucketsWithinZero(positive, schema, zeroThreshold);
    const negativeSkip = bucketsWithinZero(negative, schema, zeroThreshold);
    this.#positive = addSide(this.#positive, positive, positiveLost, positiveSkip);
    this.#negative = addSide(this.#negative, negative, negativeLost, negativeSkip);
  }

  /** Widens this zero bucket as far as the other's needs, and gives the other with the same. */
  #reconcileZeroBucket(histogram: FloatHistogram): FloatHistogram {
    if (histogram.zeroThreshold === this.#zeroThreshold) return histogram;
    const [left, right] = reconcileZeroBuckets(this.#snapshot(), histogram);
    if (left.zeroThreshold > this.#zeroThreshold) {
      this.#zeroThreshold = left.zeroThreshold;
      this.#positive = this.#takeIntoZero(this.#positive, left.zeroThreshold);
      this.#negative = this.#takeIntoZero(this.#negative, left.zeroThreshold);
    }
    return right;
  }

  #takeIntoZero(side: CompensatedSide, threshold: number): CompensatedSide {
    const out = new CompensatedSideBuilder();
    const cursor = new SideCursor(side.spans, side.buckets);
    while (cursor.next()) {
      const lost = side.lost[cursor.at]!;
      if (exponentialBound(cursor.index - 1, this.#schema) < threshold) {
        this.#addZeroCount(cursor.count);
        this.#addZeroCount(lost);
      } else if (cursor.count !== 0 || lost !== 0) out.push(cursor.index, cursor.count, lost);
    }
    return out.finish();
  }

  /** The sum so far without what was rounded away; shares its arrays. */
  #snapshot(): FloatHistogram {
    return {
      resetHint: this.#resetHint,
      schema: this.#schema,
      zeroThreshold: this.#zeroThreshold,
      zeroCount: this.#zeroCount,
      count: this.#count,
      sum: this.#sum,
      positiveSpans: this.#positive.spans,
      positiveBuckets: this.#positive.buckets,
      negativeSpans: this.#negative.spans,
      negativeBuckets: this.#negative.buckets,
      customValues: this.#customValues,
    };
  }

  /** Not compacted. */
  result(): FloatHistogram {
    return this.#scaledResult(1);
  }

  /** The sum divided by `divisor`. */
  resultDividedBy(divisor: number): FloatHistogram {
    return this.#scaledResult(divisor);
  }

  #scaledResult(divisor: number): FloatHistogram {
    // of one alone −0 stays what it is: nothing is added to it
    const total = this.#isAlone
      ? (value: number) => value / divisor
      : (value: number, lost: number) => value / divisor + lost / divisor;
    const totals = ({ buckets, lost }: CompensatedSide) => buckets.map((value, i) => total(value, lost[i]!));
    return {
      ...this.#snapshot(),
      zeroCount: total(this.#zeroCount, this.#zeroLost),
      count: total(this.#count, this.#countLost),
      sum: total(this.#sum, this.#sumLost),
      positiveBuckets: totals(this.#positive),
      negativeBuckets: totals(this.#negative),
    };
  }

  /** Whether any number in the sum has become infinite. */
  get overflown(): boolean {
    return (
      isInfinite(this.#zeroCount) ||
      isInfinite(this.#count) ||
      isInfinite(this.#sum) ||
      this.#positive.buckets.some(isInfinite) ||
      this.#negative.buckets.some(isInfinite)
    );
  }

  /** Multiplies everything by `factor` and divides it by `divisor`; one of them is 1. */
  scale(factor: number, divisor: number): void {
    this.#zeroCount = (this.#zeroCount * factor) / divisor;
    this.#zeroLost = (this.#zeroLost * factor) / divisor;
    this.#count = (this.#count * factor) / divisor;
    this.#countLost = (this.#countLost * factor) / divisor;
    this.#sum = (this.#sum * factor) / divisor;
    this.#sumLost = (this.#sumLost * factor) / divisor;
    for (const numbers of [this.#positive.buckets, this.#positive.lost, this.#negative.buckets, this.#negative.lost]) {
      for (let i = 0; i < numbers.length; i++) numbers[i] = (numbers[i]! * factor) / divisor;
    }
  }

  clone(): HistogramSum {
    const copy = new HistogramSum(this.#snapshot());
    copy.#resetSeen = this.#resetSeen;
    copy.#notResetSeen = this.#notResetSeen;
    copy.boundsReconciled = this.boundsReconciled;
    copy.#zeroLost = this.#zeroLost;
    copy.#countLost = this.#countLost;
    copy.#sumLost = this.#sumLost;
    copy.#positive = { ...copy.#positive, lost: this.#positive.lost.slice() };
    copy.#negative = { ...copy.#negative, lost: this.#negative.lost.slice() };
    return copy;
  }
}

/**
 * Averages histograms as `avg` and `avg_over_time` do: the sum divided by the count, until the sum would overflow; from then on
 * the mean of the means.
 */
export class HistogramMean {
  #sum: HistogramSum;
  #count = 1;
  /** `#sum` holds the mean so far. */
  #incremental = false;

  constructor(first: FloatHistogram) {
    this.#sum = new HistogramSum(first);
  }

  get resetsCollide(): boolean {
    return this.#sum.resetsCollide;
  }

  get boundsReconciled(): boolean {
    return this.#sum.boundsReconciled;
  }

  /** @returns false where one has exponential buckets and the other custom ones: then nothing was added */
  add(histogram: FloatHistogram): boolean {
    const count = this.#count + 1;
    if (!this.#incremental) {
      const sum = this.#sum.clone();
      if (!sum.add(histogram)) return false;
      if (!sum.overflown) {
        this.#sum = sum;
        this.#count = count;
        return true;
      }
      this.#incremental = true;
      this.#sum.scale(1, count - 1);
    }
    this.#sum.scale((count - 1) / count, 1);
    if (!this.#sum.add(divideHistogram(histogram, count))) return false;
    this.#count = count;
    return true;
  }

  /** Not compacted. */
  result(): FloatHistogram {
    return this.#incremental ? this.#sum.result() : this.#sum.resultDividedBy(this.#count);
  }
}

function uncompensated({ spans, buckets }: Side): CompensatedSide {
  return { spans, buckets: buckets.slice(), lost: new Array<number>(buckets.length).fill(0) };
}

function isInfinite(value: number): boolean {
  return value === Infinity || value === -Infinity;
}

/** Adds `b` (and what was lost in it) without its first `skip` buckets: into `a` where the layout is the same, else into a new side. */
function addSide(a: CompensatedSide, b: Side, lostB: readonly number[] | undefined, skip: number): CompensatedSide {
  if (b.buckets.length === skip) return a;
  if (skip === 0 && sameLayout(a.spans, b.spans)) {
    addBuckets(a.buckets, a.lost, b.buckets);
    if (lostB !== undefined) addBuckets(a.buckets, a.lost, lostB);
    return a;
  }
  const out = new CompensatedSideBuilder();
  const left = new SideCursor(a.spans, a.buckets);
  const right = new SideCursor(b.spans, b.buckets);
  let hasLeft = left.next();
  let hasRight = right.next();
  while (hasRight && right.at < skip) hasRight = right.next();
  while (hasLeft || hasRight) {
    if (hasLeft && (!hasRight || left.index <= right.index)) {
      out.push(left.index, left.count, a.lost[left.at]!);
      if (hasRight && left.index === right.index) {
        out.increase(right.count);
        if (lostB !== undefined) out.increase(lostB[right.at]!);
        hasRight = right.next();
      }
      hasLeft = left.next();
    } else {
      out.push(right.index, right.count, lostB?.[right.at] ?? 0);
      hasRight = right.next();
    }
  }
  return out.finish();
}

function addBuckets(sums: number[], lost: number[], addends: readonly number[]): void {
  for (let i = 0; i < sums.length; i++) {
    const sum = sums[i]!;
    const addend = addends[i]!;
    const next = sum + addend;
    lost[i] = lostIn(sum, addend, next, lost[i]!);
    sums[i] = next;
  }
}

function coarser(side: CompensatedSide, schema: number, target: number): CompensatedSide {
  const out = new CompensatedSideBuilder();
  const cursor = new SideCursor(side.spans, side.buckets);
  while (cursor.next()) {
    const index = coarserIndex(cursor.index, schema, target);
    const lost = side.lost[cursor.at]!;
    if (out.isLast(index)) {
      out.increase(cursor.count);
      out.increase(lost);
    } else out.push(index, cursor.count, lost);
  }
  return out.finish();
}

class CompensatedSideBuilder {
  readonly #buckets: number[] = [];
  readonly #lost: number[] = [];
  readonly #layout = new SideBuilder();
  #index = 0;

  isLast(index: number): boolean {
    return this.#buckets.length > 0 && this.#index === index;
  }

  push(index: number, count: number, lost: number): void {
    this.#layout.push(index, 0);
    this.#buckets.push(count);
    this.#lost.push(lost);
    this.#index = index;
  }

  /** Adds to the bucket pushed last. */
  increase(addend: number): void {
    const at = this.#buckets.length - 1;
    const sum = this.#buckets[at]!;
    const next = sum + addend;
    this.#lost[at] = lostIn(sum, addend, next, this.#lost[at]!);
    this.#buckets[at] = next;
  }

  finish(): CompensatedSide {
    return { spans: this.#layout.finish().spans, buckets: this.#buckets, lost: this.#lost };
  }
}
