import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Job, JobOrder } from '../contract/jobs.ts';
import { Registry } from '../kit/observe/metrics.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { AppError } from '../model/errors.ts';
import { processErrors } from '../model/errors-process.ts';
import { schedulerMetrics } from './metrics.ts';
import { Scheduler, type SchedulerLimits } from './scheduler.ts';
import { queriersOf } from './tenant-queriers.ts';

const LIMITS: SchedulerLimits = { outstandingMax: 1000, max: 0, reserved: [] };

/** A scheduler on a clock that stands still, and what becomes of its jobs. */
function stage({ limits = {}, forgetMs = 0 }: { limits?: Partial<SchedulerLimits>; forgetMs?: number } = {}) {
  const clock = new ManualClock();
  const registry = new Registry();
  const own = { ...LIMITS, ...limits };
  const metrics = schedulerMetrics(registry);
  const scheduler = new Scheduler({ limits: () => own, waitingMax: 2000, forgetMs, metrics, clock });
  const failures: [job: string, error: string, querier: string | undefined][] = [];
  let number = 0;
  return {
    clock,
    scheduler,
    failures,
    registry,
    /** Leaves a job; its name. */
    leave(tenant: string, more: Partial<Job> = {}): string {
      const id = `${tenant}${++number}`;
      const job = { id, tenant, query: id, costMs: 0, priority: 0, avoid: [], inParts: false, answersTo: '' };
      scheduler.enqueue({ ...job, payload: new Uint8Array(0), ...more }, ({ id: of }, failure) => {
        if (failure !== undefined) failures.push([of, failure.error.facts.id, failure.querier]);
      });
      return id;
    },
    /** A querier, and the orders that it was given. */
    querier(id: string, places = 1, heavyPlaces = places) {
      const orders: string[] = [];
      const order = (each: JobOrder) => void orders.push(each.kind === 'job' ? each.job.id : `cancel ${each.id}`);
      const seat = scheduler.connect({ id, places, heavyPlaces }, order);
      return { orders, seat, done: (job: string) => seat.done(job, undefined) };
    },
  };
}

test('tenants have turns, and within a tenant priority and cost decide', () => {
  const { leave, querier } = stage();
  const first = leave('a');
  const others = [leave('a', { costMs: 200 }), leave('a', { costMs: 5 }), leave('a', { priority: 1, costMs: 250 })];
  const b = leave('b');
  const { orders, done } = querier('q');
  for (let i = 0; i < 5; i++) done(orders[i]!);
  // the first one of a costs nothing, and came first of its priority
  assert.deepEqual(orders, [others[2], b, first, others[1], others[0]]);
});

test("a tenant's rules have turns beside its queries, and count as none of them", async () => {
  const { leave, querier, registry } = stage({ limits: { outstandingMax: 2 } });
  const queries = [leave('a'), leave('a')];
  const rules = [leave('a', { isOfRules: true }), leave('a', { isOfRules: true })];
  assert.throws(() => leave('a'), /of this tenant/);
  assert.throws(() => leave('a', { isOfRules: true }), /of this tenant/);
  const text = await registry.metrics();
  assert.match(text, /^pallium_query_scheduler_queue_length\{user="a"\} 4$/m);
  assert.match(text, /^pallium_query_scheduler_discarded_requests_total\{user="a"\} 2$/m);
  const { orders, done } = querier('q');
  for (let i = 0; i < 3; i++) done(orders[i]!);
  assert.deepEqual(orders, [queries[0], rules[0], queries[1], rules[1]]);
  assert.doesNotMatch(await registry.metrics(), /queue_length\{/);
});

test("rules go to their tenant's queriers", () => {
  const { leave, querier } = stage({ limits: { max: 1 } });
  const all = ['a', 'b', 'c'].map((name) => querier(name, 4));
  const jobs = [leave('t'), leave('t', { isOfRules: true }), leave('t', { isOfRules: true })];
  assert.deepEqual(
    all.map(({ orders }) => orders).filter(({ length }) => length > 0),
    [jobs],
  );
});

test('parts of one query count once against what may wait of a tenant', async () => {
  const { leave, scheduler, registry } = stage({ limits: { outstandingMax: 2 } });
  for (let i = 0; i < 5; i++) leave('a', { query: 'q1' });
  leave('a', { query: 'q2' });
  assert.throws(
    () => leave('a', { query: 'q3' }),
    (error: unknown) => error instanceof AppError && error.facts.http === 429 && /of this tenant/.test(error.message),
  );
  leave('a', { query: 'q2' });
  leave('b', { query: 'q3' });
  assert.equal(scheduler.waiting, 8);
  const text = await registry.metrics();
  assert.match(text, /^pallium_query_scheduler_queue_length\{user="a"\} 7$/m);
  assert.match(text, /^pallium_query_scheduler_discarded_requests_total\{user="a"\} 1$/m);
});

test('a query that is under way is not cut off by others that wait', () => {
  const { leave, querier, scheduler } = stage({ limits: { outstandingMax: 1 } });
  const { orders, done } = querier('q');
  const part = leave('a', { query: 'q1' });
  assert.deepEqual(orders, [part]);
  const other = leave('a', { query: 'q2' });
  const parts = [leave('a', { query: 'q1' }), leave('a', { query: 'q1' })];
  assert.equal(scheduler.waiting, 3);
  assert.throws(() => leave('a', { query: 'q3' }), /of this tenant/);
  done(part);
  assert.equal(orders.at(-1), other);
  // it is through when all of it is
  for (const each of parts) scheduler.cancel(each);
  leave('a', { query: 'q4' });
  assert.throws(() => leave('a', { query: 'q1' }), /of this tenant/);
});

test('a querier that takes no more jobs is none that a tenant has, or that could do better', () => {
  const own = stage({ limits: { max: 1 }, forgetMs: 60_000 });
  const all = ['a', 'b'].map((name) => own.querier(name));
  const first = own.leave('t');
  const [its, other] = all[0]!.orders.length > 0 ? all : all.toReversed();
  own.leave('t');
  assert.equal(own.scheduler.waiting, 1);
  its!.seat.resize({ places: 0, heavyPlaces: 0 });
  assert.deepEqual([own.scheduler.waiting, other!.orders.length, own.scheduler.queriers], [0, 1, 1]);
  its!.done(first);
  its!.seat.leave('it was killed');
  assert.equal(own.scheduler.queriers, 1);

  const { leave, querier, scheduler } = stage();
  const [bad, good] = [querier('bad'), querier('good')];
  const kept = leave('u');
  const busy = leave('u');
  const again = leave('v', { avoid: ['bad'] });
  const [free, ends] = [bad.orders[0]!, good.orders[0]!];
  assert.deepEqual([free, ends].sort(), [kept, busy].sort());
  bad.done(free);
  assert.equal(scheduler.waiting, 1, 'the good one is to have it');
  good.seat.resize({ places: 0, heavyPlaces: 0 });
  assert.equal(bad.orders.at(-1), again);
});

test('a querier that is gone fails its jobs, one that leaves by itself takes no more', () => {
  const { leave, querier, failures, scheduler } = stage();
  const [lost, kept] = [querier('lost', 2), querier('kept', 2)];
  for (const tenant of ['a', 'b', 'c', 'd']) leave(tenant);
  assert.deepEqual([lost.orders.length, kept.orders.length], [2, 2]);
  lost.seat.leave('it was killed');
  assert.deepEqual(
    failures,
    lost.orders.map((job) => [job, 'querier-gone', 'lost']),
  );
  kept.seat.resize({ places: 0, heavyPlaces: 0 });
  for (const job of kept.orders) kept.done(job);
  leave('a');
  assert.deepEqual([kept.orders.length, scheduler.waiting], [2, 1]);
  const other = querier('other');
  assert.equal(other.orders.length, 1);
});

test('a job that nobody waits for leaves the queue, or is ended where it runs', async () => {
  const { leave, querier, scheduler, failures, registry } = stage();
  const { orders, done } = querier('q');
  const [running, waiting] = [leave('a'), leave('a')];
  scheduler.cancel(waiting);
  assert.equal(scheduler.waiting, 0);
  scheduler.cancel(running);
  scheduler.cancel(running);
  assert.deepEqual(orders, [running, `cancel ${running}`]);
  // its place is free when it has ended
  const next = leave('a');
  assert.equal(scheduler.waiting, 1);
  done(running);
  assert.equal(orders.at(-1), next);
  assert.deepEqual(failures, []);
  assert.match(await registry.metrics(), /^pallium_query_scheduler_cancelled_requests_total 2$/m);
});

test('a job goes to a querier that has not failed it, where there is one', () => {
  const { leave, querier } = stage();
  const bad = querier('bad', 5);
  const only = leave('a', { avoid: ['bad'] });
  assert.deepEqual(bad.orders, [only]);
  const good = querier('good', 1);
  const again = [leave('a', { avoid: ['bad'] }), leave('a', { avoid: ['bad'] })];
  assert.deepEqual([bad.orders, good.orders], [[only], [again[0]]]);
  // both have failed it
  const last = leave('b', { avoid: ['bad', 'good'] });
  assert.deepEqual(bad.orders, [only, last]);
});

test('a failure is handed on with the querier that had it', () => {
  const { leave, querier, failures } = stage();
  const { seat } = querier('q');
  const job = leave('a');
  seat.done(job, processErrors.serverBusy({ heldBytes: 0, ownBytes: 0, limitBytes: 0 }));
  assert.deepEqual(failures, [[job, 'server-busy', 'q']]);
});

test('a tenant has its own queriers, and few change when one comes or goes', () => {
  const names = Array.from({ length: 10 }, (_, i) => `querier-${i}`);
  const tenants = Array.from({ length: 300 }, (_, i) => `tenant-${i}`);
  const of = (all: readonly string[], max = 3) =>
    new Map(
      tenants.map((tenant) => [tenant, [...queriersOf(tenant, new Set(all), { max, reserved: [] })!.keys()].sort()]),
    );
  const [before, after] = [of(names), of(names.toSpliced(4, 1))];
  const load = new Map<string, number>();
  for (const tenant of tenants) {
    const [was, is] = [before.get(tenant)!, after.get(tenant)!];
    assert.equal(was.length, 3);
    const lost = was.filter((name) => !is.includes(name));
    assert.deepEqual(lost, was.includes('querier-4') ? ['querier-4'] : [], tenant);
    for (const name of was) load.set(name, (load.get(name) ?? 0) + 1);
  }
  for (const name of names) assert.ok(load.get(name)! > 50 && load.get(name)! < 140, `${name} ${load.get(name)}`);
  assert.equal(of(names, 0.25).get('tenant-0')!.length, 3);
  assert.equal(queriersOf('a', new Set(names), { max: 10, reserved: [] }), undefined);
});

test('jobs of a tenant wait for its queriers, and one that crashed keeps its place for a while', async () => {
  const names = ['a', 'b', 'c'];
  const { leave, querier, scheduler, clock } = stage({ limits: { max: 1 }, forgetMs: 60_000 });
  const all = new Map(names.map((name) => [name, querier(name)]));
  leave('t');
  leave('t');
  const [own] = [...all].find(([, { orders }]) => orders.length > 0)!;
  assert.equal(scheduler.waiting, 1, 'others are idle, and are not asked');
  all.get(own)!.seat.leave('it was killed');
  await clock.advance(59_000);
  assert.equal(scheduler.waiting, 1);
  await clock.advance(1_000);
  assert.equal(scheduler.waiting, 0, 'another one has its place now');
});

test('queriers are kept for a priority and higher ones, where others are left', () => {
  const reserved = [{ priority: 5, queriers: 1 }];
  const { leave, querier, scheduler } = stage({ limits: { reserved } });
  const only = querier('q0');
  const first = leave('a');
  assert.deepEqual(only.orders, [first], 'of one none can be kept');
  querier('q1');
  only.done(first);
  leave('a');
  leave('a');
  assert.equal(scheduler.waiting, 1);
  leave('a', { priority: 5 });
  assert.equal(scheduler.waiting, 1, 'the one that is kept has it');
});

test('a scheduler that ends fails what waits, and nothing that runs', () => {
  const { leave, querier, scheduler, failures } = stage();
  const { orders, done } = querier('q');
  const [running, waiting] = [leave('a'), leave('a')];
  scheduler.close();
  assert.deepEqual(failures, [[waiting, 'shutting-down', undefined]]);
  assert.equal(scheduler.running, 1);
  assert.deepEqual(orders, [running]);
  done(running);
  assert.equal(scheduler.running, 0);
});

/** Queriers with a processor each, on which jobs have turns of 10 ms: those that have worked for 50 ms wait for the others. */
function busyQueriers({ scheduler, clock }: ReturnType<typeof stage>, count: number) {
  interface Run {
    leftMs: number;
    workedMs: number;
    readonly end: () => void;
  }
  const queriers: Run[][] = [];
  for (let i = 0; i < count; i++) {
    const runs: Run[] = [];
    queriers.push(runs);
    const seat = scheduler.connect({ id: `q${i}`, places: 20, heavyPlaces: 4 }, (order) => {
      if (order.kind !== 'job') return;
      const { id, costMs } = order.job;
      runs.push({ leftMs: costMs, workedMs: 0, end: () => seat.done(id, undefined) });
    });
  }
  return async () => {
    for (const runs of queriers) {
      const run = runs.find(({ workedMs }) => workedMs < 50) ?? runs[0];
      if (run === undefined) continue;
      run.leftMs -= 10;
      run.workedMs += 10;
      runs.splice(runs.indexOf(run), 1);
      if (run.leftMs > 0) runs.push(run);
      else run.end();
    }
    await clock.advance(10);
  };
}

test('light queries stay quick beside 500 heavy ones, those of the same tenant too', async () => {
  const own = stage();
  const turn = busyQueriers(own, 2);
  const tookMs: Record<string, number[]> = { first: [], other: [] };
  let heavyDone = 0;
  let number = 0;
  const leave = (tenant: string, costMs: number, ended: () => void) => {
    const id = `${++number}`;
    const job = { id, tenant, query: id, costMs, priority: 0, avoid: [], inParts: false, answersTo: '' };
    own.scheduler.enqueue({ ...job, payload: new Uint8Array(0) }, ended);
  };
  const light = (tenant: string) => {
    const fromMs = own.clock.monotonicMs();
    leave(tenant, 20, () => void tookMs[tenant]!.push(own.clock.monotonicMs() - fromMs));
  };
  for (let i = 0; i < 500; i++) leave('first', 2000, () => heavyDone++);
  for (let atMs = 0; atMs < 30_000; atMs += 10) {
    if (atMs % 1000 === 500) light('other');
    if (atMs % 1000 === 700) light('first');
    await turn();
  }
  const slowest = (tenant: string) => Math.max(...tookMs[tenant]!.slice(1));
  assert.deepEqual([tookMs.first!.length, tookMs.other!.length], [30, 30]);
  // 20 ms idle; the very first come before it is known that there are any
  assert.ok(slowest('other') <= 40, `${tookMs.other}`);
  assert.ok(slowest('first') <= 80, `${tookMs.first}`);
  assert.ok(heavyDone >= 12, `${heavyDone} heavy ones go on meanwhile`);
});
