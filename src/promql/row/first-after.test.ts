import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../lib/random.ts';
import { firstAfter } from './first-after.ts';

test('the first time after a limit is found, however far it is', () => {
  const random = seededRandom(7);
  for (let round = 0; round < 300; round++) {
    let timeMs = 0;
    const times = Float64Array.from({ length: Math.floor(random() * 200) }, () => {
      timeMs += 1 + Math.floor(random() * 10);
      return timeMs;
    });
    const from = Math.floor(random() * (times.length + 1));
    const limitMs = Math.floor(random() * (timeMs + 10));
    let expected = from;
    while (expected < times.length && times[expected]! <= limitMs) expected++;
    assert.equal(firstAfter(times, from, times.length, limitMs), expected);
  }
});
