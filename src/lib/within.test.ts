import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from './manual-clock.ts';
import { within } from './within.ts';

test('work has its time, and is told when that is over or nobody waits', async () => {
  const clock = new ManualClock();
  const ending = new AbortController();
  const time = { clock, timeoutMs: 1000, signal: ending.signal };
  assert.equal(await within(time, async () => 7), 7);
  assert.equal(
    await within(time, async () => {
      throw new Error('it fails');
    }),
    undefined,
  );
  assert.equal(await within({ ...time, timeoutMs: 0 }, async () => 7), 'late');
  const told: string[] = [];
  const never = (name: string) => (own: AbortSignal) =>
    new Promise<void>(() => own.addEventListener('abort', () => told.push(name)));
  const late = within(time, never('late'));
  await clock.advance(1000);
  assert.equal(await late, 'late');
  const left = within(time, never('left'));
  ending.abort();
  assert.equal(await left, 'late');
  assert.deepEqual(told, ['late', 'left']);
  assert.equal(clock.timers, 0);
});
