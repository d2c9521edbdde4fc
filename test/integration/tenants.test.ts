import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { type ApiPath, apiPaths } from '../../src/querier/api/paths.ts';
import { deflateSnappy } from '../../src/wire/snappy.ts';
import { Pallium } from '../harness/pallium.ts';
import { push, writeBody } from '../harness/remote-write.ts';

const NOW_MS = Date.now();
/** Stands in every name and value that tenant a has. */
const SECRET = 'secretOfA';

/** What asks for as much as each endpoint can give. */
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
    const body = route.path === '/api/v1/read' ? readRequest() : undefined;
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

/** A `prometheus.ReadRequest` for every series of the last hour. */
function readRequest(): Uint8Array {
  const out = new BinaryWriter();
  out.tag(1, WireType.LengthDelimited).fork();
  out.tag(1, WireType.Varint).int64(NOW_MS - 3_600_000);
  out.tag(2, WireType.Varint).int64(NOW_MS + 60_000);
  out.tag(3, WireType.LengthDelimited).fork();
  out.tag(1, WireType.Varint).uint32(2); // =~
  out.tag(2, WireType.LengthDelimited).string('__name__');
  out.tag(3, WireType.LengthDelimited).string('.+');
  return deflateSnappy(out.join().join().finish());
}
