import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { getHeapStatistics } from 'node:v8';
import { systemClock } from '../../lib/clock.ts';
import { IdleCollector } from './idle-collector.ts';

const external = () => getHeapStatistics().external_memory;

test('what a large piece of work held is given back after it, also where small ones follow', async () => {
  const collector = new IdleCollector(systemClock);
  const before = external();
  collector.begin();
  let held: Uint8Array[] | undefined = Array.from({ length: 200 }, () => new Uint8Array(1 << 20).fill(1));
  assert.ok(external() - before > 190e6);
  assert.equal(held.length, 200);
  held = undefined;
  collector.end();
  const sinceMs = performance.now();
  while (external() - before > 50e6 && performance.now() - sinceMs < 10_000) {
    await sleep(50);
    // never idle for long
    collector.begin();
    collector.end();
  }
  assert.ok(external() - before < 50e6, `${external() - before} bytes more than before`);
});
