import assert from 'node:assert/strict';
import { existsSync, globSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ApiClient } from '../harness/api.ts';
import { Cluster, ONE_THREAD, QUICK_RING } from '../harness/cluster.ts';
import { CLOSE, difference, sorted } from '../harness/compare.ts';
import { Pallium } from '../harness/pallium.ts';
import { freePort } from '../harness/ports.ts';
import { WRITE_HEADERS, writeBody } from '../harness/remote-write.ts';
import { startService } from '../harness/services.ts';
import { until } from '../harness/wait.ts';
import { tableServices } from './e2e-stores.ts';

// Requests as Grafana's Prometheus data source sends them, in panels, Explore, variables, annotations and its check of a data source: each
// is answered as a Prometheus with the same samples answers it: as they are; in parts of ten minutes and shards, first evaluated and then
// from the cache; by a front end between processes. Building Prometheus takes minutes: without one this is left out.
//
// Sources: Grafana `pkg/promlib/client/client.go` (queries, and what it passes on: a form by POST, unless the path is one that takes GET
// only; after 400 and 405 the same by GET), `pkg/promlib/healthcheck.go` and `heuristics.go` (the check),
// `packages/grafana-prometheus/src/resource_clients.ts` (names, values, series: limit 40000), `metric_find_query.ts` (variables).

const home = process.env.SERVICES_HOME ?? join(homedir(), '.cache/pallium-services');
const isThere =
  process.env.PROMETHEUS_PORT !== undefined ||
  globSync(join(home, 'apps/prometheus-3.*')).some((each) => existsSync(join(each, 'prometheus')));
const skip = isThere ? false : 'there is no Prometheus 3 here (test/services/start-prometheus builds one)';

const STEP_S = 15;
/** Long enough ago to be cached. */
const END_S = Math.floor(Date.now() / 1000 / 60) * 60 - 5 * 3600;
const START_S = END_S - 3600;

interface Request {
  readonly path: string;
  readonly params: readonly (readonly [string, string])[];
  /** Absent: a GET. */
  readonly post?: true;
  /** Answers of the process itself differ: only their fields are compared. */
  readonly fieldsOnly?: true;
  /** Only the status says anything to Grafana. */
  readonly statusOnly?: true;
}

const IN_PARTS = [
  '-querier.split-queries-by-interval=10m',
  '-frontend.query-vertical-shard-size=4',
  '-querier.cache-samples-min=0',
];
const { port: storePort, flags: storeFlags } = tableServices.find(({ name }) => name === 'dynamodb')!;

const RANGE = [
  ['start', `${START_S}`],
  ['end', `${END_S}`],
] as const;

function panel(query: string, step = '15', post: true | undefined = true): Request {
  return { path: '/api/v1/query_range', params: [['query', query], ...RANGE, ['step', step]], ...(post && { post }) };
}

function instant(query: string): Request {
  return { path: '/api/v1/query', params: [['query', query], ['time', `${END_S}`]], post: true }; // biome-ignore format: one line says it all
}

/** A request that is passed on from the browser, by POST. */
function passed(path: string, ...params: (readonly [string, string])[]): Request {
  return { path, params, post: true };
}

function get(path: string, ...params: (readonly [string, string])[]): Request {
  return { path, params };
}

const REQUESTS: readonly Request[] = [
  // panels: POST with a form, steps from `$__interval`, with fractions in some zoom levels
  panel('sum by(job) (rate(http_requests_total{job=~"api|web"}[1m]))'),
  panel('histogram_quantile(0.95, sum by(le) (rate(http_request_duration_seconds_bucket[5m])))', '30'),
  panel('sum by(le) (increase(http_request_duration_seconds_bucket[1m]))', '60'),
  panel('http_requests_total{job="api"}', '7.5'),
  panel('topk(3, http_requests_total)', '120', undefined),
  panel('avg(up) * 100', '3600'),
  panel('absent(nothing_there)'),
  // tables and stats
  instant('sum(http_requests_total)'),
  instant('topk(2, sum by(job) (http_requests_total))'),
  instant('http_requests_total[2m]'),
  instant('"a text"'),
  instant('time() > bool 0'),
  // with the data source's time-out, and times of milliseconds
  {
    path: '/api/v1/query_range',
    params: [
      ['end', `${END_S}.123`],
      ['query', 'sum(up)'],
      ['start', `${START_S}.5`],
      ['step', '0.5'],
      ['timeout', '60s'],
    ],
    post: true,
  },
  // the check of a data source: four seconds after 1970, then what it is, first by POST
  passed('/api/v1/query', ['query', '1+1'], ['time', '4']),
  { ...passed('/api/v1/status/buildinfo'), statusOnly: true },
  { ...get('/api/v1/status/buildinfo'), fieldsOnly: true },
  // variables and the query builder
  get('/api/v1/labels', ...RANGE),
  passed('/api/v1/labels', ...RANGE, ['match[]', 'http_requests_total']),
  passed('/api/v1/labels', ['limit', '40000'], ...RANGE),
  passed('/api/v1/labels', ['limit', '1'], ...RANGE, ['match[]', '{__name__=~".*requests.*"}']),
  passed('/api/v1/series', ...RANGE, ['match[]', '{__name__!=""}'], ['limit', '40000']),
  passed('/api/v1/series', ...RANGE, ['match[]', '{__name__="http_requests_total",job!=""}'], ['limit', '40000']),
  // query_result() of a variable, by POST and by GET
  passed('/api/v1/query', ['query', 'topk(1, http_requests_total)'], ['time', `${END_S}`]),
  get('/api/v1/query', ['query', 'scalar(sum(up))'], ['time', `${END_S}`]),
  // a label whose name is escaped
  get('/api/v1/label/U__http_2e_status/values', ['limit', '40000'], ...RANGE),
  get('/api/v1/label/__name__/values', ...RANGE),
  get('/api/v1/label/__name__/values', ...RANGE, ['match[]', '{job="api"}'], ['limit', '40000']),
  get('/api/v1/label/job/values', ...RANGE, ['match[]', 'http_requests_total']),
  get('/api/v1/label/nothing/values', ...RANGE),
  get('/api/v1/series', ['match[]', 'http_requests_total{job="api"}'], ...RANGE),
  {
    path: '/api/v1/series',
    params: [['match[]', '{__name__=~"up|http_.*_bucket"}'], ...RANGE, ['limit', '40000']],
    post: true,
  },
  get('/api/v1/format_query', ['query', 'sum(rate(x[5m]))by(a)']),
  get('/api/v1/parse_query', ['query', 'sum by(a) (rate(x{b="c"}[5m]))']),
  // Explore's exemplars and help, annotations of alerts, the list of rules
  passed('/api/v1/query_exemplars', ...RANGE, ['query', 'http_request_duration_seconds_bucket']),
  get('/api/v1/query_exemplars', ['query', 'http_request_duration_seconds_bucket'], ...RANGE),
  get('/api/v1/metadata'),
  get('/api/v1/metadata', ['limit', '40000']),
  panel('ALERTS{alertname="none"}', '60'),
  get('/api/v1/rules'),
  get('/api/v1/alerts'),
  // what users type
  panel('sum by(job (rate(x[5m]))'),
  panel('rate(http_requests_total)'),
  panel('http_requests_total', '0'),
  {
    path: '/api/v1/query_range',
    params: [
      ['query', 'up'],
      ['start', `${END_S}`],
      ['end', `${START_S}`],
      ['step', '15'],
    ],
  },
  {
    path: '/api/v1/query_range',
    params: [
      ['query', 'up'],
      ['start', '0'],
      ['end', `${END_S}`],
      ['step', '1'],
    ],
  },
  instant('http_requests_total{job=~"("}'),
  get('/api/v1/series'),
  // what fails by POST is asked for by GET
  passed('/api/v1/labels', ['match[]', '{'], ...RANGE),
  get('/api/v1/labels', ['match[]', '{'], ...RANGE),
  { ...passed('/api/v1/metadata'), statusOnly: true },
  get('/api/v1/label/__name__/values', ['match[]', '{'], ...RANGE),
];

test('requests of Grafana are answered as Prometheus answers them', { skip, timeout: 300_000 }, async (t) => {
  // one that scrapes itself would have series of its own
  const folder = mkdtempSync(join(tmpdir(), 'grafana-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  process.env.PROMETHEUS_CONFIG ??= join(folder, 'prometheus.yml');
  writeFileSync(join(folder, 'prometheus.yml'), 'global: { scrape_interval: 1h }\n');
  await using prometheus = await startService('prometheus');
  const theirs = new ApiClient(`http://127.0.0.1:${prometheus.port}`);
  const body = writeBody(samples());
  const write = async (url: string) => {
    const { status } = await fetch(url, { method: 'POST', headers: WRITE_HEADERS, body });
    assert.ok(status === 200 || status === 204, `${url}: ${status}`);
  };
  const hasSamples = async (api: ApiClient) =>
    (await api.instant('count(http_requests_total)', END_S)).result[0]?.value?.[1] === '6';
  await write(`${theirs.url}/api/v1/write`);
  await until('samples in Prometheus', () => hasSamples(theirs));
  const compare = async (ours: ApiClient) => {
    const differences: string[] = [];
    for (const request of REQUESTS) differences.push(...(await differencesOf(theirs, ours, request)));
    assert.deepEqual(differences, []);
  };

  await t.test('as they are', async () => {
    await using server = await Pallium.start();
    await write(`${server.url}/api/v1/push`);
    await until('samples', () => hasSamples(server.api()));
    await compare(server.api());
  });

  await t.test('in parts and shards, and from the cache', async () => {
    await using server = await Pallium.start({ flags: [...IN_PARTS, '-querier.workers=2'] });
    await write(`${server.url}/api/v1/push`);
    await until('samples', () => hasSamples(server.api()));
    await compare(server.api());
    assert.ok((await cachedSteps(server.api())) > 0, 'nothing came from the cache');
    await compare(server.api());
  });

  await t.test(
    'by a front end between processes',
    { skip: storePort === undefined && 'needs DYNAMODB_PORT' },
    async () => {
      const flags = [
        ...storeFlags(storePort!),
        `-schema.prefix=g${Date.now().toString(36)}_`,
        '-schema.object-store=none',
      ];
      await using cluster = new Cluster([
        ...flags,
        '-distributor.replication-factor=1',
        ...QUICK_RING,
        ...ONE_THREAD,
        ...IN_PARTS,
      ]);
      await cluster.start('i1', ['-target=ingester']);
      await cluster.ready();
      const distributor = await cluster.start('d1', ['-target=distributor']);
      const address = `127.0.0.1:${await freePort()}`;
      const frontend = await cluster.start('f1', ['-target=query-frontend', `-server.peer-listen-address=${address}`]);
      for (const name of ['q1', 'q2']) {
        await cluster.start(name, ['-target=querier', `-querier.frontend-address=${address}`, `-querier.id=${name}`]);
      }
      await cluster.ready();
      await write(`${distributor.url}/api/v1/push`);
      await until('samples', () => hasSamples(frontend.api()));
      await compare(frontend.api());
      await compare(frontend.api());
    },
  );
});

/** Differences of two answers to a request, in text. */
async function differencesOf(theirs: ApiClient, ours: ApiClient, request: Request): Promise<string[]> {
  const [want, got] = await Promise.all([asked(theirs, request), asked(ours, request)]);
  const text = `${request.path} ${formOf(request.params)}`;
  if (want.status !== got.status) return [`${text}: ${want.status} wanted, there is ${got.status} ${got.text}`];
  if (request.statusOnly) return [];
  if (request.fieldsOnly) {
    const fields = Object.keys(dataOf(want.text)).filter((name) => !(name in dataOf(got.text)));
    return fields.length > 0 ? [`${text}: ${fields} are missing`] : [];
  }
  const errors = want.status === 400;
  const found = difference(sorted(JSON.parse(want.text)), sorted(JSON.parse(got.text)), { ...CLOSE, errors });
  return found === undefined ? [] : [`${text}${found}`];
}

/** Steps of one of the requests that came from the cache. */
async function cachedSteps(api: ApiClient): Promise<number> {
  const { params } = panel('http_requests_total{job="api"}', '7.5');
  const answer = await fetch(`${api.url}/api/v1/query_range?${formOf(params)}`);
  await answer.arrayBuffer();
  return Number(/cached_steps;desc="(\d+)"/.exec(answer.headers.get('server-timing') ?? '')?.[1] ?? 0);
}

/** Series of two jobs, with a histogram. */
function samples() {
  const times = Array.from({ length: (END_S - START_S) / STEP_S + 1 }, (_, i) => (START_S + i * STEP_S) * 1000);
  const series = [];
  for (const [j, job] of ['api', 'web'].entries()) {
    series.push({ labels: { __name__: 'up', job }, samples: times.map((ms) => [ms, 1] as const) });
    for (let i = 0; i < 3; i++) {
      const labels = { __name__: 'http_requests_total', job, instance: `${job}-${i}` };
      series.push({ labels, samples: times.map((ms, t) => [ms, (t % 100) * (i + 1 + j) + j / 7] as const) });
    }
    for (const [b, le] of ['0.1', '0.5', '1', '+Inf'].entries()) {
      const labels = { __name__: 'http_request_duration_seconds_bucket', job, le };
      series.push({ labels, samples: times.map((ms, t) => [ms, t * (b + 1 + j)] as const) });
    }
  }
  return series;
}

function asked(api: ApiClient, { path, params, post }: Request) {
  const form = formOf(params);
  // as Grafana says who asks
  const headers = { 'user-agent': 'Grafana/13.2.1', 'x-dashboard-uid': 'abc', 'x-panel-id': '2' };
  if (post) return api.ask(path, { method: 'POST', headers, body: form });
  return api.ask(form.size === 0 ? path : `${path}?${form}`, { headers });
}

function formOf(params: Request['params']): URLSearchParams {
  return new URLSearchParams(params.map(([name, value]): [string, string] => [name, value]));
}

function dataOf(text: string): object {
  return (JSON.parse(text) as { data: object }).data;
}
