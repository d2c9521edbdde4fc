import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { encodeRemoteWrite1 } from '../../src/wire/remote-write-encode.ts';
import { deflateSnappy } from '../../src/wire/snappy.ts';
import { Pallium, tempFolder } from '../harness/pallium.ts';
import { freePort } from '../harness/ports.ts';
import { readEverything } from '../harness/remote-read.ts';
import { push, writeBody, writeSamples } from '../harness/remote-write.ts';
import { until } from '../harness/wait.ts';

// Two tenants with data that can be told apart, at every route that there is (docs/http-api.md, Rights), with every way between that
// data goes through a process: nothing of the one is in an answer, a log line or a metric of the other.

const NOW_MS = Date.now();

/** A tenant, and texts that stand in what it alone has sent. */
interface Party {
  readonly tenant: string;
  /** In names of metrics, labels and label values, metadata, exemplars, queries. */
  readonly mark: string;
  /** The value of a series that both have. */
  readonly value: string;
  /** A limit of its own. */
  readonly limit: string;
}

const ONE: Party = { tenant: 'tenant-one', mark: 'alphaQ7', value: '733111.25', limit: '733112' };
const TWO: Party = { tenant: 'tenant-two', mark: 'bravoZ3', value: '844222.75', limit: '844223' };
/** Its data is in no answer to the other two, also not where they are asked for together. */
const THREE: Party = { tenant: 'tenant-three', mark: 'cargoX9', value: '955333.5', limit: '955334' };
const ALL = [ONE, TWO, THREE];
const TOGETHER = `${TWO.tenant}|${ONE.tenant}|${TWO.tenant}`;
const PARTIES = [
  [ONE, TWO],
  [TWO, ONE],
] as const;

interface Row {
  readonly method: string;
  readonly path: string;
  readonly hasTenant: boolean;
  /** It may be asked for several tenants. */
  readonly takesSeveral: boolean;
  readonly isAdmin: boolean;
}

/** Every route, once for each method. */
const routes: readonly Row[] = readFileSync(join(import.meta.dirname, '../../docs/http-api.md'), 'utf8')
  .split('## Rights')[1]!
  .split('\n')
  .flatMap((line) => {
    const [, methods, path, , tenant, listener] = /^\| `(\S+) (\S+)` \| (\w+) \| (\w*) ?\| (\w*) ?\|$/.exec(line) ?? [];
    if (methods === undefined) return [];
    return methods.split(',').map((method) => ({
      method,
      path: path!,
      hasTenant: tenant !== '',
      takesSeveral: tenant === 'several',
      isAdmin: listener === 'admin',
    }));
  });

/** Asked in a way of its own below, or not at all: what ends the process, and what shows an operator all of its memory. */
const ELSEWHERE = new Set([
  '/-/quit',
  '/debug/cpu',
  '/debug/heap',
  '/purger/delete_tenant',
  '/ingester/flush',
  '/ruler/delete_tenant_config',
]);
/** These tell operators the rules and receivers of all tenants. */
const CONFIG_OF_ALL = new Set(['/ruler/rule_groups', '/multitenant_alertmanager/configs']);
/** These tell operators the limits of all tenants. */
const LIMITS_OF_ALL = new Set(['/runtime_config', '/api/v1/status/tenants']);

/** Routes that tell a tenant what it has sent, from head and store. */
const TELLING = new Set([
  'GET /api/v1/query',
  'POST /api/v1/query',
  'GET /api/v1/query_range',
  'POST /api/v1/query_range',
  'GET /api/v1/series',
  'POST /api/v1/series',
  'GET /api/v1/labels',
  'POST /api/v1/labels',
  'GET /api/v1/label/:name/values',
  'GET /api/v1/search/metric_names',
  'GET /api/v1/search/label_names',
  'GET /api/v1/search/label_values',
  'GET /api/v1/metadata',
  'GET /api/v1/query_exemplars',
  'GET /api/v1/status/metric_names_stats',
  'GET /api/v1/status/top_queries',
  'GET /api/v1/user_limits',
  'GET /api/v1/admin/tsdb/delete_series',
  'GET /api/v1/admin/tsdb/delete_series/preview',
  'GET /api/v1/cardinality/day',
  'GET /federate',
  'POST /api/v1/read',
  'GET /api/v1/services/:service/dashboard',
  'GET /api/v1/events',
  'GET /api/v1/dashboards',
  'GET /api/v1/dashboards/:id',
  'GET /api/v1/rules',
  'GET /api/v1/rules/:namespace',
  'GET /api/v1/rules/:namespace/:group',
  'GET /config/v1/rules',
  'GET /config/v1/rules/:namespace',
  'GET /config/v1/rules/:namespace/:group',
  'GET /rules',
  'GET /rules/:namespace',
  'GET /rules/:namespace/:group',
  'GET /cortex/api/v1/rules',
  'GET /cortex/api/v1/rules/:namespace',
  'GET /cortex/api/v1/rules/:namespace/:group',
  'POST /api/v1/rule_preview',
  ...['/alertmanager', '/cortex/alertmanager'].flatMap((base) =>
    ['status', 'receivers', 'alerts', 'alerts/groups', 'silences', 'silence/:id'].map(
      (path) => `GET ${base}/api/v2/${path}`,
    ),
  ),
  'GET /config/v1/alerts',
  'GET /config/v1/alerts/routes',
  'GET /config/v1/alerts/versions/:version',
  'GET /config/v1/rules/:namespace/:group/versions/:version',
  'GET /cortex/api/v1/alerts',
  'POST /config/v1/alerts/preview',
  'POST /config/v1/alerts/route',
]);
/** Telling routes whose answers are kept in memory only: a restart ends them. */
const OF_THIS_PROCESS = new Set(['GET /api/v1/status/top_queries']);

const folder = tempFolder('two-tenants');
after(() => rmSync(folder, { recursive: true, force: true }));

function body({ mark, value }: Party, atMs: number): Uint8Array {
  const none = { labelsFault: undefined, histograms: [], exemplars: [] };
  const exemplar = { pairs: ['trace_id', `${mark}_trace`], labelsFault: undefined, value: 1, timeMs: atMs };
  return deflateSnappy(
    encodeRemoteWrite1({
      metadata: [{ metric: 'shared_total', type: 'counter', help: `${mark} help`, unit: '' }],
      series: [
        {
          ...none,
          pairs: ['__name__', `${mark}_total`, `${mark}_label`, `${mark}_value`, 'job', `${mark}_job`],
          samples: writeSamples([[atMs, 1]]),
          exemplars: [exemplar],
        },
        { ...none, pairs: ['__name__', 'shared_total', 'job', 'same'], samples: writeSamples([[atMs, Number(value)]]) },
        { ...none, pairs: ['__name__', `${mark}_gone`, 'job', 'same'], samples: writeSamples([[atMs, 1]]) },
      ].map((series) => ({ ...series, pairs: sortedPairs(series.pairs) })),
    }),
  );
}

function sortedPairs(pairs: readonly string[]): string[] {
  return pairs
    .flatMap((name, i) => (i % 2 === 0 ? [[name, pairs[i + 1]!]] : []))
    .sort(([a], [b]) => (a! < b! ? -1 : 1))
    .flat();
}

/** Asks for as much as each endpoint can give. */
function everything(mark: string): URLSearchParams {
  return new URLSearchParams({
    group: 'name: same\nrules: [{ alert: Any, expr: \'{__name__=~".+"}\' }]',
    query: '{__name__=~".+"}',
    'match[]': '{__name__=~".+"}',
    'search[]': mark.slice(0, 3).toLowerCase(),
    start: String(NOW_MS / 1000 - 7200),
    end: String(Date.now() / 1000 + 60),
    time: String(Date.now() / 1000 + 5),
    label: 'job',
    step: '60',
  });
}

/** A request to try the Alertmanager, in JSON. */
function trialBody({ mark }: Party): string {
  return JSON.stringify({ receiver: `${mark}_receiver`, labels: { alertname: 'Same' } });
}

class World {
  readonly #server: Pallium;
  readonly #admin: string;
  /** Ids of silences by tenant; they outlive the server. */
  readonly #silences: Map<string, string>;

  constructor(server: Pallium, admin: string, silences: Map<string, string>) {
    this.#server = server;
    this.#admin = admin;
    this.#silences = silences;
  }

  get server(): Pallium {
    return this.#server;
  }

  async ask(
    { method, path, isAdmin }: Pick<Row, 'method' | 'path' | 'isAdmin'>,
    tenant: string | undefined,
    params: URLSearchParams,
  ) {
    const party = ALL.find((each) => each.tenant === tenant);
    const isTrial = /\/config\/v1\/alerts\/(test|preview|route)$/.test(path);
    const isForm = method !== 'GET' && path !== '/api/v1/read' && !isTrial;
    const base = isAdmin ? this.#admin : this.#server.url;
    const isSearch = path.startsWith('/api/v1/search/');
    // rules are selected by their own labels
    const foreign = [isSearch ? '' : 'search[]', path.endsWith('/api/v1/rules') ? 'match[]' : ''];
    if (!path.endsWith('/rule_preview')) foreign.push('group');
    const sent = new URLSearchParams([...params].filter(([name]) => !foreign.includes(name)));
    const target = path
      .replace(':namespace', 'space')
      .replace(':group', 'same')
      .replace(':name', 'job')
      .replace(':version', '1')
      .replace('dashboards/:id', 'dashboards/same')
      .replace(':service', encodeURIComponent('//same'))
      .replace(':id', (tenant !== undefined && this.#silences.get(tenant)) || 'none');
    const answer = await fetch(`${base}${target}${isForm ? '' : `?${sent}`}`, {
      method,
      headers: {
        ...(tenant === undefined ? {} : { 'x-scope-orgid': tenant }),
        ...(isForm ? { 'content-type': 'application/x-www-form-urlencoded' } : {}),
      },
      ...(isForm ? { body: sent.toString() } : {}),
      ...(isTrial ? { body: trialBody(party ?? ONE) } : {}),
      ...(path === '/api/v1/read' ? { body: readEverything(Date.now()) as Uint8Array<ArrayBuffer> } : {}),
    });
    const headers = JSON.stringify([...answer.headers]);
    return { status: answer.status, text: Buffer.from(await answer.arrayBuffer()).toString('latin1'), headers };
  }

  async write(party: Party, atMs: number): Promise<void> {
    const headers = { 'x-scope-orgid': party.tenant };
    const { status, text } = await push(`${this.#server.url}/api/v1/push`, body(party, atMs), headers);
    assert.equal(status, 204, text);
  }

  /** Rules of the same names, which are about what the tenant alone has. */
  async rule({ tenant, mark }: Party): Promise<void> {
    const group = `name: same\ninterval: 1h\nrules: [{ record: ${mark}_recorded, expr: ${mark}_total }]`;
    const headers = { 'x-scope-orgid': tenant };
    const answer = await fetch(`${this.#server.url}/config/v1/rules/space`, { method: 'POST', headers, body: group });
    assert.equal(answer.status, 202, await answer.text());
    await until('the rules', async () => {
      const row = { method: 'GET', path: '/api/v1/rules', isAdmin: false };
      return (await this.ask(row, tenant, everything(mark))).text.includes(mark);
    });
  }

  async #send(path: string, tenant: string, body: unknown): Promise<string> {
    const headers = { 'x-scope-orgid': tenant, 'content-type': 'application/json' };
    const answer = await fetch(`${this.#server.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    const text = await answer.text();
    assert.ok(answer.ok, `${path}: ${answer.status} ${text}`);
    return text;
  }

  /** A receiver whose address is refused, two alerts, and a silence of one of them. */
  async alerts({ tenant, mark }: Party): Promise<void> {
    const endsAt = new Date(NOW_MS + 3_600_000).toISOString();
    const config = {
      route: { receiver: `${mark}_receiver`, group_by: ['alertname'] },
      receivers: [
        {
          name: `${mark}_receiver`,
          webhook_configs: [
            {
              url: `http://127.0.0.1:9/${mark}_path`,
              http_config: { authorization: { credentials: `${mark}_secret` } },
              payload: { text: `${mark} {{ .CommonLabels.alertname }}` },
            },
          ],
        },
      ],
    };
    await this.#send('/config/v1/alerts', tenant, { alertmanager_config: JSON.stringify(config) });
    const alert = (alertname: string) => ({ labels: { alertname, [`${mark}_label`]: `${mark}_alert` }, endsAt });
    await this.#send('/alertmanager/api/v2/alerts', tenant, [alert('Same'), alert('Silenced')]);
    const matchers = [{ name: 'alertname', value: 'Silenced', isRegex: false }];
    const times = { startsAt: new Date(NOW_MS - 1000).toISOString(), endsAt };
    const silence = { matchers, ...times, createdBy: `${mark}_user`, comment: 'same' };
    const { silenceID } = JSON.parse(await this.#send('/alertmanager/api/v2/silences', tenant, silence));
    this.#silences.set(tenant, silenceID);
  }

  /** Silences of one are none of the other's, and cannot be ended by it. */
  async silencesApart(when: string): Promise<void> {
    for (const [party, other] of PARTIES) {
      const id = this.#silences.get(other.tenant)!;
      for (const method of ['GET', 'DELETE']) {
        const row = { method, path: `/alertmanager/api/v2/silence/${id}`, isAdmin: false };
        const { status, text } = await this.ask(row, party.tenant, new URLSearchParams());
        assert.equal(status, 404, `${when}: ${text}`);
      }
    }
  }

  /** An event of the same service. */
  async event({ tenant, mark }: Party): Promise<void> {
    const sent = JSON.stringify({ service: 'same', to: `${mark}_version`, text: `${mark} event`, time: NOW_MS });
    const headers = { 'x-scope-orgid': tenant };
    const answer = await fetch(`${this.#server.url}/api/v1/events`, { method: 'POST', headers, body: sent });
    assert.equal(answer.status, 200, await answer.text());
  }

  /** A dashboard of the same id. */
  async dashboard({ tenant, mark }: Party): Promise<void> {
    const sent = JSON.stringify({ kind: 'Dashboard', spec: { display: { name: `${mark} dashboard` } } });
    const headers = { 'x-scope-orgid': tenant };
    const url = `${this.#server.url}/api/v1/dashboards/same?version=0`;
    const answer = await fetch(url, { method: 'PUT', headers, body: sent });
    assert.equal(answer.status, 200, await answer.text());
  }

  /** Requests that are refused, and told why. */
  async fail({ tenant, mark }: Party, other: Party): Promise<void> {
    const bad = writeBody([
      { labels: { __name__: `${mark}_bad`, [`${mark} bad`]: `${mark}_x` }, samples: [[Date.now(), 1]] },
      { labels: { __name__: `${mark}_far` }, samples: [[Date.now() + 86_400_000, 1]] },
    ]);
    for (const path of ['/api/v1/push', '/api/v1/write', '/api/prom/push']) {
      const { status, text } = await push(`${this.#server.url}${path}`, bad, { 'x-scope-orgid': tenant });
      assert.equal(status, 400, text);
      assert.ok(text.includes(mark), text);
      mustNotTell(text, other, path);
    }
    for (const query of [
      `${mark}_total)`,
      `${mark}_total + on (job) group_left {__name__=~"${mark}.*|shared_total"}`,
    ]) {
      const params = new URLSearchParams({ query, time: String(Date.now() / 1000) });
      const { text } = await this.ask({ method: 'GET', path: '/api/v1/query', isAdmin: false }, tenant, params);
      mustNotTell(text, other, query);
    }
  }

  /** Every route as both tenants at once, and as nobody. */
  async round(when: string, isNewProcess: boolean): Promise<void> {
    await Promise.all(PARTIES.map(([party, other]) => this.fail(party, other)));
    let asked = 0;
    for (const prefix of ['', '/prometheus', '/api/prom']) {
      for (const route of routes) {
        const { method, path, hasTenant, isAdmin } = route;
        if (ELSEWHERE.has(path) || path.endsWith('/push') || path.endsWith('/write')) continue;
        if (path.endsWith('delete_series') && method !== 'GET') continue;
        if (method === 'DELETE' && /\/(rules|dashboards|alerts|silence)(\/|$)/.test(path)) continue;
        if (CONFIG_OF_ALL.has(path)) continue;
        // without an id it cancels nothing
        if (prefix !== '' && !(hasTenant && (path.startsWith('/api/v1/') || path === '/federate'))) continue;
        const name = `${method} ${path}`;
        if (!hasTenant) {
          const { text } = await this.ask({ method, path, isAdmin }, undefined, everything('x'));
          for (const party of ALL) {
            const words = [party.mark, party.value, ...(LIMITS_OF_ALL.has(path) ? [] : [party.limit])];
            for (const word of words) assert.ok(!text.includes(word), `${when}: ${name} tells all of ${word}`);
          }
          asked++;
          continue;
        }
        await Promise.all(
          PARTIES.map(async ([party, other]) => {
            const { status, text, headers } = await this.ask(
              { method, path: prefix + path, isAdmin },
              party.tenant,
              everything(party.mark),
            );
            const what = `${when}: ${prefix}${name} as ${party.tenant}`;
            assert.ok(status < 500 || status === 501, `${what}: ${status} ${text.slice(0, 300)}`);
            for (const stranger of [other, THREE]) mustNotTell(text + headers, stranger, what);
            asked++;
            if (!TELLING.has(name) || (isNewProcess && OF_THIS_PROCESS.has(name))) return;
            const own = path === '/api/v1/user_limits' ? party.limit : party.mark;
            if (prefix === '' || status === 200)
              assert.ok(text.includes(own), `${what}: ${status} ${text.slice(0, 500)}`);
          }),
        );
        if (hasTenant) {
          const { text } = await this.ask({ method, path: prefix + path, isAdmin }, undefined, everything('x'));
          for (const party of ALL) mustNotTell(text, party, `${when}: ${prefix}${name} as nobody`);
          await this.together(route, prefix, when);
        }
      }
    }
    assert.ok(asked > 150, `${asked} requests`);
    await this.apart(when);
    await this.silencesApart(when);
    this.log(when);
  }

  /** A route for two tenants at once: it tells of both, or that it will not, and nothing of a third. */
  async together({ method, path, isAdmin, takesSeveral }: Row, prefix: string, when: string): Promise<void> {
    const what = `${when}: ${method} ${prefix}${path} as ${TOGETHER}`;
    const params = everything(ONE.mark);
    params.append('search[]', TWO.mark.slice(0, 3).toLowerCase());
    const { status, text, headers } = await this.ask({ method, path: prefix + path, isAdmin }, TOGETHER, params);
    assert.ok(status < 500 || status === 501, `${what}: ${status} ${text.slice(0, 300)}`);
    mustNotTell(text + headers, THREE, what);
    if (prefix !== '' && (status === 404 || status === 405)) return; // not all is served below the prefixes
    if (!takesSeveral) {
      assert.equal(status, 400, what);
      assert.match(text, /multiple org IDs present: tenant-one\|tenant-two/);
      for (const { mark } of [ONE, TWO]) assert.ok(!text.includes(mark), what);
    } else if (TELLING.has(`${method} ${path}`) && (prefix === '' || status === 200)) {
      for (const { mark } of [ONE, TWO]) assert.ok(text.includes(mark), `${what}: ${status} ${text.slice(0, 500)}`);
    }
  }

  /** Queries over two tenants, where their series must be told apart. */
  async apart(when: string): Promise<void> {
    const value = async (query: string, tenant = TOGETHER) => {
      const params = new URLSearchParams({ query, time: String(Date.now() / 1000 + 5) });
      const asked = { method: 'GET', path: '/api/v1/query', isAdmin: false };
      return JSON.parse((await this.ask(asked, tenant, params)).text).data.result.map(
        (each: { metric: object; value: [number, string] }) => [each.metric, each.value[1]],
      );
    };
    const shared = (tenant: string) => ({ __name__: 'shared_total', __tenant_id__: tenant, job: 'same' });
    assert.deepEqual(
      await value('shared_total'),
      [ONE, TWO].map((party) => [shared(party.tenant), party.value]),
      when,
    );
    assert.deepEqual(
      await value(`shared_total{__tenant_id__="${TWO.tenant}"}`),
      [[shared(TWO.tenant), TWO.value]],
      when,
    );
    assert.deepEqual(await value(`shared_total{__tenant_id__="${THREE.tenant}"}`), [], when);
    assert.deepEqual(await value(`count({__tenant_id__!~"${ONE.tenant}|${TWO.tenant}", __name__=~".+"})`), [], when);
    // alone there is no such label
    assert.deepEqual(await value(`count({__tenant_id__="${ONE.tenant}"})`, ONE.tenant), [], when);
    const all = (await value(`count by (__tenant_id__) ({__tenant_id__=~"tenant-.*"})`)) as [object, string][];
    assert.deepEqual(
      all.map(([metric]) => metric),
      [ONE, TWO].map(({ tenant }) => ({ __tenant_id__: tenant })),
      when,
    );
    const sum = `sum(shared_total) - ${Number(ONE.value) + Number(TWO.value)}`;
    assert.deepEqual(await value(sum), [[{}, '0']], when);
  }

  /** A line that has something of a tenant is its own. */
  log(when: string): void {
    for (const line of this.#server.log().split('\n')) {
      for (const [party, other] of PARTIES) {
        if (!line.includes(party.mark)) continue;
        assert.ok(line.includes(party.tenant), `${when}: a line without its tenant: ${line}`);
        assert.ok(!line.includes(other.mark) && !line.includes(other.tenant), `${when}: ${line}`);
      }
    }
  }
}

function mustNotTell(text: string, { tenant, mark, value, limit }: Party, what: string): void {
  for (const word of [tenant, mark, value, limit]) {
    const at = text.indexOf(word);
    assert.ok(at < 0, `${what} tells ${word}: … ${text.slice(Math.max(0, at - 200), at + 100)}`);
  }
}

test('nothing of a tenant is in an answer, log line or metric of another, wherever its data is', async () => {
  assert.ok(routes.length > 60, `${routes.length} routes`);
  const dataDir = join(folder, 'data');
  const limits = join(folder, 'limits.yaml');
  writeFileSync(
    limits,
    `overrides:\n${ALL.map(({ tenant, limit }) => `  ${tenant}: {max_series_per_user: ${limit}}\n`).join('')}`,
  );
  const silences = new Map<string, string>();
  const start = async () => {
    const adminPort = await freePort();
    const flags = [
      '-querier.enable-search-api',
      '-web.enable-admin-api',
      '-tenant-federation.enabled',
      '-log.level=debug',
      `-runtime-config.file=${limits}`,
      `-server.admin-address=127.0.0.1:${adminPort}`,
    ];
    return new World(await Pallium.start({ dataDir, flags }), `http://127.0.0.1:${adminPort}`, silences);
  };
  const deleteRow = { method: 'POST', path: '/api/v1/admin/tsdb/delete_series', isAdmin: false };
  const asked = async (world: World, { tenant, mark }: Party, tail: string, match: string) => {
    const params = new URLSearchParams({ 'match[]': `{__name__="${mark}_gone"${match}}` });
    const { status, text } = await world.ask(deleteRow, tenant, params);
    assert.equal(status, 204, `${tail}: ${text}`);
  };
  const query = async (world: World, { tenant, mark }: Party) => {
    const params = new URLSearchParams({ query: `count(${mark}_total)`, time: String(Date.now() / 1000) });
    await world.ask({ method: 'GET', path: '/api/v1/query', isAdmin: false }, tenant, params);
  };

  let world = await start();
  const both = (work: (party: Party) => Promise<void>) => Promise.all([work(ONE), work(TWO)]);
  const each = (work: (party: Party) => Promise<void>) => Promise.all(ALL.map(work));
  await each((party) => world.write(party, NOW_MS - 60_000));
  await both((party) => asked(world, party, 'delete', ''));
  await each((party) => world.rule(party));
  await each((party) => world.event(party));
  await each((party) => world.dashboard(party));
  await each((party) => world.alerts(party));
  await both((party) => query(world, party));
  await world.round('in the head', false);

  await world.server.kill();
  world = await start();
  await both((party) => query(world, party));
  await world.round('after kill -9, from the log', false);

  await world.server.stop();
  world = await start();
  await world.round('after a clean stop, from the checkpoint', true);

  await each((party) => world.write(party, NOW_MS - 30_000));
  await world.server.flush();
  await world.round('in the store', true);

  await each((party) => world.write(party, NOW_MS - 10_000));
  await world.server.kill();
  world = await start();
  await world.round('after kill -9, in store and log', true);

  // a request of one is nothing to the other
  const listed = async ({ tenant }: Party) =>
    (await world.ask({ ...deleteRow, method: 'GET' }, tenant, new URLSearchParams())).text;
  const ids = [...(await listed(ONE)).matchAll(/"request_id":"([^"]+)"/g)].map(([, id]) => id!);
  assert.ok(ids.length > 0, await listed(ONE));
  const before = await listed(ONE);
  for (const id of ids) {
    const cancel = { method: 'POST', path: '/api/v1/admin/tsdb/cancel_delete_request', isAdmin: false };
    await world.ask(cancel, TWO.tenant, new URLSearchParams({ request_id: id }));
  }
  assert.equal(await listed(ONE), before);
  const rules = { method: 'GET', path: '/config/v1/rules', isAdmin: false };
  const removed = await world.ask({ ...rules, method: 'DELETE', path: '/rules/space' }, THREE.tenant, everything('x'));
  assert.equal(removed.status, 202, removed.text);
  const dashboard = { method: 'GET', path: '/api/v1/dashboards/:id', isAdmin: false };
  const gone = await world.ask({ ...dashboard, method: 'DELETE' }, THREE.tenant, everything('x'));
  assert.equal(gone.status, 200, gone.text);
  const purge = { method: 'POST', path: '/purger/delete_tenant', isAdmin: false };
  assert.equal((await world.ask(purge, ONE.tenant, new URLSearchParams())).status, 200);
  const all = { method: 'GET', path: '/api/v1/series', isAdmin: false };
  assert.ok((await world.ask(all, TWO.tenant, everything(TWO.mark))).text.includes(TWO.mark));
  mustNotTell((await world.ask(all, ONE.tenant, everything(ONE.mark))).text, ONE, 'deleted');
  assert.ok((await world.ask(rules, TWO.tenant, everything(TWO.mark))).text.includes(TWO.mark));
  assert.ok((await world.ask(dashboard, TWO.tenant, everything(TWO.mark))).text.includes(TWO.mark));
  for (const { tenant } of [ONE, THREE]) {
    for (const row of [rules, dashboard]) assert.equal((await world.ask(row, tenant, everything('x'))).status, 404);
  }
  await world.server.stop();
  world.log('at the end');
});
