import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ApiPath, apiPaths } from '../../src/api/paths.ts';
import { Pallium, tempFolder } from '../harness/pallium.ts';
import { readEverything } from '../harness/remote-read.ts';
import { push, writeBody } from '../harness/remote-write.ts';
import { runTool } from '../harness/tool.ts';

const NOW_MS = Date.now();
/** Stands in every name and value that tenant a has. */
const SECRET = 'secretOfA';

/** Parameters that ask for as much as each endpoint can give. */
const EVERYTHING: Readonly<Record<string, string>> = {
  query: `{__name__=~".+"}`,
  'match[]': `{__name__=~".+"}`,
  'search[]': 'secret',
  start: String(NOW_MS / 1000 - 3600),
  end: String(NOW_MS / 1000 + 60),
  time: String(NOW_MS / 1000),
  step: '60',
};

/** Endpoints that show what a tenant has sent; each must show it to that tenant. */
const TELLING = [
  '/api/v1/query',
  '/api/v1/query_range',
  '/api/v1/series',
  '/api/v1/labels',
  '/api/v1/label/:name/values',
  '/api/v1/search/metric_names',
  '/api/v1/search/label_names',
  '/api/v1/search/label_values',
  '/federate',
  '/api/v1/read',
];

describe('a tenant sees its own data and no other', () => {
  let server: Pallium;
  before(async () => {
    server = await Pallium.start({ flags: ['-querier.enable-search-api'] });
    const body = writeBody([
      {
        labels: { __name__: `${SECRET}_total`, [`${SECRET}_label`]: `${SECRET}_value`, job: SECRET },
        samples: [
          [NOW_MS - 60_000, 1],
          [NOW_MS - 30_000, 2],
        ],
      },
    ]);
    const { status, text } = await push(`${server.url}/api/v1/push`, body, { 'x-scope-orgid': 'a' });
    assert.equal(status, 204, text);
  });
  after(() => server[Symbol.asyncDispose]());

  const ask = async (tenant: string | undefined, prefix: string, route: ApiPath) => {
    const path = prefix + route.path.replace(':name', `${SECRET}_label`);
    const params = new URLSearchParams({ ...EVERYTHING, label: `${SECRET}_label` });
    const post = !route.methods.includes('GET');
    const body = route.path === '/api/v1/read' ? readEverything(NOW_MS) : undefined;
    const answer = await fetch(`${server.url}${path}?${params}`, {
      method: post ? 'POST' : 'GET',
      headers: tenant === undefined ? {} : { 'x-scope-orgid': tenant },
      body: body as Uint8Array<ArrayBuffer> | undefined,
    });
    return { path, text: Buffer.from(await answer.arrayBuffer()).toString('latin1'), status: answer.status };
  };

  const askAll = async () => {
    for (const prefix of ['', '/prometheus', '/api/prom']) {
      for (const route of apiPaths) {
        // these echo what was asked
        if (/(parse|format|explain)/.test(route.path)) continue;
        const own = await ask('a', prefix, route);
        if (TELLING.includes(route.path))
          assert.ok(own.text.includes(SECRET), `${own.path}: ${own.status} ${own.text}`);
        for (const other of ['b', 'A', 'a-', undefined]) {
          const { path, text } = await ask(other, prefix, route);
          assert.ok(!text.includes(SECRET), `${path} tells ${other ?? 'nobody'} what a has: ${text.slice(0, 300)}`);
        }
      }
    }
  };

  test('from the head, at every path', askAll);

  test('from the store, at every path', async () => {
    await server.flush();
    await askAll();
  });

  test('the same series of two tenants are two series', async () => {
    const body = (value: number) => writeBody([{ labels: { __name__: 'same' }, samples: [[NOW_MS, value]] }]);
    for (const [tenant, value] of [
      ['a', 1],
      ['b', 2],
    ] as const) {
      assert.equal((await push(`${server.url}/api/v1/push`, body(value), { 'x-scope-orgid': tenant })).status, 204);
    }
    for (const [tenant, value] of [
      ['a', '1'],
      ['b', '2'],
    ] as const) {
      const { result } = await server.api({ 'x-scope-orgid': tenant }).instant('same', NOW_MS / 1000);
      assert.deepEqual(
        result.map((each) => each.value?.[1]),
        [value],
      );
    }
  });

  test('names that are no tenant are refused', async () => {
    for (const name of ['..', '.', 'a/b', 'a\\b', 'a b', 'x'.repeat(151), 'ä']) {
      const headers = { 'x-scope-orgid': Buffer.from(name).toString('latin1') };
      const { status } = await server.api(headers).ask('/api/v1/labels');
      assert.ok(status >= 400 && status < 500, `${name}: ${status}`);
    }
  });
});

test('a tenant that is deleted is gone at every path, from head, log and store, also after a restart; others stay', async () => {
  const dataDir = tempFolder('purge');
  const flags = ['-web.enable-admin-api', '-compactor.day-delay=0s', '-ingester.out-of-order-time-window=30d'];
  let server = await Pallium.start({ dataDir, flags });
  const dayMs = 86_400_000;
  const write = async (tenant: string, timesMs: readonly number[], name = `${SECRET}_total`) => {
    const labels = { __name__: name, [`${SECRET}_label`]: `${tenant}_value_${name}` };
    const samples = timesMs.map((timeMs, i) => [timeMs, i] as const);
    const { status, text } = await push(`${server.url}/api/v1/push`, writeBody([{ labels, samples }]), {
      'x-scope-orgid': tenant,
    });
    assert.equal(status, 204, text);
  };
  const range = new URLSearchParams({ start: `${(NOW_MS - 40 * dayMs) / 1e3}`, end: `${NOW_MS / 1e3 + 600}` });
  /** All that a tenant is told, as one text. */
  const told = async (tenant: string) => {
    const api = server.api({ 'x-scope-orgid': tenant });
    const query = `count_over_time({__name__=~".+"}[40d])`;
    const paths = [
      `/api/v1/query?${new URLSearchParams({ query, time: `${NOW_MS / 1e3 + 5}` })}`,
      `/api/v1/series?${range}&match[]=${encodeURIComponent('{__name__=~".+"}')}`,
      `/api/v1/labels?${range}`,
      `/api/v1/labels?${range}&match[]=${encodeURIComponent('{__name__=~".+"}')}`,
      `/api/v1/label/__name__/values?${range}`,
      `/api/v1/label/${SECRET}_label/values?${range}`,
      '/api/v1/metadata',
      '/api/v1/status/tsdb',
    ];
    let all = '';
    for (const path of paths) {
      const { status, text } = await api.ask(path);
      assert.equal(status, 200, `${path}: ${text}`);
      all += `${path}: ${text}
`;
    }
    return all.replaceAll(range.toString(), '').replaceAll(`label/${SECRET}_label`, '');
  };
  const status = async (tenant: string) =>
    JSON.parse((await server.api({ 'x-scope-orgid': tenant }).ask('/purger/delete_tenant_status')).text);

  for (const tenant of ['a', 'b']) {
    await write(tenant, [NOW_MS - 3 * dayMs, NOW_MS - dayMs, NOW_MS - 7_200_000, NOW_MS - 60_000]);
  }
  await server.flush();
  for (const tenant of ['a', 'b']) await write(tenant, [NOW_MS - 30_000]);
  const whole = await told('b');
  assert.equal((await status('a')).status, 'none');
  const api = server.api({ 'x-scope-orgid': 'a' });
  assert.equal((await api.ask('/purger/delete_tenant')).status, 405);
  assert.equal((await api.ask('/purger/delete_tenant', { method: 'POST' })).status, 200);

  const gone = async (where: string) => {
    assert.ok(!(await told('a')).includes(SECRET), `${where}: ${await told('a')}`);
    assert.equal(await told('b'), whole, where);
  };
  await gone('at once');
  assert.deepEqual(
    [(await status('a')).status, (await status('a')).blocks_deleted, (await status('b')).status],
    ['pending', false, 'none'],
  );
  await server.kill();
  server = await Pallium.start({ dataDir, flags });
  await gone('after a restart');
  const compacted = await fetch(`${server.url}/compactor/run?wait=true`, { method: 'POST' });
  assert.equal(compacted.status, 200, await compacted.text());
  await gone('after compaction');
  // it begins anew
  await write('a', [Date.now()], 'anew_total');
  const anew = await told('a');
  assert.match(anew, /anew_total/);
  assert.ok(!anew.includes(`${SECRET}_total`), anew);
  await server.flush();
  assert.match(await told('a'), /anew_total/);
  await server.stop();
  // days that are over left the store; the log never had them after the first answer
  const { stdout } = await runTool(['export', `-data.dir=${dataDir}`, '-tenant=a']);
  assert.ok(!stdout.includes(`${SECRET}_total`), stdout);
  const logs = join(dataDir, 'ingester');
  for (const file of readdirSync(logs, { recursive: true, withFileTypes: true })) {
    if (!file.isFile()) continue;
    assert.ok(!readFileSync(join(file.parentPath, file.name), 'latin1').includes(`a_value_${SECRET}`), file.name);
  }
  rmSync(dataDir, { recursive: true, force: true });
});

test('deleting tenants is switched off by default', async () => {
  await using server = await Pallium.start();
  for (const [path, method] of [
    ['/purger/delete_tenant', 'POST'],
    ['/purger/delete_tenant_status', 'GET'],
  ] as const) {
    const { status, text } = await server.api({ 'x-scope-orgid': 'a' }).ask(path, { method });
    assert.equal(status, 403);
    assert.match(text, /-web\.enable-admin-api/);
  }
});

test('with -auth.tenancy=required nothing goes without a tenant', async () => {
  await using server = await Pallium.start({ flags: ['-auth.tenancy=required'] });
  const body = writeBody([{ labels: { __name__: 'm' }, samples: [[NOW_MS, 1]] }]);
  assert.equal((await push(`${server.url}/api/v1/push`, body)).status, 401);
  assert.equal((await push(`${server.url}/api/v1/push`, body, { 'x-scope-orgid': 'a' })).status, 204);
  for (const { path, methods } of apiPaths) {
    const method = methods.includes('GET') ? 'GET' : 'POST';
    const { status, text } = await server.api().ask(path.replace(':name', 'job'), { method });
    assert.equal(status, 401, `${path}: ${text}`);
  }
});

test('with -auth.tenancy=single another name is refused', async () => {
  await using server = await Pallium.start({ flags: ['-auth.tenancy=single', '-auth.default-tenant=me'] });
  assert.equal((await server.api().ask('/api/v1/labels')).status, 200);
  assert.equal((await server.api({ 'x-scope-orgid': 'me' }).ask('/api/v1/labels')).status, 200);
  assert.equal((await server.api({ 'x-scope-orgid': 'you' }).ask('/api/v1/labels')).status, 403);
});
