import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../lib/random.ts';
import { Kernel } from './kernel.ts';

function largestGap(times: readonly number[]): number {
  let gap = 0;
  for (const [i, time] of times.entries()) {
    if (!Number.isInteger(time) || Math.abs(time) > 2 ** 53) return -1;
    if (i === 0) continue;
    if (!(time > times[i - 1]!)) return -1;
    gap = Math.max(gap, time - times[i - 1]!);
  }
  return gap;
}

test('the largest distance of two neighbours is found in lists of any length, and what is no list of times refused', () => {
  const random = seededRandom(5);
  const kernel = Kernel.create();
  const at = kernel.reserve(8 * 64);
  let refused = 0;
  for (let round = 0; round < 5000; round++) {
    let time = Math.floor((random() - 0.5) * 1e6);
    const times = Array.from({ length: 1 + Math.floor(random() * 20) }, () => {
      time += 1 + Math.floor(random() * 1000);
      return time;
    });
    if (random() < 0.4) {
      const wrong = [Number.NaN, Infinity, -Infinity, 0.5, 2 ** 54, -(2 ** 54), time, 2 ** 53, -0];
      times[Math.floor(random() * times.length)] = wrong[Math.floor(random() * wrong.length)]!;
    }
    kernel.f64.set(times, at / 8);
    // what stands behind the list does not count
    kernel.f64[at / 8 + times.length] = Number.NaN;
    const expected = largestGap(times);
    assert.equal(kernel.exports.largestGap(at, times.length), expected, JSON.stringify(times.map(String)));
    if (expected < 0) refused++;
  }
  assert.ok(refused > 500 && refused < 2500);
});
