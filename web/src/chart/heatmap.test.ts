import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Answer } from '../api/columns.ts';
import { areNative, heatmapOf, undrawnIn } from './heatmap-columns.ts';

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

test('what neither a heatmap nor lines show is counted', () => {
  const point = { at: 0, count: 5, sum: 0, buckets: [[0, 1, 2, 5] as const] };
  const none = Float64Array.of(Number.NaN, Number.NaN);
  const native = { labels: {}, values: none, histograms: [point] };
  const mixed = { labels: {}, values: Float64Array.of(Number.NaN, 3), histograms: [point] };
  const floats = { labels: {}, values: Float64Array.of(1, 2), histograms: [] };
  const classic = { labels: { le: '1' }, values: Float64Array.of(1, 2), histograms: [] };
  assert.equal(areNative([native, mixed]), true);
  assert.equal(areNative([native, floats]), false);
  assert.equal(undrawnIn([native, native], 'heatmap'), undefined);
  assert.equal(undrawnIn([native, mixed], 'heatmap'), 'Not drawn: float samples of one series.');
  assert.equal(undrawnIn([native, mixed, floats, classic], 'heatmap'), 'Not drawn: float samples of 3 series.');
  assert.equal(undrawnIn([classic], 'heatmap'), undefined);
  assert.equal(undrawnIn([classic, floats], 'heatmap'), 'Not drawn: float samples of one series.');
  assert.equal(undrawnIn([floats, classic], 'lines'), undefined);
  assert.equal(undrawnIn([native, mixed, floats], 'lines'), 'Not drawn: native histograms of 2 series.');
});
