import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { batchesOf } from './batches.ts';

test('batches hold all items in order, keep to both limits, and none could take the next item', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(50)),
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 100 }),
      (sizes, itemsMax, bytesMax) => {
        const batches = batchesOf(sizes, { itemsMax, bytesMax, bytesOf: (size) => size });
        assert.deepEqual(batches.flat(), sizes);
        const bytes = batches.map((batch) => batch.reduce((sum, size) => sum + size, 0));
        for (const [i, batch] of batches.entries()) {
          assert.ok(batch.length > 0 && batch.length <= itemsMax);
          assert.ok(batch.length === 1 || bytes[i]! <= bytesMax);
          const next = batches[i + 1]?.[0];
          assert.ok(next === undefined || batch.length === itemsMax || bytes[i]! + next > bytesMax);
        }
      },
    ),
  );
});
