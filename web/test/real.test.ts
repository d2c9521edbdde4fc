import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import type { Browser, Locator } from 'playwright-core';
import { replay } from '../../bench/sets.ts';
import { Pallium, tempFolder } from '../../test/harness/pallium.ts';
import { isPrometheus3Installed, type Peer, startNodeExporter, startService } from '../../test/harness/peers.ts';
import { freePort } from '../../test/harness/ports.ts';
import { until } from '../../test/harness/wait.ts';
import { accessibilityFaults } from './accessibility.ts';
import { launch, skip, Visit } from './browser.ts';

// A user's way through every page over real data: a Prometheus that scrapes itself, a node_exporter and this process, and forty minutes of
// the bench's set (captured scrapes of a node_exporter and a web service). Each page is looked at for names, focus and contrast.

const run = promisify(execFile);
const BENCH_STEPS = 160;
const STEP_MS = 15_000;
let isReal = false;
const param = (text: string) => encodeURIComponent(text);

const RULES = `name: nodes
interval: 1s
rules:
- record: instance:node_cpu:rate1m
  expr: sum by (instance) (rate(node_cpu_seconds_total{mode!="idle"}[1m]))
- alert: NodeSeen
  expr: node_load1 >= 0
  labels: {severity: page}
  annotations: {summary: '{{ $labels.instance }} has a load of {{ $value | humanize }}'}
`;
const ALERTMANAGER = `alertmanager_config: |
  route: {receiver: nobody, group_wait: 1s, group_interval: 1s, routes: [{receiver: pages, matchers: ['severity="page"']}]}
  receivers: [{name: nobody}, {name: pages}]
`;

let browser: Browser;
let server: Pallium;
const peers: Peer[] = [];

before(async () => {
  if (skip !== false) return;
  [browser, server] = await Promise.all([launch(), Pallium.start({ ownMetrics: true })]);
  const scraping = scrape().then(
    () => {
      isReal = true;
    },
    (thrown: unknown) => console.error(`no node_exporter or Prometheus here: ${String(thrown).slice(0, 400)}`),
  );
  await Promise.all([sendBench(), scraping]);
  const post = async (path: string, body: string) => {
    const answer = await fetch(server.url + path, { method: 'POST', body });
    assert.ok(answer.status < 300, `${path}: ${answer.status} ${await answer.text()}`);
  };
  await post('/config/v1/alerts', ALERTMANAGER);
  await post('/api/v1/rules/nodes', RULES);
  await post(
    '/api/v1/events',
    JSON.stringify({ service: 'api', from: '1.0', to: '1.1', time: Date.now() - 1_200_000 }),
  );
});

after(async () => {
  await Promise.all([browser?.close(), ...peers.map((peer) => peer[Symbol.asyncDispose]())]);
  await server?.[Symbol.asyncDispose]();
});

/** Forty minutes up to now of one instance. */
async function sendBench(): Promise<void> {
  const file = join(tempFolder('bench-set'), 'set');
  const startMs = Math.floor(Date.now() / STEP_MS - BENCH_STEPS) * STEP_MS;
  const script = join(import.meta.dirname, '../../bench/workload.mjs');
  await run(process.execPath, [
    script,
    file,
    '--instances',
    '1',
    '--steps',
    `${BENCH_STEPS}`,
    '--start-ms',
    `${startMs}`,
  ]);
  await replay({ name: 'forty minutes', file, series: 0, samples: 0, startMs, endMs: 0 }, `${server.url}/api/v1/push`);
}

/** A Prometheus that scrapes a node_exporter, this process and itself every second, and sends all of it. */
async function scrape(): Promise<void> {
  const [node, port] = await Promise.all([startNodeExporter(), freePort()]);
  peers.push(node);
  const jobs = Object.entries({ node: node.port, 'pallium-itself': server.port, prometheus: port }).map(
    ([name, target]) => `- { job_name: ${name}, static_configs: [{ targets: ["127.0.0.1:${target}"] }] }\n`,
  );
  const config = join(tempFolder('peer'), 'prometheus.yml');
  writeFileSync(
    config,
    `global: { scrape_interval: 1s }
scrape_configs:
${jobs.join('')}remote_write:
- url: ${server.url}/api/v1/push
  queue_config: { batch_send_deadline: 300ms }
  metadata_config: { send_interval: 1s }
`,
  );
  // building the newest takes minutes: where nobody has, Debian's will do
  peers.push(
    await startService(
      isPrometheus3Installed ? 'prometheus' : 'prometheus-debian',
      { PROMETHEUS_CONFIG: config },
      port,
    ),
  );
}

/** Opens a page, waits until nothing is under way, keeps its picture in both colours, and notes what is wrong with it. */
async function look(
  visitor: Visit,
  name: string,
  path: string,
  seen: string | RegExp | (() => Locator),
): Promise<void> {
  const { page } = visitor;
  await page.emulateMedia({ colorScheme: 'light' });
  // a page asks once: on a busy machine what it is to show may come a moment later
  for (let left = 3; ; left--) {
    await visitor.open(path);
    const there = (typeof seen === 'function' ? seen() : page.getByText(seen)).first();
    try {
      await there.waitFor({ timeout: 45_000 });
      break;
    } catch (thrown) {
      if (left === 0) throw thrown;
    }
  }
  await page.waitForFunction(() =>
    // what lies below is asked for when it is seen
    [...document.querySelectorAll('[aria-busy=true], .panel[data-state=busy], .progress[data-busy]')].every(
      (each) => each.getBoundingClientRect().top > innerHeight,
    ),
  );
  await visitor.picture(`real-${name}`);
  const faults = await accessibilityFaults(page);
  await page.emulateMedia({ colorScheme: 'dark' });
  const inTheDark = await accessibilityFaults(page, 'contrast');
  for (const fault of new Set([...faults, ...inTheDark])) accessibility.push(`${name}: ${fault}`);
}

const accessibility: string[] = [];

test('real data on each page, which is of use without a mouse and to weak eyes', {
  skip,
  timeout: 600_000,
}, async (t) => {
  await using visitor = await Visit.of(browser, server.url, { width: 1280, height: 900 });
  const { page } = visitor;
  const region = (name: string | RegExp) => () => page.getByRole('region', { name });
  // the bench's set, while a real Prometheus comes to have something to tell
  const latency = 'histogram_quantile(0.9, sum by (handler, le) (rate(http_request_duration_seconds_bucket[2m])))';
  const cpu = 'sum by (mode) (rate(node_cpu_seconds_total{job="node-exporter"}[1m]))';
  await look(
    visitor,
    'query',
    `/ui/query?g0.expr=${param(latency)}&g0.tab=graph&g0.range_input=30m&g1.expr=${param(cpu)}&g1.tab=graph&g1.display_mode=stacked&g1.range_input=30m`,
    '10 series · step',
  );
  assert.ok((await visitor.colouredPixels(0)) > 1_000, 'lines');
  assert.ok((await visitor.colouredPixels(1)) > 20_000, 'areas');
  await look(visitor, 'explore', '/ui/explore?prefix=node_', () => page.locator('.explore-row svg'));
  await look(visitor, 'explore-metric', '/ui/explore?metric=node_cpu_seconds_total', () =>
    page.getByLabel('by mode').locator('svg'),
  );
  await look(visitor, 'alerts', '/ui/alerts', 'NodeSeen');
  await look(visitor, 'silence-new', `/ui/silences/new?filter=${param('{alertname="NodeSeen"}')}`, 'NodeSeen');
  await look(visitor, 'silences', '/ui/silences', /silence/i);
  await look(visitor, 'rule-editor', '/ui/rules/edit?namespace=nodes&group=nodes', () => page.locator('.cm-content'));
  await look(visitor, 'rule-import', '/ui/rules/import', /rule/i);
  await look(visitor, 'routing', '/ui/routing', 'pages');
  await look(visitor, 'costs', '/ui/costs', 'node_cpu_seconds_total');
  await look(visitor, 'costs-use', '/ui/costs?view=use', /http_request/);
  await look(visitor, 'costs-savings', '/ui/costs?view=savings', /drop|limit/i);
  await look(visitor, 'costs-deletes', '/ui/costs?view=deletes', /delet/i);
  await look(visitor, 'queries', '/ui/operating', region('top queries'));
  await look(visitor, 'use-and-limits', '/ui/operating?view=tenant', 'Series in memory');
  await look(visitor, 'tenants', '/ui/operating?view=tenants', 'anonymous');
  await look(visitor, 'cluster', '/ui/operating?view=cluster', /ring/);
  await look(visitor, 'process', '/ui/operating?view=process', 'rule-groups');
  for (const loop of ['alertmanager-sweep', 'shard-0-maintenance']) await page.getByText(loop).waitFor();
  await look(visitor, 'configuration', '/ui/operating?view=config', /listen_port|http_listen/);
  await look(visitor, 'dashboards', '/ui/dashboards', /dashboard/i);

  if (isReal) {
    // several steps of a graph over five minutes lie in them
    await until('samples of forty seconds', async () => {
      const query =
        'count(count_over_time(prometheus_tsdb_head_samples_appended_total{job="prometheus"}[2m]) >= 40) and count(node_load1{job="node"})';
      const answer = await fetch(`${server.url}/api/v1/query?query=${param(query)}`);
      return ((await answer.json()) as { data: { result: unknown[] } }).data.result.length > 0;
    });
  } else t.diagnostic("no node_exporter or Prometheus could be started here: the bench's set alone");
  const memory = 'node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes';
  await look(
    visitor,
    'query-table',
    `/ui/query?g0.expr=${param('{__name__=~"node_load1|node_uname_info|prometheus_build_info|up"}')}&g0.tab=table&g1.expr=${param(memory)}&g1.tab=graph&g1.range_input=1m&g2.expr=${param(latency)}&g2.tab=explain`,
    'node_load1',
  );
  await look(visitor, 'services', '/ui/services', () =>
    page.getByRole('link', { name: isReal ? 'prometheus' : /node/ }),
  );
  if (isReal) {
    await look(visitor, 'service', '/ui/service?name=prometheus&range=5m', () => page.locator('.chart canvas'));
    const panels = await page.getByRole('region').allInnerTexts();
    assert.ok(
      panels.some((text) => /goroutines/i.test(text)),
      panels.join(),
    );
    assert.ok(
      panels.some((text) => /samples/i.test(text)),
      panels.join(),
    );
  }
  assert.deepEqual(accessibility, []);
  visitor.assertClean();
});
