import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../lib/manual-clock.ts';
import { type HoldDays, LateSamples, type MarkReads } from './late-samples.ts';

const HOUR_MS = 3_600_000;
const settle = () => new Promise(setImmediate);

function marks(reads?: MarkReads, hold?: HoldDays) {
  const clock = new ManualClock();
  clock.set(100 * HOUR_MS);
  const moves: { text: string; resolve: () => void; reject: (error: Error) => void }[] = [];
  const late = new LateSamples(
    (tenant, fromMs, toMs) =>
      new Promise((resolve, reject) => {
        moves.push({ text: `${tenant} ${fromMs / HOUR_MS}-${toMs / HOUR_MS}`, resolve, reject });
      }),
    2 * HOUR_MS,
    clock,
    { reads, hold },
  );
  return { clock, late, moves, texts: () => moves.map(({ text }) => text) };
}

test('writes that come while days are being marked share the next time', async () => {
  const { late, moves, texts } = marks();
  const answered: string[] = [];
  const note = (name: string, tenant: string, hour: number) =>
    late.note(tenant, hour * HOUR_MS).then(() => answered.push(name));
  const all = [note('1', 'a', 90), note('2', 'a', 95), note('3', 'a', 80), note('4', 'b', 70)];
  assert.deepEqual(texts(), ['a 90-98', 'b 70-98']);
  moves[0]!.resolve();
  await settle();
  assert.deepEqual(answered, ['1']);
  assert.deepEqual(texts(), ['a 90-98', 'b 70-98', 'a 80-98']);
  moves[1]!.resolve();
  moves[2]!.resolve();
  await Promise.all(all);
  assert.deepEqual(answered.sort(), ['1', '2', '3', '4']);
});

test('what cannot be marked is an error of its writes alone', async () => {
  const { late, moves } = marks();
  const first = late.note('a', 90 * HOUR_MS);
  const second = late.note('a', 91 * HOUR_MS);
  moves[0]!.reject(new Error('away'));
  await assert.rejects(first, /late samples.*away/);
  await settle();
  moves[1]!.resolve();
  await second;
});

test('days that were marked are not marked again until somebody reads the marks, other days are, and those of another tenant', async () => {
  const reads = { now: '1' as string | undefined };
  const { clock, late, moves, texts } = marks({ unread: (tenant) => reads.now && `${tenant} ${reads.now}` });
  const note = async (tenant: string, hour: number) => {
    const before = moves.length;
    const noted = late.note(tenant, hour * HOUR_MS);
    for (const { resolve } of moves.slice(before)) resolve();
    await noted;
  };
  await note('a', 90);
  await note('a', 95);
  await note('a', 75);
  await note('b', 90);
  assert.deepEqual(texts(), ['a 90-98', 'b 90-98']);
  // a day before those, and a day after them
  await note('a', 71);
  assert.equal(moves.length, 3);
  clock.set(123 * HOUR_MS);
  await note('a', 90);
  assert.deepEqual(texts().slice(2), ['a 71-98', 'a 90-121']);
  // somebody has read
  reads.now = '2';
  await note('a', 90);
  await note('a', 90);
  assert.equal(moves.length, 5);
  // somebody reads while days are marked: what is read may be the new mark
  reads.now = undefined;
  await note('a', 90);
  reads.now = '3';
  await note('a', 90);
  await note('a', 90);
  assert.equal(moves.length, 7);
});

test('a mark that failed counts as none', async () => {
  const { late, moves } = marks({ unread: () => 'all' });
  const first = late.note('a', 90 * HOUR_MS);
  moves[0]!.reject(new Error('away'));
  await assert.rejects(first);
  const second = late.note('a', 90 * HOUR_MS);
  moves[1]!.resolve();
  await second;
});

test('days of a backfill are held, and marked no more until that runs out', async () => {
  const held: { readonly text: string; readonly done: () => void }[] = [];
  const { clock, late, moves } = marks(undefined, (tenant, fromMs, toMs, settledMs) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const minutes = (settledMs - clock.nowMs()) / 60_000;
    held.push({
      text: `${tenant} ${fromMs / HOUR_MS}-${Math.floor(toMs / HOUR_MS)}, ${minutes.toFixed(1)} min`,
      done: resolve,
    });
    return promise;
  });
  const note = async (tenant: string, hour: number) => {
    const before = [moves.length, held.length] as const;
    const noted = late.note(tenant, hour * HOUR_MS);
    for (const { resolve } of moves.slice(before[0])) resolve();
    for (const { done } of held.slice(before[1])) done();
    await noted;
  };
  for (let i = 0; i < 12; i++) {
    await note('a', 90);
    await clock.advance(100);
  }
  assert.equal(moves.length, 8);
  assert.deepEqual(
    held.map(({ text }) => text),
    ['a 90-98, 5.2 min'],
  );
  // earlier days are marked at once, and so are another tenant's
  await note('a', 71);
  await note('b', 90);
  assert.deepEqual([moves.length, held.length], [9, 2]);
  // it goes on: held again before the time is up, and not relied on after it
  for (let i = 0; i < 200; i++) {
    await note('a', 90);
    await clock.advance(100);
  }
  assert.deepEqual([moves.length, held.length], [9, 3]);
  // few late samples are marked one by one
  await clock.advance(60_000);
  for (let i = 0; i < 5; i++) {
    await note('a', 90);
    await clock.advance(20_000);
  }
  assert.deepEqual([moves.length, held.length], [14, 3]);
});

test('days whose holding takes too long or fails are not relied on', async () => {
  let end = (_error?: Error) => {};
  const { clock, late, moves } = marks(undefined, () => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    end = (error) => (error === undefined ? resolve() : reject(error));
    return promise;
  });
  for (let i = 0; i < 8; i++) {
    const noted = late.note('a', 90 * HOUR_MS);
    moves.at(-1)!.resolve();
    await noted;
  }
  const failed = late.note('a', 90 * HOUR_MS);
  end(new Error('away'));
  await assert.rejects(failed, /away/);
  const slow = late.note('a', 90 * HOUR_MS);
  await clock.advance(20_000);
  end();
  await slow;
  const next = late.note('a', 90 * HOUR_MS);
  assert.equal(moves.length, 9);
  moves[8]!.resolve();
  await next;
});

test('marks that take longer than a pause are one backfill', async () => {
  let holds = 0;
  const { clock, late, moves } = marks(undefined, async () => void holds++);
  for (let i = 0; i < 8; i++) {
    const noted = late.note('a', 90 * HOUR_MS);
    await clock.advance(2_000);
    moves.at(-1)!.resolve();
    await noted;
    await clock.advance(500);
  }
  assert.deepEqual([moves.length, holds], [8, 0]);
  await late.note('a', 90 * HOUR_MS);
  assert.deepEqual([moves.length, holds], [8, 1]);
});

test('days are not relied on as held where the wall clock has gone on without the monotonic one', async () => {
  let holds = 0;
  const { clock, late, moves } = marks(undefined, async () => void holds++);
  for (let i = 0; i < 8; i++) {
    const noted = late.note('a', 90 * HOUR_MS);
    moves.at(-1)!.resolve();
    await noted;
  }
  await late.note('a', 90 * HOUR_MS);
  await late.note('a', 90 * HOUR_MS);
  assert.equal(holds, 1);
  clock.setWall(clock.nowMs() + 20 * 60_000);
  await late.note('a', 90 * HOUR_MS);
  assert.equal(holds, 2);
});
