import type { FloatHistogram, ResetHint, Span } from './histogram.ts';

/**
 * A native histogram as it was observed: whole counts, and buckets as differences to the bucket before (the first: its count).
 * All numbers but `sum`, `zeroThreshold` and `customValues` are integers of at most 2^51.
 * Source: Prometheus `model/histogram/histogram.go`.
 */
export interface Histogram {
  readonly resetHint: ResetHint;
  readonly schema: number;
  readonly zeroThreshold: number;
  readonly zeroCount: number;
  readonly count: number;
  readonly sum: number;
  readonly positiveSpans: readonly Span[];
  readonly positiveDeltas: readonly number[];
  readonly negativeSpans: readonly Span[];
  readonly negativeDeltas: readonly number[];
  /** Upper bounds for schema −53, ascending, without +Inf; else empty. */
  readonly customValues: readonly number[];
}

const EMPTY: Histogram = {
  resetHint: 'unknown',
  schema: 0,
  zeroThreshold: 0,
  zeroCount: 0,
  count: 0,
  sum: 0,
  positiveSpans: [],
  positiveDeltas: [],
  negativeSpans: [],
  negativeDeltas: [],
  customValues: [],
};

/** With what is not given empty or 0. */
export function integerHistogram(parts: Partial<Histogram>): Histogram {
  return { ...EMPTY, ...parts };
}

export function isIntegerHistogram(histogram: Histogram | FloatHistogram): histogram is Histogram {
  return 'positiveDeltas' in histogram;
}

/** The same with absolute counts. Shares spans and bounds. */
export function toFloatHistogram(histogram: Histogram): FloatHistogram {
  return {
    resetHint: histogram.resetHint,
    schema: histogram.schema,
    zeroThreshold: histogram.zeroThreshold,
    zeroCount: histogram.zeroCount,
    count: histogram.count,
    sum: histogram.sum,
    positiveSpans: histogram.positiveSpans,
    positiveBuckets: countsOfDeltas(histogram.positiveDeltas),
    negativeSpans: histogram.negativeSpans,
    negativeBuckets: countsOfDeltas(histogram.negativeDeltas),
    customValues: histogram.customValues,
  };
}

/** The same with differences; every count has to be an integer. */
export function toIntegerHistogram(histogram: FloatHistogram): Histogram {
  return {
    resetHint: histogram.resetHint,
    schema: histogram.schema,
    zeroThreshold: histogram.zeroThreshold,
    zeroCount: histogram.zeroCount,
    count: histogram.count,
    sum: histogram.sum,
    positiveSpans: histogram.positiveSpans,
    positiveDeltas: deltasOfCounts(histogram.positiveBuckets),
    negativeSpans: histogram.negativeSpans,
    negativeDeltas: deltasOfCounts(histogram.negativeBuckets),
    customValues: histogram.customValues,
  };
}

export function countsOfDeltas(deltas: readonly number[]): number[] {
  const counts = deltas.slice();
  for (let i = 1; i < counts.length; i++) counts[i] = counts[i]! + counts[i - 1]!;
  return counts;
}

function deltasOfCounts(counts: readonly number[]): number[] {
  const deltas = counts.slice();
  for (let i = counts.length - 1; i > 0; i--) deltas[i] = counts[i]! - counts[i - 1]!;
  return deltas;
}
