import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TenantLru } from './tenant-lru.ts';

test('what was not used lately goes first, and never more is kept than there may be', () => {
  const kept = new TenantLru<number>(100);
  for (let i = 0; i < 10; i++) {
    kept.set('t', `${i}`, i, 20);
    assert.equal(kept.get('0'), 0);
    assert.ok(kept.bytes <= 100);
  }
  assert.deepEqual(
    Array.from({ length: 10 }, (_, i) => kept.get(`${i}`)),
    [0, undefined, undefined, undefined, undefined, undefined, 6, 7, 8, 9],
  );
  kept.set('t', '9', 90, 25);
  assert.equal(kept.get('9'), 90);
  assert.equal(kept.bytes, 85);
  kept.set('t', '9', 91, 26);
  assert.equal(kept.get('9'), undefined, 'more than a quarter');
  assert.equal(kept.bytes, 60);
  kept.clear();
  assert.equal(kept.bytes, 0);
  assert.equal(kept.get('0'), undefined);
});

test('a tenant with more than its share gives up its own, and with many tenants the oldest goes', () => {
  const kept = new TenantLru<number>(100);
  kept.set('small', 'a', 1, 20);
  for (let i = 0; i < 20; i++) kept.set('large', `${i}`, i, 10);
  assert.equal(kept.get('a'), 1);
  for (let i = 0; i < 20; i++) kept.set(`t${i}`, `t${i}`, i, 20);
  assert.equal(kept.get('a'), undefined);
  assert.equal(kept.bytes, 100);
});
