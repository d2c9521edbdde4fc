/**
 * A native histogram as PromQL sees it: every count a float, buckets absolute (not deltas). Immutable: operations give a new one,
 * and share spans and bounds with what they came from.
 * Schema −4 … 8: exponential, factor 2^(2^−schema); −53: custom bounds. Source: Prometheus `model/histogram/float_histogram.go`.
 */
export interface FloatHistogram {
  readonly resetHint: ResetHint;
  readonly schema: number;
  /** Width of the zero bucket to either side of 0. */
  readonly zeroThreshold: number;
  readonly zeroCount: number;
  readonly count: number;
  readonly sum: number;
  /** Where the buckets lie: each span starts `offset` after the end of the last (the first: at that index). */
  readonly positiveSpans: readonly Span[];
  readonly positiveBuckets: readonly number[];
  readonly negativeSpans: readonly Span[];
  readonly negativeBuckets: readonly number[];
  /** Upper bounds for schema −53, ascending, without +Inf; else empty. */
  readonly customValues: readonly number[];
}

export interface Span {
  readonly offset: number;
  readonly length: number;
}

export type ResetHint = 'unknown' | 'reset' | 'not_reset' | 'gauge';

export const CUSTOM_BUCKETS_SCHEMA = -53;
export const EXPONENTIAL_SCHEMA_MIN = -4;
export const EXPONENTIAL_SCHEMA_MAX = 8;

const EMPTY: FloatHistogram = {
  resetHint: 'unknown',
  schema: 0,
  zeroThreshold: 0,
  zeroCount: 0,
  count: 0,
  sum: 0,
  positiveSpans: [],
  positiveBuckets: [],
  negativeSpans: [],
  negativeBuckets: [],
  customValues: [],
};

/** With what is not given empty or 0. */
export function floatHistogram(parts: Partial<FloatHistogram>): FloatHistogram {
  return { ...EMPTY, ...parts };
}

export function usesCustomBuckets(histogram: { readonly schema: number }): boolean {
  return histogram.schema === CUSTOM_BUCKETS_SCHEMA;
}

export function isExponentialSchema(schema: number): boolean {
  return schema >= EXPONENTIAL_SCHEMA_MIN && schema <= EXPONENTIAL_SCHEMA_MAX;
}

export function withResetHint(histogram: FloatHistogram, resetHint: ResetHint): FloatHistogram {
  return histogram.resetHint === resetHint ? histogram : { ...histogram, resetHint };
}

/** Counts, sum and buckets times `factor`. With a negative one it is no counter any more. */
export function multiplyHistogram(histogram: FloatHistogram, factor: number): FloatHistogram {
  return {
    resetHint: factor < 0 ? 'gauge' : histogram.resetHint,
    schema: histogram.schema,
    zeroThreshold: histogram.zeroThreshold,
    zeroCount: histogram.zeroCount * factor,
    count: histogram.count * factor,
    sum: histogram.sum * factor,
    positiveSpans: histogram.positiveSpans,
    positiveBuckets: multiplied(histogram.positiveBuckets, factor),
    negativeSpans: histogram.negativeSpans,
    negativeBuckets: multiplied(histogram.negativeBuckets, factor),
    customValues: histogram.customValues,
  };
}

/** Not the same as times 1 / `divisor`: that rounds twice. Division by 0 leaves no buckets. */
export function divideHistogram(histogram: FloatHistogram, divisor: number): FloatHistogram {
  const empty = divisor === 0;
  return {
    resetHint: divisor < 0 ? 'gauge' : histogram.resetHint,
    schema: histogram.schema,
    zeroThreshold: histogram.zeroThreshold,
    zeroCount: histogram.zeroCount / divisor,
    count: histogram.count / divisor,
    sum: histogram.sum / divisor,
    positiveSpans: empty ? [] : histogram.positiveSpans,
    positiveBuckets: empty ? [] : divided(histogram.positiveBuckets, divisor),
    negativeSpans: empty ? [] : histogram.negativeSpans,
    negativeBuckets: empty ? [] : divided(histogram.negativeBuckets, divisor),
    customValues: histogram.customValues,
  };
}

function multiplied(buckets: readonly number[], factor: number): number[] {
  const out = buckets.slice();
  for (let i = 0; i < out.length; i++) out[i] = out[i]! * factor;
  return out;
}

function divided(buckets: readonly number[], divisor: number): number[] {
  const out = buckets.slice();
  for (let i = 0; i < out.length; i++) out[i] = out[i]! / divisor;
  return out;
}

/** The same data: bucket layout, bounds and every number, where NaN equals NaN and 0 does not equal −0. The reset hint does not count. */
export function equalHistograms(a: FloatHistogram, b: FloatHistogram): boolean {
  return (
    a === b ||
    (a.schema === b.schema &&
      Object.is(a.count, b.count) &&
      Object.is(a.sum, b.sum) &&
      a.zeroThreshold === b.zeroThreshold &&
      Object.is(a.zeroCount, b.zeroCount) &&
      (!usesCustomBuckets(a) || equalBounds(a.customValues, b.customValues)) &&
      equalSpans(a.negativeSpans, b.negativeSpans) &&
      equalNumbers(a.negativeBuckets, b.negativeBuckets) &&
      equalSpans(a.positiveSpans, b.positiveSpans) &&
      equalNumbers(a.positiveBuckets, b.positiveBuckets))
  );
}

export function equalBounds(a: readonly number[], b: readonly number[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function equalNumbers(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false;
  return true;
}

/** The same layout, where spans of length 0 only add to the offset of the next. */
export function equalSpans(a: readonly Span[], b: readonly Span[]): boolean {
  if (a === b) return true;
  let i = 0;
  let j = 0;
  for (;;) {
    let offsetA = 0;
    while (i < a.length && a[i]!.length === 0) offsetA += a[i++]!.offset;
    let offsetB = 0;
    while (j < b.length && b[j]!.length === 0) offsetB += b[j++]!.offset;
    if (i === a.length || j === b.length) return i === a.length && j === b.length;
    const spanA = a[i++]!;
    const spanB = b[j++]!;
    if (offsetA + spanA.offset !== offsetB + spanB.offset || spanA.length !== spanB.length) return false;
  }
}

/** Bytes that Prometheus counts a float histogram as. */
function histogramBytes(histogram: FloatHistogram): number {
  return (
    168 +
    8 *
      (histogram.positiveSpans.length +
        histogram.negativeSpans.length +
        histogram.positiveBuckets.length +
        histogram.negativeBuckets.length +
        histogram.customValues.length)
  );
}

/** As how many float samples a histogram counts in limits and statistics: Prometheus takes 16 bytes for one, its time included. */
export function histogramSampleWeight(histogram: FloatHistogram): number {
  return Math.floor((histogramBytes(histogram) + 8) / 16);
}
