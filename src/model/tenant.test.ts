import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkTenant } from './tenant.ts';

test('tenant IDs are those of Cortex', () => {
  for (const good of ['a', 'team-1', "o'neil_(x)*!", '...', 'a'.repeat(150)]) assert.equal(checkTenant(good), good);
  for (const [bad, why] of [
    ['.', "'.' or '..'"],
    ['..', "'.' or '..'"],
    ['a'.repeat(151), 'too long'],
    ['a b', "unsupported character ' '"],
    ['a|b', "unsupported character '|'"],
    ['a/b', "unsupported character '/'"],
    ['ä', "unsupported character 'ä'"],
  ] as const) {
    assert.throws(
      () => checkTenant(bad),
      (error: Error) => error.message.includes(why),
    );
  }
});
