import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../lib/manual-clock.ts';
import { CallTurns } from './call-turns.ts';

const KIB = 1024;

/** Work that is ended by hand, in the order in which it began. */
function bench(options: Partial<ConstructorParameters<typeof CallTurns>[0]> = {}) {
  const clock = new ManualClock();
  const turns = new CallTurns({
    runningBytesMax: 512 * KIB,
    runningMin: 1,
    runningMax: 8,
    waitingMax: 1000,
    clock,
    ...options,
  });
  const running: { readonly name: string; readonly bytes: number; readonly end: () => void }[] = [];
  /** Bytes that were worked at, by peer. */
  const done = new Map<string, number>();
  const ask = (name: string, bytes: number) =>
    turns.run(name, bytes, () => new Promise<void>((resolve) => running.push({ name, bytes, end: resolve })));
  const endOne = async () => {
    const { name, bytes, end } = running.shift()!;
    done.set(name, (done.get(name) ?? 0) + bytes);
    end();
    await new Promise(setImmediate);
    return name;
  };
  return { ask, endOne, running, done, clock };
}

test('who comes waits for what is worked at, and for nothing that waits', async () => {
  const { ask, endOne, running } = bench();
  for (let i = 0; i < 500; i++) ask('flood', 64 * KIB);
  assert.equal(running.length, 8);
  for (let round = 0; round < 20; round++) {
    ask('victim', 10 * KIB);
    let before = 0;
    while ((await endOne()) !== 'victim') before++;
    assert.ok(before <= 8, `${before} calls before it`);
  }
});

test('peers with work are served alike by bytes, however these are cut', async () => {
  const { ask, endOne, done } = bench();
  for (let i = 0; i < 60; i++) ask('large', 1024 * KIB);
  for (let i = 0; i < 900; i++) ask('small', 16 * KIB);
  for (let i = 0; i < 300; i++) await endOne();
  const ratio = done.get('large')! / done.get('small')!;
  assert.ok(ratio > 0.7 && ratio < 1.6, `${ratio}`);
});

test('nobody saves up turns by asking for nothing', async () => {
  const { ask, endOne, done } = bench();
  ask('idle', KIB);
  for (let i = 0; i < 200; i++) ask('busy', 64 * KIB);
  for (let i = 0; i < 100; i++) await endOne();
  for (let i = 0; i < 90; i++) ask('idle', 64 * KIB);
  done.clear();
  for (let i = 0; i < 60; i++) await endOne();
  assert.ok(done.get('busy')! > 0.7 * done.get('idle')!, `${done.get('busy')} and ${done.get('idle')}`);
});

test('a call larger than all that may run runs alone, and the queue is bounded', async () => {
  const { ask, endOne, running } = bench({ waitingMax: 3 });
  ask('a', 4096 * KIB);
  assert.deepEqual(
    [1, 2, 3, 4].map(() => ask('b', KIB)),
    [true, true, true, false],
  );
  assert.equal(running.length, 1);
  await endOne();
  assert.equal(running.length, 3);

  const two = bench({ runningMin: 2 });
  for (let i = 0; i < 4; i++) two.ask('a', 4096 * KIB);
  assert.equal(two.running.length, 2);
});

test('work that hangs keeps others from their turn for a moment only', async () => {
  const { ask, running, clock } = bench();
  for (let i = 0; i < 8; i++) ask('stuck', 64 * KIB);
  ask('other', KIB);
  assert.equal(running.length, 8);
  await clock.advance(100);
  assert.equal(running.length, 9);
});
