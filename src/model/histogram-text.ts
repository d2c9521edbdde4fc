import { formatApiNumber, formatG } from '../lib/go-float.ts';
import type { FloatHistogram } from './histogram.ts';
import { usesCustomBuckets } from './histogram.ts';
import { compactHistogram } from './histogram-add.ts';
import { type Bucket, BucketCursor, emptyBucket, setBucket } from './histogram-bucket.ts';
import { negativeSide, positiveSide, ReverseSideCursor, type Side, SideCursor } from './histogram-side.ts';

/** As Prometheus prints it: `{count:5, sum:18.4, [-0.001,0.001]:1, (1,2]:4}`. */
export function histogramToString(histogram: FloatHistogram): string {
  const parts = [`count:${formatG(histogram.count)}`, `sum:${formatG(histogram.sum)}`];
  const bucket = emptyBucket();
  const { schema, customValues, zeroThreshold, zeroCount } = histogram;
  const add = (side: Side, positive: boolean): void => {
    const cursor = new (positive ? SideCursor : ReverseSideCursor)(side.spans, side.buckets);
    while (cursor.next()) {
      if (cursor.count === 0) continue;
      setBucket(bucket, cursor.index, cursor.count, positive, schema, customValues);
      parts.push(bucketToString(bucket));
    }
  };
  add(negativeSide(histogram), false);
  if (zeroCount !== 0) parts.push(`[${formatG(-zeroThreshold)},${formatG(zeroThreshold)}]:${formatG(zeroCount)}`);
  add(positiveSide(histogram), true);
  return `{${parts.join(', ')}}`;
}

function bucketToString({ lower, upper, lowerInclusive, upperInclusive, count }: Bucket): string {
  const open = lowerInclusive ? '[' : '(';
  const close = upperInclusive ? ']' : ')';
  return `${open}${formatG(lower)},${formatG(upper)}${close}:${formatG(count)}`;
}

/** In the language of PromQL tests: `{{schema:1 count:5 sum:18.4 buckets:[1 2 2]}}`. */
export function histogramToTestNotation(histogram: FloatHistogram): string {
  const whole = compactHistogram(histogram, Number.MAX_SAFE_INTEGER);
  const parts: string[] = [];
  const add = (key: string, value: number): void => {
    if (value !== 0) parts.push(`${key}:${formatG(value)}`);
  };
  const addSide = (key: string, offsetKey: string, { spans, buckets }: Side): void => {
    add(offsetKey, spans[0]?.offset ?? 0);
    if (buckets.length > 0) parts.push(`${key}:[${buckets.map(formatG).join(' ')}]`);
  };
  add('schema', whole.schema);
  add('count', whole.count);
  add('sum', whole.sum);
  add('z_bucket', whole.zeroCount);
  add('z_bucket_w', whole.zeroThreshold);
  if (usesCustomBuckets(whole)) parts.push(`custom_values:[${whole.customValues.map(formatG).join(' ')}]`);
  if (whole.resetHint !== 'unknown') parts.push(`counter_reset_hint:${whole.resetHint}`);
  addSide('buckets', 'offset', positiveSide(whole));
  addSide('n_buckets', 'n_offset', negativeSide(whole));
  return `{{${parts.join(' ')}}}`;
}

/** Which bounds of a bucket belong to it, as the API writes it: 0 the upper, 1 the lower, 2 none, 3 both. */
type ApiBoundaries = 0 | 1 | 2 | 3;

type ApiBucket = readonly [boundaries: ApiBoundaries, lower: string, upper: string, count: string];

/** A histogram in answers of the API. */
export interface ApiHistogram {
  readonly count: string;
  readonly sum: string;
  /** Populated ones, ascending. */
  readonly buckets?: readonly ApiBucket[];
}

export function histogramToApi(histogram: FloatHistogram): ApiHistogram {
  const buckets: ApiBucket[] = [];
  const bucket = BucketCursor.ascending(histogram);
  while (bucket.next()) {
    if (bucket.count === 0) continue;
    const boundaries = bucket.lowerInclusive ? (bucket.upperInclusive ? 3 : 1) : bucket.upperInclusive ? 0 : 2;
    buckets.push([
      boundaries,
      formatApiNumber(bucket.lower),
      formatApiNumber(bucket.upper),
      formatApiNumber(bucket.count),
    ]);
  }
  const count = formatApiNumber(histogram.count);
  const sum = formatApiNumber(histogram.sum);
  return buckets.length === 0 ? { count, sum } : { count, sum, buckets };
}
