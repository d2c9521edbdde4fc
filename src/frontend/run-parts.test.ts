import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../lib/random.ts';
import { AppError } from '../model/errors.ts';
import { queryErrors } from '../model/errors-query.ts';
import { storeErrors } from '../model/errors-store.ts';
import { drawnOrder, runParts } from './run-parts.ts';

const SIGNAL = new AbortController().signal;
const invalid = (text: string) => queryErrors.queryInvalid({ text });
const away = () => storeErrors.storeUnavailable({ backend: 's3', operation: 'get', reason: 'away', tries: 1 });

/** Parts by their numbers, of which some fail, each after as many turns as are drawn. @returns what came of them, and which were begun */
async function ran(count: number, parallelMax: number, seed: number, failures: ReadonlyMap<number, Error>) {
  const random = seededRandom(seed);
  const begun: number[] = [];
  const parts = Array.from({ length: count }, (_, i) => i);
  const outcome = await runParts(
    parts,
    parallelMax,
    SIGNAL,
    async (part, signal) => {
      begun.push(part);
      for (let turns = Math.floor(random() * 4); turns > 0; turns--) await undefined;
      signal.throwIfAborted();
      const failure = failures.get(part);
      if (failure !== undefined) throw failure;
      return `answer ${part}`;
    },
    drawnOrder(count, random),
  ).catch((thrown: unknown) => thrown as AppError);
  return { outcome, begun };
}

test('in whichever order parts are begun, answers are in theirs, and the error is that of the first part that fails', async () => {
  const orders = new Set<string>();
  for (let seed = 1; seed <= 200; seed++) {
    const parallelMax = 1 + (seed % 4);
    const { outcome, begun } = await ran(8, parallelMax, seed, new Map());
    assert.deepEqual(
      outcome,
      Array.from({ length: 8 }, (_, i) => `answer ${i}`),
    );
    orders.add(begun.join(' '));
    const three = new Map([2, 5, 7].map((part) => [part, invalid(`of ${part}`)]));
    const failed = await ran(8, parallelMax, seed, three);
    assert.ok(failed.outcome instanceof AppError);
    assert.equal(failed.outcome.message, 'of 2', `seed ${seed}`);
    assert.equal(new Set(failed.begun).size, failed.begun.length, 'none is begun twice');
  }
  assert.ok(orders.size > 150);
});

test('where all parts fail, the first in time is begun next, and no other', async () => {
  for (let seed = 1; seed <= 50; seed++) {
    const all = new Map(Array.from({ length: 30 }, (_, i) => [i, invalid(`of ${i}`)]));
    const { outcome, begun } = await ran(30, 1, seed, all);
    assert.equal((outcome as AppError).message, 'of 0');
    assert.ok(begun.length <= 2 && begun.at(-1) === 0, `${begun}`);
  }
});

test('a store that is away is waited for by none that was not begun', async () => {
  const all = new Map(Array.from({ length: 30 }, (_, i) => [i, away()]));
  const { outcome, begun } = await ran(30, 2, 1, all);
  assert.equal((outcome as AppError).facts.id, 'store-unavailable');
  assert.equal(begun.length, 2);
});

test('queries alike that come at once have most parts of each other', async () => {
  const made = async (order: (random: () => number) => readonly number[] | undefined) => {
    const random = seededRandom(1);
    const kept = new Set<number>();
    let count = 0;
    const run = async (part: number) => {
      if (kept.has(part)) return;
      for (let turns = 10; turns > 0; turns--) await undefined;
      count++;
      kept.add(part);
    };
    const parts = Array.from({ length: 30 }, (_, i) => i);
    await Promise.all([1, 2, 3, 4].map(() => runParts(parts, 2, SIGNAL, run, order(random))));
    return count;
  };
  assert.equal(await made(() => undefined), 120);
  const drawn = await made((random) => drawnOrder(30, random));
  assert.ok(drawn < 60, `${drawn} are made`);
});
