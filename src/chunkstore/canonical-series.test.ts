import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../lib/random.ts';
import { type FloatHistogram, floatHistogram } from '../model/histogram.ts';
import { equalObservations } from '../model/histogram-observations.ts';
import { SampleColumns } from '../storage/columns.ts';
import { canonicalSeries } from './canonical-series.ts';

const LABELS = new Uint8Array(0);

function columnsOf(histograms: readonly FloatHistogram[]): SampleColumns {
  const columns = new SampleColumns();
  for (const [i, histogram] of histograms.entries()) columns.pushHistogram(i * 1000, histogram);
  return columns;
}

const canonical = (histograms: readonly FloatHistogram[]) =>
  canonicalSeries(LABELS, columnsOf(histograms)).histograms as FloatHistogram[];

/** A counter of buckets from `from` on. */
const counter = (from: number, ...positiveBuckets: number[]) =>
  floatHistogram({
    positiveSpans: [{ offset: from, length: positiveBuckets.length }],
    positiveBuckets,
    count: positiveBuckets.reduce((sum, each) => sum + each, 0),
  });

test('empty buckets that a head spelled out make no difference, nor do its hints', () => {
  const plain = [counter(2, 1), counter(2, 1, 1), counter(1, 1, 1, 2)];
  const spelled = [
    counter(0, 0, 0, 1, 0, 0),
    { ...counter(0, 0, 0, 1, 1, 0), resetHint: 'not_reset' },
    { ...counter(0, 0, 1, 1, 2, 0), resetHint: 'not_reset' },
  ] as const;
  const found = canonical(plain);
  assert.deepEqual(canonical(spelled), found);
  assert.deepEqual(
    found.map(({ positiveSpans, positiveBuckets, resetHint }) => [positiveSpans, positiveBuckets, resetHint]),
    [
      [[{ offset: 1, length: 3 }], [0, 1, 0], 'unknown'],
      [[{ offset: 1, length: 3 }], [0, 1, 1], 'not_reset'],
      [[{ offset: 1, length: 3 }], [1, 1, 2], 'not_reset'],
    ],
  );
});

test('a reset is not said to be none, gauges stay gauges, other schemas have layouts of their own', () => {
  const gauge = { ...counter(0, 5), resetHint: 'gauge' } as const;
  const found = canonical([counter(0, 9), counter(0, 1), gauge, counter(0, 2), { ...counter(7, 3), schema: 1 }]);
  assert.deepEqual(
    found.map(({ resetHint }) => resetHint),
    ['unknown', 'unknown', 'gauge', 'unknown', 'unknown'],
  );
  assert.deepEqual(found[4]!.positiveSpans, [{ offset: 7, length: 1 }]);
});

test('buckets that are different each time do not make each other large', () => {
  const random = seededRandom(1);
  const histograms = Array.from({ length: 500 }, () => ({
    ...counter(Math.floor(random() * 1e6), ...Array.from({ length: 100 }, () => 1 + Math.floor(random() * 9))),
    resetHint: 'gauge' as const,
  }));
  const found = canonical(histograms);
  let buckets = 0;
  for (const [i, each] of found.entries()) {
    assert.ok(equalObservations(each, histograms[i]!));
    buckets += each.positiveBuckets.length;
  }
  assert.ok(buckets <= 6 * 100 * histograms.length, `${buckets}`);
});

test('what has no kinds and no starts has no columns of them', () => {
  const columns = new SampleColumns();
  columns.pushFloat(1, 2);
  columns.plain = false;
  columns.needStarts();
  const { kinds, starts, histograms, times } = canonicalSeries(LABELS, columns);
  assert.deepEqual([kinds, starts, histograms, times.length], [undefined, undefined, undefined, 1]);
});
