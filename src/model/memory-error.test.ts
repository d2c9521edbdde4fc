import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryError } from './memory-error.ts';

function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (thrown) {
    return thrown;
  }
  return assert.fail('nothing was thrown');
}

test('an allocation that cannot be had is an error of the query, anything else is not', () => {
  const length = 2 ** 53 - 1;
  for (const work of [
    () => 'a'.repeat(2 ** 29).concat('b'.repeat(2 ** 29)),
    () => new ArrayBuffer(length),
    () => new Float64Array(length),
    () => new Array(-1),
  ]) {
    const error = memoryError(thrownBy(work));
    assert.equal(error?.facts.http, 422, String(work));
    assert.match(error.message, /more memory at once than can be had/);
  }
  assert.equal(memoryError(new RangeError('precision is out of range')), undefined);
  assert.equal(memoryError(new Error('Invalid string length')), undefined);
});
