import assert from 'node:assert/strict';
import { test } from 'node:test';
import { columnsOf, csvOf, type RawAnswer } from './columns.ts';

const grid = { startMs: 1_000_000, endMs: 1_060_000, stepMs: 15_000 };
const matrix = (result: unknown): RawAnswer => ({ data: { resultType: 'matrix', result } });

test('points stand at their steps, and absent ones are NaN', () => {
  const raw = matrix([
    {
      metric: { a: '1' },
      values: [
        [1000, '1'],
        [1030, '+Inf'],
        [1060, 'NaN'],
      ],
    },
  ]);
  const { times, series } = columnsOf(raw, grid, 10, 0);
  assert.deepEqual([...times], [1000, 1015, 1030, 1045, 1060]);
  assert.deepEqual([...series[0]!.values], [1, Number.NaN, Number.POSITIVE_INFINITY, Number.NaN, Number.NaN]);
});

test('of too many series the largest are kept in their order, and all are counted', () => {
  const raw = matrix(
    Array.from({ length: 20 }, (_, i) => ({ metric: { i: String(i) }, values: [[1000, String(i % 7)]] })),
  );
  const { series, seriesTotal } = columnsOf(raw, grid, 3, 0);
  assert.equal(seriesTotal, 20);
  assert.deepEqual(
    series.map(({ labels }) => labels.i),
    ['5', '6', '13'],
  );
});

test('histograms, scalars and statistics are read', () => {
  const histogram = { count: '3', sum: '1.5', buckets: [[0, '0.5', '1', '2']] };
  const answer = columnsOf(matrix([{ metric: {}, histograms: [[1015, histogram]] }]), grid, 10, 0);
  assert.deepEqual(answer.series[0]!.histograms, [{ at: 1, count: 3, sum: 1.5, buckets: [[0, 0.5, 1, 2]] }]);
  const stats = {
    timings: { execTotalTime: 0.5 },
    samples: { totalQueryableSamples: 7, peakSamples: 3 },
    store: { fetchedBytes: 9 },
  };
  const scalar = columnsOf({ data: { resultType: 'scalar', result: [5, '1e300'], stats } }, undefined, 10, 0);
  assert.deepEqual(scalar.rows[0]!.values, [[5, '1e300']]);
  assert.deepEqual(scalar.stats, { seconds: 0.5, totalQueryableSamples: 7, peakSamples: 3, more: { fetchedBytes: 9 } });
});

test('a table of commas holds no formula', () => {
  const raw: RawAnswer = {
    data: { resultType: 'vector', result: [{ metric: { a: '=HYPERLINK("x")', b: '1,2' }, value: [0, '-5'] }] },
  };
  assert.equal(
    csvOf(columnsOf(raw, undefined, 10, 0), () => ''),
    'a,b,time,value\r\n"\'=HYPERLINK(""x"")","1,2",1970-01-01T00:00:00.000Z,-5\r\n',
  );
});
