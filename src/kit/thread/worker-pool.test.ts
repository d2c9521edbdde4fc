import assert from 'node:assert/strict';
import { on } from 'node:events';
import { test } from 'node:test';
import type { MessagePort } from 'node:worker_threads';
import { type Clock, systemClock } from '../../lib/clock.ts';
import { ManualClock } from '../../lib/manual-clock.ts';
import { AppError } from '../../model/errors.ts';
import { writeErrors } from '../../model/errors-write.ts';
import { silentLogger } from '../observe/log.ts';
import { connectInThread, type Role, Transferred } from './channel.ts';
import type { TestRole } from './test-worker.ts';
import { WorkerThread, workerUrl } from './worker.ts';
import { type PooledWorker, WorkerPool } from './worker-pool.ts';

function threads(
  options: { size?: number; queueMax?: number; heapMb?: number; callsPerWorkerMax?: number } = {},
): WorkerPool<TestRole> {
  return WorkerPool.start<TestRole>({
    name: 'test',
    size: options.size ?? 1,
    callsPerWorkerMax: options.callsPerWorkerMax ?? 1,
    queueMax: options.queueMax ?? 10,
    log: silentLogger,
    clock: systemClock,
    spawn: () =>
      WorkerThread.start<TestRole>({
        name: 'test-worker',
        url: workerUrl('./test-worker', import.meta.url),
        data: 5,
        resourceLimits: { maxOldGenerationSizeMb: options.heapMb ?? 64 },
      }),
  });
}

test('a thread answers, keeps buffers moving, and hands errors over whole', async () => {
  const pool = threads();
  assert.equal(await pool.call('add', { value: 37 }), 42);
  const bytes = new Uint8Array([1, 2, 3]);
  const back = await pool.call('reverse', bytes, { transfer: [bytes.buffer] });
  assert.deepEqual([...back], [3, 2, 1]);
  assert.equal(bytes.length, 0, 'moved away');
  await assert.rejects(pool.call('fail', { limit: 9 }), (error: unknown) => {
    assert.ok(error instanceof AppError);
    assert.equal(error.facts.id, 'per-user-series-limit');
    assert.match(error.message, /of 9 exceeded/);
    return true;
  });
  await pool.close();
  await assert.rejects(pool.call('add', { value: 1 }), /shutting down/);
});

test('a call begins before it is over, with a port for what comes in between', async () => {
  const pool = threads();
  const begun = Promise.withResolvers<{ readonly upTo: number; readonly port: MessagePort }>();
  let answer: string | undefined;
  const whole = pool.call('count', { upTo: 3 }, { begun: begun.resolve }).then((text) => {
    answer = text;
  });
  const { upTo, port } = await begun.promise;
  assert.equal(upTo, 3);
  const numbers: number[] = [];
  for await (const [number] of on(port, 'message')) if (numbers.push(number) === upTo) break;
  assert.deepEqual(numbers, [1, 2, 3]);
  assert.equal(answer, undefined, 'the call is still under way');
  port.close();
  await whole;
  assert.equal(answer, 'all taken');
  await pool.close();
});

test('a worker that dies fails its own call and is replaced', async () => {
  const pool = threads();
  await assert.rejects(pool.call('die', undefined), (error: AppError) => error.facts.http === 503);
  assert.equal(await pool.call('add', { value: 1 }), 6);
  assert.equal(pool.deaths, 1);
  await pool.close();
});

test('a worker over its heap dies alone', async () => {
  const pool = threads({ heapMb: 16 });
  await assert.rejects(pool.call('hoard', undefined), (error: AppError) => error.facts.id === 'worker-out-of-memory');
  assert.equal(await pool.call('add', { value: 1 }), 6);
  await pool.close();
});

test('a call that waits is not given a worker that has died', async () => {
  const pool = threads({ heapMb: 16 });
  const deadly = assert.rejects(pool.call('hoard', undefined), /memory/);
  const waiting = pool.call('add', { value: 1 });
  await deadly;
  assert.equal(await waiting, 6);
  await pool.close();
});

test('the queue is bounded and a call can be cancelled, waiting or under way', async () => {
  const pool = threads({ queueMax: 1 });
  const running = new AbortController();
  const waiting = new AbortController();
  const first = pool.call('wait', { ms: 60_000 }, { signal: running.signal });
  const second = pool.call('add', { value: 1 }, { signal: waiting.signal });
  await assert.rejects(pool.call('add', { value: 2 }), (error: AppError) => error.facts.id === 'worker-queue-full');
  waiting.abort(new Error('no longer wanted'));
  await assert.rejects(second, /no longer wanted/);
  running.abort(new Error('enough'));
  await assert.rejects(first, /enough/);
  assert.equal(await pool.call('aborted', undefined), 1, 'the role was told');
  await pool.close();
});

test('the same role runs in this thread', async () => {
  const role = {
    double: (value: number) => value * 2,
    bytes: () => Transferred.of(new Uint8Array(3), []),
    fail: () => {
      throw writeErrors.perUserSeriesLimit({ limit: 1 });
    },
  } satisfies Role;
  const { channel, close } = connectInThread(role);
  assert.equal(await channel.call('double', 4), 8);
  assert.equal((await channel.call('bytes', undefined)).length, 3);
  await assert.rejects(channel.call('fail', undefined), AppError);
  close();
  await assert.rejects(channel.call('double', 4), /closed/);
});

test('calls go to the worker that has least to do', async () => {
  const seen: number[] = [];
  const pool = WorkerPool.start<{ work: (ms: number) => Promise<void> }>({
    name: 'fake',
    size: 2,
    callsPerWorkerMax: 2,
    queueMax: 0,
    log: silentLogger,
    clock: systemClock,
    spawn: (index): PooledWorker<{ work: (ms: number) => Promise<void> }> => ({
      channel: {
        call: (async () => {
          seen.push(index);
          await new Promise((resolve) => setTimeout(resolve, 10));
        }) as never,
      },
      gone: new Promise(() => {}),
      terminate: async () => {},
    }),
  });
  await Promise.all([1, 2, 3, 4].map((ms) => pool.call('work', ms)));
  assert.deepEqual(seen.toSorted(), [0, 0, 1, 1]);
  await pool.close();
});

type Work = { work: (ms: number) => Promise<void> };

/** A pool of which one worker is always there and one at times. */
function growing() {
  const seen: number[] = [];
  const ended: number[] = [];
  const clock = new ManualClock();
  const spareReady = Promise.withResolvers<void>();
  const pool = WorkerPool.start<Work>({
    name: 'fake',
    size: 2,
    sizeMin: 1,
    callsPerWorkerMax: 9,
    queueMax: 0,
    log: silentLogger,
    clock,
    spawn: (index): PooledWorker<Work> => ({
      channel: {
        call: ((_: string, ms: number) => {
          seen.push(index);
          return new Promise((resolve) => setTimeout(resolve, ms));
        }) as never,
      },
      gone: new Promise(() => {}),
      terminate: async () => void ended.push(index),
      ready: index === 0 ? Promise.resolve() : spareReady.promise,
    }),
  });
  return { pool, seen, ended, clock, spareReady };
}

test('a worker more comes when a call takes long, and is used when it is ready', async () => {
  const { pool, seen, clock, spareReady } = growing();
  const long = pool.call('work', 500);
  spareReady.resolve();
  await pool.call('work', 1);
  assert.deepEqual(seen, [0, 0], 'no call has taken long');
  clock.set(150);
  await pool.call('work', 1);
  await spareReady.promise;
  await pool.call('work', 1);
  assert.deepEqual(seen, [0, 0, 0, 1]);
  await long;
  await pool.close();
});

test('a worker that came for a long call of the process itself goes when there is nothing to do', async () => {
  const { pool, ended, clock, spareReady } = growing();
  spareReady.resolve();
  const long = pool.call('work', 500);
  await pool.call('work', 1);
  clock.set(150);
  await pool.call('work', 1);
  await long;
  assert.deepEqual(ended, []);
  await clock.advance(61_000);
  assert.deepEqual(ended, [1]);
  await pool.close();
});

test('soon after the first call there is a worker more than was needed, but it is not waited for', async () => {
  const { pool, seen, clock, spareReady } = growing();
  const long = pool.call('work', 500, { tenant: 't' });
  await clock.advance(5000);
  await pool.call('work', 1, { tenant: 't' });
  await pool.call('work', 1, { tenant: 't' });
  assert.deepEqual(seen, [0, 0, 0], 'the other is on its way');
  spareReady.resolve();
  await spareReady.promise;
  await pool.call('work', 1, { tenant: 't' });
  assert.deepEqual(seen, [0, 0, 0, 1]);
  await long;
  await pool.close();
});

test('the process itself asks without a worker more', async () => {
  const { pool, seen, clock, spareReady } = growing();
  spareReady.resolve();
  const long = pool.call('work', 500);
  await clock.advance(5000);
  await spareReady.promise;
  await pool.call('work', 1, { tenant: 't' });
  assert.deepEqual(seen, [0, 0]);
  await long;
  await pool.close();
});

test('no worker more comes for calls in the background, however long they take', async () => {
  const { pool, seen, clock, spareReady } = growing();
  spareReady.resolve();
  const background = { tenant: 't', inBackground: true };
  const long = pool.call('work', 500, background);
  await clock.advance(5000);
  await pool.call('work', 1, background);
  await spareReady.promise;
  await pool.call('work', 1, background);
  assert.deepEqual(seen, [0, 0, 0]);
  // for a user who meets them there is one
  await pool.call('work', 1, { tenant: 't' });
  await spareReady.promise;
  await pool.call('work', 1, { tenant: 't' });
  assert.deepEqual(seen, [0, 0, 0, 0, 1]);
  await long;
  await pool.close();
});

/** A pool of one worker with `seats` calls at once; a call ends when the test says so. */
function held(
  seats: number,
  queueMax: number,
  { callsPerTenantMax, clock = systemClock }: { callsPerTenantMax?: number; clock?: Clock } = {},
) {
  const ends: (() => void)[] = [];
  const pool = WorkerPool.start<Work>({
    name: 'fake',
    size: 1,
    callsPerWorkerMax: seats,
    queueMax,
    callsPerTenantMax,
    clock,
    log: silentLogger,
    spawn: (): PooledWorker<Work> => ({
      channel: { call: (() => new Promise<void>((resolve) => ends.push(resolve))) as never },
      gone: new Promise(() => {}),
      terminate: async () => {},
    }),
  });
  const call = (tenant: string, outstandingMax?: number) => pool.call('work', 1, { tenant, outstandingMax });
  return { pool, ends, call };
}

const turns = () => new Promise((resolve) => setImmediate(resolve));
const idOf = (error: AppError) => error.facts.id;

test('calls of several tenants take the turns that these have apart', async () => {
  const apart = held(8, 40);
  const together = held(8, 40);
  for (let i = 0; i < 100; i++) {
    apart.call(i % 2 === 0 ? 'a' : 'b').catch(idOf);
    together.call(together.pool.quietest(['a', 'b'])).catch(idOf);
  }
  await turns();
  assert.deepEqual([together.ends.length, together.pool.queued], [apart.ends.length, apart.pool.queued]);
  void together.call('c');
  await turns();
  assert.equal(together.ends.length, apart.ends.length + 1, 'another finds a seat');
  // one that has much under way is left alone by those that have a tenant besides
  assert.equal(together.pool.quietest(['a', 'd']), 'd');
});

test('a tenant that floods the pool holds up only itself', async () => {
  const { pool, ends, call } = held(8, 40);
  const flood = Array.from({ length: 100 }, () => call('a').then(() => 'done', idOf));
  await turns();
  assert.equal(ends.length, 6, 'two seats are left for others');
  assert.equal(pool.queued, 30, 'and a quarter of the queue');
  assert.deepEqual(
    (await Promise.all(flood.slice(36))).filter((id) => id !== 'worker-queue-full'),
    [],
  );
  const others = ['b', 'c'].map((tenant) => call(tenant));
  await turns();
  assert.equal(ends.length, 8, 'the others are at work at once');
  const waiting = [call('b'), call('d')];
  await turns();
  assert.equal(pool.queued, 32);
  ends[0]!();
  await turns();
  assert.equal(ends.length, 9);
  for (const end of ends.splice(6)) end();
  await Promise.all([...others, waiting[1]]);
  while (pool.queued > 0 || ends.length > 0) {
    for (const end of ends.splice(0)) end();
    await turns();
  }
  await Promise.all(waiting);
  assert.deepEqual(new Set(await Promise.all(flood.slice(0, 36))), new Set(['done']));
  await pool.close();
});

test('calls of a tenant that wait are bounded by its limit', async () => {
  const { pool, ends, call } = held(1, 40);
  const running = call('a', 2);
  const waiting = [call('a', 2), call('a', 2)];
  await assert.rejects(call('a', 2), {
    message: 'too many outstanding requests: 2 of this tenant wait already (max_outstanding_requests_per_tenant)',
  });
  waiting.push(call('b', 2));
  while (ends.length > 0) {
    ends.shift()!();
    await turns();
  }
  await Promise.all([running, ...waiting]);
  await pool.close();
});

test('while others call, too, a tenant has a few calls of each worker', async () => {
  const clock = new ManualClock();
  const { pool, ends, call } = held(16, 40, { callsPerTenantMax: 2, clock });
  const first = Array.from({ length: 10 }, () => call('a'));
  await turns();
  assert.equal(ends.length, 10, 'alone it has them');
  const calls = [call('b'), call('a')];
  await turns();
  assert.equal(ends.length, 11);
  for (const end of ends.splice(0, 9)) end();
  await turns();
  assert.equal(ends.length, 3, 'one of a, one of b, and the one that waited');
  calls.push(call('a'));
  await turns();
  assert.equal(ends.length, 3);
  clock.set(10_000);
  calls.push(call('a'));
  for (const end of ends.splice(0, 1)) end();
  await turns();
  assert.equal(ends.length, 4, 'b has not called for long');
  for (const end of ends.splice(0)) end();
  await Promise.all([...first, ...calls]);
  await pool.close();
});

/** Two workers whose calls end when they are let, and which of them each call went to. */
function openCalls(clock: ManualClock, callsPerWorkerMax: number) {
  const seen: number[] = [];
  const ends: (() => void)[] = [];
  const pool = WorkerPool.start<{ work: (request: undefined) => Promise<void> }>({
    name: 'fake',
    size: 2,
    callsPerWorkerMax,
    queueMax: 0,
    log: silentLogger,
    clock,
    spawn: (index): PooledWorker<{ work: (request: undefined) => Promise<void> }> => ({
      channel: {
        call: (() => {
          seen.push(index);
          return new Promise<void>((resolve) => ends.push(resolve));
        }) as never,
      },
      gone: new Promise(() => {}),
      terminate: async () => {},
    }),
  });
  return { seen, ends, pool };
}

test('calls go round a worker that has not answered for a while', async () => {
  const clock = new ManualClock();
  const { seen, ends, pool } = openCalls(clock, 10);
  const work = () => void pool.call('work', undefined).catch(() => {});
  work();
  await clock.turn();
  await clock.advance(100);
  // the first is silent: the second takes what comes, also when it has more to do
  for (let i = 0; i < 4; i++) {
    work();
    await clock.turn();
  }
  assert.deepEqual(seen, [0, 1, 1, 1, 1]);
  ends[0]!();
  await clock.turn();
  work();
  await clock.turn();
  assert.equal(seen.at(-1), 0);
  await pool.close();
});

test('calls that gather go to one worker while it keeps up', async () => {
  const clock = new ManualClock();
  const { seen, ends, pool } = openCalls(clock, 20);
  const work = async (gathers: boolean) => {
    void pool.call('work', undefined, { tenant: gathers ? 'rules' : 'a', gathers }).catch(() => {});
    await clock.turn();
    return seen.at(-1);
  };
  for (let i = 0; i < 3; i++) assert.equal(await work(true), 0);
  assert.equal(await work(false), 1, 'others go to the one that has least to do');
  await clock.advance(100);
  assert.equal(await work(true), 0, 'it has not answered for a while, as the other one');
  assert.equal(await work(true), 0);
  assert.equal(await work(true), 1, 'it has four calls more');
  ends[0]!();
  await clock.turn();
  assert.equal(await work(true), 0);
  ends[3]!();
  await clock.advance(500);
  assert.equal(await work(true), 1, 'it seems to be held up');
  ends[1]!();
  ends[2]!();
  await clock.turn();
  assert.equal(await work(true), 0, 'it answers again');
  await pool.close();
});

/** Workers with a processor each, on which calls have turns of 10 ms as queries have: those that have worked for 50 ms wait for the others. */
function busyWorkers(clock: ManualClock, size: number) {
  interface Run {
    leftMs: number;
    workedMs: number;
    readonly end: () => void;
  }
  const workers: Run[][] = [];
  const pool = WorkerPool.start<{ work: (ms: number) => Promise<void> }>({
    name: 'fake',
    size,
    callsPerWorkerMax: 20,
    queueMax: 2000,
    callsPerTenantMax: 4,
    log: silentLogger,
    clock,
    spawn: (index) => {
      const runs: Run[] = [];
      workers[index] = runs;
      return {
        channel: {
          call: ((_: string, ms: number) =>
            new Promise<void>((resolve) => runs.push({ leftMs: ms, workedMs: 0, end: resolve }))) as never,
        },
        gone: new Promise(() => {}),
        terminate: async () => {},
      };
    },
  });
  return {
    pool,
    /** Lets each worker work for 10 ms on one of its calls. */
    turn() {
      for (const runs of workers) {
        const run = runs.find(({ workedMs }) => workedMs < 50) ?? runs[0];
        if (run === undefined) continue;
        run.leftMs -= 10;
        run.workedMs += 10;
        runs.splice(runs.indexOf(run), 1);
        if (run.leftMs > 0) runs.push(run);
        else run.end();
      }
    },
  };
}

test('light calls stay quick beside 500 heavy ones, those of the same tenant too', async () => {
  const clock = new ManualClock();
  const { pool, turn } = busyWorkers(clock, 2);
  let heavyDone = 0;
  const heavy = (tenant: string) =>
    void pool.call('work', 2000, { tenant, costMs: 2000, outstandingMax: 1000 }).then(
      () => heavyDone++,
      () => {}, // the pool is closed before all are through
    );
  const tookMs: Record<string, number[]> = { first: [], other: [] };
  const light = (tenant: string) => {
    const fromMs = clock.monotonicMs();
    void pool
      .call('work', 20, { tenant, costMs: 20, outstandingMax: 1000 })
      .then(() => tookMs[tenant]!.push(clock.monotonicMs() - fromMs));
  };
  for (let i = 0; i < 500; i++) heavy('first');
  for (let atMs = 0; atMs < 30_000; atMs += 10) {
    if (atMs % 1000 === 500) light('other');
    if (atMs % 1000 === 700) light('first');
    turn();
    await turns();
    await clock.advance(10);
  }
  const slowest = (tenant: string) => Math.max(...tookMs[tenant]!.slice(1));
  assert.deepEqual([tookMs.first!.length, tookMs.other!.length], [30, 30]);
  // 20 ms idle; the very first come before it is known that there are any
  assert.ok(slowest('other') <= 40, `${tookMs.other}`);
  assert.ok(slowest('first') <= 80, `${tookMs.first}`);
  assert.ok(heavyDone >= 12, `${heavyDone} heavy ones go on meanwhile`);
  await pool.close();
});

test('calls of a tenant come by priority, then cheap ones before dear ones', async () => {
  const clock = new ManualClock();
  const { pool, turn } = busyWorkers(clock, 1);
  const order: string[] = [];
  const call = (name: string, costMs: number, priority = 0) =>
    void pool.call('work', 10, { tenant: 'a', costMs, priority }).then(() => order.push(name));
  for (let i = 0; i < 20; i++) call('running', 0);
  call('dear', 250);
  call('cheap', 20);
  call('preferred', 250, 1);
  while (order.length < 23) {
    turn();
    await turns();
    await clock.advance(10);
  }
  assert.deepEqual(
    order.filter((name) => name !== 'running'),
    ['preferred', 'cheap', 'dear'],
  );
  await pool.close();
});
