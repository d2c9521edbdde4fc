import { formatG } from '../lib/go-float.ts';
import type { FloatHistogram, Span } from './histogram.ts';
import { EXPONENTIAL_SCHEMA_MAX, EXPONENTIAL_SCHEMA_MIN, isExponentialSchema, usesCustomBuckets } from './histogram.ts';
import { countsOfDeltas, type Histogram } from './histogram-integer.ts';

type HistogramFaultKind =
  | 'count_mismatch'
  | 'count_not_big_enough'
  | 'negative_count'
  | 'negative_bucket_count'
  | 'number_too_large'
  | 'span_negative_offset'
  | 'span_out_of_range'
  | 'spans_buckets_mismatch'
  | 'custom_bounds_too_few'
  | 'custom_bounds_order'
  | 'custom_bounds_infinite'
  | 'custom_bounds_nan'
  | 'custom_with_zero_bucket'
  | 'custom_with_negative_buckets'
  | 'exponential_with_custom_bounds'
  | 'zero_threshold'
  | 'schema';

/** A fault of a histogram; `text` is that of Prometheus where it has the same check. */
export interface HistogramFault {
  readonly kind: HistogramFaultKind;
  readonly text: string;
}

const TEXTS: Readonly<Record<HistogramFaultKind, string>> = {
  count_mismatch:
    "histogram's observation count should equal the number of observations found in the buckets (in absence of NaN)",
  count_not_big_enough:
    "histogram's observation count should be at least the number of observations found in the buckets",
  negative_count: "histogram's observation count is negative",
  negative_bucket_count: 'histogram has a bucket whose observation count is negative',
  number_too_large: 'histogram has a number that is no integer or beyond 2^51',
  span_negative_offset: 'histogram has a span whose offset is negative',
  span_out_of_range: 'histogram has a span whose bucket index is out of range',
  spans_buckets_mismatch: 'histogram spans specify different number of buckets than provided',
  custom_bounds_too_few: 'histogram custom bounds are too few',
  custom_bounds_order: 'histogram custom bounds must be in strictly increasing order',
  custom_bounds_infinite: 'histogram custom bounds must be finite',
  custom_bounds_nan: 'histogram custom bounds must not be NaN',
  custom_with_zero_bucket: 'custom buckets: must have zero count of 0',
  custom_with_negative_buckets: 'custom buckets: must not have negative buckets',
  exponential_with_custom_bounds: 'histogram with exponential schema must not have custom bounds',
  zero_threshold: 'histogram zero threshold must be a number that is not negative',
  schema: `histogram has an invalid schema, which must be between ${EXPONENTIAL_SCHEMA_MIN} and ${EXPONENTIAL_SCHEMA_MAX} for exponential buckets, or -53 for custom buckets`,
};

/** Differences of differences of such counts are still exact. */
const COUNT_MAX = 2 ** 51;

function fault(kind: HistogramFaultKind, before = '', after = ''): HistogramFault {
  return { kind, text: before + TEXTS[kind] + after };
}

/**
 * The first fault found in a float histogram, if any. The count is not checked against the buckets: with fractions that would be a
 * matter of rounding.
 */
export function floatHistogramFault(histogram: FloatHistogram): HistogramFault | undefined {
  const { positiveBuckets, negativeBuckets } = histogram;
  const wrong = layoutFault(histogram, positiveBuckets.length, negativeBuckets.length);
  if (wrong !== undefined) return wrong;
  if (!usesCustomBuckets(histogram)) {
    const negative = countsFault(negativeBuckets, 'negative side: ');
    if (negative !== undefined) return negative;
    if (histogram.zeroCount < 0) {
      return fault('negative_bucket_count', `zero bucket has observation count of ${formatG(histogram.zeroCount)}: `);
    }
    if (histogram.customValues.length > 0) return fault('exponential_with_custom_bounds');
  }
  if (histogram.count < 0) return fault('negative_count', `observation count is  ${formatG(histogram.count)}: `);
  return countsFault(positiveBuckets, 'positive side: ');
}

/** The first fault found in an integer histogram, if any. */
export function histogramFault(histogram: Histogram): HistogramFault | undefined {
  const { positiveDeltas, negativeDeltas, zeroCount, count } = histogram;
  const wrong = layoutFault(histogram, positiveDeltas.length, negativeDeltas.length);
  if (wrong !== undefined) return wrong;
  const positive = countsOfDeltas(positiveDeltas);
  const negative = countsOfDeltas(negativeDeltas);
  if (
    !(isSafe(zeroCount) && isSafe(count) && areSafe(positiveDeltas) && areSafe(negativeDeltas)) ||
    !(areSafe(positive) && areSafe(negative))
  ) {
    return fault('number_too_large');
  }
  const negativeWrong = countsFault(negative, 'negative side: ');
  if (negativeWrong !== undefined) return negativeWrong;
  if (!usesCustomBuckets(histogram) && histogram.customValues.length > 0)
    return fault('exponential_with_custom_bounds');
  const positiveWrong = countsFault(positive, 'positive side: ');
  if (positiveWrong !== undefined) return positiveWrong;
  let total = zeroCount;
  for (const bucket of positive) total += bucket;
  for (const bucket of negative) total += bucket;
  if (zeroCount < 0) return fault('negative_bucket_count', `zero bucket has observation count of ${zeroCount}: `);
  // observations of NaN are counted and lie in no bucket
  if (total === count || (total < count && Number.isNaN(histogram.sum))) return undefined;
  const found = `${total} observations found in buckets, but the Count field is ${count}: `;
  return fault(Number.isNaN(histogram.sum) ? 'count_not_big_enough' : 'count_mismatch', found);
}

function areSafe(numbers: readonly number[]): boolean {
  for (let i = 0; i < numbers.length; i++) if (!isSafe(numbers[i]!)) return false;
  return true;
}

function isSafe(number: number): boolean {
  return Number.isInteger(number) && number <= COUNT_MAX && number >= -COUNT_MAX;
}

type Layout = Pick<
  FloatHistogram,
  'schema' | 'zeroThreshold' | 'zeroCount' | 'positiveSpans' | 'negativeSpans' | 'customValues'
>;

function layoutFault(histogram: Layout, positiveCount: number, negativeCount: number): HistogramFault | undefined {
  const { schema, zeroThreshold, positiveSpans, negativeSpans, customValues } = histogram;
  if (usesCustomBuckets(histogram)) {
    const wrong = boundsFault(customValues) ?? customSpansFault(positiveSpans, positiveCount, customValues.length);
    if (wrong !== undefined) return { kind: wrong.kind, text: `custom buckets: ${wrong.text}` };
    if (histogram.zeroCount !== 0) return fault('custom_with_zero_bucket');
    if (zeroThreshold !== 0) {
      return { kind: 'custom_with_zero_bucket', text: 'custom buckets: must have zero threshold of 0' };
    }
    if (negativeSpans.length > 0) {
      return { kind: 'custom_with_negative_buckets', text: 'custom buckets: must not have negative spans' };
    }
    return negativeCount > 0 ? fault('custom_with_negative_buckets') : undefined;
  }
  if (!Number.isInteger(schema) || !isExponentialSchema(schema)) return fault('schema', '', `, got schema ${schema}`);
  if (!(zeroThreshold >= 0)) return fault('zero_threshold');
  return (
    spansFault(positiveSpans, positiveCount, 'positive side: ') ??
    spansFault(negativeSpans, negativeCount, 'negative side: ')
  );
}

function spansFault(spans: readonly Span[], bucketCount: number, side: string): HistogramFault | undefined {
  let buckets = 0;
  let end = 0;
  for (const [i, { offset, length }] of spans.entries()) {
    if (i > 0 && offset < 0) {
      return fault('span_negative_offset', `${side}span number ${i + 1} with offset ${offset}: `);
    }
    if (offset <= -(2 ** 31)) {
      return fault('span_out_of_range', `${side}span number ${i + 1} starts at bucket index ${offset}: `);
    }
    buckets += length;
    end += offset + length;
    if (end > 2 ** 31) {
      return fault('span_out_of_range', `${side}span number ${i + 1} ends at bucket index ${end - 1}: `);
    }
  }
  if (buckets === bucketCount) return undefined;
  return fault('spans_buckets_mismatch', `${side}spans need ${buckets} buckets, have ${bucketCount} buckets: `);
}

function boundsFault(bounds: readonly number[]): HistogramFault | undefined {
  for (let i = 0; i < bounds.length; i++) {
    const bound = bounds[i]!;
    if (Number.isNaN(bound)) return fault('custom_bounds_nan');
    if (i > 0 && bound <= bounds[i - 1]!) {
      const previous = bounds[i - 1]!.toFixed(6);
      return fault('custom_bounds_order', `previous bound is ${previous} and current is ${bound.toFixed(6)}: `);
    }
  }
  if (bounds.at(-1) !== Infinity) return undefined;
  return fault('custom_bounds_infinite', 'last +Inf bound must not be explicitly defined: ');
}

function customSpansFault(spans: readonly Span[], bucketCount: number, boundCount: number): HistogramFault | undefined {
  let buckets = 0;
  let total = 0;
  for (const [i, { offset, length }] of spans.entries()) {
    if (offset < 0) return fault('span_negative_offset', `span number ${i + 1} with offset ${offset}: `);
    buckets += length;
    total += offset + length;
  }
  if (buckets !== bucketCount) {
    return fault('spans_buckets_mismatch', `spans need ${buckets} buckets, have ${bucketCount} buckets: `);
  }
  if (boundCount + 1 >= total) return undefined;
  return fault(
    'custom_bounds_too_few',
    `only ${boundCount} custom bounds defined which is insufficient to cover total span length of ${total}: `,
  );
}

function countsFault(counts: readonly number[], side: string): HistogramFault | undefined {
  for (let i = 0; i < counts.length; i++) {
    if (counts[i]! >= 0 || Number.isNaN(counts[i])) continue;
    return fault(
      'negative_bucket_count',
      `${side}bucket number ${i + 1} has observation count of ${formatG(counts[i]!)}: `,
    );
  }
  return undefined;
}
