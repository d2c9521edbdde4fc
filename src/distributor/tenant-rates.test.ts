import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../lib/manual-clock.ts';
import { TenantRates } from './tenant-rates.ts';

test('a rate follows what is sent within about a minute, and is forgotten with its tenant', () => {
  const clock = new ManualClock();
  const rates = new TenantRates(clock);
  const send = (perSecond: number, seconds: number) => {
    for (let i = 0; i < seconds; i++) {
      rates.add('a', perSecond);
      clock.set(clock.nowMs() + 1000);
    }
  };
  send(100, 15);
  assert.equal(rates.of('a'), 100, 'the first ticks stand for themselves');
  send(200, 60);
  const rate = rates.of('a');
  assert.ok(rate > 150 && rate < 200, String(rate));
  assert.equal(rates.of('b'), 0);
  for (let i = 0; i < 120; i++) {
    clock.set(clock.nowMs() + 15_000);
    rates.of('a');
  }
  assert.deepEqual(rates.tenants, []);
});
