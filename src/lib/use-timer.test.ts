import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from './manual-clock.ts';
import { UseTimer } from './use-timer.ts';

test('what is used is not idle, though another user is through for long', async () => {
  const clock = new ManualClock();
  let idle = 0;
  const use = new UseTimer(clock, 1000, () => idle++);
  use.begin();
  use.begin();
  use.end();
  await clock.advance(5000);
  assert.equal(idle, 0);
  use.end();
  await clock.advance(999);
  use.begin();
  await clock.advance(5000);
  assert.equal(idle, 0);
  use.end();
  await clock.advance(1000);
  assert.equal(idle, 1);
  await clock.advance(5000);
  assert.equal(idle, 1);
});
