import assert from 'node:assert/strict';
import { test } from 'node:test';
import { currentTrace, traceIdOf, traceParentOf, withTrace } from './trace.ts';

const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

test('a trace is taken as the recommendation has it, and anything else is none', () => {
  assert.equal(traceParentOf(TRACE), TRACE);
  assert.equal(traceIdOf(TRACE), '4bf92f3577b34da6a3ce929d0e0e4736');
  const later = `cc${TRACE.slice(2)}-what-comes`;
  assert.equal(traceParentOf(later), later);
  for (const wrong of [
    undefined,
    [TRACE],
    '',
    `${TRACE}-more`,
    `ff${TRACE.slice(2)}`,
    TRACE.toUpperCase(),
    TRACE.replace(/4bf9\w+/, '0'.repeat(32)),
    TRACE.replace('00f067aa0ba902b7', '0'.repeat(16)),
    `${TRACE}\n`,
    `${later}${'x'.repeat(300)}`,
  ]) {
    assert.equal(traceParentOf(wrong), undefined, String(wrong));
  }
});

test('a trace holds for what is waited for, and for nothing beside it', async () => {
  const inner = withTrace(TRACE, async () => {
    await new Promise(setImmediate);
    return currentTrace();
  });
  assert.equal(currentTrace(), undefined);
  assert.equal(await inner, TRACE);
  assert.equal(withTrace(undefined, currentTrace), undefined);
});
