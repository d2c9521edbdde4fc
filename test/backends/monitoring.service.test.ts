import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseExpr } from '../../src/promql/index.ts';
import { selectorsOf } from '../../src/promql/parser/walk.ts';
import { Cluster, ONE_THREAD, QUICK_RING } from '../harness/cluster.ts';
import { alerts, isShown, metricOf, panelExprs, scrape } from '../harness/monitoring.ts';
import { type PushSeries, push, WRITE_HEADERS, writeBody } from '../harness/remote-write.ts';
import { until } from '../harness/wait.ts';
import { tableServices } from './e2e-stores.ts';

// Alerts and dashboard for operators beside /metrics of a cluster that runs.

const { port: storePort, flags: storeFlags } = tableServices.find(({ name }) => name === 'dynamodb')!;
/** Metrics that other processes have: the scrape itself. */
const ELSEWHERE = ['up'];
/** Older than what PalliumSamplesOwed lets pass. */
const OLD_MS = 7 * 3_600_000;

if (storePort === undefined) test('monitoring: needs DYNAMODB_PORT', { skip: true });
else {
  test('alerts and panels ask for what a cluster shows, and alerts of the cluster are up when they should', async () => {
    await using cluster = new Cluster([
      ...storeFlags(storePort!),
      `-schema.prefix=m${Date.now().toString(36)}_`,
      '-schema.object-store=none',
      ...QUICK_RING,
      ...ONE_THREAD,
    ]);
    const all = await cluster.start('a');
    // answers of 5xx are among what is asked for
    await until('it says that it is not ready', async () => (await all.api().ask('/ready')).status === 503);
    for (const name of ['b', 'c']) await cluster.start(name, ['-target=ingester']);
    await cluster.ready();
    const scheduler = await cluster.start('scheduler', ['-target=query-scheduler']);
    await until('the scheduler listens', async () => (await scheduler.api().ask('/-/healthy')).status === 200);
    const scrapes = () => Promise.all([...cluster.processes].map(([name, server]) => scrape(server, name)));
    const send = async (series: readonly PushSeries[], tenant: string) => {
      const headers = { ...WRITE_HEADERS, 'x-scope-orgid': tenant };
      assert.equal((await push(`${all.url}/api/v1/push`, writeBody(series), headers)).status, 204);
    };
    const nowMs = Date.now();
    const old = [
      { labels: { __name__: 'new' }, samples: [[nowMs, 1]] },
      { labels: { __name__: 'old' }, samples: [[nowMs - OLD_MS, 1]] },
    ] as const;
    await send(old, 'sender');
    // the threads of rules and of the Alertmanager come when there is something to do
    const configure = async (path: string, body: object, status: number) => {
      const headers = { 'x-scope-orgid': 'sender' };
      const answer = await all.api().ask(path, { method: 'POST', headers, body: JSON.stringify(body) });
      assert.equal(answer.status, status, answer.text);
    };
    await configure('/config/v1/rules/ns', { name: 'g', rules: [{ alert: 'New', expr: 'new' }] }, 202);
    const receivers = { route: { receiver: 'none' }, receivers: [{ name: 'none' }] };
    await configure('/config/v1/alerts', { alertmanager_config: JSON.stringify(receivers) }, 201);
    const hasThreads = async () => {
      const { names } = await scrape(all, 'a');
      return ['cortex_prometheus_rule_evaluations_total', 'pallium_alertmanager_notifications_total'].every((name) =>
        names.has(name),
      );
    };
    await until('rules and alerts have their threads', hasThreads, { intervalMs: 1_000 });

    const shown = await scrapes();
    const names = new Set(shown.flatMap((each) => [...each.names]));
    const series = shown.flatMap((each) => each.series);
    const rules = alerts.groups.flatMap((group) => group.rules);
    for (const { title, expr } of [...rules.map(({ name, expr }) => ({ title: name, expr })), ...panelExprs()]) {
      for (const matchers of selectorsOf(parseExpr(expr))) {
        const name = metricOf(matchers);
        if (ELSEWHERE.includes(name)) continue;
        assert.ok(names.has(name), `${title}: no process shows ${name}`);
        const spelt = matchers.filter(({ name }) => !['__name__', 'job'].includes(name));
        if (spelt.length > 0) assert.ok(isShown({ series }, matchers), `${title}: nothing is ${expr}`);
      }
    }

    let looks = 0;
    /** Alerts of the cluster whose expressions hold, as if metrics had been for hours what they are now: each look has a tenant of its own. */
    const up = async () => {
      const tenant = `look${++looks}`;
      for (const _ of [1, 2])
        await send(
          (await scrapes()).flatMap((each) => each.series),
          tenant,
        );
      const api = all.api({ 'x-scope-orgid': tenant });
      const { rules } = alerts.groups.find(({ name }) => name === 'pallium-cluster')!;
      const found = rules.map(async ({ name, expr }) => {
        const { result } = await api.instant(expr, Date.now() / 1000);
        return result.length > 0 ? [name] : [];
      });
      return (await Promise.all(found)).flat();
    };
    assert.deepEqual(await up(), ['PalliumSamplesOwed']);
    const joined = await cluster.start('d', ['-target=ingester']);
    await cluster.ready('d');
    // all of the others hold what the newcomer's arcs had before
    await until('the newcomer is in', async () => (await versionOf(all)).version > 1);
    await until('the floor stays behind', async () => (await up()).includes('PalliumRingFloorStays'));
    const flushed = async () => {
      for (const server of [all, cluster.of('b'), cluster.of('c'), joined]) await server.flush();
    };
    await until(
      'nothing is up once the store has all',
      async () => {
        await flushed();
        return (await up()).length === 0;
      },
      { timeoutMs: 180_000, intervalMs: 2_000 },
    );
    await joined.kill();
    cluster.processes.delete('d');
    await until('one is missed', async () => (await up()).includes('PalliumMemberAway'));
  });
}

async function versionOf({ url }: { readonly url: string }): Promise<{ version: number }> {
  return (await fetch(`${url}/ring?format=json`)).json() as Promise<{ version: number }>;
}
