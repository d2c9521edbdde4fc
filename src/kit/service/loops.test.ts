import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../lib/manual-clock.ts';
import { type LoopState, Loops } from './loops.ts';

test('a loop tells of its rounds, what failed, and whether it stands', async () => {
  const clock = new ManualClock(1_000_000);
  const loops = new Loops(clock);
  const loop = loops.add('sweep', 30_000);
  const state = () => loops.states[0]!;
  assert.deepEqual([state().rounds, state().lastStartMs, state().late], [0, undefined, false]);
  assert.equal(await loop.run(async () => 7), 7);
  await assert.rejects(
    loop.run(() => Promise.reject(new Error('http://u:secret@store is away'))),
    /is away/,
  );
  assert.deepEqual([state().rounds, state().failures], [2, 1]);
  assert.match(state().error!, /store is away/);
  assert.doesNotMatch(state().error!, /secret/);
  await loop.run(async () => loop.failed('one of many'));
  assert.equal(state().error, 'one of many');
  await loop.run(async () => {});
  assert.equal(state().error, undefined);
  await clock.advance(80_000);
  assert.equal(state().late, false);
  await clock.advance(20_000);
  assert.equal(state().late, true);
});

test('loops of other threads come along, and a thread that does not answer is one that stands', async () => {
  const clock = new ManualClock(1_000_000);
  const loops = new Loops(clock);
  loops.add('own', 1_000);
  const other = new Loops(clock);
  other.add('of-a-thread', 1_000);
  // as one whose start does not end
  const deaf = () => new Promise<never>(() => {});
  const broken = () => Promise.reject(new Error('http://u:secret@store is away'));
  loops.addSources(() => [
    { name: 'a', states: async () => other.states },
    { name: 'b', states: deaf },
    { name: 'c', states: broken },
  ]);
  let states: readonly LoopState[] = [];
  void loops.all().then((all) => {
    states = all;
  });
  await clock.advance(2_000);
  assert.deepEqual(
    states.map(({ name, late }) => [name, late]),
    [
      ['own', false],
      ['of-a-thread', false],
      ['b-thread', true],
      ['c-thread', true],
    ],
  );
  assert.match(states[2]!.error!, /timeout/);
  assert.match(states[3]!.error!, /store is away/);
  assert.doesNotMatch(states[3]!.error!, /secret/);
});
