import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Loop } from '../../kit/service/loops.ts';
import { ManualClock } from '../../lib/manual-clock.ts';
import { Meetings } from './meetings.ts';

const PERIOD_MS = 1_000;

test('one that does not answer holds up no meeting with the others, and is not asked twice at once', async () => {
  const clock = new ManualClock(0);
  const asked: string[] = [];
  const hung: ((error: Error) => void)[] = [];
  const ids = ['a', ...Array.from({ length: 40 }, (_, i) => `hangs${i}`), 'z'];
  const meetings = new Meetings({
    clock,
    periodMs: PERIOD_MS,
    whom: () => ids,
    meet: (id) => {
      asked.push(id);
      if (!id.startsWith('hangs')) return Promise.resolve();
      return new Promise((_, fail) => hung.push(fail));
    },
  });
  const stop = new AbortController();
  const run = meetings.run(stop.signal);
  await clock.advance(10 * PERIOD_MS);
  assert.deepEqual(
    ['a', 'z', 'hangs0', 'hangs39'].map((id) => meetings.isReached(id)),
    [true, true, undefined, undefined],
  );
  assert.ok(asked.filter((id) => id === 'z').length >= 8);
  assert.equal(asked.filter((id) => id.startsWith('hangs')).length, 40);

  ids.splice(0, 1);
  const { length } = asked;
  for (const fail of hung.splice(0)) fail(new Error('it is away'));
  await clock.advance(PERIOD_MS);
  assert.equal(meetings.isReached('a'), undefined);
  assert.equal(asked.slice(length).filter((id) => id === 'hangs7').length, 1);

  stop.abort();
  for (const fail of hung) fail(new Error('it is closed'));
  await run;
});

test('what there is to tell is told at once, and in one round however often it is said', async () => {
  const clock = new ManualClock(0);
  let met = 0;
  const loop = new Loop('ring-meetings', PERIOD_MS, clock);
  const meetings = new Meetings({ clock, periodMs: PERIOD_MS, loop, whom: () => ['a'], meet: async () => void met++ });
  const stop = new AbortController();
  const run = meetings.run(stop.signal);
  const pass = async (ms: number) => {
    for (let i = 0; i < 4; i++) await clock.turn();
    await clock.advance(ms);
    for (let i = 0; i < 4; i++) await clock.turn();
  };
  await pass(200);
  assert.equal(met, 1);
  for (let i = 0; i < 5; i++) meetings.soon();
  await pass(PERIOD_MS / 2);
  assert.equal(met, 2);
  await pass(PERIOD_MS);
  assert.equal(met, 3);
  assert.deepEqual([loop.state.rounds, loop.state.error], [3, undefined]);
  stop.abort();
  await run;
});

test('one that answered no more for three periods counts as away', async () => {
  const clock = new ManualClock(0);
  let answers = true;
  const meetings = new Meetings({
    clock,
    periodMs: PERIOD_MS,
    whom: () => ['a'],
    meet: async () => {
      if (!answers) throw new Error('it is away');
    },
  });
  const stop = new AbortController();
  const run = meetings.run(stop.signal);
  await clock.advance(2 * PERIOD_MS);
  assert.equal(meetings.isReached('a'), true);
  answers = false;
  await clock.advance(2 * PERIOD_MS);
  assert.equal(meetings.isReached('a'), true);
  await clock.advance(3 * PERIOD_MS);
  assert.equal(meetings.isReached('a'), false);
  stop.abort();
  await run;
});
