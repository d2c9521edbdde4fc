import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { brotliCompressSync, brotliDecompressSync } from 'node:zlib';
import { request as send } from 'undici';
import { defaultsOf } from '../kit/config/section.ts';
import { Gate } from '../kit/http/auth.ts';
import { authConfig, serverConfig } from '../kit/http/config.ts';
import { HttpListener } from '../kit/http/listener.ts';
import { silentLogger } from '../kit/observe/log.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import type { App } from './app.ts';
import { resolveTargets } from './modules/modules.ts';
import { sessionRoutes } from './routes/session.ts';
import { webRoutes } from './routes/web.ts';
import { sessionKeyIn } from './session-key.ts';
import { findWebBuild } from './web-build.ts';

const folder = mkdtempSync(join(tmpdir(), 'pallium-web-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const SCRIPT = `console.log(${JSON.stringify('x'.repeat(2000))})`;

function makeBuild(): void {
  const build = join(folder, 'web', 'abc');
  mkdirSync(join(build, 'assets'), { recursive: true });
  writeFileSync(join(build, 'index.html'), '<html><head><script src="./assets/a-1.js"></script></head></html>');
  writeFileSync(join(build, 'assets', 'a-1.js'), SCRIPT);
  writeFileSync(join(build, 'assets', 'a-1.js.br'), brotliCompressSync(SCRIPT));
  writeFileSync(join(folder, 'web', 'secret.js'), 'not of the build');
}

interface Listening {
  readonly users?: () => string;
  readonly prefix?: string;
  readonly clock?: Clock;
}

async function listen({ users, prefix = '', clock = systemClock }: Listening = {}) {
  const auth = { ...defaultsOf(authConfig), ...(users && { usersFile: 'users.yaml' }) };
  const config = { ...defaultsOf(serverConfig), httpPathPrefix: prefix };
  const sessionKey = sessionKeyIn(join(folder, 'data'));
  const gate = Gate.of(auth, { readText: () => users!(), clock, sessionKey });
  const http = HttpListener.of({ name: 'test', host: '127.0.0.1', port: 0, config, gate, log: silentLogger, clock });
  makeBuild();
  http.add(webRoutes(findWebBuild([join(folder, 'web')]), config));
  http.add(sessionRoutes({ config: { auth, server: config }, gate, http, version: '1', parts: {} } as unknown as App));
  http.add([
    {
      path: '/api/v1/thing',
      methods: ['GET', 'POST'],
      needs: 'read',
      tenant: 'one',
      handle: ({ tenant }) => ({ status: 200, body: `for ${tenant}` }),
    },
  ]);
  await http.start();
  after(() => http.stop({ signal: AbortSignal.abort(), progress: () => {} }));
  const ask = async (
    path: string,
    { method = 'GET', headers = {}, body }: { method?: string; headers?: Record<string, string>; body?: string } = {},
  ) => {
    const answer = await send(new URL(http.url).origin + path, { method: method as 'GET', headers, body });
    return { status: answer.statusCode, headers: answer.headers, bytes: Buffer.from(await answer.body.arrayBuffer()) };
  };
  return { ask, gate };
}

test('all, front ends and queriers serve the pages, and no other process does', () => {
  for (const target of ['all', 'query-frontend', 'querier'])
    assert.ok(resolveTargets([target]).includes('web'), target);
  for (const target of ['distributor', 'ingester', 'compactor']) {
    assert.ok(!resolveTargets([target]).includes('web'), target);
  }
});

test('addresses that people know lead to the pages, with what stands behind them', async () => {
  const { ask } = await listen();
  const below = await listen({ prefix: '/metrics/' });
  for (const [path, page] of [
    ['/', '/ui/query'],
    ['/graph?g0.expr=up%7Ba%3D%221%22%7D&g1.expr=x', '/ui/query?g0.expr=up%7Ba%3D%221%22%7D&g1.expr=x'],
    ['/query?g0.expr=up', '/ui/query?g0.expr=up'],
    ['/alerts', '/ui/alerts'],
    ['/prometheus', '/ui/query'],
    ['/prometheus/', '/ui/query'],
    ['/prometheus/graph?g0.expr=up', '/ui/query?g0.expr=up'],
    ['/prometheus/alerts?x=1', '/ui/alerts?x=1'],
    ['/alertmanager/', '/ui/alertmanager'],
    ['/alertmanager', '/ui/alertmanager'],
  ]) {
    const { status, headers } = await ask(path!);
    assert.deepEqual([status, headers.location], [302, page], path);
    assert.equal((await below.ask(`/metrics${path}`)).headers.location, `/metrics${page}`, path);
  }
});

test('a page is written for each answer, with a nonce of its own and a policy that lets nothing else in', async () => {
  const { ask } = await listen({ prefix: '/metrics' });
  const [first, second] = [await ask('/metrics/ui/query?g0.expr=up'), await ask('/metrics/ui/service/a.b')];
  const html = first.bytes.toString();
  assert.match(html, /<base href="\/metrics\/">/);
  assert.match(html, /src="\/metrics\/ui\/assets\/a-1\.js"/);
  assert.equal(first.headers['cache-control'], 'no-store');
  const nonceOf = (answer: typeof first) =>
    /'nonce-([^']+)'/.exec(String(answer.headers['content-security-policy']))![1]!;
  assert.ok(html.includes(`content="${nonceOf(first)}"`));
  assert.notEqual(nonceOf(first), nonceOf(second));
  assert.equal(
    String(first.headers['content-security-policy']).replace(nonceOf(first), 'N'),
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'nonce-N'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'",
  );
});

test('files of the build are served compressed and for good, and nothing else is', async () => {
  const { ask } = await listen();
  const plain = await ask('/ui/assets/a-1.js');
  assert.equal(plain.bytes.toString(), SCRIPT);
  assert.match(String(plain.headers['cache-control']), /immutable/);
  assert.equal(plain.headers['content-type'], 'text/javascript; charset=utf-8');
  const small = await ask('/ui/assets/a-1.js', { headers: { 'accept-encoding': 'gzip, deflate, br' } });
  assert.equal(small.headers['content-encoding'], 'br');
  assert.equal(brotliDecompressSync(small.bytes).toString(), SCRIPT);
  const refused = await ask('/ui/assets/a-1.js', { headers: { 'accept-encoding': 'br;q=0' } });
  assert.equal(refused.headers['content-encoding'], undefined);
  for (const path of [
    '/ui/assets/b.js',
    '/ui/assets/..%2f..%2fsecret.js',
    '/ui/assets/a-1.js.br',
    '/ui/assets/index.html',
  ]) {
    assert.equal((await ask(path)).status, 404, path);
  }
  assert.match((await ask('/ui/..%2fsecret.js')).bytes.toString(), /<html>/);
});

test('where nothing was built, all leads to the page of links', async () => {
  const config = { ...defaultsOf(serverConfig), httpPathPrefix: '/x' };
  const routes = webRoutes(findWebBuild([join(folder, 'nothing')]), config);
  const root = routes.find(({ path }) => path === '/')!;
  const answer = await root.handle({ query: 'a=b' } as Parameters<typeof root.handle>[0]);
  assert.deepEqual([answer.status, answer.headers!.location], [302, '/x/links']);
});

const USERS = `users:
- {name: ann, password: geheim, tenants: [a, b], rights: [read]}
- {name: robot, token: tokentoken, rights: [read, write]}
`;
const SAME_ORIGIN = { 'sec-fetch-site': 'same-origin', 'sec-fetch-dest': 'empty' };

test('whoever logs in on a page is known by its cookie, to pages of this server only', async () => {
  const { ask } = await listen({ users: () => USERS });
  const none = await ask('/api/v1/session', { headers: SAME_ORIGIN });
  assert.deepEqual([none.status, none.headers['www-authenticate']], [401, undefined]);
  assert.match(String((await ask('/api/v1/session')).headers['www-authenticate']), /^Basic/);
  for (const body of ['{"name":"ann","password":"falsch"}', '{"token":"ann"}', '{"name":"ann:geheim","password":""}']) {
    assert.equal((await ask('/api/v1/session', { method: 'POST', body })).status, 401, body);
  }
  for (const body of ['', '[]', 'null', '{"name":"ann"}', '{"name":1,"password":2}']) {
    assert.equal((await ask('/api/v1/session', { method: 'POST', body })).status, 400, body);
  }
  const done = await ask('/api/v1/session', {
    method: 'POST',
    body: '{"name":"ann","password":"geheim"}',
    headers: SAME_ORIGIN,
  });
  assert.equal(done.status, 200);
  const set = String(done.headers['set-cookie']);
  assert.match(set, /^pallium_session=1\.\S+; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/);
  const { data } = JSON.parse(done.bytes.toString());
  assert.deepEqual([data.user, data.tenants, data.rights, data.authentication], ['ann', ['a', 'b'], ['read'], true]);
  const cookie = set.split(';')[0]!;
  const thing = (headers: Record<string, string>) =>
    ask('/api/v1/thing', { headers: { 'x-scope-orgid': 'a', ...headers } });
  assert.equal((await thing({ cookie, ...SAME_ORIGIN })).bytes.toString(), 'for a');
  assert.equal((await thing({ cookie, ...SAME_ORIGIN, 'x-scope-orgid': 'c' })).status, 403);
  for (const site of ['same-site', 'cross-site', 'none', undefined]) {
    const headers: Record<string, string> = site === undefined ? { cookie } : { cookie, 'sec-fetch-site': site };
    assert.equal((await thing(headers)).status, 401, site);
  }
  for (const broken of [
    cookie.slice(0, -2),
    cookie.replace('=1.', '=2.'),
    cookie.replace(Buffer.from('ann').toString('base64url'), Buffer.from('robot').toString('base64url')),
    cookie.replace(/\.(\d+)\./, (_, end) => `.${Number(end) + 1}.`),
    'pallium_session=',
    `pallium_session=${'x'.repeat(10_000)}`,
  ]) {
    assert.equal((await thing({ cookie: broken, ...SAME_ORIGIN })).status, 401, broken.slice(0, 100));
  }
  const foreign = await ask('/api/v1/session', {
    method: 'POST',
    body: '{}',
    headers: { origin: 'https://evil.example' },
  });
  assert.equal(foreign.status, 403);
  const overTls = await ask('/api/v1/session', {
    method: 'POST',
    body: '{"token":"tokentoken"}',
    headers: { host: 'localhost', origin: 'https://localhost', 'sec-fetch-site': 'same-origin' },
  });
  assert.match(String(overTls.headers['set-cookie']), /; Secure$/);
  const out = await ask('/api/v1/session', { method: 'DELETE', headers: { cookie, ...SAME_ORIGIN } });
  assert.match(String(out.headers['set-cookie']), /^pallium_session=; Path=\/; Max-Age=0;/);
});

test('a session ends after half a day, with its user, and with the password that it began with', async () => {
  let users = USERS;
  let aheadMs = 0;
  const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + aheadMs };
  const { ask, gate } = await listen({ users: () => users, clock });
  const other = await listen({ users: () => users, clock });
  const body = '{"name":"ann","password":"geheim"}';
  const { headers } = await ask('/api/v1/session', { method: 'POST', body });
  const cookie = String(headers['set-cookie']).split(';')[0]!;
  const status = async (from = ask) =>
    (await from('/api/v1/thing', { headers: { cookie, 'x-scope-orgid': 'a', ...SAME_ORIGIN } })).status;
  assert.equal(await status(), 200);
  assert.equal(await status(other.ask), 200, 'another process with the same data');
  users = USERS.replace('geheim', 'anders');
  gate.reload();
  assert.equal(await status(), 401, 'the password is another');
  users = USERS.replace('ann', 'bob');
  gate.reload();
  assert.equal(await status(), 401, 'the user is gone');
  users = USERS;
  gate.reload();
  assert.equal(await status(), 200);
  aheadMs = 12 * 3_600_000 + 1_000;
  assert.equal(await status(), 401, 'half a day is over');
});

test('without authentication everybody is in', async () => {
  const { ask } = await listen();
  const { status, headers, bytes } = await ask('/api/v1/session', {
    method: 'POST',
    body: '{"name":"x","password":"y"}',
  });
  assert.deepEqual([status, headers['set-cookie']], [200, undefined]);
  const { data } = JSON.parse(bytes.toString());
  assert.deepEqual([data.authentication, data.tenants, data.apis.includes('/api/v1/session')], [false, null, true]);
});
