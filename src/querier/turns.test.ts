import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ManualClock } from '../lib/manual-clock.ts';
import { QueryTurns } from './turns.ts';

function harness() {
  const clock = new ManualClock();
  const steps: number[] = [];
  const turns = new QueryTurns(clock, { lower: (count) => steps.push(count) > 0 });
  return {
    clock,
    turns,
    steps,
    work(ms: number) {
      clock.set(clock.nowMs() + ms);
    },
  };
}

/** Whether it settles; what is not to needs less time than what is, on a busy machine. */
async function settled(promise: Promise<void>, withinMs = 2000): Promise<boolean> {
  return Promise.race([promise.then(() => true), sleep(withinMs, undefined, { ref: false }).then(() => false)]);
}

test('a query that has worked for long waits for a short one, until that ends', async () => {
  const { turns, work } = harness();
  const long = turns.begin();
  work(60);
  assert.ok(await settled(long.turn()), 'alone it waits for nobody');
  const short = turns.begin();
  work(10);
  const waits = long.turn();
  assert.equal(await settled(waits, 20), false);
  assert.ok(await settled(short.turn()), 'short ones do not wait');
  short.end();
  assert.ok(await settled(waits));
  long.end();
});

test('it waits no longer for one that has become long itself, and never for ever', async () => {
  const { turns, work, clock } = harness();
  const first = turns.begin();
  work(60);
  await first.turn();
  const second = turns.begin();
  work(10);
  const waits = first.turn();
  work(50);
  assert.ok(await settled(second.turn()), 'nobody is shorter');
  assert.ok(await settled(waits));
  const third = turns.begin();
  work(10);
  const bounded = first.turn();
  await sleep(20);
  await clock.advance(200);
  await bounded; // its own timer ends the wait
  third.end();
});

test('a thread with nothing but queries that have worked for very long comes after others', async () => {
  const { turns, work, steps } = harness();
  const long = turns.begin();
  work(200);
  await long.turn();
  assert.deepEqual(steps, []);
  work(200);
  await long.turn();
  await long.turn();
  assert.deepEqual(steps, [10]);
  const short = turns.begin();
  assert.deepEqual(steps, [10, 0]);
  short.end();
  assert.deepEqual(steps, [10, 0, 10]);
  long.end();
  assert.deepEqual(steps, [10, 0, 10, 0]);
});

test('large queries are evaluated two at a time, and one that ends in the queue leaves it', async () => {
  const clock = new ManualClock();
  const turns = new QueryTurns(clock);
  const { signal } = new AbortController();
  const ends = new AbortController();
  const large = { heldBytes: () => 2 ** 26, signal };
  const queries = [large, large, { ...large, signal: ends.signal }, large].map((each) => turns.begin(each));
  const small = turns.begin({ heldBytes: () => 2 ** 20, signal });
  const through: number[] = [];
  const asked = [...queries, small].map((query, i) =>
    query.turn().then(
      () => through.push(i),
      () => through.push(-i),
    ),
  );
  const settle = async () => {
    for (let i = 0; i < 20; i++) await new Promise(setImmediate);
  };
  await settle();
  assert.deepEqual(through.toSorted(), [0, 1, 4]);
  ends.abort(new Error('gone'));
  await settle();
  assert.ok(through.includes(-2));
  queries[0]!.end();
  await settle();
  assert.ok(through.includes(3));
  await Promise.all(asked);
  // it has its place, and asks for no other
  await queries[3]!.turn();
});
