import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeldRange } from './held-range.ts';

test('a range says everything until it is told, and is seen through its memory', () => {
  const range = HeldRange.everything();
  const seen = new HeldRange(range.buffer);
  assert.ok(seen.touches(-9e15, -8e15));
  range.publish([], 1000);
  assert.ok(!seen.touches(-9e15, 9e15));
  range.publish([5, 3, -2], 1000);
  assert.ok(seen.touches(-5000, -2000));
  assert.ok(!seen.touches(-5000, -2001));
  assert.ok(seen.touches(5999, 9000));
  assert.ok(!seen.touches(6001, 9000));
  range.publish(undefined, 1000);
  assert.ok(seen.touches(8e15, 9e15));
});
