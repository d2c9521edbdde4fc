import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Answer } from '../api/columns.ts';
import { heatmapOf } from './heatmap-columns.ts';

const answer = (series: Answer['series']): Answer => ({
  resultType: 'matrix',
  times: Float64Array.of(0, 15),
  series,
  rows: [],
  seriesTotal: series.length,
  warnings: [],
  infos: [],
  stats: undefined,
  bytes: 0,
});

test('classic buckets become rows of their own counts, added up over other labels', () => {
  const bucket = (le: string, ...values: number[]) => ({
    labels: { le },
    values: Float64Array.from(values),
    histograms: [],
  });
  const heat = heatmapOf(
    answer([bucket('+Inf', 9, 9), bucket('0.1', 2, Number.NaN), bucket('0.1', 1, 1), bucket('1', 5, 1)]),
  )!;
  assert.deepEqual(
    heat.rows.map(({ upper }) => upper),
    [0.1, 1, Number.POSITIVE_INFINITY],
  );
  assert.deepEqual([...heat.cells], [3, 1, 2, 0, 4, 8]);
  assert.equal(heat.most, 8);
});

test('native histograms share their rows', () => {
  const point = (at: number, lower: number, count: number) => ({
    at,
    count,
    sum: 0,
    buckets: [[0, lower, lower + 1, count] as const],
  });
  const series = { labels: {}, values: new Float64Array(2), histograms: [point(0, 1, 5), point(1, 2, 7)] };
  const heat = heatmapOf(answer([series]))!;
  assert.deepEqual([...heat.cells], [5, 0, 0, 7]);
  assert.equal(heatmapOf(answer([{ labels: {}, values: new Float64Array(2), histograms: [] }])), undefined);
});
