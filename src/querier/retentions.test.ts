import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Retentions } from './retentions.ts';

test('retention is known of tenants that ask, and forgotten of those that asked long ago', () => {
  const retentions = new Retentions();
  retentions.set('asks', 5);
  for (let i = 0; i < 100_000; i++) {
    retentions.set(`t${i}`, i);
    if (i % 1000 === 0) retentions.set('asks', i);
  }
  assert.deepEqual([retentions.of('asks'), retentions.of('t99999'), retentions.of('t0')], [99_000, 99_999, 0]);
  assert.ok(retentions.size <= 10_000);
});
