import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../lib/manual-clock.ts';
import { StandStills } from './stand-stills.ts';

test('a process that stood still knows it for a time, and one whose timers come does not', async () => {
  const clock = new ManualClock();
  const stands = new StandStills(clock);
  stands.start();
  await clock.advance(60_000);
  assert.equal(stands.within(30_000), false);
  // no timer comes
  clock.set(clock.nowMs() + 20_000);
  assert.equal(stands.within(30_000), true);
  await clock.advance(29_000);
  assert.equal(stands.within(30_000), true);
  await clock.advance(2_000);
  assert.equal(stands.within(30_000), false);
  stands.stop();
  assert.equal(clock.timers, 0);
});
