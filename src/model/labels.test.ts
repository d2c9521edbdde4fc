import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Labels } from './labels.ts';

test('labels over others take their place, and empty ones remove them', () => {
  const labels = Labels.of({ b: '1', d: '2', f: '3' });
  const over = (...pairs: string[]) => labels.withSorted(pairs).pairs.join(' ');
  assert.equal(over(), 'b 1 d 2 f 3');
  assert.equal(over('a', 'x', 'd', 'y', 'g', 'z'), 'a x b 1 d y f 3 g z');
  assert.equal(over('b', '', 'c', '', 'f', ''), 'd 2');
  assert.equal(labels.withSorted(['b', '', 'd', '', 'f', '']), Labels.empty);
  assert.equal(Labels.empty.withSorted(['a', '1']).pairs.join(' '), 'a 1');
});
