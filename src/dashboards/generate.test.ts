import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoadedStorage } from '../../test/conformance/promqltest/loaded-storage.ts';
import { parseScript } from '../../test/conformance/promqltest/script.ts';
import { Engine } from '../promql/engine.ts';
import type { Queryable } from '../storage/queryable.ts';
import { listQueryable, type TestSeries } from '../storage/test-list.ts';
import { unlimited } from '../storage/unlimited.ts';
import type { GeneratedDashboard as Dashboard, GeneratedPanel as Panel } from './dashboard.ts';
import { generateDashboard, type Subject } from './generate.ts';
import { isAnswered, metricsOf, type Presence, parseTemplate } from './needs.ts';
import { intervalOfSamples, RATE_INTERVAL, rateIntervalMs } from './rate-interval.ts';
import { TEMPLATES } from './templates/index.ts';
import { EXPORTERS, exporterSeries } from './test-exporters.ts';
import { rateUnitOf, unitOf } from './unit.ts';

const T = 1_767_231_000_000;
const OWN = 'job="cart"';

function presenceOf(series: readonly TestSeries[]): Presence {
  const labels = new Map<string, Set<string>>();
  for (const [{ __name__ = '', ...rest }] of series) {
    labels.set(__name__, new Set([...(labels.get(__name__) ?? []), ...Object.keys(rest)]));
  }
  return { has: (metric) => labels.has(metric), labelsOf: (metric) => labels.get(metric) };
}

function subjectOf(series: readonly TestSeries[], more: Partial<Subject> = {}): Subject {
  const own = presenceOf(series);
  const none: Presence = { has: () => false, labelsOf: () => undefined };
  return {
    name: 'cart',
    title: 'cart',
    project: 't',
    selectors: { own: OWN, pods: 'pod=~"cart-.*"', workload: 'deployment="cart"', mesh: 'destination_workload="cart"' },
    presence: { own, pods: none, workload: none, mesh: none },
    metrics: [...new Set(series.map(([{ __name__ = '' }]) => __name__))].sort(),
    factsOf: () => undefined,
    ...more,
  };
}

/** Panels with section, unit and the number of series that each query answers. */
async function shown(dashboard: Dashboard, series: readonly TestSeries[] | Queryable, timeMs = T) {
  const engine = new Engine();
  const queryable = 'select' in series ? series : listQueryable(series);
  const panels: { section: string; title: string; unit: string; kind: string; counts: number[]; finite: boolean }[] =
    [];
  for (const { spec } of dashboard.spec.layouts) {
    for (const { content } of spec.items) {
      const panel = dashboard.spec.panels[content.$ref.slice('#/spec/panels/'.length)]!;
      const counts: number[] = [];
      let finite = true;
      for (const expr of queriesOf(panel)) {
        const { value } = await engine.query(
          queryable,
          { expr: expr.replaceAll(RATE_INTERVAL, '2m'), timeMs },
          unlimited(),
        );
        assert.equal(value.type, 'vector');
        if (value.type !== 'vector') continue;
        counts.push(value.samples.length);
        finite &&= value.samples.every((sample) => Number.isFinite(sample.value));
      }
      panels.push({
        section: spec.display!.title,
        title: panel.spec.display.name,
        unit: unitIn(panel),
        kind: panel.spec.plugin.kind,
        counts,
        finite,
      });
    }
  }
  return panels;
}

function queriesOf(panel: Panel): string[] {
  return panel.spec.queries.map(({ spec }) => spec.plugin.spec.query);
}

function unitIn({ spec }: Panel): string {
  const { plugin } = spec;
  if (plugin.kind === 'TimeSeriesChart') return plugin.spec.yAxis.format.unit;
  return plugin.kind === 'StatChart' ? plugin.spec.format.unit : '';
}

/** Words of a title that say the unit, whatever the template says. */
const UNITS: readonly (readonly [RegExp, string])[] = [
  [/^Requests( by|$)/, 'requests/sec'],
  [/^(Duration|p99 by|Event loop)|(latency|lag), p99|^Up for|(write|Flushes|Compactor) behind|^Behind/i, 'seconds'],
  [
    /ratio|of the (limit|maximum)|^Hits|hits$|busy|^Time in|\bused$|^Pressure|^File systems|^Reads from disk|by mode/i,
    'percent-decimal',
  ],
  [/^(Heap|Memory|Memory by area|Sizes|Head|Write-ahead log)$/, 'bytes'],
  [/^(Network|Disk throughput|Allocated|Bytes received)$/, 'bytes/sec'],
];

for (const [kind, text] of Object.entries(EXPORTERS)) {
  test(`every panel of ${kind} has data and its unit`, async () => {
    const series = exporterSeries(text, { job: 'cart', instance: 'a:1' }, T);
    const { dashboard, leftOut } = generateDashboard(subjectOf(series));
    const panels = await shown(dashboard, series);
    assert.equal(leftOut, 0);
    assert.ok(panels.length >= 2, 'too few panels');
    for (const { section, title, unit, counts, finite } of panels) {
      assert.ok(
        counts.some((count) => count > 0),
        `${section}: ${title} has no data`,
      );
      assert.ok(finite, `${section}: ${title} has values that are no numbers`);
      const expected = UNITS.find(([pattern]) => pattern.test(title) && kind !== 'unknown');
      if (expected !== undefined && unit !== '') assert.equal(unit, expected[1], `${section}: ${title}`);
    }
    if (kind !== 'unknown') assert.ok(panels.some(({ section }) => !/^(Metrics|More metrics)$/.test(section)));
  });
}

test('metrics that no template knows are drawn by type, suffix and unit', async () => {
  const series = exporterSeries(EXPORTERS.unknown!, { job: 'cart', instance: 'a:1' }, T);
  const panels = await shown(generateDashboard(subjectOf(series)).dashboard, series);
  const drawn = Object.fromEntries(panels.map(({ title, unit, kind }) => [title, unit === '' ? kind : unit]));
  assert.deepEqual(drawn, {
    orders_bytes_total: 'bytes/sec',
    orders_build_info: 'Table',
    orders_busy_seconds_total: 'percent-decimal',
    orders_checkout_seconds: 'seconds',
    orders_fill_ratio: 'percent-decimal',
    orders_healthy: 'StatusHistoryChart',
    'orders_last_success_timestamp_seconds: age': 'seconds',
    orders_placed_total: 'counts/sec',
    orders_price_bytes: 'bytes',
    orders_queue_bytes: 'bytes',
    orders_waiting: 'decimal',
    oven_temperature_celsius: 'celsius',
  });
});

const NATIVE = '{{schema:0 sum:3 count:4 buckets:[1 2 1]}}';
/** Two routes' requests as native histograms alone, or beside a counter. */
function nativeSeries(counter = ''): Queryable {
  const rows = ['/a', '/b'].map(
    (route) => ` http_request_duration_seconds{job="cart",code="200",route="${route}"} ${NATIVE}+${NATIVE}x20`,
  );
  const storage = new LoadedStorage();
  const script = `load 1m\n${[...rows, counter].filter((row) => row !== '').join('\n')}`;
  for (const command of parseScript(script, {})) if (command.kind === 'load') storage.load(command);
  return storage;
}

test('requests are told by native histograms where there are no others', async () => {
  const labelsOf = () => new Set(['job', 'code', 'route']);
  for (const counter of ['', ' http_requests_total{job="cart",code="200",route="/a"} 0+60x20']) {
    const names = ['http_request_duration_seconds', ...(counter === '' ? [] : ['http_requests_total'])];
    const own: Presence = { has: (metric) => names.includes(metric), labelsOf };
    const none: Presence = { has: () => false, labelsOf: () => undefined };
    const subject = subjectOf([], { presence: { own, pods: none, workload: none, mesh: none }, metrics: names });
    const panels = await shown(generateDashboard(subject).dashboard, nativeSeries(counter), 20 * 60_000);
    assert.deepEqual(
      panels.map(({ title }) => title),
      ['Requests', 'Error ratio', 'Duration', 'Requests by route', 'p99 by route'],
    );
    // no request failed: all others have data
    for (const { title, counts, finite } of panels) assert.ok(finite && counts.some((count) => count > 0), title);
  }
});

test('a panel of a template says what its metrics are, as their metadata has it', () => {
  const series = exporterSeries('counter http_requests_total code=200', { job: 'cart' }, T);
  const factsOf = (name: string) =>
    name === 'http_requests_total' ? { type: 'counter', unit: '', help: 'Requests served.' } : undefined;
  const { dashboard } = generateDashboard(subjectOf(series, { factsOf }));
  const [panel] = Object.values(dashboard.spec.panels);
  assert.deepEqual(panel!.spec.display, { name: 'Requests', description: 'Requests served.' });
});

test('containers, pods and the mesh are asked by their own selectors', async () => {
  const pod = { namespace: 'shop', pod: 'cart-1', container: 'cart', image: 'cart:1' };
  const series = exporterSeries(
    `
    counter container_cpu_usage_seconds_total
    gauge container_memory_working_set_bytes
    counter container_cpu_cfs_throttled_periods_total
    counter container_cpu_cfs_periods_total
    gauge kube_pod_container_resource_limits resource=cpu|memory
    gauge kube_pod_status_phase phase=Running|Failed
    counter kube_pod_container_status_restarts_total`,
    pod,
    T,
  );
  const mesh = exporterSeries(
    `
    counter istio_requests_total reporter=destination response_code=200|500 source_workload=web
    histogram istio_request_duration_milliseconds reporter=destination source_workload=web`,
    { destination_workload: 'cart' },
    T,
  );
  const workload = exporterSeries('gauge kube_deployment_spec_replicas', { deployment: 'cart' }, T);
  const none: Presence = { has: () => false, labelsOf: () => undefined };
  const subject = subjectOf([], {
    presence: { own: none, pods: presenceOf(series), workload: presenceOf(workload), mesh: presenceOf(mesh) },
  });
  const panels = await shown(generateDashboard(subject).dashboard, [...series, ...mesh, ...workload]);
  assert.deepEqual(
    [...new Set(panels.map(({ section }) => section))],
    ['Mesh (Istio)', 'Containers', 'Pods', 'Deployment'],
  );
  for (const { title, counts } of panels)
    assert.ok(
      counts.some((count) => count > 0),
      title,
    );
});

test('a panel is there where its metrics and labels are', () => {
  const presence = (...metrics: readonly string[]): Presence => ({
    has: (metric) => metrics.includes(metric),
    labelsOf: () => new Set(['job', 'code']),
  });
  const answered = (expr: string, ...metrics: readonly string[]) =>
    isAnswered(parseTemplate(expr), presence(...metrics));
  assert.ok(answered('a{$own} or b{$own}', 'b'));
  assert.ok(!answered('a{$own} / b{$own}', 'b'));
  assert.ok(answered('sum(rate(a{$own,code=~"5.."}[$range]))', 'a'));
  assert.ok(!answered('sum(rate(a{$own,route!=""}[$range]))', 'a'));
  assert.ok(answered('a{$own,route=~".*"} unless c', 'a'));
});

test('all templates parse, and are meant by metrics that they ask for', () => {
  for (const { id, signs, panels } of TEMPLATES) {
    const metrics = new Set(
      panels.flatMap(({ queries }) => queries.flatMap(({ expr }) => [...metricsOf(parseTemplate(expr))])),
    );
    assert.ok(panels.length > 0 && metrics.size > 0, id);
    assert.ok(
      signs.some((sign) => metrics.has(sign)),
      id,
    );
  }
  assert.equal(new Set(TEMPLATES.map(({ id }) => id)).size, TEMPLATES.length);
});

test('hostile names of metrics and services make panels, and nothing else', async () => {
  const odd = ['<script>alert(1)</script>', 'a"b', 'a.b.c', '\u202egpj', 'x'.repeat(2000)];
  const series = odd.map((name): TestSeries => [{ __name__: name, job: 'cart' }, [T, 1]]);
  const { dashboard } = generateDashboard(subjectOf(series, { name: odd[0]!, title: odd[0]! }));
  const panels = await shown(dashboard, series);
  assert.equal(panels.length, odd.length);
  for (const { counts } of panels) assert.deepEqual(counts, [1]);
});

test('more panels than anyone looks at are told, not drawn', () => {
  const series = Array.from({ length: 500 }, (_, i): TestSeries => [{ __name__: `m${i}_total`, job: 'cart' }, [T, 1]]);
  const { dashboard, leftOut } = generateDashboard(subjectOf(series));
  assert.equal(Object.keys(dashboard.spec.panels).length, 120);
  assert.equal(leftOut, 380);
});

test('ranges hold four samples and miss none between steps', () => {
  assert.equal(rateIntervalMs(15_000, 15_000), 60_000);
  assert.equal(rateIntervalMs(15_000, 300_000), 315_000);
  for (const [samples, seconds] of [
    [40, 15],
    [39, 15],
    [20, 30],
    [10, 60],
    [9, 60],
    [600, 1],
    [1, 60],
    [0, 60],
    [Number.NaN, 60],
  ] as const) {
    assert.equal(intervalOfSamples(samples), seconds * 1000, `${samples}`);
  }
});

test('units come from metadata, else from names', () => {
  assert.equal(unitOf('x', 'By'), 'bytes');
  assert.equal(unitOf('x_seconds', '1'), 'seconds');
  assert.equal(unitOf('x_parts'), 'decimal');
  assert.equal(rateUnitOf('http_requests'), 'requests/sec');
  assert.equal(rateUnitOf('x_busy', 's'), 'percent-decimal');
});
