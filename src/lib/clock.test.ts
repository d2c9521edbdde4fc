import assert from 'node:assert/strict';
import { test } from 'node:test';
import { after, type Clock, systemClock } from './clock.ts';
import { IdleTimer } from './idle-timer.ts';
import { ManualClock } from './manual-clock.ts';
import { Pacer } from './pacer.ts';

/** Lets time of either clock go by. */
type Elapse = (ms: number) => Promise<unknown>;

for (const [name, make] of Object.entries<() => { clock: Clock; elapse: Elapse }>({
  system: () => ({ clock: systemClock, elapse: (ms) => systemClock.sleep(ms) }),
  manual: () => {
    const clock = new ManualClock(1_700_000_000_000);
    return { clock, elapse: (ms) => clock.advance(ms) };
  },
})) {
  test(`${name}: what is to happen happens in its order, as often as it was asked for`, async () => {
    const { clock, elapse } = make();
    const startMs = clock.monotonicMs();
    const seen: string[] = [];
    const every = clock.every(150, () => seen.push('every'));
    after(clock, 225, () => seen.push('after'));
    after(clock, 50, () => seen.push('never')).cancel();
    const slept = clock.sleep(350).then(() => seen.push('slept'));
    await elapse(400);
    await slept;
    every.cancel();
    await elapse(200);
    assert.deepEqual(seen, ['every', 'after', 'every', 'slept']);
    assert.ok(clock.monotonicMs() - startMs >= 590);
  });

  test(`${name}: an abort ends a sleep with its reason, before it and in it`, async () => {
    const { clock } = make();
    const reason = new Error('enough');
    await assert.rejects(clock.sleep(1000, AbortSignal.abort(reason)), (thrown) => thrown === reason);
    const abort = new AbortController();
    const sleeping = clock.sleep(1000, abort.signal);
    abort.abort(reason);
    await assert.rejects(sleeping, (thrown) => thrown === reason);
  });
}

test('each timer of a manual clock sees the time that it was due', async () => {
  const clock = new ManualClock(1000);
  const seen: number[] = [];
  after(clock, 20, () => {
    seen.push(clock.nowMs());
    after(clock, 5, () => seen.push(clock.nowMs()));
  });
  after(clock, 30, () => seen.push(clock.nowMs()));
  await clock.advance(100);
  assert.deepEqual(seen, [1020, 1025, 1030]);
  assert.deepEqual([clock.nowMs(), clock.monotonicMs(), clock.timers], [1100, 100, 0]);
  clock.setWall(50);
  assert.deepEqual([clock.nowMs(), clock.monotonicMs()], [50, 100], 'the wall clock was set back, no time went by');
});

test('an idle timer calls when the last use has been long enough ago, and anew after that', async () => {
  const clock = new ManualClock();
  const calls: number[] = [];
  const idle = new IdleTimer(clock, 100, () => calls.push(clock.monotonicMs()));
  idle.used();
  await clock.advance(60);
  idle.used();
  await clock.advance(90);
  assert.deepEqual([calls, idle.running], [[], true]);
  await clock.advance(100);
  assert.deepEqual([calls, idle.running, clock.timers], [[160], false, 0]);
  idle.used();
  idle.cancel();
  await clock.advance(1000);
  assert.deepEqual(calls, [160]);
});

test('a pacer pauses after its slice and ends with its signal', async () => {
  const clock = new ManualClock();
  const abort = new AbortController();
  const pacer = new Pacer(clock, { sliceMs: 20, signal: abort.signal });
  assert.equal(pacer.due, false);
  clock.set(20);
  assert.equal(pacer.due, true);
  await pacer.pause();
  assert.equal(pacer.due, false);
  clock.set(40);
  abort.abort(new Error('gone'));
  await assert.rejects(pacer.step(), /gone/);
});
