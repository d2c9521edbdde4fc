import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exprAt } from './expr-at.ts';

/** The expression at `^`. */
function at(text: string): string | undefined {
  const place = text.indexOf('^');
  return exprAt(text.replace('^', ''), place)?.text.trim();
}

test('an expression is found on its line and in the block below it', () => {
  assert.equal(at('rules:\n- alert: a\n  expr: rate(x^\n  for: 5m'), 'rate(x');
  assert.equal(at('- expr: "up^"'), 'up"');
  assert.equal(at('  expr: |\n    sum(\n      ra^\n    )\n  for: 5m'), 'sum(\n      ra');
  assert.equal(at('  expr: sum(\n    up^\n'), 'up');
});

test('other places have none', () => {
  for (const text of [
    '  for: 5^m',
    '  ex^pr: up',
    '  expr: |\n    up\n  for: 5^m',
    'name: a^',
    '^',
    '  expr: |\n  up^',
  ]) {
    assert.equal(at(text), undefined, text);
  }
});
