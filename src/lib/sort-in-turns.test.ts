import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from './random.ts';
import { sortInTurns } from './sort-in-turns.ts';

test('items come in the order of toSorted, equal ones as they came, with turns in between', async () => {
  const random = seededRandom(3);
  for (const length of [0, 1, 2047, 2048, 2049, 10_000, 30_001]) {
    const items = Array.from({ length }, (_, i) => ({ key: (random() * 500) | 0, i }));
    const compare = (a: { key: number }, b: { key: number }) => a.key - b.key;
    let pauses = 0;
    const turns = { due: true, pause: async () => void pauses++ };
    assert.deepEqual(await sortInTurns(turns, items, compare), items.toSorted(compare));
    assert.ok(length < 10_000 || pauses > 8);
  }
});
