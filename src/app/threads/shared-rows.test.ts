import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../lib/manual-clock.ts';
import { SharedRows } from './shared-rows.ts';

test('rows are bounded by their bytes, and go when no more come', async () => {
  const clock = new ManualClock();
  const rows = new SharedRows(clock, 4000);
  const keys = Array.from({ length: 20 }, (_, i) => `${i}`);
  for (const key of keys) rows.keep('t', key, new Uint8Array(100));
  const had = () => keys.filter((key) => rows.get(key) !== undefined).length;
  assert.equal(had(), Math.floor(4000 / 356));
  await clock.advance(60_001);
  assert.equal(had(), 0);
});
