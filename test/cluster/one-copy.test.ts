import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kindOf, ROW_GROUP } from '../../src/chunkstore/keys.ts';
import { compactorConfig } from '../../src/compactor/config.ts';
import type { PushedSeries } from '../../src/contract/push.ts';
import { defaultsOf } from '../../src/kit/config/section.ts';
import { Cluster } from './cluster.ts';
import { makeCompactor } from './parts.ts';
import { SimProcess } from './process.ts';
import { fixedRingNodes } from './ring-nodes.ts';
import { World } from './world.ts';

// However many hold a sample, the store has it once: a simulated day of three holders beside the same day of one.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const SCRAPE_MS = 5 * MINUTE;
const TENANTS = ['a', 'b', 'c'];
const METRICS = ['alpha', 'beta_total', 'gamma', 'delta'];
const INSTANCES = ['i0', 'i1', 'i2'];

interface Size {
  readonly groups: number;
  readonly rows: number;
  /** Rows and objects together. */
  readonly bytes: number;
}

interface Day {
  readonly flushed: Size;
  readonly merged: Size;
  readonly acked: number;
}

/** The day is due to be merged. */
const END_MS = 24 * HOUR + defaultsOf(compactorConfig).dayDelayMs + 10 * MINUTE;
/** The store is away from the one to the other. */
const AWAY_MS = [9 * HOUR, 15 * HOUR] as const;

/**
 * @param restart restarts each ingester once, some hours apart
 * @param away has the store away for six hours
 */
async function aDay(replicas: number, { restart = false, away = false } = {}): Promise<Day> {
  const world = new World({ seed: 1 });
  const plans = fixedRingNodes({ ingesters: 3, zones: 3, replicas, fronts: 2, compactors: 0 });
  const cluster = new Cluster(world, plans);
  world.grainMs = MINUTE;
  for (const node of cluster.nodes) cluster.start(node);
  assert.ok(await world.until(() => cluster.isReady, 10 * MINUTE));
  let acked = 0;
  let turn = 0;
  const send = async (tenant: string, series: readonly PushedSeries[]): Promise<void> => {
    const fronts = cluster.fronts();
    const { status } = await cluster.push(fronts[turn++ % fronts.length]!, tenant, series);
    if (status < 300) acked++;
    else world.after(5_000, () => void send(tenant, series));
  };
  let scrapes = 0;
  const sums = new Map(TENANTS.map((tenant) => [tenant, 0]));
  const random = world.random('values');
  const scrape = () => {
    if (world.atMs >= 24 * HOUR - MINUTE) return;
    world.after(SCRAPE_MS, scrape);
    const timeMs = Math.floor(world.nowMs);
    scrapes++;
    for (const tenant of TENANTS) {
      const pairsOf = (metric: string, instance: string) => ['__name__', metric, 'instance', instance];
      const all = METRICS.flatMap((metric) => INSTANCES.map((instance) => pairsOf(metric, instance)));
      const values = all.map(() => Math.round(random() * 1e6));
      sums.set(
        tenant,
        values.reduce((sum, value) => sum + value, sums.get(tenant)!),
      );
      void send(
        tenant,
        all.map((pairs, i) => ({ pairs, samples: [{ timeMs, value: values[i]! }] })),
      );
    }
  };
  scrape();
  if (restart) {
    for (const [i, node] of cluster.nodes.filter(({ plan }) => plan.keeps).entries()) {
      world.after((5 + 6 * i) * HOUR + 7 * MINUTE, () => {
        cluster.kill(node);
        world.after(7 * MINUTE, () => cluster.start(node));
      });
    }
  }
  if (away) {
    const [fromMs, toMs] = AWAY_MS;
    await world.run(fromMs - world.atMs);
    cluster.store.faults.unavailable = 1;
    const before = await sizeOf(cluster);
    await world.run(toMs - world.atMs);
    assert.deepEqual(await sizeOf(cluster), before);
    // those of the last scrape may be under way
    assert.ok(acked >= (scrapes - 1) * TENANTS.length, `${acked} of ${scrapes * TENANTS.length} writes were taken`);
    cluster.store.faults.unavailable = 0;
  }
  await world.run(END_MS - world.atMs);
  assert.equal(acked, scrapes * TENANTS.length);
  const counts = scrapes * METRICS.length * INSTANCES.length;
  for (const tenant of TENANTS) {
    for (const front of cluster.fronts()) {
      const found = await askAll(cluster, front, tenant);
      assert.deepEqual(found, [counts, sums.get(tenant)], `samples of ${tenant} by ${front}, and their sum`);
    }
  }
  const flushed = await sizeOf(cluster);
  const process = new SimProcess(world, { name: 'compactor', skewMs: 0 }, 'compactor.1');
  let isMerged = false;
  const run = makeCompactor({ process, schema: cluster.store.of(process) }).run({ force: true });
  void run.then(() => (isMerged = true));
  assert.ok(await world.until(() => isMerged, 4 * HOUR));
  return { flushed, merged: await sizeOf(cluster), acked };
}

/** How many samples of a tenant a front finds, and the sum of their values. */
async function askAll(cluster: Cluster, front: string, tenant: string): Promise<readonly number[]> {
  const { world } = cluster;
  const toMs = Math.floor(world.nowMs);
  const found: number[] = [];
  for (const what of ['count', 'sum']) {
    let isAnswered = false;
    const expr = METRICS.map((metric) => `sum(${what}_over_time(${metric}[${END_MS / MINUTE + 60}m]))`).join(' + ');
    const answer = cluster.query(front, tenant, expr, toMs);
    answer.catch(() => {}).finally(() => (isAnswered = true));
    assert.ok(await world.until(() => isAnswered, 5 * MINUTE));
    const { value } = await answer;
    assert.ok(value.type === 'vector');
    found.push(...value.values);
  }
  return found;
}

async function sizeOf({ store: { tables, objects } }: Cluster): Promise<Size> {
  let groups = 0;
  let rows = 0;
  let bytes = 0;
  for (const table of await tables.list()) {
    for await (const page of tables.scan(table)) {
      for (const { hash, range, value } of page) {
        rows++;
        bytes += hash.length + range.length + value.length;
        if (kindOf(hash) === ROW_GROUP) groups++;
      }
    }
  }
  for await (const page of objects.list('')) for (const object of page) bytes += object.bytes;
  return { groups, rows, bytes };
}

function assertAtMost(found: Size, times: Partial<Size>, of: Size, what: string): void {
  for (const [name, factor] of Object.entries(times) as [keyof Size, number][]) {
    const share = found[name] / of[name];
    assert.ok(share <= factor, `${what}: ${name} ${share.toFixed(4)} × those of one holder, at most ${factor}`);
  }
}

test('the store has one copy of a day that three hold, restarts and an outage of the store or not', {
  timeout: 300_000,
}, async (t) => {
  const one = await aDay(1);
  const quiet = await aDay(3);
  const restarted = await aDay(3, { restart: true });
  const away = await aDay(3, { away: true });
  const told = (name: string, { flushed, merged }: Day) =>
    t.diagnostic(`${name}: ${JSON.stringify(flushed)}, merged ${JSON.stringify(merged)}`);
  told('one holder', one);
  told('three', quiet);
  told('three, each restarted once', restarted);
  told('three, the store away for six hours', away);
  assertAtMost(quiet.flushed, { groups: 1.01, rows: 1.01, bytes: 1.01 }, one.flushed, 'a quiet day');
  assertAtMost(away.flushed, { groups: 1.01, rows: 1.01, bytes: 1.01 }, one.flushed, 'a day without the store');
  assertAtMost(restarted.flushed, { rows: 1.15, bytes: 1.02 }, one.flushed, 'a day of restarts');
  // what is more are 16 bytes for each group more that a merged one replaces: 1.00 times, two places shown
  assertAtMost(restarted.merged, { rows: 1, bytes: 1.002 }, one.merged, 'a day of restarts, merged');
});
