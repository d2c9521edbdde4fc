import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differenceOf } from './difference.ts';

test('a difference keeps the lines that both have', () => {
  const shown = (before: string, after: string) =>
    differenceOf(before, after).map(
      ({ kind, text }) => `${kind === 'same' ? ' ' : kind === 'gone' ? '-' : '+'}${text}`,
    );
  assert.deepEqual(shown('a\nb\nc\nd', 'a\nx\nc\ny\nd'), [' a', '-b', '+x', ' c', '+y', ' d']);
  assert.deepEqual(shown('a', 'a'), [' a']);
  // more lines than are compared with each other: all between the first and the last that differ
  const long = Array.from({ length: 5_000 }, (_, i) => `${i}`).join('\n');
  assert.equal(
    shown(long, long.replace('7\n', 'x\n').replace('4990', 'y')).filter((line) => line.startsWith('+')).length,
    4_984,
  );
});
