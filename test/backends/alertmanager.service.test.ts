import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Pallium } from '../harness/pallium.ts';
import { until } from '../harness/wait.ts';
import { tableServices } from './e2e-stores.ts';

// Real Alertmanagers that share a store.

const { port: storePort, flags: storeFlags } = tableServices.find(({ name }) => name === 'dynamodb')!;
const HOME = process.env.SERVICES_HOME ?? join(homedir(), '.cache/pallium-services');
const AMTOOL = join(HOME, 'apps/alertmanager-newest-0.35.0/amtool');
const TENANTS = Array.from({ length: 16 }, (_, i) => `team-${String(i).padStart(2, '0')}`);

/** Webhooks, and who sent them. One that is held gets no answer. */
const told: { readonly sender: string; readonly tenant: string; readonly alert: string }[] = [];
let isHeld = false;
const hook = createServer((request, response) => {
  let text = '';
  request.on('data', (part) => {
    text += part;
  });
  request.on('end', () => {
    const { status, commonLabels, externalURL } = JSON.parse(text) as {
      status: string;
      commonLabels: Record<string, string>;
      externalURL: string;
    };
    told.push({
      sender: new URL(externalURL).hostname,
      tenant: commonLabels.tenant!,
      alert: `${commonLabels.alertname} ${status}`,
    });
    if (!isHeld) response.end();
  });
});
await new Promise<void>((done) => hook.listen(0, '127.0.0.1', done));
after(() => {
  hook.closeAllConnections();
  hook.close();
});

const CONFIG = JSON.stringify({
  alertmanager_config: JSON.stringify({
    // a notification is given up with its interval: not before all are under way
    route: { receiver: 'hook', group_by: ['alertname'], group_wait: '0s', group_interval: '2m', repeat_interval: '4h' },
    receivers: [
      { name: 'hook', webhook_configs: [{ url: `http://127.0.0.1:${(hook.address() as AddressInfo).port}` }] },
    ],
  }),
});

function start(name: string): Promise<Pallium> {
  return Pallium.start({
    flags: [
      ...storeFlags(storePort!),
      `-schema.prefix=am${process.pid}_`,
      '-schema.object-store=none',
      '-target=alertmanager',
      `-alertmanager.web.external-url=http://${name}/`,
      '-server.peer-listen-address=127.0.0.1:0',
      '-alertmanager.receivers-firewall.block.private-addresses=false',
    ],
  });
}

async function ask(server: Pallium, tenant: string, method: string, path: string, body?: unknown) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const answer = await fetch(server.url + path, {
    method,
    headers: { 'x-scope-orgid': tenant, 'content-type': 'application/json' },
    ...(body !== undefined && { body: text }),
  });
  const answered = await answer.text();
  return { status: answer.status, json: answer.ok && /^[[{]/.test(answered) ? JSON.parse(answered) : answered };
}

async function fire(server: Pallium, tenant: string, alertname: string): Promise<number> {
  const endsAt = new Date(Date.now() + 3_600_000).toISOString();
  const alerts = [{ labels: { alertname, tenant }, annotations: {}, endsAt }];
  return (await ask(server, tenant, 'POST', '/alertmanager/api/v2/alerts', alerts)).status;
}

async function members(server: Pallium): Promise<number> {
  const { json } = await ask(server, TENANTS[0]!, 'GET', '/multitenant_alertmanager/ring');
  return json.data.members.length;
}

async function held(server: Pallium): Promise<number> {
  return (await ask(server, TENANTS[0]!, 'GET', '/multitenant_alertmanager/status')).json.data.tenants;
}

const count = (of: string, what: string) => told.filter(({ tenant, alert }) => tenant === of && alert === what).length;

if (storePort === undefined) test('Alertmanagers on one store: needs DYNAMODB_PORT', { skip: true });
else {
  test('two Alertmanagers share tenants; one is killed while it sends: alerts, silences and the log go on at the other', async () => {
    const servers = [await start('one'), await start('two')] as [Pallium, Pallium];
    const [one, two] = servers;
    try {
      for (const server of servers) {
        await until('both see each other', async () => (await members(server)) === 2, { timeoutMs: 60_000 });
      }
      // only now, so that each tenant begins at its owner
      for (const tenant of TENANTS) {
        assert.equal((await ask(one, tenant, 'POST', '/config/v1/alerts', CONFIG)).status, 201);
      }
      await until('the tenants are parted', async () => (await held(one)) + (await held(two)) === TENANTS.length, {
        timeoutMs: 60_000,
      });
      const heldByTwo = await held(two);
      assert.ok(heldByTwo > 0 && heldByTwo < TENANTS.length, `${heldByTwo} of ${TENANTS.length}`);
      for (const [i, tenant] of TENANTS.entries()) assert.equal(await fire(servers[i % 2]!, tenant, 'First'), 200);
      await until('all are told', () => TENANTS.every((tenant) => count(tenant, 'First firing') === 1), {
        timeoutMs: 60_000,
      });
      const silence = {
        matchers: [{ name: 'alertname', value: 'Third', isRegex: false, isEqual: true }],
        startsAt: new Date().toISOString(),
        endsAt: new Date(Date.now() + 3_600_000).toISOString(),
        createdBy: 'me',
        comment: 'why',
      };
      for (const tenant of TENANTS) {
        assert.equal((await ask(one, tenant, 'POST', '/alertmanager/api/v2/silences', silence)).status, 200);
      }

      if (existsSync(AMTOOL)) {
        for (const { url } of servers) {
          const { stdout } = spawnSync(
            AMTOOL,
            [`--alertmanager.url=${url}/alertmanager`, '-o', 'extended', 'cluster', 'show'],
            {
              encoding: 'utf8',
            },
          );
          assert.match(stdout, /Cluster Status: +ready/);
          assert.equal(stdout.match(/^127\.0\.0\.1:\d+ /gm)?.length, 2, stdout);
        }
      }

      // webhooks arrive, and get no answer: all are under way when one is killed
      isHeld = true;
      for (const tenant of TENANTS) assert.equal(await fire(one, tenant, 'Second'), 200);
      await until('all are under way', () => TENANTS.every((tenant) => count(tenant, 'Second firing') === 1), {
        timeoutMs: 60_000,
      });
      await two.kill();
      isHeld = false;
      hook.closeAllConnections();

      // and perhaps the tenant that amtool asked for
      await until('the other one has all', async () => (await held(one)) >= TENANTS.length, { timeoutMs: 120_000 });
      for (const tenant of TENANTS) {
        await until(`${tenant} is had`, async () => (await fire(one, tenant, 'Third')) === 200, { timeoutMs: 60_000 });
        assert.equal(await fire(one, tenant, 'Fourth'), 200);
        const { json } = await ask(one, tenant, 'GET', '/alertmanager/api/v2/alerts');
        const names = json.map(({ labels }: { labels: { alertname: string } }) => labels.alertname).sort();
        assert.deepEqual(names, ['First', 'Fourth', 'Second', 'Third'], tenant);
        assert.equal((await ask(one, tenant, 'GET', '/alertmanager/api/v2/silences')).json.length, 1, tenant);
      }
      await until('later ones are told', () => TENANTS.every((tenant) => count(tenant, 'Fourth firing') > 0), {
        timeoutMs: 60_000,
      });
      for (const tenant of TENANTS) {
        assert.equal(count(tenant, 'First firing'), 1, `${tenant}: the log went along`);
        // by the one that was not killed, its connection ended: it tries again
        assert.ok(count(tenant, 'Second firing') <= 2, `${tenant}: ${count(tenant, 'Second firing')} times`);
        assert.equal(count(tenant, 'Third firing'), 0, `${tenant}: the silence went along`);
      }
      const toldByBoth = TENANTS.filter((of) => {
        const senders = told.filter(({ tenant, alert }) => tenant === of && alert === 'Second firing');
        return new Set(senders.map(({ sender }) => sender)).size === 2;
      });
      assert.equal(toldByBoth.length, heldByTwo);
      const repeated = one.log().matchAll(/"the process before ended while it sent this.* user=(\S+)/g);
      assert.deepEqual([...repeated].map(([, tenant]) => tenant).sort(), toldByBoth, 'each repetition is logged');
    } finally {
      for (const server of servers) await server[Symbol.asyncDispose]();
    }
  });
}
