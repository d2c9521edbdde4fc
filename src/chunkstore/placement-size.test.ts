import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PLACEMENT_DEFAULT, type Placement } from './placement.ts';
import { placementOfDay } from './placement-size.ts';

const NOW = 1_700_000_000_000;
const size = (series: number, metrics: Record<string, number> = {}) => ({
  series,
  metrics: new Map(Object.entries(metrics)),
});

test('buckets follow the number of series', () => {
  for (const [series, buckets] of [
    [20_000, 1],
    [20_001, 16],
    [300_001, 256],
    [5_000_001, 4096],
  ] as const) {
    assert.equal(placementOfDay([], size(series), NOW).buckets, buckets);
  }
});

test('a metric of more than 200,000 series gets parts of its own, of at most so many each', () => {
  const metrics = { small: 200_000, large: 200_001, huge: 3_200_001, most: 60_000_000 };
  const { splits } = placementOfDay([], size(64_000_000, metrics), NOW);
  assert.deepEqual(Object.fromEntries(splits), { large: 16, huge: 256, most: 4096 });
});

test('sizes never shrink within a day, and what is there is taken again', () => {
  const held: Placement[] = [
    { version: 256, buckets: 256, splits: new Map() },
    { version: NOW, buckets: 16, splits: new Map([['m', 16]]) },
  ];
  const grown = placementOfDay(held, size(10), NOW - 5);
  assert.deepEqual(grown, { version: NOW + 1, buckets: 256, splits: new Map([['m', 16]]) });
  assert.equal(placementOfDay([...held, grown], size(10), NOW + 60_000), grown);
  assert.equal(placementOfDay([PLACEMENT_DEFAULT], size(10), NOW), PLACEMENT_DEFAULT);
  const more = placementOfDay([...held, grown], size(10, { m: 4_000_000, n: 200_001 }), NOW + 60_000);
  assert.deepEqual(Object.fromEntries(more.splits), { m: 256, n: 16 });
});
