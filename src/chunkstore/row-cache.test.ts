import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../lib/manual-clock.ts';
import { RowCache } from './row-cache.ts';

test('rows are kept for their time, wherever the wall clock is set meanwhile', () => {
  const clock = new ManualClock(1_000_000);
  const cache = new RowCache(clock, 600, 1000);
  cache.set('rows', 'as read', 10, clock.monotonicMs());
  clock.setWall(0);
  clock.set(599);
  assert.equal(cache.get('rows'), 'as read');
  clock.set(601);
  clock.setWall(0);
  assert.equal(cache.get('rows'), undefined);
});
