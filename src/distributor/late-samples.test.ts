import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../lib/manual-clock.ts';
import { LateSamples } from './late-samples.ts';

const HOUR_MS = 3_600_000;
const settle = () => new Promise(setImmediate);

function marks() {
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
  );
  return { late, moves, texts: () => moves.map(({ text }) => text) };
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
