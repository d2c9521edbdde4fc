import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../lib/random.ts';
import { Labels } from './labels.ts';
import { ascendingLabels } from './labels-order.ts';

test('the order is that of Labels.compare, whatever the labels share', () => {
  const names = ['__name__', 'a', 'ab', 'b', 'job', 'é', '\u{1f600}', '\uffee'];
  const values = ['1', '10', '2', 'x', 'é', '\u{1f600}', '\uffee', 'a-long-value-a', 'a-long-value-b'];
  for (let seed = 1; seed <= 40; seed++) {
    const random = seededRandom(seed);
    const pick = (from: readonly string[]) => from[Math.floor(random() * from.length)]!;
    const labels = Array.from({ length: 1 + Math.floor(random() * 600) }, () =>
      Labels.of(
        Object.fromEntries(Array.from({ length: Math.floor(random() * 5) }, () => [pick(names), pick(values)])),
      ),
    );
    const sorted = Array.from(ascendingLabels(labels), (i) => labels[i]!);
    assert.deepEqual(sorted.map(String), [...labels].sort(Labels.compare).map(String), `seed ${seed}`);
    assert.deepEqual([...new Set(ascendingLabels(labels))].length, labels.length);
  }
});

test('what is in order stays, also when all are alike', () => {
  const same = Array.from({ length: 100 }, () => Labels.of({ __name__: 'm' }));
  assert.deepEqual(
    [...ascendingLabels(same)].sort((a, b) => a - b),
    Array.from(same.keys()),
  );
  const ascending = Array.from({ length: 100 }, (_, i) => Labels.of({ i: String(1000 + i) }));
  assert.deepEqual([...ascendingLabels(ascending)], Array.from(ascending.keys()));
});
