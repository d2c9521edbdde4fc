import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { request as send } from 'undici';
import { loadConfig } from '../kit/config/load.ts';
import { defaultsOf } from '../kit/config/section.ts';
import { Gate } from '../kit/http/auth.ts';
import { authConfig, serverConfig, tenantFederationConfig } from '../kit/http/config.ts';
import { HttpListener } from '../kit/http/listener.ts';
import { type Need, needOf, type Route, textResponse } from '../kit/http/message.ts';
import { RIGHTS } from '../kit/http/users.ts';
import { silentLogger } from '../kit/observe/log.ts';
import { systemClock } from '../lib/clock.ts';
import { composeApp } from './compose.ts';
import { sections } from './config.ts';
import { resolveTargets } from './modules/modules.ts';

const folder = mkdtempSync(join(tmpdir(), 'pallium-rights-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** All that a process serves, with everything switched on. */
async function allRoutes(...args: string[]): Promise<{ http: readonly Route[]; admin: readonly Route[] }> {
  const { values } = loadConfig(sections, {
    args: [
      '-server.admin-address=127.0.0.1:0',
      `-data.dir=${join(folder, 'data')}`,
      '-web.enable-admin-api',
      '-querier.enable-search-api',
      ...args,
    ],
    env: {},
  });
  const order = resolveTargets(['all']);
  const app = await composeApp({ config: values, version: '1', order, log: silentLogger, clock: systemClock });
  return { http: app.http.routes, admin: app.admin!.routes };
}

/** A listener with these routes that only say that they were reached, and for whom. */
async function listen(
  routes: readonly Route[],
  users: string,
  federation = defaultsOf(tenantFederationConfig),
): Promise<HttpListener> {
  const listener = HttpListener.of({
    name: 'test',
    host: '127.0.0.1',
    port: 0,
    config: defaultsOf(serverConfig),
    gate: Gate.of(
      { ...defaultsOf(authConfig), usersFile: 'users.yaml' },
      { readText: () => users, federation, clock: systemClock },
    ),
    log: silentLogger,
    clock: systemClock,
  });
  listener.add(
    routes.map((route) => ({ ...route, handle: ({ tenant }) => textResponse(200, `reached for ${tenant}`) })),
  );
  await listener.start();
  return listener;
}

const PREFIXES = ['/prometheus', '/api/prom', '/cortex/prometheus'];

test('the table of what routes need is complete', async () => {
  const { http, admin } = await allRoutes();
  const paths = new Set(http.map(({ path }) => path));
  const isAlias = (path: string) =>
    PREFIXES.some((prefix) => path.startsWith(`${prefix}/`) && paths.has(path.slice(prefix.length)));
  const rowsOf = (routes: readonly Route[], where: string) =>
    routes
      .filter(({ path }) => !isAlias(path))
      .flatMap((route) => {
        const byNeed = Map.groupBy(route.methods, (method) => needOf(route, method));
        return [...byNeed].map(
          ([need, methods]) =>
            `| \`${methods.join(',')} ${route.path}\` | ${need} | ${route.tenant === 'one' ? 'yes' : (route.tenant ?? '')} | ${where} |`,
        );
      });
  const wanted = [...rowsOf(http, ''), ...rowsOf(admin, 'admin')].sort();
  const page = readFileSync(join(import.meta.dirname, '../../docs/http-api.md'), 'utf8');
  const written = page
    .slice(page.indexOf('## Rights'))
    .split('\n')
    .filter((line) => line.startsWith('| `'));
  assert.deepEqual(written, wanted, `docs/http-api.md, Rights:\n${wanted.join('\n')}`);
});

test('several tenants are for queries, and for those who may read all of them', async () => {
  const { http } = await allRoutes();
  const users =
    '[{name: all, password: x}, {name: both, password: x, tenants: [a, b]}, {name: own, password: x, tenants: [a]}]';
  const listener = await listen(http, `users: ${users}`, { enabled: true, maxTenants: 3 });
  const off = await listen(http, `users: ${users}`);
  const ask = async (url: string, method: string, user: string, named: string) => {
    const authorization = `Basic ${Buffer.from(`${user}:x`).toString('base64')}`;
    const headers = { authorization, 'x-scope-orgid': named };
    const { statusCode, body } = await send(url, { method: method as 'GET', headers });
    return [statusCode, await body.text()] as const;
  };
  const several: string[] = [];
  for (const { path, methods, needs, tenant } of http) {
    if (tenant === undefined) continue;
    const [method] = methods;
    const url = `${listener.url}${path.replace(/:\w+/g, 'x')}`;
    const [status, text] = await ask(url, method!, 'all', 'b|a|b');
    if (tenant === 'several') {
      if (!PREFIXES.some((prefix) => path.startsWith(prefix))) several.push(path);
      assert.equal(needs, 'read', path);
      assert.deepEqual([status, text], [200, 'reached for a|b'], path);
      assert.deepEqual(await ask(url, method!, 'both', 'a|b'), [200, 'reached for a|b'], path);
      const refused = await ask(url, method!, 'own', 'a|b');
      assert.equal(refused[0], 403, path);
      assert.match(refused[1], /tenant b is not yours: own may name a/);
    } else {
      assert.equal(status, 400, path);
      assert.match(text, /multiple org IDs present: a\|b; only queries may name several tenants/);
    }
    assert.deepEqual(await ask(url, method!, 'all', 'a|a'), [200, 'reached for a'], path);
    const plain = await ask(`${off.url}${path.replace(/:\w+/g, 'x')}`, method!, 'all', 'a|b');
    assert.equal(plain[0], 400, path);
    assert.match(plain[1], /tenant ID 'a\|b' contains unsupported character '\|'/);
  }
  for (const path of ['/api/v1/query', '/api/v1/read', '/federate']) assert.ok(several.includes(path), path);
  for (const path of ['/api/v1/push', '/api/v1/admin/tsdb/delete_series', '/purger/delete_tenant'])
    assert.ok(!several.includes(path), path);
  for (const [named, wanted] of [
    ['a|b|c|d', /too many tenants, max: 3, actual: 4 \(tenant_federation\.max_tenants\)/],
    ['a||b', /one of several tenant IDs is empty/],
    ['|', /one of several tenant IDs is empty/],
    ['a|b/c', /tenant ID 'b\/c' contains unsupported character '\/'/],
    ['a|..', /tenant ID is '\.' or '\.\.'/],
  ] as const) {
    const [status, text] = await ask(`${listener.url}/api/v1/query`, 'GET', 'all', named);
    assert.equal(status, 400, named);
    assert.match(text, wanted);
  }
  for (const each of [listener, off]) await each.stop({ signal: AbortSignal.abort(), progress: () => {} });
});

interface Asker {
  readonly user: string;
  readonly rights: readonly Need[];
  /** The tenant it is bound to. */
  readonly tenant?: string;
}

test('each user reaches what its rights allow, at every route', async () => {
  const askers: Asker[] = [
    { user: '', rights: [] },
    { user: 'wrong', rights: [] },
    { user: 'all', rights: RIGHTS },
    { user: 'bound', rights: ['read', 'write', 'edit'], tenant: 'own' },
    ...RIGHTS.map((right) => ({ user: `only-${right}`, rights: [right] })),
    ...RIGHTS.filter((right) => right !== 'admin').map((right) => ({
      user: `bound-${right}`,
      rights: [right],
      tenant: 'own',
    })),
  ];
  const users = askers
    .filter(({ rights }) => rights.length > 0)
    .map(
      ({ user, rights, tenant }) =>
        `- {name: ${user}, password: x, ${tenant === undefined ? '' : `tenants: [${tenant}], `}rights: [${rights}]}`,
    )
    .join('\n');
  let combinations = 0;
  for (const routes of Object.values(await allRoutes())) {
    const listener = await listen(routes, `users:\n${users}\n`);
    for (const route of routes) {
      const path = route.path.replace(/:\w+/g, 'x');
      for (const method of [
        ...route.methods,
        ...['HEAD', 'DELETE', 'OPTIONS'].filter((one) => !route.methods.includes(one)),
      ]) {
        const isServed =
          route.methods.includes(method) ||
          (method === 'HEAD' && route.head !== false && route.methods.includes('GET'));
        const need = needOf(route, method);
        // what is not served is told to anybody who is known
        for (const { user, rights, tenant } of isServed ? askers : askers.slice(2, 3)) {
          for (const named of route.tenant !== undefined ? [undefined, 'own', 'other'] : [undefined]) {
            const { statusCode, body } = await send(`${listener.url}${path}`, {
              method: method as 'GET',
              headers: {
                ...(user !== '' && { authorization: `Basic ${Buffer.from(`${user}:x`).toString('base64')}` }),
                ...(named !== undefined && { 'x-scope-orgid': named }),
              },
            });
            const text = await body.text();
            const what = `${method} ${path} by ${user || 'nobody'} for ${named}`;
            combinations++;
            if (!isServed) {
              assert.equal(statusCode, method === 'OPTIONS' ? 204 : 405, what);
              continue;
            }
            const mayNot = need !== 'nothing' && !rights.includes(need);
            const foreign =
              need !== 'nothing' && route.tenant !== undefined && tenant !== undefined && named === 'other';
            if (need !== 'nothing' && rights.length === 0) assert.ok(statusCode === 401 || statusCode === 429, what);
            else if (mayNot || foreign) assert.equal(statusCode, 403, what);
            else {
              assert.equal(statusCode, 200, what);
              const reachedFor = route.tenant !== undefined ? (named ?? tenant ?? 'anonymous') : '';
              if (method !== 'HEAD') assert.equal(text, `reached for ${reachedFor}`, what);
            }
          }
        }
      }
    }
    await listener.stop({ signal: AbortSignal.abort(), progress: () => {} });
  }
  assert.ok(combinations > 5_000, `${combinations} combinations`);
});

test('a user with tenants reaches nothing of the process', async () => {
  const { http, admin } = await allRoutes();
  const needs = (path: string) => [
    ...new Set([...http, ...admin].filter((route) => route.path === path).map(({ needs }) => needs)),
  ];
  for (const path of [
    '/config',
    '/runtime_config',
    '/metrics',
    '/services',
    '/ingester/flush',
    '/compactor/run',
    '/api/v1/status/config',
    '/api/v1/status/flags',
    '/prometheus/api/v1/status/config',
  ]) {
    assert.deepEqual(needs(path), ['admin'], path);
  }
  assert.deepEqual([...new Set(admin.map(({ needs }) => needs))], ['admin']);
  const open = (await allRoutes('-auth.protect-metrics=false')).http.filter(({ needs }) => needs === 'nothing');
  const paths = new Set(open.map(({ path }) => path.replace('/prometheus/', '/')));
  // pages, and what leads to them, hold no data; who logs in proves there who it is
  const pages = [
    '/',
    '/alertmanager',
    '/alertmanager/',
    '/alerts',
    '/api/v1/session',
    '/graph',
    '/prometheus',
    '/query',
  ];
  const wanted = ['/-/healthy', '/-/ready', '/metrics', '/ready', '/ui', '/ui/*', ...pages];
  assert.deepEqual([...paths].sort(), wanted.sort());
});
