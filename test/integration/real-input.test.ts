import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiClient } from '../harness/api.ts';
import { difference, sorted } from '../harness/compare.ts';
import { Exporter } from '../harness/exporter.ts';
import { Pallium } from '../harness/pallium.ts';
import {
  isPrometheus3Installed,
  type Peer,
  startNodeExporter,
  startPrometheus3,
  startPrometheusDebian,
} from '../harness/peers.ts';
import { until } from '../harness/wait.ts';

const SCRAPE_SECONDS = Number(process.env.SCRAPE_SECONDS ?? 60);
/** Samples lie at least so far from the left edge of every window that is compared. */
const EDGE_MS = 25;

const QUERIES = [
  'node_load1',
  'up',
  'node_cpu_seconds_total{mode="idle"}',
  'rate(node_cpu_seconds_total[20s])',
  'increase(app_requests_total[30s])',
  'irate(app_requests_total[10s])',
  'sum by (mode) (rate(node_cpu_seconds_total[20s]))',
  'sum without (le) (rate(app_latency_seconds_bucket[15s]))',
  'histogram_quantile(0.9, sum by (le) (rate(app_latency_seconds_bucket[20s])))',
  'histogram_quantile(0.5, rate(app_latency_seconds_bucket[20s]))',
  '{__name__=~"node_memory_(Mem|Swap).*_bytes"}',
  'app_vanishing',
  'count_over_time(app_vanishing[1m])',
  'app_flapping',
  'absent(app_nowhere{job="app"})',
  'count by (job) ({__name__=~".+"})',
  'node_memory_MemAvailable_bytes / on (instance) node_memory_MemTotal_bytes',
  'topk(3, node_filesystem_avail_bytes > 0)',
  'avg_over_time(app_temperature[30s] offset 10s) - app_temperature',
  'max_over_time(rate(app_requests_total[10s])[30s:5s])',
  'resets(app_requests_total[1m])',
  'label_replace(app_requests_total, "short", "$1", "path", "/(.).*")',
];

/** Scrapes and sends what it scrapes to Pallium, to a tenant or in a version of the protocol where it can. */
function prometheusConfig(targets: Readonly<Record<string, number>>, writes: readonly string[]): string {
  const jobs = Object.entries(targets).map(
    ([job, port]) => `  - job_name: ${job}\n    static_configs: [{ targets: ["127.0.0.1:${port}"] }]\n`,
  );
  return `global: { scrape_interval: 1s }
scrape_configs:
${jobs.join('')}remote_write:
${writes.join('')}`;
}

function remoteWrite(url: string, more = ''): string {
  return `  - url: ${url}/api/v1/push
    queue_config: { batch_send_deadline: 500ms, min_shards: 2 }
    metadata_config: { send_interval: 2s }
${more}`;
}

describe(`what real servers send, scraped for ${SCRAPE_SECONDS} s`, () => {
  const resources = new AsyncDisposableStack();
  let server: Pallium;
  let debian: Peer;
  let newest: Peer | undefined;

  before(async () => {
    server = resources.use(await Pallium.start());
    const [node, app] = await Promise.all([startNodeExporter(), Exporter.start((SCRAPE_SECONDS * 1000) / 2)]);
    resources.use(node);
    resources.use(app);
    const targets = { node: node.port, app: app.port };
    debian = resources.use(
      await startPrometheusDebian({ config: prometheusConfig(targets, [remoteWrite(server.url)]) }),
    );
    if (isPrometheus3Installed) {
      const versions = ['prometheus.WriteRequest', 'io.prometheus.write.v2.Request'].map((message, i) =>
        remoteWrite(server.url, `    protobuf_message: ${message}\n    headers: { X-Scope-OrgID: sent-as-${i + 1} }\n`),
      );
      newest = resources.use(await startPrometheus3({ config: prometheusConfig(targets, versions) }));
    }
    await sleep(SCRAPE_SECONDS * 1000);
  });
  after(() => resources.disposeAsync());

  test('Prometheus 2.42, remote write 1.0', () => compare(debian, server.api()));

  for (const version of [1, 2]) {
    const skip = isPrometheus3Installed ? false : 'Prometheus 3.16 is not installed (test/services/start-prometheus)';
    test(`Prometheus 3.16, remote write ${version}.0`, { skip }, () =>
      compare(newest!, server.api({ 'x-scope-orgid': `sent-as-${version}` })),
    );
  }

  test('metadata comes along', async () => {
    const metadata = await server.api().data<Record<string, unknown[]>>('/api/v1/metadata');
    assert.deepEqual(metadata.app_requests_total, [{ type: 'counter', help: 'Requests served.', unit: '' }]);
  });

  test('and all of it again from the store', async () => {
    await server.flush();
    await compare(debian, server.api());
  });
});

async function compare(peer: Peer, ours: ApiClient): Promise<void> {
  const theirs = new ApiClient(peer.url);
  const times = async (api: ApiClient): Promise<number[]> => {
    const { result } = await api.instant('{job=~"node|app",__name__=~"up|app_.*|node_load1"}[5m]', Date.now() / 1000);
    return result.flatMap(({ values }) => values!.map(([seconds]) => Math.round(seconds * 1000)));
  };
  const sampled = await times(theirs);
  const phase = freePhase(sampled);
  // old enough that all of it has arrived
  const newest = Math.max(...sampled);
  await until('samples of the last seconds', async () => Math.max(...(await times(ours))) >= newest, {
    timeoutMs: 120_000,
  });
  const end = (Math.floor(newest / 1000) - 2) * 1000 + phase;
  const start = end - Math.min(SCRAPE_SECONDS - 5, 50) * 1000;
  const asks = QUERIES.flatMap((query): [string, Record<string, string | number>][] => [
    ['/api/v1/query', { query, time: end / 1000 }],
    // when what vanishes was there
    ['/api/v1/query', { query, time: (start + 10_000) / 1000 }],
    ['/api/v1/query_range', { query, start: start / 1000, end: end / 1000, step: 1 }],
  ]);
  const wrong: string[] = [];
  let points = 0;
  for (const [path, params] of asks) {
    const [want, got] = await Promise.all([theirs.data(path, params), ours.data(path, params)]);
    points += JSON.stringify(want).split('[').length;
    const why = difference(sorted({ data: want }), sorted({ data: got }));
    if (why !== undefined) wrong.push(`${path} ${params.query} at ${params.time ?? params.end}: ${why}`);
  }
  assert.ok(points > 1000, `only ${points} points were compared`);
  assert.deepEqual(wrong, []);
}

/** A fraction of a second, in ms, at which and around which there are no samples. */
function freePhase(timesMs: readonly number[]): number {
  const phases = [...new Set(timesMs.map((time) => time % 1000))].sort((a, b) => a - b);
  let best = 0;
  let gap = 0;
  for (const [i, phase] of phases.entries()) {
    const next = phases[i + 1] ?? phases[0]! + 1000;
    if (next - phase > gap) [gap, best] = [next - phase, Math.floor((phase + next) / 2) % 1000];
  }
  assert.ok(gap > 2 * EDGE_MS, `no time without samples: ${phases.join(' ')}`);
  return best;
}
