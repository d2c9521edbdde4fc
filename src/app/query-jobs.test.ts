import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { until } from '../../test/harness/wait.ts';
import type { Job } from '../contract/jobs.ts';
import type { InstantOutcome, QueryFailure, QueryRunner } from '../contract/query.ts';
import { Frontend } from '../frontend/frontend.ts';
import { JobDesk } from '../frontend/job-desk.ts';
import { afterPauses, frontendOptions, testSteps } from '../frontend/test-answers.ts';
import { silentLogger } from '../kit/observe/log.ts';
import { Registry } from '../kit/observe/metrics.ts';
import { RpcClient } from '../kit/rpc/client.ts';
import { RpcServer } from '../kit/rpc/server.ts';
import type { TestRole } from '../kit/thread/test-worker.ts';
import { WorkerThread, workerUrl } from '../kit/thread/worker.ts';
import { WorkerPool } from '../kit/thread/worker-pool.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { ANY_TIME_MS, DAY_MS } from '../lib/day.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { seededRandom } from '../lib/random.ts';
import { AppError } from '../model/errors.ts';
import { peerErrors } from '../model/errors-peer.ts';
import { queryErrors } from '../model/errors-query.ts';
import { storeErrors } from '../model/errors-store.ts';
import { encodeOutcomes } from '../peer/batch-wire.ts';
import { JobBatches } from '../peer/job-batches.ts';
import { answersRole, JobBoardServer } from '../peer/job-role.ts';
import { JobRunner, runQuery } from '../peer/job-runner.ts';
import { decodeRequest } from '../peer/job-shapes.ts';
import { RemoteAnswers, RemoteJobSource, RemoteScheduler } from '../peer/remote-scheduler.ts';
import { type JobOutcome, JobWorker } from '../querier/job-worker.ts';
import { schedulerMetrics } from '../scheduler/metrics.ts';
import { Scheduler } from '../scheduler/scheduler.ts';
import { SchedulerService } from '../scheduler/service.ts';

// A front end, schedulers and queriers in one thread, with the wire between them.

const WANTED = { tenant: 't', query: 'q', costMs: 0, priority: 0, payload: new Uint8Array([1, 2, 3]) };
const { signal: unaborted } = new AbortController();

type Run = (job: Job, signal: AbortSignal) => Promise<JobOutcome>;

/** An answer of `text`. */
const answer = (text: string): JobOutcome => ({ head: { workedMs: 1 }, bytes: Buffer.from(text) });

/** Never answers; ends with its signal. */
const never: Run = (_, signal) =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));

class Stage {
  readonly #clock: Clock;
  readonly #ends: (() => unknown)[] = [];
  readonly registry = new Registry();
  readonly desk: JobDesk;
  #frontend = '';

  constructor(t: TestContext, clock: Clock = systemClock, heldBytesMax?: number) {
    this.#clock = clock;
    this.desk = new JobDesk({
      name: 'f',
      address: () => this.#frontend,
      retriesMax: 2,
      timeoutMs: 60_000,
      answerBytesMax: 1 << 20,
      ...(heldBytesMax !== undefined && { heldBytesMax }),
      log: silentLogger,
      registry: this.registry,
      clock,
      random: seededRandom(1),
    });
    t.after(async () => {
      for (const end of this.#ends.toReversed()) await end();
    });
  }

  async #listen(role: ConstructorParameters<typeof RpcServer>[0]['role']): Promise<string> {
    const self = { name: 'listener', cluster: {} };
    const options = { host: '127.0.0.1', port: 0, self, security: () => ({}), role, log: silentLogger };
    const server = new RpcServer({ ...options, clock: this.#clock });
    await server.start();
    this.#ends.push(() => server.stop({ signal: AbortSignal.abort(), progress: () => {} }));
    return `127.0.0.1:${server.port}`;
  }

  client(address: string): RpcClient {
    const self = { name: 'caller', cluster: {} };
    const client = new RpcClient({ address, self, security: () => ({}), clock: this.#clock });
    this.#ends.push(() => client.close());
    return client;
  }

  async frontend(): Promise<void> {
    this.#frontend = await this.#listen(answersRole(this.desk));
  }

  /** A scheduler that the front end leaves jobs with. */
  async scheduler() {
    const metrics = schedulerMetrics(new Registry());
    const limits = () => ({ outstandingMax: 100, max: 0, reserved: [] });
    const scheduler = new Scheduler({ limits, waitingMax: 1000, forgetMs: 0, metrics, clock: this.#clock });
    const server = new JobBoardServer(scheduler);
    const address = await this.#listen(server.role);
    const client = this.client(address);
    const ends = new AbortController();
    let link: RemoteScheduler | undefined;
    const news = { failed: this.desk.failed.bind(this.desk), going: () => link && this.desk.retire(link) };
    const opened = await RemoteScheduler.open(client, news, ends.signal);
    link = opened.scheduler;
    this.desk.add(link);
    const gone = (error?: unknown) =>
      this.desk.remove(link!, error instanceof AppError ? error : peerErrors.peerGone({ peer: address, reason: 'x' }));
    void opened.ended.then(gone, gone);
    this.#ends.push(() => ends.abort(new Error('the test is over')));
    const service = new SchedulerService({ scheduler, server, clock: this.#clock });
    /** Ends it as a process that is killed. */
    const kill = () => client.close();
    return { address, scheduler, service, kill };
  }

  /** A querier that asks these schedulers for work. */
  querier(id: string, addresses: readonly string[], run: Run, places = 4) {
    const clients = new Map<string, RpcClient>();
    const worker = new JobWorker({
      id,
      places,
      heavyPlaces: places,
      run,
      answers: (address) => {
        const client = clients.get(address) ?? this.client(address);
        clients.set(address, client);
        return new RemoteAnswers(client);
      },
      log: silentLogger,
      clock: this.#clock,
      random: seededRandom(1),
    });
    const own = addresses.map((address) => [address, this.client(address)] as const);
    for (const [address, client] of own) worker.add(address, new RemoteJobSource(client));
    this.#ends.push(() => worker.stop(AbortSignal.abort()));
    /** Ends it as a process that is killed. */
    const kill = () => {
      for (const [address, client] of own) {
        worker.remove(address);
        client.close();
      }
    };
    return { worker, kill };
  }

  async ask(): Promise<string> {
    const { bytes } = await this.desk.ask(WANTED, unaborted);
    return Buffer.from(bytes).toString();
  }

  async retries(): Promise<number> {
    const text = await this.registry.metrics();
    return Number(/^pallium_query_frontend_retries_total (\d+)$/m.exec(text)![1]);
  }
}

async function staged(t: TestContext, clock?: Clock, heldBytesMax?: number) {
  const stage = new Stage(t, clock, heldBytesMax);
  await stage.frontend();
  const one = await stage.scheduler();
  return { stage, one };
}

test('an answer of many pieces comes whole, with what the front end left', async (t) => {
  const { stage, one } = await staged(t);
  const big = Buffer.alloc(700_000, 'ab');
  const seen: Job[] = [];
  stage.querier('q', [one.address], async (job) => {
    seen.push(job);
    return { head: { workedMs: 7 }, bytes: big };
  });
  const { head, bytes } = await stage.desk.ask(WANTED, unaborted);
  assert.ok(big.equals(bytes));
  assert.deepEqual(head, { workedMs: 7 });
  assert.deepEqual([seen[0]!.tenant, [...seen[0]!.payload]], ['t', [1, 2, 3]]);
});

test('a caller that goes away ends its job at the querier, while the clock stands still', async (t) => {
  const clock = new ManualClock();
  const { stage, one } = await staged(t, clock);
  const begun = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<number>();
  stage.querier('q', [one.address], (job, signal) => {
    signal.addEventListener('abort', () => ended.resolve(performance.now()), { once: true });
    begun.resolve();
    return never(job, signal);
  });
  const caller = new AbortController();
  const asked = stage.desk.ask(WANTED, caller.signal);
  await begun.promise;
  const fromMs = performance.now();
  caller.abort(new Error('gone'));
  await assert.rejects(asked, /gone/);
  const tookMs = (await ended.promise) - fromMs;
  // no timer has anything to do with it: 100 ms are for a machine that is busy
  t.diagnostic(`ended after ${tookMs.toFixed(1)} ms`);
  assert.equal(clock.monotonicMs(), 0);
  await until('its place is free', async () => one.scheduler.running === 0);
});

test('a job whose querier is killed goes to another one, and no other runs again', async (t) => {
  const { stage, one } = await staged(t);
  const ran: string[] = [];
  const held: Run = (job, signal) => {
    ran.push(job.id);
    return never(job, signal);
  };
  const { kill } = stage.querier('doomed', [one.address], held, 3);
  await until('it is seated', async () => one.scheduler.queriers === 1);
  const all = Array.from({ length: 5 }, () => stage.ask());
  await until('it has three', async () => ran.length === 3);
  stage.querier('good', [one.address], async (job) => {
    ran.push(job.id);
    return answer('right');
  });
  await until('the good one has the others', async () => ran.length === 5);
  kill();
  assert.deepEqual(await Promise.all(all), ['right', 'right', 'right', 'right', 'right']);
  assert.equal(ran.length, 8, 'three ran twice');
  assert.equal(await stage.retries(), 3);
});

test('a querier that fails is left for another, an error of the query is not', async (t) => {
  const { stage, one } = await staged(t);
  const ran = { bad: 0, good: 0 };
  stage.querier('bad', [one.address], async () => {
    ran.bad++;
    throw new Error('a bug');
  });
  await until('it is seated', async () => one.scheduler.queriers === 1);
  await assert.rejects(stage.ask(), /a bug/);
  assert.equal(ran.bad, 3, 'twice more than once');
  stage.querier('good', [one.address], async () => {
    ran.good++;
    return answer('right');
  });
  await until('both are seated', async () => one.scheduler.queriers === 2);
  for (let i = 0; i < 6; i++) assert.equal(await stage.ask(), 'right');
  assert.equal(ran.good, 6);
  assert.ok(ran.bad <= 3 + 6, 'at most once for each');

  const before = await stage.retries();
  const { one: other, stage: wrong } = await staged(t);
  wrong.querier('q', [other.address], async () => {
    throw queryErrors.queryTooManySamples({ limit: 5 });
  });
  await assert.rejects(wrong.ask(), (error: unknown) => error instanceof AppError && error.facts.http === 422);
  assert.equal(await wrong.retries(), 0);
  assert.equal(await stage.retries(), before);
});

test('a job that failed for want of a store is asked for again after a pause', async (t) => {
  const clock = new ManualClock();
  const { stage, one } = await staged(t, clock);
  let ran = 0;
  stage.querier('q', [one.address], async () => {
    if (ran++ < 2) throw storeErrors.storeThrottled({ backend: 's3', operation: 'get', tries: 1 });
    return answer('right');
  });
  const asked = stage.ask();
  for (const tries of [1, 2]) {
    await until('it has failed', async () => ran === tries && one.scheduler.running === 0);
    await systemClock.sleep(50);
    assert.equal(ran, tries, 'it waits for the clock');
    await until('it is asked again', async () => {
      await clock.advance(20);
      return ran > tries;
    });
  }
  assert.deepEqual([await asked, ran], ['right', 3]);
});

/** Three queriers, each of one thread of little memory: a job that hoards takes all of it, any other sleeps. */
async function mortalQueriers(t: TestContext) {
  const { stage, one } = await staged(t);
  const begun: string[] = [];
  const pools = ['a', 'b', 'c'].map((id) => {
    const pool = WorkerPool.start<TestRole>({
      name: 'test',
      size: 1,
      callsPerWorkerMax: 4,
      queueMax: 10,
      log: silentLogger,
      clock: systemClock,
      spawn: () =>
        WorkerThread.start<TestRole>({
          name: 'test-worker',
          url: workerUrl('../kit/thread/test-worker', import.meta.url),
          resourceLimits: { maxOldGenerationSizeMb: 16 },
        }),
    });
    stage.querier(id, [one.address], async ({ query, payload }, signal) => {
      begun.push(query);
      const [isHoard] = payload;
      if (isHoard === 1) await pool.call('hoard', undefined, { signal });
      else await pool.call('sleep', { ms: 300 }, { signal });
      return answer('right');
    });
    t.after(() => pool.close());
    return pool;
  });
  await until('they are seated', async () => one.scheduler.queriers === 3);
  const ask = async (query: string, isHoard: boolean) => {
    const wanted = { ...WANTED, tenant: query, query, payload: Uint8Array.of(isHoard ? 1 : 0) };
    const { bytes } = await stage.desk.ask(wanted, AbortSignal.timeout(120_000));
    return Buffer.from(bytes).toString();
  };
  const deaths = () => pools.reduce((sum, pool) => sum + pool.deaths, 0);
  return { stage, begun, ask, deaths };
}

test('a query that takes all memory of its thread is asked for once more, and no oftener', async (t) => {
  const { stage, begun, ask, deaths } = await mortalQueriers(t);
  await assert.rejects(ask('deadly', true), (error: AppError) => error.facts.id === 'worker-out-of-memory');
  assert.deepEqual([begun, deaths(), await stage.retries()], [['deadly', 'deadly'], 2, 1]);
});

test('where others were beside it each is asked once more, and they are answered', async (t) => {
  const { begun, ask, deaths } = await mortalQueriers(t);
  const others = Array.from({ length: 6 }, (_, i) => ask(`other-${i}`, false));
  await until('each thread has some', async () => begun.length === 6);
  await assert.rejects(ask('deadly', true), /memory/);
  assert.deepEqual(await Promise.all(others), Array(6).fill('right'));
  assert.ok(deaths() <= 2, `${deaths()} threads died`);
});

test('a part whose queriers are lost is left out of an answer that may be incomplete', async (t) => {
  const { stage, one } = await staged(t);
  const stepMs = DAY_MS / 4;
  const deadlyMs = 3 * DAY_MS + stepMs;
  let queriers = 0;
  const seat = () => {
    const { kill } = stage.querier(`q${++queriers}`, [one.address], async ({ payload }, signal) => {
      const job = decodeRequest(payload);
      assert.ok(job.kind === 'query' && job.method === 'range');
      const { startMs, endMs } = job.request;
      if (startMs === deadlyMs) {
        seat();
        kill();
      }
      const range = async () => testSteps(1, (endMs - startMs) / stepMs + 1);
      const bytes = await runQuery({ range } as unknown as QueryRunner, 't', job, { signal });
      return { head: { workedMs: 0 }, bytes };
    });
  };
  seat();
  const frontend = new Frontend({
    ...frontendOptions(),
    querier: new JobRunner((tenant, payload, signal) => stage.desk.ask({ ...WANTED, tenant, payload }, signal), {
      lookbackMs: 300_000,
      language: {},
      oldestMs: ANY_TIME_MS,
    }),
    parallelMax: 1,
    clock: systemClock,
  });
  const request = { expr: 'x', startMs: DAY_MS, endMs: 6 * DAY_MS - stepMs, stepMs };
  const lost = (thrown: unknown) => thrown instanceof AppError && thrown.facts.id === 'querier-gone';
  await assert.rejects(frontend.range('t', request, { signal: unaborted }), lost);
  const { missing } = await frontend.range('t', { ...request, allowPartial: true }, { signal: unaborted });
  assert.deepEqual(
    missing?.map(({ startMs }) => startMs),
    [deadlyMs],
  );
  assert.equal(queriers, 1 + 2 * 3, 'each time three were lost');
});

test('a batch of rules whose querier is killed is answered by another, and what one cannot answer is asked of another once', async (t) => {
  const { stage, one } = await staged(t);
  const ran: string[] = [];
  const requests = ['1', 'away', 'wrong', 'late'].map((expr) => ({ expr, timeMs: 5 }));
  const failures: Record<string, QueryFailure> = {
    away: { text: 'the store is away', http: 503 },
    wrong: { text: 'no such function', http: 422 },
    late: { text: 'its time is up', http: 503, isTimeout: true },
  };
  const outcomesOf =
    (name: string, fails: boolean): Run =>
    async ({ payload, isOfRules }) => {
      const request = decodeRequest(payload);
      assert.ok(request.kind === 'rules' && isOfRules === true);
      ran.push(`${name} ${request.requests.map(({ expr }) => expr)}`);
      const outcomes = request.requests.map(({ expr, timeMs }): InstantOutcome => {
        const failure = failures[expr];
        if (failure !== undefined && (fails || expr !== 'away')) return { failure };
        return { result: { type: 'scalar', timeMs, value: 7 } };
      });
      return { head: { workedMs: 1 }, bytes: encodeOutcomes(outcomes) };
    };
  const batches = new JobBatches({
    ask: (tenant, payload, avoid, signal) =>
      stage.desk.ask({ ...WANTED, tenant, payload, avoid, isOfRules: true }, signal),
    timeoutMs: 60_000,
    clock: systemClock,
  });
  const seated = (queriers: number) => until('they are seated', async () => one.scheduler.queriers === queriers);
  const doomed = stage.querier('doomed', [one.address], never);
  await seated(1);
  const asked = batches.instants('t', requests, { signal: unaborted });
  await until('it runs', async () => one.scheduler.running === 1);
  stage.querier('bad', [one.address], outcomesOf('bad', true));
  await seated(2);
  doomed.kill();
  const { away, wrong, late } = failures;
  const seven = { result: { type: 'scalar', timeMs: 5, value: 7 } };
  // nobody does it better
  assert.deepEqual(await asked, [seven, { failure: away }, { failure: wrong }, { failure: late }]);
  assert.deepEqual(ran.splice(0), ['bad 1,away,wrong,late', 'bad away']);
  assert.equal(await stage.retries(), 1);

  stage.querier('good', [one.address], outcomesOf('good', false));
  await seated(2);
  for (let i = 0; i < 4; i++) {
    const outcomes = await batches.instants('t', requests, { signal: unaborted });
    assert.deepEqual(outcomes, [seven, seven, { failure: wrong }, { failure: late }]);
  }
  const ofBad = ran.filter((each) => each === 'bad 1,away,wrong,late').length;
  assert.deepEqual(ran.filter((each) => each === 'good away').length, ofBad);
  assert.equal(ran.length, 4 + ofBad);
});

test('of several schedulers one may be killed, or end by itself', async (t) => {
  const { stage, one } = await staged(t);
  const two = await stage.scheduler();
  const addresses = [one.address, two.address];
  const gates = Promise.withResolvers<void>();
  let isHeld = false;
  let ran = 0;
  stage.querier('q', addresses, async () => {
    ran++;
    if (isHeld) await gates.promise;
    return answer('right');
  });
  await until('it is seated', async () => one.scheduler.queriers + two.scheduler.queriers === 2);
  for (let i = 0; i < 6; i++) assert.equal(await stage.ask(), 'right');
  assert.equal(ran, 6);
  isHeld = true;
  const held = [stage.ask(), stage.ask()];
  await until('each has one', async () => one.scheduler.running + two.scheduler.running === 2);
  // one takes no more, and what it has is answered
  const stopped = one.service.stop({ signal: unaborted, progress: () => {} });
  await until('the front end knows', async () => stage.desk.schedulers === 1);
  gates.resolve();
  assert.deepEqual(await Promise.all(held), ['right', 'right']);
  await stopped;
  assert.equal(ran, 8);
  for (let i = 0; i < 3; i++) assert.equal(await stage.ask(), 'right');
  // the other is killed: what it has is asked for again where there is a scheduler
  const three = await stage.scheduler();
  stage.querier('q3', [three.address], async () => answer('from three'));
  two.kill();
  await until('it is gone', async () => stage.desk.schedulers === 1);
  assert.equal(await stage.ask(), 'from three');
});

test('an answer in parts is made as it is taken, and ends when it is left', async (t) => {
  const { stage, one } = await staged(t);
  let made = 0;
  const left = Promise.withResolvers<void>();
  stage.querier('q', [one.address], async () => ({
    head: { workedMs: 0, api: { status: 200, contentType: 'x' } },
    bytes: Buffer.from('head'),
    parts: (async function* () {
      try {
        for (; made < 1000; made++) yield Buffer.from([made % 256]);
      } finally {
        left.resolve();
      }
    })(),
  }));
  const { head, parts } = await stage.desk.askInParts(WANTED, unaborted);
  assert.equal(head.api?.status, 200);
  assert.equal(Buffer.from((await parts.next()).value!).toString(), 'head');
  for (let i = 0; i < 3; i++) assert.deepEqual([...(await parts.next()).value!], [i]);
  await systemClock.sleep(50);
  assert.ok(made < 20, `${made} were made, 3 were taken`);
  await parts.return!();
  await left.promise;
  await until('its place is free', async () => one.scheduler.running === 0);
  assert.ok(made < 20);
});

test('a job that no querier takes has the time of a query, and a querier that ends takes no more', async (t) => {
  const clock = new ManualClock();
  const { stage, one } = await staged(t, clock);
  const asked = stage.ask();
  await until('it waits', async () => one.scheduler.waiting === 1);
  const refused = assert.rejects(asked, /query timed out .* after 60000 ms/);
  await clock.advance(60_000);
  await refused;
  await until('nobody waits for it', async () => one.scheduler.waiting === 0);

  const gate = Promise.withResolvers<void>();
  const { worker } = stage.querier('q', [one.address], async () => {
    await gate.promise;
    return answer('right');
  });
  const last = stage.ask();
  await until('it runs', async () => one.scheduler.running === 1);
  const stopped = worker.stop(unaborted);
  await until('its place is gone', async () => {
    const other = new AbortController();
    const another = stage.desk.ask(WANTED, other.signal).catch(() => {});
    await systemClock.sleep(5);
    const waits = one.scheduler.waiting === 1;
    other.abort(new Error('enough'));
    await another;
    return waits;
  });
  gate.resolve();
  assert.equal(await last, 'right');
  await stopped;
});

test('a querier that ends while jobs come answers all that it was given', async (t) => {
  const { stage, one } = await staged(t);
  for (let round = 0; round < 20; round++) {
    const { worker } = stage.querier(`q${round}`, [one.address], async () => answer('right'));
    await until('it is seated', async () => worker.seated.length === 1, { intervalMs: 1 });
    const all = Array.from({ length: 3 }, () => stage.ask());
    const stopped = worker.stop(unaborted);
    // what it was not given waits for the next one
    const next = stage.querier(`r${round}`, [one.address], async () => answer('right'), 8);
    assert.deepEqual(await Promise.all(all), ['right', 'right', 'right']);
    await stopped;
    assert.equal(await stage.retries(), 0, `round ${round}`);
    await next.worker.stop(unaborted);
    await until('nobody is seated', async () => one.scheduler.queriers === 0, { intervalMs: 1 });
  }
});

test('an answer that is too large for the front end fails its query alone', async (t) => {
  const { stage, one } = await staged(t);
  let bytes = 2 << 20;
  stage.querier('q', [one.address], async () => ({ head: { workedMs: 0 }, bytes: Buffer.alloc(bytes) }));
  await assert.rejects(stage.ask(), /answers of .* bytes wait to be read.*server.inflight_answer_bytes_max/);
  bytes = 5;
  assert.equal((await stage.ask()).length, 5);
  assert.equal(await stage.retries(), 0);
});

test('answers of which there is no room for all at once come one after another, and none fails', async (t) => {
  const { stage, one } = await staged(t);
  const bytes = 600_000;
  let running = 0;
  stage.querier('q', [one.address], async (job) => {
    running++;
    return { head: { workedMs: 3 }, bytes: Buffer.alloc(bytes, Number(job.payload[0])) };
  });
  const ask = (mark: number, ends = unaborted) =>
    stage.desk.ask({ ...WANTED, query: `q${mark}`, payload: Uint8Array.of(mark) }, ends);
  const leaves = new AbortController();
  const left = ask(9, leaves.signal).catch((error: Error) => error.message);
  const all = [1, 2, 3, 4].map((mark) => ask(mark));
  leaves.abort(new Error('enough'));
  for (const [i, asked] of all.entries()) {
    const { head, bytes: answered } = await asked;
    assert.deepEqual(head, { workedMs: 3 });
    assert.ok(Buffer.alloc(bytes, i + 1).equals(answered));
  }
  assert.equal(await left, 'enough');
  assert.ok(running >= 4);
  // nothing of the room is lost
  assert.equal((await ask(5)).bytes.length, bytes);
});

test('large answers wait for those of queries under way, small ones and those of a query that has some do not', async (t) => {
  const { stage, one } = await staged(t, systemClock, 300_000);
  stage.querier('q', [one.address], async ({ payload }) => ({
    head: { workedMs: 0 },
    bytes: Buffer.alloc(payload[0]! * 10_000),
  }));
  const ask = async (query: string, size: number) => {
    const { bytes } = await stage.desk.ask({ ...WANTED, query, payload: Uint8Array.of(size) }, unaborted);
    return bytes.length / 10_000;
  };
  const [a, b] = [stage.desk.begin(), stage.desk.begin()];
  assert.equal(await ask(a, 20), 20);
  let hasCome = false;
  const waits = ask(b, 20).then((size) => {
    hasCome = true;
    return size;
  });
  await until('the second one waits', async () => stage.desk.waiting === 1);
  // 0.3 MB are held at most, 0.2 MB are
  assert.equal(await ask('c', 0), 0);
  assert.equal(await ask(a, 20), 20);
  assert.equal(hasCome, false);
  stage.desk.end(a);
  assert.equal(await waits, 20);
  // others have room of which the first tenant may take no more
  const c = stage.desk.begin();
  let isBack = false;
  const again = ask(c, 9).then(() => {
    isBack = true;
  });
  await until('the third one waits', async () => stage.desk.waiting === 1);
  const other = { ...WANTED, tenant: 'other', payload: Uint8Array.of(9) };
  assert.equal((await stage.desk.ask(other, unaborted)).bytes.length, 90_000);
  assert.equal(isBack, false);
  stage.desk.end(b);
  await again;
  stage.desk.end(c);
  // a query that is over holds nothing more
  assert.equal(await ask(a, 5), 5);
  stage.desk.end(b);
  assert.equal(await ask('d', 60), 60, 'one that is larger than what may be held comes alone');
});

/** A front end whose answers are so many times 2,000 bytes as a question says, and whose they were in the order in which they came. */
function largeAnswers(t: TestContext) {
  const stage = new Stage(t, systemClock, 300_000);
  stage.desk.add({
    async enqueue({ id: job, payload }) {
      const answerBytes = payload[0]! * 2_000;
      const bytes = Buffer.alloc(answerBytes);
      await stage.desk.answer({ job, querier: 'q', head: { workedMs: 0, answerBytes }, bytes, isLast: true });
    },
    cancel() {},
  });
  const came: string[] = [];
  const ask = async (tenant: string, query: string, size: number) => {
    await stage.desk.ask({ ...WANTED, tenant, query, payload: Uint8Array.of(size) }, unaborted);
    came.push(`${tenant} ${size}`);
  };
  return { stage, came, ask };
}

test('a large answer waits for large ones before it alone: small ones are always there, later ones come after it', async (t) => {
  const { stage, came, ask } = largeAnswers(t);
  const begun = (tenant: string, size: number) => {
    const query = stage.desk.begin();
    return { query, asked: ask(tenant, query, size) };
  };
  const small = begun('a', 1);
  await small.asked;
  // larger than all that may be held, beside a small one that stays
  const alone = begun('a', 155);
  await alone.asked;
  const first = begun('b', 100);
  const second = begun('c', 4);
  await begun('d', 1).asked;
  await ask('a', small.query, 1);
  assert.deepEqual(came.splice(0), ['a 1', 'a 155', 'd 1', 'a 1']);
  stage.desk.end(alone.query);
  await Promise.all([first.asked, second.asked]);
  const third = begun('c', 60);
  const fourth = begun('d', 2);
  await begun('d', 1).asked;
  // there is room for the fourth, but the third was here before it
  assert.deepEqual(came.splice(0), ['b 100', 'c 4', 'd 1']);
  stage.desk.end(first.query);
  await Promise.all([third.asked, fourth.asked]);
  assert.deepEqual(came, ['c 60', 'd 2']);
});

test('an answer that is longer or shorter than it said is taken as it is', async (t) => {
  for (const answerBytes of [0, 3, 8, undefined]) {
    const stage = new Stage(t);
    stage.desk.add({
      async enqueue({ id: job }) {
        const head = { workedMs: 0, answerBytes };
        await stage.desk.answer({ job, querier: 'q', head, bytes: Buffer.from('ab'), isLast: false });
        await stage.desk.answer({ job, querier: 'q', bytes: Buffer.from('cde'), isLast: true });
      },
      cancel() {},
    });
    await stage.frontend();
    assert.equal(await stage.ask(), 'abcde', String(answerBytes));
  }
});

test('a job that a scheduler may have taken all the same is cancelled there before it is left with another', async (t) => {
  const stage = new Stage(t);
  const seen: string[] = [];
  let fails = true;
  stage.desk.add({
    async enqueue({ id }) {
      seen.push(id);
      if (fails) throw peerErrors.peerGone({ peer: 's', reason: 'its answer was lost' });
      await stage.desk.answer({
        job: id,
        querier: 'q',
        head: { workedMs: 0 },
        bytes: Buffer.from('right'),
        isLast: true,
      });
    },
    cancel(id) {
      seen.push(`cancel ${id}`);
      fails = false;
    },
  });
  await stage.frontend();
  assert.equal(await stage.ask(), 'right');
  assert.deepEqual(seen, [seen[0], `cancel ${seen[0]}`, seen[2]]);
});

test('a job that failed after seconds is not left again, but where a querier is gone', async (t) => {
  for (const [error, wanted] of [
    [storeErrors.storeUnavailable({ backend: 's3', operation: 'get', reason: 'away', tries: 9 }), 1],
    [peerErrors.peerGone({ peer: 'q', reason: 'killed' }), 3],
  ] as const) {
    const clock = new ManualClock();
    const stage = new Stage(t, clock);
    let left = 0;
    stage.desk.add({
      async enqueue({ id }) {
        left++;
        void clock.sleep(5_010).then(() => stage.desk.failed(id, error, 'q'));
      },
      cancel() {},
    });
    const failed = assert.rejects(stage.ask(), error);
    await afterPauses(clock, failed, 2_000);
    assert.equal(left, wanted, error.message);
  }
});

test('queries of a tenant that hold large answers go on one after another, and who holds nothing finds room', async (t) => {
  const { stage, came, ask } = largeAnswers(t);
  const [older, younger, other] = [stage.desk.begin(), stage.desk.begin(), stage.desk.begin()];
  await ask('a', older, 50);
  await ask('a', younger, 10);
  const waits = ask('a', younger, 61);
  // the older one goes on beyond the limit
  await ask('a', older, 60);
  await ask('a', older, 62);
  await ask('b', other, 37);
  assert.deepEqual(came.splice(0), ['a 50', 'a 10', 'a 60', 'a 62', 'b 37']);
  stage.desk.end(older);
  await waits;
  stage.desk.end(younger);
  stage.desk.end(other);
});
