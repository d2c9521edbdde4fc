import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WorkShares } from './work-shares.ts';

test('a tenant that floods has three quarters of a second’s work, another one finds some, and the next second begins anew', () => {
  let nowMs = 0;
  const shares = new WorkShares(400, () => nowMs);
  let usedMs = 0;
  for (; shares.reserve('flood', 1); usedMs++) shares.settle('flood', 1, 1);
  assert.ok(usedMs > 290 && usedMs <= 300, `${usedMs}`);
  assert.equal(shares.reserve('other', 1), true);
  nowMs = 999;
  assert.equal(shares.reserve('flood', 1), false);
  nowMs = 1_000;
  assert.equal(shares.reserve('flood', 1), true);
});

test('queries that wait have their share kept, also in the next second', () => {
  let nowMs = 0;
  const shares = new WorkShares(400, () => nowMs);
  let under = 0;
  while (shares.reserve('flood', 20)) under++;
  assert.ok(under <= 15, `${under} queries at once`);
  nowMs = 1_000;
  assert.equal(shares.reserve('flood', 20), false);
  for (; under > 0; under--) shares.settle('flood', 20, 1);
  assert.equal(shares.reserve('flood', 20), true);
});

test('who took more than was thought may not go on', () => {
  const shares = new WorkShares(400, () => 0);
  for (let i = 0; i < 10; i++) assert.equal(shares.reserve('flood', 2), true);
  assert.equal(shares.mayWork('flood'), true);
  for (let i = 0; i < 7; i++) shares.settle('flood', 2, 50);
  assert.equal(shares.mayWork('flood'), false);
  assert.equal(shares.mayWork('other'), true);
});
