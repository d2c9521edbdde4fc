import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../../test/harness/wait.ts';
import { systemBytes } from '../../lib/random.ts';
import { SharedRoom } from '../../lib/shared-room.ts';
import { SharedLogins } from '../http/shared-logins.ts';
import type { RoomRole } from './test-room-worker.ts';
import { ThreadsRoom, type ThreadsRoomMemory } from './threads-room.ts';
import { WorkerThread, workerUrl } from './worker.ts';

const THREADS = 3;

function start(memory: ThreadsRoomMemory, logins = SharedLogins.memory(systemBytes)): WorkerThread<RoomRole>[] {
  return Array.from({ length: THREADS }, (_, thread) =>
    WorkerThread.start<RoomRole>({
      name: `room-${thread}`,
      url: workerUrl('./test-room-worker', import.meta.url),
      data: { memory, logins, thread },
    }),
  );
}

test('alone it gives what a room of one thread gives', () => {
  const shared = new ThreadsRoom(ThreadsRoom.memory(100, 2, systemBytes), 0);
  const plain = new SharedRoom(100);
  const steps = [
    ['take', 'a', 40],
    ['take', 'a', 40],
    ['take', 'b', 30],
    ['take', 'b', 5],
    ['give', 'a', 40],
    ['take', 'c', 90],
    ['force', 'c', 90],
    ['take', 'b', 1],
    ['give', 'c', 90],
  ] as const;
  for (const [step, owner, amount] of steps) {
    assert.equal(shared[step](owner, amount), plain[step](owner, amount), `${step} ${owner} ${amount}`);
    assert.equal(shared.held, plain.held);
    for (const each of ['a', 'b', 'c']) assert.equal(shared.heldBy(each), plain.heldBy(each));
  }
});

test('owners that share a cell, or three, are told apart', () => {
  const room = new ThreadsRoom(ThreadsRoom.memory(1e9, 1, systemBytes), 0);
  // in each row of 8,192 cells most owners share theirs by now
  for (let i = 0; i < 3_000; i++) room.force(`owner ${i}`, 1 + i);
  const wrong = Array.from({ length: 3_000 }, (_, i) => i).filter((i) => room.heldBy(`owner ${i}`) !== 1 + i);
  for (const i of wrong) assert.ok(room.heldBy(`owner ${i}`) > 1 + i, 'an owner may hold more than is seen');
  assert.ok(wrong.length < 3_000 / 20, `${wrong.length}`);
});

test('a tenant has one share in all threads, whatever number of them it comes to', async () => {
  const memory = ThreadsRoom.memory(1_000, THREADS, systemBytes);
  const threads = start(memory);
  try {
    const take = (owner: string) =>
      threads.map(({ channel }) => channel.call('takeAll', { owner, amount: 1, times: 5_000 }));
    const got = (await Promise.all(take('greedy'))).reduce((sum, each) => sum + each, 0);
    // three quarters of the room; two that ask at the same moment may both be refused, and never both be let in
    assert.ok(got <= 750 && got > 700, `${got}`);
    const room = new ThreadsRoom(memory, 0);
    assert.equal(room.held, got);
    assert.equal(room.heldBy('greedy'), got);
    // others find some
    assert.ok(room.take('victim', 100));
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
});

test('what threads take and give at the same time adds up', async () => {
  const memory = ThreadsRoom.memory(10, THREADS, systemBytes);
  const threads = start(memory);
  try {
    const asked = { owners: ['a', 'b', 'c'], amount: 2, rounds: 20_000 };
    const most = await Promise.all(threads.map(({ channel }) => channel.call('churn', asked)));
    assert.ok(most.some((count) => count > 0));
    const room = new ThreadsRoom(memory, 0);
    assert.deepEqual([room.held, ...asked.owners.map((owner) => room.heldBy(owner))], [0, 0, 0, 0]);
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
});

test('what a dead thread held is given back, and what others hold is not', async () => {
  const memory = ThreadsRoom.memory(1_000, THREADS, systemBytes);
  const threads = start(memory);
  try {
    await Promise.all(
      threads.map(({ channel }, i) => channel.call('takeAll', { owner: `t${i % 2}`, amount: 10, times: 10 })),
    );
    const room = new ThreadsRoom(memory, 0);
    assert.deepEqual([room.held, room.heldBy('t0'), room.heldBy('t1')], [300, 200, 100]);
    await threads[2]!.terminate();
    await threads[2]!.gone;
    ThreadsRoom.giveBack(memory, 2);
    ThreadsRoom.giveBack(memory, 2);
    assert.deepEqual([room.held, room.heldBy('t0'), room.heldBy('t1')], [200, 100, 100]);
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
});

test('a thread that dies while it takes and gives leaves nothing behind, wherever it was interrupted', async () => {
  const memory = ThreadsRoom.memory(1_000, THREADS, systemBytes);
  const room = new ThreadsRoom(memory, 0);
  const owners = ['a', 'b', 'c'];
  for (let round = 0; round < 5; round++) {
    const threads = start(memory);
    const busy = threads.map(({ channel }) => channel.call('churn', { owners, amount: 2, rounds: 1e12 }));
    const ended = Promise.allSettled(busy);
    // the ledger of each has something in it
    await until('all take and give', () => room.held > 2 * 3 * (THREADS - 1));
    await Promise.all(threads.map((thread) => thread.terminate()));
    await ended;
    for (let thread = 0; thread < THREADS; thread++) ThreadsRoom.giveBack(memory, thread);
    assert.deepEqual([room.held, ...owners.map((owner) => room.heldBy(owner))], [0, 0, 0, 0]);
  }
});

test('logins that fail are counted by address over all threads, those that were right are known to all', async () => {
  const logins = SharedLogins.memory(systemBytes);
  const threads = start(ThreadsRoom.memory(1, THREADS, systemBytes), logins);
  try {
    const guesses = threads.map(({ channel }) => channel.call('fail', { network: '10.0.0.1', times: 100 }));
    const tried = (await Promise.all(guesses)).reduce((sum, each) => sum + each, 0);
    // between look and count another thread may look, too
    assert.ok(tried >= 20 && tried < 20 + THREADS, `${tried}`);
    let nowMs = 0;
    const own = new SharedLogins(logins, () => nowMs);
    assert.ok(own.mayTry('10.0.0.2'));
    assert.ok(!own.mayTry('10.0.0.1'));
    nowMs = 1_000;
    assert.ok(own.mayTry('10.0.0.1'));
    own.failed('10.0.0.1');
    assert.ok(!own.mayTry('10.0.0.1'));
    // a clock that is set back does not lock out for longer than the bucket
    nowMs = -100_000;
    assert.ok(!own.mayTry('10.0.0.1'));
    const known = { network: '10.0.0.1', digest: 'right' };
    await threads[0]!.channel.call('know', known);
    assert.ok(await threads[1]!.channel.call('knows', known));
    assert.ok(!own.isKnown('10.0.0.2', 'right'));
    assert.ok(!own.isKnown('10.0.0.1', 'wrong'));
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
});
