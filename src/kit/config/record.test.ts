import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aListOf, aRecordOf, aText } from './record.ts';

test('says what is wrong, and where', () => {
  const users = aRecordOf({ 'users!': aListOf(aRecordOf({ 'name!': aText(1), tenants: aListOf(aText(), 1) })) });
  assert.equal(users({ users: [{ name: 'a', tenants: ['b'] }] }), undefined);
  for (const [value, wrong] of [
    [null, 'a mapping is wanted'],
    [[], 'a mapping is wanted'],
    [{}, 'users is missing'],
    [{ users: {} }, 'users: a list is wanted'],
    [{ users: [{ name: 'a' }, { name: '' }] }, 'users: [1]: name: a text of at least 1 character is wanted'],
    [{ users: [{ name: 'a', tenants: [] }] }, 'users: [0]: tenants: a list of at least 1 is wanted'],
    [{ users: [{ nam: 1 }] }, 'users: [0]: unknown key "nam" (did you mean "name"?); name is missing'],
  ] as const) {
    assert.equal(users(value), wrong);
  }
});
