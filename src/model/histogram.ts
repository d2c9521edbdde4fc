/**
 * A native histogram as PromQL sees it: every count a float, buckets absolute (not deltas).
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
