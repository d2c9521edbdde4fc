import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatApiNumber, formatG } from '../lib/go-float.ts';
import { ClassicHistogram, ClassicHistogramError, classicBucketCounts } from './classic-histogram.ts';
import { classicFraction, classicQuantile } from './classic-quantile.ts';
import {
  divideHistogram,
  equalHistograms,
  type FloatHistogram,
  floatHistogram,
  multiplyHistogram,
} from './histogram.ts';
import { addHistograms, compactHistogram, copyToSchema, subtractHistograms } from './histogram-add.ts';
import { exponentialBound } from './histogram-bounds.ts';
import { integerHistogram, isIntegerHistogram, toFloatHistogram, toIntegerHistogram } from './histogram-integer.ts';
import { histogramDeviation } from './histogram-moments.ts';
import { histogramFraction, histogramQuantile } from './histogram-quantile.ts';
import { detectReset } from './histogram-reset.ts';
import { HistogramMean, HistogramSum } from './histogram-sum.ts';
import { histogramToApi, histogramToString, histogramToTestNotation as show } from './histogram-text.ts';
import { trimHistogram } from './histogram-trim.ts';
import { floatHistogramFault, histogramFault } from './histogram-validate.ts';

/** A histogram with buckets on one side, all in a row; its count is theirs and the zero bucket's. */
function positive(buckets: number[], parts: Partial<FloatHistogram> & { offset?: number } = {}): FloatHistogram {
  const { offset = 0, ...rest } = parts;
  const count = buckets.reduce((sum, bucket) => sum + bucket, rest.zeroCount ?? 0);
  const positiveSpans = [{ offset, length: buckets.length }];
  return floatHistogram({ count, sum: count * 2, positiveSpans, positiveBuckets: buckets, ...rest });
}

function custom(customValues: number[], buckets: number[]): FloatHistogram {
  return positive(buckets, { schema: -53, customValues });
}

test('numbers are printed as Go prints them', () => {
  const numbers = [1, 1e6, 123456789, 0.0001, 0.00001, 1234567, -0.5, -0, Number.NaN, -Infinity];
  assert.equal(numbers.map(formatG).join(' '), '1 1e+06 1.23456789e+08 0.0001 1e-05 1.234567e+06 -0.5 -0 NaN -Inf');
  assert.equal(
    [1e-6, 1e-7, 1e20, 1e21, 0.25].map(formatApiNumber).join(' '),
    '0.000001 1e-07 100000000000000000000 1e+21 0.25',
  );
});

test('bounds are powers of two, and between them those of the table', () => {
  assert.deepEqual(
    [-1, 0, 1, 2].map((index) => exponentialBound(index, 0)),
    [0.5, 1, 2, 4],
  );
  assert.deepEqual(
    [-1, 0, 1].map((index) => exponentialBound(index, -2)),
    [1 / 16, 1, 16],
  );
  assert.equal(exponentialBound(1, 1), Math.SQRT2 - 2 ** -52); // one unit below the square root, as stored histograms have it
  assert.equal(exponentialBound(1024, 0), Number.MAX_VALUE);
  assert.equal(exponentialBound(1025, 0), Infinity);
  assert.equal(exponentialBound(-1074, 0), 5e-324);
});

test('addition takes the coarser schema and the wider zero bucket', () => {
  const fine = positive([1, 2, 3, 4], { schema: 1, offset: 1 });
  const coarse = positive([10, 20], { offset: 1, zeroCount: 5, zeroThreshold: 1 });
  assert.equal(
    show(addHistograms(fine, coarse)!.histogram),
    '{{count:45 sum:90 z_bucket:5 z_bucket_w:1 offset:1 buckets:[13 27]}}',
  );
  const low = positive([1, 1, 1], { offset: -1 }); // (0.25, 2]
  const sum = addHistograms(low, coarse)!.histogram;
  assert.equal(show(sum), '{{count:38 sum:76 z_bucket:7 z_bucket_w:1 offset:1 buckets:[11 20]}}');
  assert.equal(
    show(compactHistogram(subtractHistograms(sum, coarse)!.histogram)),
    '{{count:3 sum:6 z_bucket:2 z_bucket_w:1 offset:1 buckets:[1]}}',
  );
});

test('a zero bucket widens to the end of the populated bucket it would cut', () => {
  const wide = positive([], { zeroCount: 1, zeroThreshold: 3 });
  const sum = addHistograms(wide, positive([1, 1, 1], { offset: 1 }))!.histogram; // (1, 8]
  assert.equal(show(sum), '{{count:4 sum:8 z_bucket:3 z_bucket_w:4 offset:3 buckets:[1]}}');
});

test('addition keeps what is known of resets, and says what collides', () => {
  const reset = positive([1], { resetHint: 'reset' });
  const steady = positive([1], { resetHint: 'not_reset' });
  const gauge = positive([1], { resetHint: 'gauge' });
  const { histogram, resetsCollide } = addHistograms(reset, steady)!;
  assert.deepEqual([histogram.resetHint, resetsCollide], ['unknown', true]);
  assert.deepEqual(addHistograms(steady, gauge)!.histogram.resetHint, 'gauge');
  assert.equal(addHistograms(reset, reset)!.resetsCollide, false);
});

test('custom buckets meet at the bounds that both have', () => {
  const { histogram, boundsReconciled } = addHistograms(
    custom([1, 2, 4], [1, 2, 3, 4]),
    custom([2, 3, 4], [10, 20, 30, 40]),
  )!;
  assert.equal(boundsReconciled, true);
  assert.equal(show(histogram), '{{schema:-53 count:110 sum:220 custom_values:[2 4] buckets:[13 53 44]}}');
  assert.equal(addHistograms(custom([1], [1, 2]), positive([1])), undefined);
});

test('sums are compensated', () => {
  const sum = new HistogramSum(positive([1e17], { count: 1, sum: 1 }));
  for (let i = 0; i < 10; i++) assert.ok(sum.add(positive([1], { sum: 1 })));
  assert.ok(sum.add(positive([-1e17, 3], { count: 2, sum: 1 })));
  assert.equal(show(sum.result()), '{{count:13 sum:12 buckets:[10 3]}}');
  assert.equal(sum.add(custom([1], [1, 2])), false);
});

test('a mean does not overflow where its sum would', () => {
  const mean = new HistogramMean(positive([1e308], { sum: 1e308 }));
  assert.ok(mean.add(positive([1.2e308], { sum: 1.2e308 })));
  assert.ok(mean.add(positive([0.8e308], { sum: 0.8e308 })));
  assert.equal(mean.result().sum, 1e308);
  const small = new HistogramMean(positive([1, 2]));
  small.add(positive([3, 4]));
  assert.equal(show(small.result()), '{{count:5 sum:10 buckets:[2 3]}}');
});

test('a reset shows in any count, but not in empty buckets that go', () => {
  assert.equal(detectReset(positive([1, 2]), positive([1, 1])), false);
  assert.equal(detectReset(positive([2, 1]), positive([1, 2])), true);
  assert.equal(detectReset(positive([5, 0], { offset: 1 }), positive([0, 5])), false);
  assert.equal(detectReset(positive([5], { offset: 1 }), positive([1, 4])), true);
  assert.equal(detectReset(positive([9], { schema: 1 }), positive([1])), true);
  assert.equal(detectReset(positive([9]), positive([1, 1], { schema: 1, offset: -1 })), false);
  assert.equal(detectReset(positive([1], { resetHint: 'not_reset' }), positive([2])), false);
  assert.equal(detectReset(custom([1, 3], [2, 2, 2]), custom([1, 2, 3], [2, 1, 1, 2])), false);
  assert.equal(detectReset(custom([1, 3], [1, 4, 2]), custom([1, 2, 3], [2, 1, 1, 2])), true);
});

test('quantiles interpolate on a logarithmic scale, in zero and custom buckets on a linear one', () => {
  assert.equal(histogramQuantile(0.5, positive([1, 2, 1], { offset: 1 })).value.toFixed(9), (2 ** 1.5).toFixed(9));
  assert.equal(histogramQuantile(0.25, positive([], { zeroCount: 4, zeroThreshold: 2 })).value, -1);
  assert.equal(histogramQuantile(0.75, custom([1, 3], [2, 2])).value, 2);
  assert.equal(histogramQuantile(1, custom([1, 3], [2, 2, 1])).value, 3);
  assert.equal(histogramQuantile(2, positive([1])).value, Infinity);
  assert.deepEqual(histogramQuantile(0.9, positive([1], { count: 2, sum: Number.NaN })), {
    value: Number.NaN,
    nans: 'result',
  });
  assert.equal(histogramQuantile(0.1, positive([1], { count: 2, sum: Number.NaN })).nans, 'skew');
});

test('fractions are the inverse of quantiles', () => {
  const histogram = positive([3, 5, 2], { offset: 1 });
  const median = histogramQuantile(0.5, histogram).value;
  assert.ok(Math.abs(histogramFraction(-Infinity, median, histogram).value - 0.5) < 1e-12);
  assert.equal(histogramFraction(-Infinity, Infinity, histogram).value, 1);
  assert.equal(histogramFraction(3, 2, histogram).value, 0);
});

test('quantiles of classic histograms raise counts that fall', () => {
  const buckets = (counts: number[]) =>
    counts.map((count, i) => ({ upperBound: i === counts.length - 1 ? Infinity : i + 1, count }));
  assert.deepEqual(classicQuantile(0.5, buckets([1, 3, 4])), { value: 1.5, forced: undefined });
  assert.deepEqual(classicQuantile(0.5, buckets([2, 1, 4])).forced, { minBound: 2, maxBound: 2, maxDifference: 1 });
  assert.equal(classicQuantile(0.5, [{ upperBound: 1, count: 1 }]).value, Number.NaN);
  assert.equal(classicFraction(0, 1.5, buckets([2, 4, 4])), 0.75);
});

test('trimming keeps what lies on one side', () => {
  const histogram = positive([4, 4], { offset: 1 }); // (1, 2], (2, 4]
  const below = trimHistogram(histogram, 2, 'below');
  assert.deepEqual([below.count, below.positiveBuckets], [4, [4]]);
  const above = trimHistogram(histogram, 2 ** 1.5, 'above');
  assert.ok(Math.abs(above.count - 2) < 1e-12);
  assert.equal(trimHistogram(histogram, 8, 'below'), histogram);
});

test('scaling by a negative number makes a gauge, division by 0 leaves no buckets', () => {
  assert.equal(multiplyHistogram(positive([1]), -1).resetHint, 'gauge');
  assert.deepEqual(divideHistogram(positive([1]), 0).positiveBuckets, []);
  assert.equal(divideHistogram(positive([1]), 0).count, Infinity);
});

test('standard deviation takes each bucket at its middle', () => {
  const histogram = positive([1, 1], { offset: 1, sum: Math.SQRT2 + 2 * Math.SQRT2 });
  assert.ok(Math.abs(histogramDeviation(histogram) - Math.SQRT2 / 2) < 1e-12);
});

test('text, test notation and API form', () => {
  const histogram = positive([2, 0, 1.5], {
    zeroCount: 1,
    zeroThreshold: 0.001,
    negativeSpans: [{ offset: 1, length: 1 }],
    negativeBuckets: [3],
    count: 7.5,
    sum: 1e6,
  });
  assert.equal(
    histogramToString(histogram),
    '{count:7.5, sum:1e+06, [-2,-1):3, [-0.001,0.001]:1, (0.5,1]:2, (2,4]:1.5}',
  );
  assert.deepEqual(histogramToApi(histogram), {
    count: '7.5',
    sum: '1000000',
    buckets: [
      [1, '-2', '-1', '3'],
      [3, '-0.001', '0.001', '1'],
      [0, '0.5', '1', '2'],
      [0, '2', '4', '1.5'],
    ],
  });
  assert.equal(histogramToString(custom([1], [1, 2])), '{count:3, sum:6, [-Inf,1]:1, (1,+Inf]:2}');
});

test('integer and float histograms turn into each other', () => {
  const integer = integerHistogram({ count: 9, positiveSpans: [{ offset: 0, length: 3 }], positiveDeltas: [2, 2, -1] });
  assert.deepEqual(toFloatHistogram(integer).positiveBuckets, [2, 4, 3]);
  assert.deepEqual(toIntegerHistogram(toFloatHistogram(integer)), integer);
});

test('compaction drops empty buckets, or fills short gaps', () => {
  const histogram = positive([0, 1, 0, 0, 2, 0]);
  assert.deepEqual(compactHistogram(histogram).positiveSpans, [
    { offset: 1, length: 1 },
    { offset: 2, length: 1 },
  ]);
  assert.deepEqual(compactHistogram(histogram, 2).positiveBuckets, [1, 0, 0, 2]);
  const compact = positive([1, 2]);
  assert.equal(compactHistogram(compact), compact);
  assert.ok(
    equalHistograms(copyToSchema(positive([1, 2, 3, 4], { schema: 1, offset: 1 }), 0), positive([3, 7], { offset: 1 })),
  );
});

test('what is wrong with a histogram has a kind', () => {
  const kinds = (parts: Partial<FloatHistogram>) => floatHistogramFault(floatHistogram(parts))?.kind;
  assert.equal(kinds({}), undefined);
  assert.equal(kinds({ schema: 9 }), 'schema');
  assert.equal(kinds({ positiveSpans: [{ offset: 0, length: 1 }] }), 'spans_buckets_mismatch');
  assert.equal(kinds({ positiveSpans: [{ offset: 0, length: 1 }], positiveBuckets: [-1] }), 'negative_bucket_count');
  assert.equal(kinds({ schema: -53, customValues: [2, 1] }), 'custom_bounds_order');
  assert.equal(kinds({ zeroThreshold: Number.NaN }), 'zero_threshold');
  const one = { positiveSpans: [{ offset: 0, length: 1 }], positiveDeltas: [1] };
  assert.equal(histogramFault(integerHistogram({ ...one, count: 2 }))?.kind, 'count_mismatch');
  assert.equal(histogramFault(integerHistogram({ ...one, count: 2, sum: Number.NaN })), undefined);
});

test('classic histograms become native ones', () => {
  const classic = new ClassicHistogram();
  classic.setBucket(1, 2);
  classic.setBucket(Infinity, 5);
  classic.setBucket(0.5, 1);
  classic.setSum(7);
  const native = classic.toNative();
  assert.ok(isIntegerHistogram(native));
  assert.equal(show(toFloatHistogram(native)), '{{schema:-53 count:5 sum:7 custom_values:[0.5 1] buckets:[1 1 3]}}');
  assert.deepEqual(classicBucketCounts(toFloatHistogram(native)), [1, 2, 5]);
  assert.throws(() => classic.setBucket(2, 6), ClassicHistogramError);
});
