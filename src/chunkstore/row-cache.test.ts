import assert from 'node:assert/strict';
import { test } from 'node:test';
import { momentOf } from '../lib/clock.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { RowCache } from './row-cache.ts';

test('a list is believed for its time by either clock: while a machine sleeps the monotonic one stands still', () => {
  const clock = new ManualClock(1_000_000);
  const cache = new RowCache(clock, 60_000, 10_000);
  const read = () => cache.set('rows', ['row'], 100, momentOf(clock));
  read();
  clock.set(clock.nowMs() + 59_999);
  assert.deepEqual(cache.get('rows'), ['row']);
  clock.set(clock.nowMs() + 1);
  assert.equal(cache.get('rows'), undefined);
  read();
  clock.setWall(clock.nowMs() + 60_000);
  assert.equal(cache.get('rows'), undefined);
});
