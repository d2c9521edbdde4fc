import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from './random.ts';
import { uncountedBytes } from './uncounted-bytes.ts';

test('a quarter of the bytes is ordinary memory, however sizes alternate', () => {
  const random = seededRandom(3);
  let all = 0;
  let ordinary = 0;
  for (let i = 0; i < 2000; i++) {
    const bytes = uncountedBytes(i % 2 === 0 ? 50_000 : Math.floor(random() * 1000));
    all += bytes.length;
    if (bytes.buffer instanceof ArrayBuffer) ordinary += bytes.length;
  }
  assert.ok(ordinary > 0.23 * all && ordinary < 0.27 * all, `${ordinary} of ${all}`);
});
