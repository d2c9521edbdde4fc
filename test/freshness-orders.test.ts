import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RangeRequest } from '../src/contract/query.ts';
import { answersOf, comparableAnswer } from '../src/frontend/test-answers.ts';
import { seededRandom } from '../src/lib/random.ts';
import { Gates } from './freshness/gates.ts';
import { HOUR_MS, MINUTE_MS, NOW_MS, startWorld, TENANT } from './freshness/world.ts';

// One query that caches, and one change, whose calls to store and shards are made in turns: the query goes so far, then the change so far,
// then one of them to its end. Whatever the order, a query that begins after the change was acknowledged sees it, through another front end.

/** The share of all orders that is tried; all need some minutes (`npm run test:freshness`). */
const SHARE = process.env.ALL === undefined ? 0.004 : 1;
const SEED = Number(process.env.SEED ?? Date.now() % 1e9);

type World = Awaited<ReturnType<typeof startWorld>>;

const REQUEST: RangeRequest = { expr: 'm', startMs: NOW_MS - 20 * HOUR_MS, endMs: NOW_MS, stepMs: 30 * MINUTE_MS };
const OLD_MS = NOW_MS - 15 * HOUR_MS;
const late = (world: World) => world.write([{ labels: labelsOf(1), samples: [[OLD_MS, 77]] }]);
const remove = (world: World) => world.delete('1', OLD_MS - HOUR_MS, OLD_MS + HOUR_MS);

interface Change {
  readonly before?: (world: World) => Promise<unknown>;
  readonly run: (world: World) => Promise<unknown>;
  /** The opposite change, which has to be seen as well. */
  readonly after?: (world: World) => Promise<unknown>;
}

const CHANGES: Readonly<Record<string, Change>> = {
  'late samples': { run: late },
  'late samples, then their flush': {
    async run(world) {
      await late(world);
      await world.flush();
    },
    after: (world) => world.drop(),
  },
  'a flush': { before: late, run: (world) => world.flush(), after: (world) => world.drop() },
  'an import': { run: (world) => world.import([{ labels: labelsOf(1), samples: [[OLD_MS, 88]] }]) },
  'a delete': { run: remove, after: (world) => world.cancel() },
  'a cancelled delete': { before: remove, run: (world) => world.cancel() },
  'a delete and its end': {
    async run(world) {
      await remove(world);
      await world.cancel();
    },
  },
  'a cancelled delete and another one': {
    before: remove,
    async run(world) {
      await world.cancel();
      await remove(world);
    },
    after: (world) => world.cancel(),
  },
};

interface Order {
  readonly starts: 'query' | 'change';
  /** Calls that are let through before the other one begins, and of the other one before the first goes on. */
  readonly first: number;
  readonly second: number;
  /** Which of the calls that wait at the same time. */
  readonly which: 'first' | 'last';
  /** Half of the query is cached before. */
  readonly warm: boolean;
  /** Changes of tables are counted, as in one process. */
  readonly isCounted: boolean;
}

const labelsOf = (i: number) => ({ __name__: 'm', a: `${i % 3}`, b: `${i}` });

async function turnsUntil(isThere: () => boolean): Promise<void> {
  // a call between threads takes some turns of the event loop
  for (let turn = 0; turn < 2 || !isThere(); turn++) {
    if (turn < 1000) await new Promise(setImmediate);
    else await sleep(1);
  }
}

/** @returns the calls that query and change made */
async function inOrder(change: Change, order: Order): Promise<{ query: number; change: number }> {
  const gates = new Gates();
  const world = await startWorld(seededRandom(SEED), { gates, isCounted: order.isCounted });
  try {
    return await inOrderOf(world, gates, change, order);
  } finally {
    gates.open();
    await world.close();
  }
}

async function inOrderOf(
  world: World,
  gates: Gates,
  { before, run, after }: Change,
  order: Order,
): Promise<{ query: number; change: number }> {
  const other = order.starts === 'query' ? 'change' : 'query';
  const [one, two] = world.frontends as [World['frontends'][0], World['frontends'][0]];
  await world.write(
    [1, 2].map((i) => ({
      labels: labelsOf(i),
      samples: [
        [OLD_MS - HOUR_MS, i],
        [OLD_MS + 10, i],
      ],
    })),
  );
  await world.flush();
  await world.drop();
  await before?.(world);
  if (order.warm) await answersOf(one, { ...REQUEST, endMs: NOW_MS - 12 * HOUR_MS }, TENANT);
  gates.shut();
  const counts = { query: 0, change: 0 };
  const isDone = { query: false, change: false };
  const running: Promise<unknown>[] = [];
  const start = (actor: 'query' | 'change') => {
    const begun = actor === 'query' ? answersOf(one, REQUEST, TENANT) : run(world);
    running.push(
      begun.then(() => {
        isDone[actor] = true;
      }),
    );
  };
  const go = async (actor: 'query' | 'change', calls: number) => {
    for (let left = calls; ; left--) {
      await turnsUntil(() => isDone[actor] || gates.isWaiting(actor));
      if (left <= 0 || isDone[actor]) return;
      gates.release(actor, order.which);
      counts[actor]++;
    }
  };
  start(order.starts);
  await go(order.starts, order.first);
  start(other);
  await go(other, order.second);
  await go(order.starts, Number.POSITIVE_INFINITY);
  await go(other, Number.POSITIVE_INFINITY);
  await Promise.all(running);
  await turnsUntil(() => true);
  assert.ok(!gates.isWaiting('change'), 'a change that was acknowledged is through');
  gates.open();
  // what it found is kept after it has answered
  await turnsUntil(() => true);
  const check = async (when: string) => {
    const plain = comparableAnswer(await answersOf(world.plain, REQUEST, TENANT));
    for (const [i, frontend] of [two, one].entries()) {
      const answer = comparableAnswer(await answersOf(frontend, REQUEST, TENANT));
      assert.deepEqual(answer, plain, `${when}, front end ${2 - i}, ${JSON.stringify(order)}`);
    }
  };
  await check('after the change');
  if (after !== undefined) {
    await after(world);
    await check('after its end');
  }
  return counts;
}

test('a request that is made and cancelled while a query reads what holds of the days', async () => {
  for (const which of ['first', 'last'] as const) {
    for (const [first, second] of [
      [1, 1],
      [1, 2],
      [1, 3],
      [2, 2],
      [2, 3],
    ] as const) {
      for (const isCounted of [false, true]) {
        const order = { starts: 'query', first, second, which, warm: false, isCounted } as const;
        await inOrder(CHANGES['a delete and its end']!, order);
      }
    }
  }
});

test('a late sample that the ingester is not asked for is seen once it is flushed', async () => {
  const world = await startWorld(seededRandom(SEED), { withinMs: 2 * HOUR_MS });
  try {
    await world.write([{ labels: labelsOf(1), samples: [[OLD_MS - HOUR_MS, 1]] }]);
    await world.flush();
    await world.drop();
    assert.ok(await late(world));
    // what is hidden would be cached for the generation that the late sample made
    const ask = () => Promise.all(world.frontends.map((frontend) => answersOf(frontend, REQUEST, TENANT)));
    const hidden = comparableAnswer((await ask())[0]!);
    await turnsUntil(() => true);
    await world.flush();
    const plain = comparableAnswer(await answersOf(world.plain, REQUEST, TENANT));
    assert.notDeepEqual(plain, hidden);
    for (const answer of await ask()) assert.deepEqual(comparableAnswer(answer), plain);
  } finally {
    await world.close();
  }
});

for (const [name, change] of Object.entries(CHANGES)) {
  test(`a query that caches beside ${name}, in every order`, async () => {
    const random = seededRandom(SEED);
    const none = { starts: 'query', first: Number.POSITIVE_INFINITY, second: 0, which: 'first' } as const;
    for (const [warm, isCounted] of [
      [false, false],
      [true, false],
      // others are no different by it
      ...(name.includes('delete')
        ? ([
            [false, true],
            [true, true],
          ] as const)
        : []),
    ] as const) {
      const counts = await inOrder(change, { ...none, warm, isCounted });
      assert.ok(counts.query > 3 && counts.change > 0);
      for (const starts of ['query', 'change'] as const) {
        const other = starts === 'query' ? 'change' : 'query';
        for (let first = 0; first <= counts[starts]; first++) {
          for (let second = 1; second <= counts[other]; second++) {
            for (const which of ['first', 'last'] as const) {
              if (random() < SHARE) await inOrder(change, { starts, first, second, which, warm, isCounted });
            }
          }
        }
      }
      if (process.env.ALL !== undefined) console.log(name, warm, isCounted, counts);
    }
  });
}
