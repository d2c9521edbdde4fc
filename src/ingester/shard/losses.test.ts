import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Losses } from './losses.ts';

const WINDOW_MS = 7_200_000;
const NOW_MS = Date.parse('2026-03-01T10:00:00Z');

/** The warnings of a corrupt part behind a sample of this time. */
function warningsOf(newestMs: number): string[] {
  const losses = new Losses({ windowMs: WINDOW_MS, log: () => {}, clock: { nowMs: () => NOW_MS }, ageMsMax: 1e9 });
  const loss = { file: 'shard-0/0000000003.wal', position: 512, bytes: 71, kind: 'damage' } as const;
  losses.add(loss, { read: { samples: 10, bytes: 1000 }, newestMs });
  return losses.warnings(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
}

test('a warning says of which time samples may be missing, whatever times samples have', () => {
  assert.deepEqual(warningsOf(NOW_MS), [
    '71 bytes of 0000000003.wal at 512 (samples from 2026-03-01T08:00:00.000Z to 2026-03-01T12:00:00.001Z) were corrupt: samples may be missing',
  ]);
  // where nothing was read before it, any
  assert.deepEqual(warningsOf(0), ['71 bytes of 0000000003.wal at 512 were corrupt: samples may be missing']);
  assert.match(warningsOf(8.9e15)[0]!, /samples from \+275760-09-13T00:00:00.000Z to \+275760-09-13T00:00:00.000Z/);
});
