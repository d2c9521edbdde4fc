import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Documents } from '../chunkstore/documents/documents.ts';
import { TenantTables } from '../chunkstore/documents/tables.ts';
import { Schema } from '../chunkstore/schema.ts';
import { DashboardBook } from '../dashboards/dashboard-book.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { systemBytes } from '../lib/random.ts';
import { AppError } from '../model/errors.ts';
import { MemoryTableStore } from '../table/memory.ts';
import { dashboardRoutes } from './routes/dashboards.ts';

/** The routes over a table in memory: status and JSON, or status and text of what was thrown. */
async function api(dashboardsMax?: number) {
  const clock = new ManualClock(Date.UTC(2026, 10, 5));
  const period = {
    fromMs: Number.NEGATIVE_INFINITY,
    tables: new MemoryTableStore(),
    tablePrefix: 'p_',
    tableMs: 86_400_000,
  };
  const documents = new Documents(await TenantTables.open(new Schema([period])), clock, systemBytes);
  const routes = dashboardRoutes(new DashboardBook(documents, systemBytes, dashboardsMax));
  return async (method: string, path: string, body: unknown = '', { tenant = 'a', user = 'ann' } = {}) => {
    const [name = '', query = ''] = path.split('?');
    const [id, rest] = name.split('/');
    const place = id ? (rest ? '/:id/versions' : '/:id') : '';
    const route = routes.find((each) => each.path === `/api/v1/dashboards${place}`)!;
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const request = {
      method,
      path: `/api/v1/dashboards/${name}`,
      query,
      headers: {},
      body: Buffer.from(text),
      tenant,
      user,
      params: { id: id! },
      address: '',
      signal: new AbortController().signal,
    };
    try {
      const response = await route.handle(request);
      // biome-ignore lint/suspicious/noExplicitAny: JSON of many shapes
      return { status: response.status, json: JSON.parse(response.body as string) as any };
    } catch (thrown) {
      assert.ok(thrown instanceof AppError, String(thrown));
      return { status: thrown.facts.http, text: thrown.message, json: undefined };
    }
  };
}

const board = (name: string, more: object = {}) => ({ kind: 'Dashboard', spec: { display: { name }, ...more } });

test('a dashboard is kept with its versions, and two editors do not overwrite each other', async () => {
  const ask = await api();
  const made = await ask('POST', '', board('My <b>shop</b>!'));
  assert.equal(made.status, 201);
  const { id, version } = made.json.data;
  assert.deepEqual([id, version.number, version.user], ['my-b-shop-b', 1, 'ann']);
  // of the same title another id
  assert.match((await ask('POST', '', board('My <b>shop</b>!'))).json.data.id, /^my-b-shop-b-[0-9a-f]{8}$/);

  const second = await ask('PUT', `${id}?version=1`, board('Shop, better'), { user: 'bob' });
  assert.deepEqual([second.status, second.json.data.version.number], [200, 2]);
  const late = await ask('PUT', `${id}?version=1`, board('Shop, of ann'));
  assert.equal(late.status, 409);
  assert.equal((await ask('GET', id)).json.data.dashboard.spec.display.name, 'Shop, better');
  assert.equal((await ask('PUT', id, board('without a version'))).status, 400);
  assert.equal((await ask('PUT', `new?version=3`, board('x'))).status, 409);

  const versions = (await ask('GET', `${id}/versions`)).json.data;
  assert.deepEqual(
    versions.map(({ number, user }: { number: number; user: string }) => [number, user]),
    [
      [1, 'ann'],
      [2, 'bob'],
    ],
  );
  assert.equal((await ask('GET', `${id}?version=1`)).json.data.dashboard.spec.display.name, 'My <b>shop</b>!');
  assert.match((await ask('GET', `${id}?version=9`)).text!, /has no version 9; the last 100 are kept/);

  const listed = (await ask('GET', '')).json.data.map(({ title }: { title: string }) => title);
  assert.deepEqual(listed, ['My <b>shop</b>!', 'Shop, better']);
  assert.deepEqual((await ask('GET', '', '', { tenant: 'b' })).json.data, []);
  assert.equal((await ask('GET', id, '', { tenant: 'b' })).status, 404);
  assert.equal((await ask('DELETE', `${id}?version=2`, '', { tenant: 'b' })).status, 409);

  assert.equal((await ask('DELETE', `${id}?version=1`)).status, 409);
  assert.equal((await ask('DELETE', `${id}?version=2`)).status, 200);
  assert.equal((await ask('GET', id)).status, 404);
  // it comes back with a number of its own
  assert.equal((await ask('PUT', `${id}?version=0`, board('again'))).json.data.version.number, 4);
});

test('what is no dashboard, too large or too deep is refused before it is kept', async () => {
  const ask = await api();
  const panel = { kind: 'Panel', spec: { display: { name: 'p' }, plugin: { kind: 'Odd', spec: { kept: [1] } } } };
  const refused: [unknown, RegExp][] = [
    ['', /no JSON/],
    ['[]', /the body is no object/],
    ['{"kind":"Dashboard"}', /spec is no object/],
    [board(''), /it has no name/],
    [board('x'.repeat(5_000)), /spec\.display\.name has 5000 characters, more than 4096/],
    [`${'['.repeat(100_000)}`, /nested more than 64 deep/],
    [board('x', { panels: { a: {} } }), /the kind of spec\.panels\.a is not Panel/],
    ['{"kind":"Dashboard","spec":{"display":{"name":"x"},"panels":{"__proto__":{}}}}', /a key that cannot be used/],
    [
      board('x', { panels: Object.fromEntries(Array.from({ length: 501 }, (_, i) => [`p${i}`, panel])) }),
      /501 panels are more than 500/,
    ],
    [
      board('x', {
        layouts: [
          {
            kind: 'Grid',
            spec: { items: [{ x: 0, y: 0, width: 1, height: 1, content: { $ref: '#/spec/panels/a' } }] },
          },
        ],
      }),
      /names a panel that is not there/,
    ],
    [board('x', { variables: [{ kind: 'TextVariable', spec: { name: 'a b', value: '' } }] }), /letters, digits and _/],
    [{ kind: 'Dashboard', spec: { elements: 7 } }, /second schema: elements is no object/],
  ];
  for (const [body, wanted] of refused) {
    const { status, text } = await ask('POST', '', body);
    assert.equal(status, 400, text);
    assert.match(text!, wanted);
  }
  for (const id of ['..', 'a b', 'x'.repeat(101)]) assert.equal((await ask('GET', id)).status, 400, id);
  // a panel of an unknown kind is kept as it is
  const { id } = (await ask('POST', '', board('odd', { panels: { p: panel } }))).json.data;
  assert.deepEqual((await ask('GET', id)).json.data.dashboard.spec.panels.p, panel);
});

test('a tenant has a limited number of dashboards', async () => {
  const ask = await api(9);
  for (let i = 0; i < 9; i++) await ask('PUT', `d${i}?version=0`, board(`d${i}`));
  assert.match((await ask('POST', '', board('one more'))).text!, /has 9 dashboards, as many as it may have/);
  // those that are there can be changed
  assert.equal((await ask('PUT', 'd7?version=1', board('changed'))).status, 200);
  assert.equal((await ask('GET', '')).json.data.length, 9);
});
