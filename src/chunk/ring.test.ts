import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../lib/random.ts';
import { Kernel } from './kernel.ts';
import { Ring } from './ring.ts';

test('parts of a ring hold what was put there until they are lost, the oldest first', () => {
  const random = seededRandom(7);
  const kernel = Kernel.create();
  const ring = new Ring(kernel, 4096);
  const held = new Map<number, { readonly at: number; readonly bytes: number }>();
  let lost = 0;
  for (let part = 1; part <= 2000; part++) {
    const bytes = 1 + Math.floor(random() * random() * 1500);
    const at = ring.take(bytes, () => {
      assert.equal(held.keys().next().value, part);
      held.delete(part);
      lost++;
    });
    kernel.u8.fill(part % 251, at, at + bytes);
    held.set(part, { at, bytes });
    for (const [own, { at: from, bytes: length }] of held) {
      assert.ok(kernel.u8.subarray(from, from + length).every((byte) => byte === own % 251));
    }
  }
  assert.ok(lost > 1900 && held.size > 1);
  assert.throws(() => ring.take(4097, () => {}), /larger than the ring/);
});
