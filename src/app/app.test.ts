import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { request as send } from 'undici';
import { PromApi } from '../api/backend.ts';
import { testSources } from '../api/test-sources.ts';
import type { IngesterAdmin } from '../contract/ingester.ts';
import type { PushBackend } from '../contract/push.ts';
import { loadConfig } from '../kit/config/load.ts';
import type { ConfigError } from '../kit/config/problem.ts';
import { silentLogger } from '../kit/observe/log.ts';
import { systemClock } from '../lib/clock.ts';
import type { TestSeries } from '../storage/test-list.ts';
import { composeApp } from './compose.ts';
import { sections } from './config.ts';
import type { Module } from './modules/module.ts';
import { modules, resolveTargets } from './modules/modules.ts';
import { apiHandlers } from './plain-routes/api.ts';
import { pushRoutes } from './plain-routes/push.ts';
import { ingesterRoutes } from './routes/ingester.ts';

const folder = await mkdtemp(join(tmpdir(), 'pallium-app-'));
const stops: (() => Promise<void>)[] = [];
after(async () => {
  await Promise.all(stops.map((stop) => stop()));
  await rm(folder, { recursive: true });
});

/** Pushes kept as they came, and a list of series to query: the data path in a few lines. */
function fakeDataPath(): {
  modules: Record<string, Module>;
  pushed: { tenant: string; size: number }[];
  flushed: unknown[];
} {
  const pushed: { tenant: string; size: number }[] = [];
  const flushed: unknown[] = [];
  const data: TestSeries[] = [[{ __name__: 'up', job: 'a' }, [1767231000000, 1]]];
  const fake: Module = {
    needs: ['data-folder'],
    build(app) {
      const push: PushBackend = {
        async push({ tenant, body, headers }) {
          if (headers['content-encoding'] !== 'snappy') return { status: 415, headers: {}, text: 'snappy is wanted' };
          pushed.push({ tenant, size: body.length });
          return { status: 204, headers: {}, text: '' };
        },
      };
      const ingester: Pick<IngesterAdmin, 'flush'> = {
        async flush(request) {
          flushed.push(request);
        },
      };
      const { server } = app.config;
      app.http.add(pushRoutes(push, server));
      app.http.add(apiHandlers(new PromApi(testSources(data)), server));
      app.http.add(ingesterRoutes(ingester));
      return [];
    },
  };
  return { modules: { ...modules, fake, all: { ...modules.all!, needs: ['fake', 'server'] } }, pushed, flushed };
}

async function run(name: string, ...args: string[]) {
  const fake = fakeDataPath();
  const { values } = loadConfig(sections, {
    args: ['-server.http-listen-port=0', `-data.dir=${join(folder, name)}`, ...args],
    env: {},
  });
  const order = resolveTargets(['all'], fake.modules);
  const app = await composeApp({
    config: values,
    version: '1.2.3',
    order,
    log: silentLogger,
    clock: systemClock,
    modules: fake.modules,
  });
  await app.services.start();
  stops.push(() => app.services.stop(1000));
  const get = async (path: string, options: Parameters<typeof send>[1] = {}) => {
    const { statusCode, headers, body } = await send(app.http.url + path, options);
    return { status: statusCode, headers, text: await body.text() };
  };
  return { ...fake, app, get };
}

test('writes arrive at every path that senders know', async () => {
  const { get, pushed } = await run('push');
  for (const path of ['/api/v1/push', '/api/prom/push', '/api/v1/write']) {
    const answer = await get(path, {
      method: 'POST',
      body: 'abc',
      headers: { 'content-encoding': 'snappy', 'x-scope-orgid': 't1' },
    });
    assert.equal(answer.status, 204, path);
  }
  assert.deepEqual(pushed, Array(3).fill({ tenant: 't1', size: 3 }));
  const refused = await get('/api/v1/push', { method: 'POST', body: 'abc' });
  assert.deepEqual([refused.status, refused.text], [415, 'snappy is wanted\n']);
  assert.equal((await get('/api/v1/push')).status, 405);
});

test('the API answers under each prefix, by GET and by form', async () => {
  const { get } = await run('api');
  for (const prefix of ['', '/prometheus', '/api/prom']) {
    const url = `${prefix}/api/v1/query?query=up&time=1767231000`;
    const answer = await get(url);
    assert.equal(answer.headers['content-type'], 'application/json', url);
    assert.match(answer.text, /"value":\[1767231000,"1"\]/, url);
  }
  const form = (body: string, type = 'application/x-www-form-urlencoded') =>
    get('/api/v1/query?query=2', { method: 'POST', body, headers: { 'content-type': type } });
  assert.match((await form('query=up&time=1767231000')).text, /"job":"a"/, 'the form comes before the address');
  assert.equal((await form('{}', 'application/json')).status, 415);
  const values = await get('/api/v1/label/%ff/values');
  assert.deepEqual([values.status, JSON.parse(values.text).error], [400, 'invalid label name: "\\xff"']);
  const head = await get('/api/v1/query?query=1', { method: 'HEAD' });
  assert.deepEqual([head.status, head.headers.allow], [405, 'GET, OPTIONS, POST']);
  const none = await get('/api/v1/query_exemplars?query=1');
  assert.deepEqual([none.status, none.text], [204, '']);
  assert.equal((await get('/api/v1/status/nope')).text, '404 page not found\n');
});

test('a process says how it is', async () => {
  const { get, app } = await run('status', '-auth.basic-user=u', '-auth.basic-password=s3cret');
  const headers = { authorization: `Basic ${Buffer.from('u:s3cret').toString('base64')}` };
  assert.deepEqual([(await get('/ready')).status, (await get('/ready')).text], [200, 'ready\n']);
  assert.equal((await get('/-/ready')).text, 'Prometheus Server is Ready.\n');
  assert.equal((await get('/-/healthy', { method: 'HEAD' })).status, 200);
  assert.equal((await get('/config')).status, 401);
  const config = await get('/config?mode=diff', { headers });
  assert.match(config.text, /basic_password: "\*+"/);
  assert.doesNotMatch(config.text, /s3cret/);
  assert.match((await get('/services', { headers })).text, /^http-listener: running$/m);
  assert.match((await get('/metrics', { headers })).text, /pallium_request_duration_seconds_count/);
  assert.equal((await get('/runtime_config', { headers })).text, '{}\n');
  const home = await get('/', { headers });
  assert.match(home.text, /Version 1\.2\.3, target all/);
  assert.match(home.text, new RegExp(`${app.http.url}/api/v1/push`));
  assert.equal((await get('/-/reload', { headers })).status, 405);
  assert.equal((await get('/-/quit', { method: 'POST', headers })).status, 403);
});

test('a flush is asked for over HTTP', async () => {
  const { get, flushed } = await run('flush');
  assert.deepEqual(
    [
      (await get('/ingester/flush?wait=true', { method: 'POST' })).status,
      (await get('/ingester/flush?tenant=a', { method: 'POST' })).status,
    ],
    [200, 202],
  );
  assert.deepEqual(flushed, [
    { tenant: undefined, wait: true },
    { tenant: 'a', wait: false },
  ]);
  assert.equal((await get('/ingester/flush?tenant=a/b', { method: 'POST' })).status, 400);
  assert.equal((await get('/ingester/flush')).status, 405, 'a GET changes nothing');
});

test('profiles are only on the admin listener', async () => {
  const { get, app } = await run('admin', '-server.admin-address=127.0.0.1:0');
  assert.equal((await get('/debug/cpu')).status, 404);
  const profile = await send(`${app.admin!.url}/debug/cpu?seconds=0.05`);
  assert.equal(profile.statusCode, 200);
  assert.ok('nodes' in ((await profile.body.json()) as object));
  const bad = await send(`${app.admin!.url}/debug/heap?seconds=x`);
  assert.equal(bad.statusCode, 400);
  await bad.body.dump();
});

test('two processes do not share a data folder; a dead one holds nothing', async () => {
  const { app } = await run('shared');
  await assert.rejects(run('shared'), /data folder .*shared is in use by process \d+/);
  await app.services.stop(1000);
  await run('shared');
});

test('targets bring what they need, once, the listener last', () => {
  const order = resolveTargets(['all']);
  assert.equal(order.at(-1), 'server');
  assert.equal(new Set(order).size, order.length);
  assert.ok(order.includes('data-folder') && order.includes('limits'));
  assert.throws(
    () => resolveTargets(['al']),
    (error: ConfigError) =>
      error.message ===
      '-target: al is none of ingester, distributor, querier, query-scheduler, query-frontend, ruler, compactor, table-manager, alertmanager, all (did you mean "all"?)',
  );
});

test('what is asked of a base address is there', async () => {
  const { get, app } = await run('base');
  for (const path of [
    '/prometheus/-/healthy',
    '/prometheus/-/ready',
    '/prometheus',
    '/prometheus/',
    '/version',
    '/prometheus/version',
    '/prometheus/metrics',
  ]) {
    assert.equal((await get(path)).status, 200, path);
  }
  assert.match((await get('/prometheus/version')).text, /"application":"Pallium","version":"3\./);
  for (const path of ['/prometheus/api/v1/push', '/prometheus/api/v1/write']) {
    assert.equal((await get(path)).status, 405, path);
    const headers = { 'content-encoding': 'snappy' };
    assert.equal((await get(path, { method: 'POST', body: 'abc', headers })).status, 204, path);
  }
  const form = new FormData();
  form.set('query', '7');
  const answer = await fetch(`${app.http.url}/api/v1/query`, { method: 'POST', body: form });
  assert.match(await answer.text(), /"result":\[[\d.]+,"7"\]/);
});

test('all of it may be below a path', async () => {
  const { get, app } = await run('below', '-server.http-path-prefix=/monitor/prom/');
  assert.match(app.http.url, /\/monitor\/prom$/);
  for (const path of [
    '/',
    '/ready',
    '/metrics',
    '/api/v1/query?query=up',
    '/prometheus/api/v1/query?query=up',
    '/?a=b',
  ]) {
    assert.equal((await get(path)).status, 200, path);
  }
  const values = await get('/api/v1/label/%ff/values');
  assert.deepEqual([values.status, JSON.parse(values.text).error], [400, 'invalid label name: "\\xff"']);
  assert.match((await get('/')).text, /href="\/monitor\/prom\/ready"/);
  const { origin } = new URL(app.http.url);
  const outside = async (path: string) => {
    const { statusCode, headers, body } = await send(origin + path);
    await body.dump();
    return [statusCode, headers.location];
  };
  assert.deepEqual(await outside('/ready'), [404, undefined]);
  assert.deepEqual(await outside('/monitor/promready'), [404, undefined]);
  assert.deepEqual(await outside('/monitor/prom'), [200, undefined]);
  assert.deepEqual(await outside('/'), [307, '/monitor/prom/']);
  assert.deepEqual(await outside('//monitor//prom/ready?a=1'), [307, '/monitor/prom/ready?a=1']);
  await assert.rejects(run('wrong1', '-server.http-path-prefix=/:a'), /:a is not a path/);
  await assert.rejects(
    run('wrong', '-server.http-path-prefix=monitor'),
    /monitor is not a path that begins with a slash/,
  );
});
