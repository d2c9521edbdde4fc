import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isNestedTooDeep, NESTING_MAX } from './nesting.ts';

test('what is nested too deep is told without parsing it', () => {
  const n = NESTING_MAX;
  for (const [open, close] of [
    ['[', ']'],
    ['{a: ', '}'],
    ['- ', ''],
    ['? ', ''],
    ['["]", ', ']'],
    ["[a', ", ']'],
  ] as const) {
    const deep = (times: number) => `${open.repeat(times)}x${close.repeat(times)}`;
    assert.equal(isNestedTooDeep(deep(n)), false, open);
    assert.equal(isNestedTooDeep(deep(n + 1)), true, open);
    assert.equal(isNestedTooDeep(deep(20_000)), true, open);
  }
  assert.equal(isNestedTooDeep(`a: [x]\n${'- [{a: "[[["}]\n'.repeat(5_000)}`), false);
  assert.equal(isNestedTooDeep(`expr: |\n${`  ${'['.repeat(200)}\n`.repeat(3)}`), false);
});
