import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { EdgeAnswer, EdgePush } from '../../distributor/edge-push.ts';
import { WHOLE } from '../../distributor/local-slots.ts';
import { silentLogger } from '../../kit/observe/log.ts';
import { connectInThread } from '../../kit/thread/channel.ts';
import { ThreadsRoom, type ThreadsRoomMemory } from '../../kit/thread/threads-room.ts';
import { ManualClock } from '../../lib/manual-clock.ts';
import { systemBytes } from '../../lib/random.ts';
import { DEFAULT_LIMITS } from '../../limits/limits.ts';
import { FrontLoads } from './front-loads.ts';
import type { FrontHostRole, TenantCounts } from './front-role.ts';
import { FrontWrites } from './front-writes.ts';

const THREADS = 2;
const macrotask = () => new Promise((resolve) => setImmediate(resolve));

const ANSWER: EdgeAnswer = {
  response: { status: 204, headers: {}, text: '' },
  samples: 3,
  series: 2,
  metadata: 1,
  rawBytes: 100,
  discarded: { old: 1 },
  discardedMetadata: {},
};

function front(
  t: TestContext,
  given: { thread?: number; waiting?: ThreadsRoomMemory; loads?: SharedArrayBuffer } = {},
) {
  const {
    thread = 0,
    waiting = ThreadsRoom.memory(8, THREADS, systemBytes),
    loads = FrontLoads.memory(THREADS),
  } = given;
  const clock = new ManualClock(0);
  const slotsVersion = new SharedArrayBuffer(4);
  const placesVersion = new SharedArrayBuffer(4);
  const said: string[] = [];
  const counted: (readonly [string, TenantCounts])[] = [];
  const pending: ((answer: EdgeAnswer) => void)[] = [];
  const pushed: EdgePush[] = [];
  const notThere = (): never => {
    throw new Error('not asked for here');
  };
  const main = connectInThread<FrontHostRole>({
    ...{ handle: notThere, query: notThere, parts: notThere, openQueries: notThere },
    ...{ queriesEnded: notThere, drop: notThere, log: notThere },
    async push({ tenant }) {
      said.push(`push ${tenant}`);
      return ANSWER;
    },
    ratePlace({ tenant }) {
      said.push(`place ${tenant}`);
      return 7;
    },
    slots({ tenant }) {
      said.push(`slots ${tenant}`);
      return WHOLE;
    },
    slotSize: ({ tenant, series }) => void said.push(`size ${tenant} ${series}`),
    noteLate: async ({ tenant, fromMs }) => void said.push(`late ${tenant} ${fromMs}`),
    counted: ({ counts }) => void counted.push(...counts),
  });
  t.after(() => main.close());
  const writes = new FrontWrites({
    thread,
    data: {
      ...{ rawBytesMax: 1 << 20, seriesSecret: undefined, rates: new SharedArrayBuffer(8), inflightPushes: 2 },
      ...{ waiting, loads, slotsVersion, placesVersion, notesLate: true },
    },
    edge: {
      edge: {
        push(request) {
          pushed.push(request);
          return new Promise((resolve) => pending.push(resolve));
        },
      },
    },
    main: main.channel,
    limits: (tenant) => ({ ...DEFAULT_LIMITS, ingestionRate: tenant === 'rated' ? 10 : 0 }),
    log: silentLogger,
    clock,
  });
  const push = (tenant: string) =>
    writes.distributor.push({ tenant, headers: {}, body: new Uint8Array(4) }).then(({ status }) => status);
  const answerAll = async (answer = ANSWER) => {
    for (let i = 0; i < 20; i++) {
      for (const resolve of pending.splice(0)) resolve(answer);
      await macrotask();
    }
  };
  return { writes, push, answerAll, said, counted, pushed, clock, slotsVersion, placesVersion };
}

test('the main thread is asked for a place of a rate, and for a spread, now and then', async (t) => {
  const { push, answerAll, said, pushed, clock, slotsVersion, placesVersion } = front(t);
  for (let i = 0; i < 3; i++) {
    const status = push('rated');
    await answerAll();
    assert.equal(await status, 204);
  }
  assert.deepEqual(said, ['slots rated', 'place rated']);
  assert.deepEqual(
    pushed.map(({ ratePlace, slots }) => [ratePlace, slots]),
    [1, 2, 3].map(() => [7, WHOLE]),
  );
  // a spread that changed holds for the next write
  Atomics.add(new Int32Array(slotsVersion), 0, 1);
  const other = push('rated');
  await answerAll();
  await other;
  assert.deepEqual(said.splice(0), ['slots rated', 'place rated', 'slots rated']);
  // and so does a place that another tenant may have got
  Atomics.add(new Int32Array(placesVersion), 0, 1);
  const moved = push('rated');
  await answerAll();
  await moved;
  assert.deepEqual(said.splice(0), ['place rated']);
  await clock.advance(10_000);
  const later = push('rated');
  await answerAll();
  await later;
  assert.deepEqual(said, ['slots rated', 'place rated']);
  assert.equal(await Promise.all([push('free'), answerAll()]).then(([status]) => status), 204);
  assert.deepEqual(said.splice(2), ['slots free']);
});

test('late samples are told of before a write is answered, sizes where they make a difference, and all is counted', async (t) => {
  const { writes, push, answerAll, said, counted, clock } = front(t);
  for (const tenantSeries of [10, 11, 200_000]) {
    const status = push('a');
    await answerAll({ ...ANSWER, lateMs: 5, tenantSeries });
    assert.equal(await status, 204);
  }
  assert.deepEqual(said, ['slots a', 'size a 10', 'late a 5', 'late a 5', 'size a 200000', 'late a 5']);
  await clock.advance(1_000);
  await macrotask();
  assert.deepEqual(counted, [
    [
      'a',
      {
        samples: 9,
        series: 6,
        metadata: 3,
        rawBytes: 300,
        discarded: { old: 3 },
        discardedMetadata: {},
      } as TenantCounts,
    ],
  ]);
  await writes.counted();
  assert.equal(counted.length, 1);
});

test('writes that wait have places in all threads together, of which a tenant has its share', async (t) => {
  const waiting = ThreadsRoom.memory(8, THREADS, systemBytes);
  const threads = [front(t, { waiting }), front(t, { waiting, thread: 1 })] as const;
  const statuses: number[] = [];
  for (let i = 0; i < 10; i++) {
    for (const { push } of threads) void push('greedy').then((status) => statuses.push(status));
    await macrotask();
    await macrotask();
  }
  // two at once in each, six wait in both together: three times what is left
  assert.equal(statuses.length, 20 - 4 - 6);
  assert.deepEqual(new Set(statuses), new Set([503]));
  const other = threads[1].push('other');
  for (let i = 0; i < 3; i++) for (const { answerAll } of threads) await answerAll();
  assert.equal(await other, 204);
  assert.equal(new ThreadsRoom(waiting, 0).held, 0);
});

test('a thread with too much to do hands a write on while it is at one, where another has little to do', async (t) => {
  const loads = FrontLoads.memory(THREADS);
  const { push, answerAll, said, pushed } = front(t, { loads });
  const set = new FrontLoads(loads);
  set.set(0, 0.9);
  set.set(1, 0.2);
  const first = push('a');
  await macrotask();
  await macrotask();
  assert.equal(await push('b'), 204);
  assert.deepEqual(said, ['slots a', 'slots b', 'push b']);
  for (const [own, other] of [
    [0.7, 0.2],
    [0.9, 0.6],
  ] as const) {
    set.set(0, own);
    set.set(1, other);
    const kept = push('b');
    await answerAll();
    assert.equal(await kept, 204);
  }
  assert.equal(await first, 204);
  assert.equal(pushed.length, 3);
  assert.equal(set.least(), 1);
  assert.equal(
    set.least((thread) => (thread === 1 ? 1 : 0)),
    0,
  );
});
