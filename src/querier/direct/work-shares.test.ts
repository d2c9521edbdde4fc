import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WorkShares } from './work-shares.ts';

test('a tenant that floods has three quarters of a second’s work, another one finds some, and the next second begins anew', () => {
  let nowMs = 0;
  const shares = new WorkShares(400, () => nowMs);
  let usedMs = 0;
  for (; shares.mayWork('flood'); usedMs++) shares.worked('flood', 1);
  assert.ok(usedMs > 290 && usedMs <= 300, `${usedMs}`);
  assert.equal(shares.mayWork('other'), true);
  nowMs = 999;
  assert.equal(shares.mayWork('flood'), false);
  nowMs = 1_000;
  assert.equal(shares.mayWork('flood'), true);
});
