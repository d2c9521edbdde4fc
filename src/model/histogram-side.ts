import { lostIn } from '../lib/kahan.ts';
import type { FloatHistogram, Span } from './histogram.ts';
import { isExponentialSchema } from './histogram.ts';
import { coarserIndex, exponentialBound } from './histogram-bounds.ts';

/** The positive or the negative buckets of a histogram. Where a layout stays the same, `spans` is shared. */
export interface Side {
  readonly spans: readonly Span[];
  readonly buckets: readonly number[];
}

export const EMPTY_SIDE: Side = { spans: [], buckets: [] };

export function positiveSide(histogram: FloatHistogram): Side {
  return { spans: histogram.positiveSpans, buckets: histogram.positiveBuckets };
}

export function negativeSide(histogram: FloatHistogram): Side {
  return { spans: histogram.negativeSpans, buckets: histogram.negativeBuckets };
}

/** Walks the buckets of a side by index, up or down. Spans that promise more buckets than there are end early. */
export class SideCursor {
  /** Index of the current bucket within the schema; only after `next` gave true. */
  index = 0;
  /** Its place in `buckets`. */
  at = -1;
  readonly #spans: readonly Span[];
  readonly #buckets: readonly number[];
  #span = -1;
  /** Buckets of the current span still to come. */
  #left = 0;

  constructor(spans: readonly Span[], buckets: readonly number[]) {
    this.#spans = spans;
    this.#buckets = buckets;
    this.index = -1;
  }

  get count(): number {
    return this.#buckets[this.at]!;
  }

  next(): boolean {
    if (this.at + 1 >= this.#buckets.length) return false;
    this.index++;
    while (this.#left === 0) {
      this.#span++;
      if (this.#span >= this.#spans.length) return false;
      const span = this.#spans[this.#span]!;
      this.index += span.offset;
      this.#left = span.length;
    }
    this.#left--;
    this.at++;
    return true;
  }
}

/** As `SideCursor`, from the highest index down. */
export class ReverseSideCursor {
  index: number;
  at: number;
  readonly #spans: readonly Span[];
  readonly #buckets: readonly number[];
  #span: number;
  #left: number;

  constructor(spans: readonly Span[], buckets: readonly number[]) {
    this.#spans = spans;
    this.#buckets = buckets;
    this.#span = spans.length - 1;
    this.#left = spans.at(-1)?.length ?? 0;
    this.at = buckets.length;
    this.index = 0;
    for (const span of spans) this.index += span.offset + span.length;
  }

  get count(): number {
    return this.#buckets[this.at]!;
  }

  next(): boolean {
    if (this.at <= 0 || this.#span < 0) return false;
    while (this.#left === 0) {
      this.index -= this.#spans[this.#span]!.offset;
      this.#span--;
      if (this.#span < 0) return false;
      this.#left = this.#spans[this.#span]!.length;
    }
    this.index--;
    this.#left--;
    this.at--;
    return true;
  }
}

/** Takes buckets in ascending order of index and gives the fewest spans that hold them. */
export class SideBuilder {
  readonly #spans: { offset: number; length: number }[] = [];
  readonly #buckets: number[] = [];
  /** The index after the last bucket. */
  #end = 0;

  push(index: number, count: number): void {
    const last = this.#spans.at(-1);
    if (last !== undefined && index === this.#end) last.length++;
    else this.#spans.push({ offset: index - this.#end, length: 1 });
    this.#end = index + 1;
    this.#buckets.push(count);
  }

  /** Adds to the bucket pushed last if that is `index`, otherwise pushes. */
  accumulate(index: number, count: number): void {
    if (this.#buckets.length > 0 && index === this.#end - 1) this.#buckets[this.#buckets.length - 1]! += count;
    else this.push(index, count);
  }

  finish(): Side {
    return this.#buckets.length === 0 ? EMPTY_SIDE : { spans: this.#spans, buckets: this.#buckets };
  }
}

/** Whether the spans are equal one by one: then the buckets at the same place are the same bucket. */
export function sameLayout(a: readonly Span[], b: readonly Span[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i]!.offset !== b[i]!.offset || a[i]!.length !== b[i]!.length) return false;
  return true;
}

/**
 * How many of the first buckets lie within the zero bucket altogether: those that an addition leaves out.
 * Custom buckets have no zero bucket.
 */
export function bucketsWithinZero(side: Side, schema: number, zeroThreshold: number): number {
  if (zeroThreshold === 0 || side.buckets.length === 0 || !isExponentialSchema(schema)) return 0;
  const cursor = new SideCursor(side.spans, side.buckets);
  while (cursor.next()) if (exponentialBound(cursor.index, schema) > zeroThreshold) return cursor.at;
  return side.buckets.length;
}

/** a + sign × b, without the first `skip` buckets of b. The buckets of the result are those of both. */
export function combineSides(a: Side, b: Side, sign: 1 | -1, skip: number): Side {
  if (b.buckets.length === skip) return a;
  if (skip === 0 && sameLayout(a.spans, b.spans)) {
    const buckets = a.buckets.slice();
    if (sign === 1) for (let i = 0; i < buckets.length; i++) buckets[i] = buckets[i]! + b.buckets[i]!;
    else for (let i = 0; i < buckets.length; i++) buckets[i] = buckets[i]! - b.buckets[i]!;
    return { spans: a.spans, buckets };
  }
  const out = new SideBuilder();
  const left = new SideCursor(a.spans, a.buckets);
  const right = new SideCursor(b.spans, b.buckets);
  let hasLeft = left.next();
  let hasRight = right.next();
  while (hasRight && right.at < skip) hasRight = right.next();
  while (hasLeft || hasRight) {
    if (!hasRight || (hasLeft && left.index < right.index)) {
      out.push(left.index, left.count);
      hasLeft = left.next();
    } else if (!hasLeft || right.index < left.index) {
      out.push(right.index, sign * right.count);
      hasRight = right.next();
    } else {
      out.push(left.index, left.count + sign * right.count);
      hasLeft = left.next();
      hasRight = right.next();
    }
  }
  return out.finish();
}

/** The same observations in the buckets of a coarser schema. */
export function coarserSide(side: Side, schema: number, target: number): Side {
  if (schema === target || side.buckets.length === 0) return side;
  const out = new SideBuilder();
  const cursor = new SideCursor(side.spans, side.buckets);
  while (cursor.next()) out.accumulate(coarserIndex(cursor.index, schema, target), cursor.count);
  return out.finish();
}

/**
 * Without empty buckets, but for runs of at most `emptyMax` between populated ones: those are spelt out, so that there are fewer
 * spans.
 */
export function compactSide(side: Side, emptyMax = 0): Side {
  if (isCompact(side, emptyMax)) return side;
  const out = new SideBuilder();
  const cursor = new SideCursor(side.spans, side.buckets);
  let end: number | undefined;
  while (cursor.next()) {
    if (cursor.count === 0) continue;
    if (end !== undefined && cursor.index - end <= emptyMax) while (end < cursor.index) out.push(end++, 0);
    out.push(cursor.index, cursor.count);
    end = cursor.index + 1;
  }
  return out.finish();
}

function isCompact({ spans, buckets }: Side, emptyMax: number): boolean {
  for (const count of buckets) if (count === 0) return false;
  for (let i = 0; i < spans.length; i++) {
    if (spans[i]!.length === 0 || (i > 0 && spans[i]!.offset <= emptyMax)) return false;
  }
  return true;
}

/** The bounds that both have. */
export function sharedBounds(a: readonly number[], b: readonly number[]): number[] {
  const shared: number[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) {
      shared.push(a[i]!);
      i++;
      j++;
    } else if (a[i]! < b[j]!) i++;
    else j++;
  }
  return shared;
}

/** Adds the buckets of custom bounds `bounds` to `counts` and `lost`: those of the bounds `shared`, a subset, and of +Inf. */
export function addToBounds(
  side: Side,
  bounds: readonly number[],
  sign: 1 | -1,
  shared: readonly number[],
  counts: number[],
  lost: number[],
): void {
  const cursor = new SideCursor(side.spans, side.buckets);
  let target = 0;
  while (cursor.next()) {
    if (cursor.index >= bounds.length) target = shared.length;
    else while (target < shared.length && shared[target]! < bounds[cursor.index]!) target++;
    const addend = sign * cursor.count;
    const next = counts[target]! + addend;
    lost[target] = lostIn(counts[target]!, addend, next, lost[target]!);
    counts[target] = next;
  }
}

/** A side of the populated ones of `counts`, whose index is their place. */
export function sideOfCounts(counts: readonly number[]): Side {
  const out = new SideBuilder();
  for (let i = 0; i < counts.length; i++) if (counts[i] !== 0) out.push(i, counts[i]!);
  return out.finish();
}
