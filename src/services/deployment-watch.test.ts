import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventBook } from '../deployments/event-book.ts';
import { MemoryRows } from '../deployments/test-rows.ts';
import { silentLogger } from '../kit/observe/log.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { listQueryable, type TestSeries } from '../storage/test-list.ts';
import { DeploymentWatch } from './deployment-watch.ts';
import { TenantLeases } from './tenant-lease.ts';
import { testRunner } from './test-runner.ts';

const MINUTE_MS = 60_000;
const NOW_MS = Math.floor(Date.parse('2026-06-15T12:00:00Z') / MINUTE_MS) * MINUTE_MS;

/** Four instances with version 1, and with version 2 from `atMs` on. */
function deployed(atMs: number): TestSeries[] {
  return ['1', '2'].flatMap((version) =>
    ['a', 'b', 'c', 'd'].map((instance): TestSeries => {
      const [fromMs, toMs] = version === '1' ? [NOW_MS - 4 * 3_600_000, atMs - 1] : [atMs, NOW_MS + 3_600_000];
      const samples: [number, number][] = [];
      for (let timeMs = fromMs; timeMs <= toMs; timeMs += MINUTE_MS) samples.push([timeMs, 1]);
      return [{ __name__: 'target_info', job: 'shop/cart', instance, service_version: version }, ...samples];
    }),
  );
}

function watchOf(rows: MemoryRows, series: readonly TestSeries[], owner: string, refuses?: (expr: string) => boolean) {
  const clock = new ManualClock(NOW_MS);
  const events = new EventBook(rows, clock);
  const watch = new DeploymentWatch({
    runner: testRunner(listQueryable(series), refuses),
    events,
    leases: new TenantLeases(rows, owner, clock),
    tenants: async () => ['t'],
    historyMs: 12 * 3_600_000,
    onMinute() {},
    log: silentLogger,
    clock,
  });
  /** A round, with time going on for its pauses. */
  const round = async () => {
    let done = false;
    const looked = watch.look().then(() => {
      done = true;
    });
    while (!done) {
      await clock.advance(10);
      await clock.turn();
    }
    await looked;
  };
  const found = async () =>
    (await new EventBook(rows, clock).list('t', { startMs: 0, endMs: NOW_MS + 86_400_000 })).map(
      ({ id, kind, endMs }) => `${id} ${kind} ${endMs !== undefined}`,
    );
  return { clock, watch, events, round, found };
}

test('the past is looked at once, then each minute, and twice is harmless', async () => {
  const rows = new MemoryRows();
  const atMs = NOW_MS - 2 * 3_600_000;
  const first = watchOf(rows, deployed(atMs), 'one');
  await first.round();
  const wanted = [`/shop/cart/2/${atMs + MINUTE_MS * 0} deployment true`];
  assert.deepEqual(await first.found(), wanted);
  const { writes } = rows;
  await first.round();
  assert.equal(rows.writes, writes, 'nothing new');
  // the same process again, as after a restart
  const second = watchOf(rows, deployed(atMs), 'one');
  await second.round();
  assert.deepEqual(await second.found(), wanted);
});

test('one process has the job of a tenant, and another takes it when that stands still', async () => {
  const rows = new MemoryRows();
  const atMs = NOW_MS - 3_600_000;
  const [one, two] = ['one', 'two'].map((owner) => watchOf(rows, deployed(atMs), owner));
  await one!.round();
  const { writes } = rows;
  await two!.round();
  assert.equal(rows.writes, writes, 'the other has it');
  await two!.clock.advance(6 * MINUTE_MS);
  await two!.round();
  assert.ok(rows.writes > writes);
  assert.equal((await two!.found()).length, 1);
});

test('an event that was sent in is the deployment that the data shows beside it', async () => {
  const rows = new MemoryRows();
  const atMs = NOW_MS - 3_600_000;
  const { events, round, found } = watchOf(rows, deployed(atMs), 'one');
  const service = { cluster: '', namespace: 'shop', name: 'cart' };
  await events.put('t', [
    { id: 'mine', kind: 'deployment', evidence: 'sent', timeMs: atMs - 3 * MINUTE_MS, service, to: '2' },
  ]);
  await round();
  assert.deepEqual(await found(), ['mine deployment false']);
});

/** A checkout-api that is deployed at some time: its first pods, and those with which it goes on. */
function checkout(atMs: number, untilMs = NOW_MS + 3_600_000): TestSeries[] {
  const series: TestSeries[] = [];
  for (const [hash, image, fromMs, toMs] of [
    ['6d4cf56db6', 'checkout:1', NOW_MS - 4 * 3_600_000, atMs - 1],
    ['7f9bb5c8dd', 'checkout:2', atMs, untilMs],
  ] as const) {
    for (const suffix of ['x7k2p', 'q9w4z']) {
      const samples: [number, number][] = [];
      for (let timeMs: number = fromMs; timeMs <= toMs; timeMs += MINUTE_MS) samples.push([timeMs, 1]);
      const pod = { namespace: 'prod', pod: `checkout-api-${hash}-${suffix}` };
      const named = { job: 'a', instance: pod.pod, service_name: 'checkout', ...pod };
      series.push([{ __name__: 'up', ...named }, ...samples]);
      series.push([{ __name__: 'kube_pod_container_info', container: 'main', image, ...pod }, ...samples]);
      const owner = { owner_kind: 'ReplicaSet', owner_name: `checkout-api-${hash}` };
      series.push([{ __name__: 'kube_pod_owner', ...owner, ...pod }, ...samples]);
    }
  }
  return series;
}

test('an image of a workload is a deployment of the service whose series name its pods', async () => {
  const atMs = NOW_MS - 2 * 3_600_000;
  const { round, found } = watchOf(new MemoryRows(), checkout(atMs), 'one');
  await round();
  assert.deepEqual(await found(), [`/prod/checkout/2/${atMs} deployment true`]);
});

test('images of several workloads of a service are its deployments, each with its workload', async () => {
  const [atMs, otherMs] = [NOW_MS - 2 * 3_600_000, NOW_MS - 3_600_000];
  const of = (name: string, series: readonly TestSeries[]) =>
    series.map(([labels, ...samples]): TestSeries => {
      const renamed = Object.entries(labels).map(([label, value]) => [label, value.replace('checkout-api', name)]);
      return [Object.fromEntries(renamed), ...samples];
    });
  const rows = new MemoryRows();
  // start times are of the service as a whole: no restart is told beside a deployment
  const starts = ['x7k2p', 'q9w4z'].map((suffix): TestSeries => {
    const samples: [number, number][] = [];
    for (let timeMs = NOW_MS - 4 * 3_600_000; timeMs <= NOW_MS; timeMs += MINUTE_MS) {
      samples.push([timeMs, (timeMs < atMs ? NOW_MS - 9 * 3_600_000 : atMs) / 1000]);
    }
    const pod = { namespace: 'prod', service_name: 'checkout', instance: suffix };
    return [{ __name__: 'process_start_time_seconds', job: 'a', ...pod }, ...samples];
  });
  const data = [...of('web', checkout(atMs)), ...of('worker', checkout(otherMs)), ...starts];
  const { round, found, clock } = watchOf(rows, data, 'one');
  await round();
  assert.deepEqual((await found()).sort(), [
    `/prod/checkout/2/${atMs}//prod/web deployment true`,
    `/prod/checkout/2/${otherMs}//prod/worker deployment true`,
  ]);
  const events = await new EventBook(rows, clock).list('t', { startMs: 0, endMs: NOW_MS });
  assert.deepEqual(events.map(({ text, service }) => `${service?.name} ${text}`).sort(), [
    'checkout workload web',
    'checkout workload worker',
  ]);
});

test('a round in which pods cannot be had is repeated, and files nothing under other services', async () => {
  const atMs = NOW_MS - 2 * 3_600_000;
  for (const refused of ['kube_pod_owner{owner_kind!~', 'k8s_pod_name']) {
    let isAway = true;
    const refuses = (expr: string) => isAway && expr.includes(refused);
    const { round, found } = watchOf(new MemoryRows(), checkout(atMs), 'one', refuses);
    await round();
    assert.deepEqual(await found(), [], refused);
    isAway = false;
    await round();
    assert.deepEqual(await found(), [`/prod/checkout/2/${atMs} deployment true`], refused);
  }
});

test('pods of the last minutes that are looked at are known', async () => {
  const asked: { startMs: number; endMs: number; stepMs: number }[] = [];
  const runner = testRunner(listQueryable(checkout(NOW_MS - 5 * MINUTE_MS)));
  const clock = new ManualClock(NOW_MS);
  const rows = new MemoryRows();
  const watch = new DeploymentWatch({
    runner: {
      ...runner,
      range: async (tenant, request, context) => {
        if (request.expr.includes('owner_kind!~')) asked.push(request);
        return runner.range(tenant, request, context);
      },
    },
    events: new EventBook(rows, clock),
    leases: new TenantLeases(rows, 'one', clock),
    tenants: async () => ['t'],
    historyMs: 0,
    onMinute() {},
    log: silentLogger,
    clock,
  });
  let done = false;
  const looked = watch.look().then(() => {
    done = true;
  });
  while (!done) {
    await clock.advance(10);
    await clock.turn();
  }
  await looked;
  assert.ok(asked.length >= 3);
  for (const { startMs, endMs, stepMs } of asked) assert.equal((endMs - startMs) % stepMs, 0, `${startMs} ${endMs}`);
});
