import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../lib/manual-clock.ts';
import { memberOf, ringOf } from './test-ring.ts';
import type { RingView } from './view.ts';
import { WRITES_OLD_TIMEOUTS, WriteGate } from './write-gate.ts';

test('writes of a version are refused five times as long after the next one counts as a member takes to be unhealthy', async () => {
  const view = (number: number) =>
    ({ confirmed: number, newest: { ...ringOf([memberOf(0, 3)], 16, 1), number, floor: 1 } }) as RingView;
  for (const unhealthyMs of [10_000, 60_000]) {
    const clock = new ManualClock();
    const gate = new WriteGate(memberOf(0, 3).id, clock, WRITES_OLD_TIMEOUTS * unhealthyMs);
    gate.see(view(1));
    gate.see(view(2));
    await clock.advance(5 * unhealthyMs - 1);
    assert.equal(gate.oldNumber, 0);
    await clock.advance(1);
    assert.equal(gate.oldNumber, 1);
  }
});
