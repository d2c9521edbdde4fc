import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoadedStorage } from '../../test/conformance/promqltest/loaded-storage.ts';
import { parseScript } from '../../test/conformance/promqltest/script.ts';
import { parseMetricSelector } from '../promql/parser/parser.ts';
import { listQueryable, type TestSeries } from '../storage/test-list.ts';
import { ServiceCatalog } from './catalog.ts';
import { testRunner } from './test-runner.ts';

const T = 1_767_231_000_000;
const none = new AbortController().signal;

/** A gauge, and a counter that has grown by so much a second for the last five minutes. */
const gauge = (labels: Record<string, string>, value = 1): TestSeries => [labels, [T, value]];
const counter = (labels: Record<string, string>, perSecond: number): TestSeries => [
  labels,
  ...Array.from({ length: 6 }, (_, i) => [T - 300_000 + i * 60_000, 1000 + i * 60 * perSecond] as const),
];

const pod = { namespace: 'shop', pod: 'cart-6d4cf56db6-x7k2p' };
const bucket = (le: string, perSecond: number) =>
  counter({ __name__: 'http_request_duration_seconds_bucket', job: 'api', instance: 'a', le }, perSecond);

const DATA: readonly TestSeries[] = [
  // a service by its job, with the metrics of client libraries
  gauge({ __name__: 'up', job: 'api', instance: 'a' }),
  gauge({ __name__: 'up', job: 'api', instance: 'b' }),
  counter({ __name__: 'http_requests_total', job: 'api', instance: 'a', code: '200' }, 9),
  counter({ __name__: 'http_requests_total', job: 'api', instance: 'a', code: '500' }, 1),
  bucket('0.1', 5),
  bucket('+Inf', 10),
  gauge({ __name__: 'process_open_fds', job: 'api', instance: 'a' }, 30),
  gauge({ __name__: 'process_max_fds', job: 'api', instance: 'a' }, 100),
  // another one by its pods, seen by Kubernetes and the mesh
  gauge({ __name__: 'up', job: 'pods', instance: 'c', ...pod }),
  gauge({
    __name__: 'kube_pod_owner',
    job: 'kube-state-metrics',
    ...pod,
    owner_kind: 'ReplicaSet',
    owner_name: 'cart-6d4cf56db6',
  }),
  gauge({
    __name__: 'kube_replicaset_owner',
    namespace: 'shop',
    replicaset: 'cart-6d4cf56db6',
    owner_kind: 'Deployment',
    owner_name: 'cart',
  }),
  counter(
    { __name__: 'container_cpu_usage_seconds_total', job: 'cadvisor', container: 'cart', image: 'cart:1', ...pod },
    0.4,
  ),
  gauge(
    {
      __name__: 'kube_pod_container_resource_limits',
      job: 'kube-state-metrics',
      resource: 'cpu',
      container: 'cart',
      ...pod,
    },
    0.5,
  ),
  counter(
    {
      __name__: 'istio_requests_total',
      job: 'istiod',
      reporter: 'destination',
      response_code: '200',
      destination_workload: 'cart',
      destination_workload_namespace: 'shop',
    },
    3,
  ),
  // one that pushes
  gauge({ __name__: 'target_info', job: 'shop/mail', instance: 'x', service_version: '1' }),
  // the reporters, and machines
  gauge({
    __name__: 'up',
    job: 'kube-state-metrics',
    instance: 'k',
    namespace: 'kube-system',
    pod: 'ksm-6d4cf56db6-x7k2p',
  }),
  gauge({ __name__: 'up', job: 'node', instance: 'n1:9100' }),
  gauge({ __name__: 'node_boot_time_seconds', job: 'node', instance: 'n1:9100' }),
];

test('services are listed with what their metrics tell', async () => {
  const catalog = new ServiceCatalog({ tenant: 't', runner: testRunner(listQueryable(DATA)) });
  await catalog.renew(T, none);
  const lines = catalog.list().map(({ id, kind, rate, errorRatio, durationSeconds, saturation, instances }) => {
    const numbers = [rate, errorRatio, durationSeconds, saturation, instances];
    const shown = numbers.map((number) => (number === null ? '–' : String(Number(number.toPrecision(3)))));
    return `${id.namespace}/${id.name} ${kind} ${shown.join(' ')}`;
  });
  assert.deepEqual(lines, [
    '/api service 10 0.1 0.1 0.3 2',
    '/kube-state-metrics service – – – – 1',
    '/n1:9100 infrastructure – – – – 1',
    'shop/cart service 3 0 – 0.8 1',
    'shop/mail service – – – – 1',
  ]);
  assert.deepEqual(catalog.refusals, []);
});

test('what is refused is left open, and the rest is there', async () => {
  const runner = testRunner(listQueryable(DATA), (expr) => /5\.\.|quantile/.test(expr));
  const catalog = new ServiceCatalog({ tenant: 't', runner });
  await catalog.renew(T, none);
  const api = catalog.list().find(({ id }) => id.name === 'api');
  assert.deepEqual([api?.rate?.toFixed(1), api?.errorRatio, api?.durationSeconds], ['10.0', null, null]);
  assert.ok(catalog.refusals.length > 0);
});

test('a service stays for an hour, and has its last deployment', async () => {
  let data = [...DATA];
  const queryable = () => listQueryable(data);
  const runner = testRunner({
    select: (...given) => queryable().select(...given),
    labelNames: (...given) => queryable().labelNames(...given),
    labelValues: (...given) => queryable().labelValues(...given),
  });
  const catalog = new ServiceCatalog({ tenant: 't', runner });
  await catalog.renew(T, none);
  const service = { cluster: '', namespace: '', name: 'api' };
  const deployment = { kind: 'deployment', evidence: 'image', from: '1', to: '2', endMs: undefined } as const;
  catalog.deployed({ ...deployment, service, id: 'x', beginMs: T });
  catalog.deployed({ ...deployment, service, id: 'y', beginMs: T - 1 });
  catalog.deployed({ ...deployment, service, id: 'z', kind: 'restart', beginMs: T + 1 });
  data = data.filter(([{ job }]) => job !== 'api');
  await catalog.renew(T + 60_000, none);
  const api = () => catalog.list().find(({ id }) => id.name === 'api');
  assert.equal(api()?.lastDeployment?.id, 'x');
  assert.equal(api()?.instances, null);
  await catalog.renew(T + 3_700_000, none);
  assert.equal(api(), undefined);
});

test('selectors select the series of the service, whatever its name holds', async () => {
  const name = `a"b\\c{}\n.*`;
  const runner = testRunner(listQueryable([gauge({ __name__: 'up', job: name }), ...DATA]));
  const catalog = new ServiceCatalog({ tenant: 't', runner });
  await catalog.renew(T, none);
  const odd = catalog.selectors({ cluster: '', namespace: '', name });
  const [, matcher] = [...parseMetricSelector(`x{${odd.own}}`)].sort((a, b) => (a.name < b.name ? -1 : 1));
  assert.ok(matcher?.matches(name));
  assert.equal(catalog.selectors({ cluster: '', namespace: 'shop', name: 'mail' }).own, 'job="shop/mail"');
  const cart = catalog.selectors({ cluster: '', namespace: 'shop', name: 'cart' });
  assert.equal(cart.own, 'job="pods"');
  assert.match(cart.pods, /namespace="shop",pod=~"cart/);
  const byPod = parseMetricSelector(`x{${cart.pods}}`).find((one) => one.name === 'pod')!;
  for (const own of ['cart-6d4cf56db6-x7k2p', 'cart-x7k2p', 'cart-0', 'cart']) assert.ok(byPod.matches(own), own);
  for (const other of ['cart-worker-x7k2p', 'cart-api-6d4cf56db6-x7k2p', 'mycart-0'])
    assert.ok(!byPod.matches(other), other);
});

test('of a job that several services share, the label that names them selects', async () => {
  const data = ['cart', 'mail'].map((name) => gauge({ __name__: 'up', job: 'pods', namespace: 'shop', app: name }));
  const catalog = new ServiceCatalog({ tenant: 't', runner: testRunner(listQueryable(data)) });
  await catalog.renew(T, none);
  assert.equal(catalog.selectors({ cluster: '', namespace: 'shop', name: 'cart' }).own, 'namespace="shop",app="cart"');
});

/** Pods of a Deployment as Kubernetes sees them: half of a core used of what they may. */
function deployed(namespace: string, deployment: string): readonly TestSeries[] {
  const pod = { namespace, pod: `${deployment}-6d4cf56db6-x7k2p` };
  const owner = { owner_kind: 'ReplicaSet', owner_name: `${deployment}-6d4cf56db6` };
  const usage = { __name__: 'container_cpu_usage_seconds_total', job: 'cadvisor', container: 'main', image: 'main:1' };
  const limit = { __name__: 'kube_pod_container_resource_limits', job: 'kube-state-metrics', resource: 'cpu' };
  return [
    gauge({ __name__: 'kube_pod_owner', job: 'kube-state-metrics', ...pod, ...owner }),
    counter({ ...usage, ...pod }, 0.5),
    gauge({ ...limit, container: 'main', ...pod }, 1),
  ];
}

test('a service meets its pods where its series name them, though their workload has another name', async () => {
  const mesh = { __name__: 'istio_requests_total', reporter: 'destination', response_code: '200' };
  const data = [
    // it pushes, with the attributes of its resource
    gauge({
      ...{ __name__: 'target_info', job: 'shop/checkout', instance: 'a', k8s_namespace_name: 'prod' },
      k8s_pod_name: 'checkout-api-6d4cf56db6-x7k2p',
    }),
    ...deployed('prod', 'checkout-api'),
    counter({ ...mesh, destination_workload: 'checkout-api', destination_workload_namespace: 'prod' }, 3),
    // it is scraped, once with its name and once without
    ...['up', 'target_info'].map((name) =>
      gauge({ __name__: name, job: 'a', service_name: 'pay', namespace: 'prod', pod: 'payments-6d4cf56db6-x7k2p' }),
    ),
    gauge({ __name__: 'up', job: 'b', namespace: 'prod', pod: 'payments-6d4cf56db6-x7k2p' }),
    ...deployed('prod', 'payments'),
    // an agent's pod is on series of others: they are not its
    ...['mail', 'news'].map((name) =>
      gauge({ __name__: 'up', job: name, service_name: name, namespace: 'prod', pod: 'agent-6d4cf56db6-x7k2p' }),
    ),
    gauge({ __name__: 'up', job: 'agents', namespace: 'prod', pod: 'agent-6d4cf56db6-x7k2p' }),
    ...deployed('prod', 'agent'),
  ];
  const catalog = new ServiceCatalog({ tenant: 't', runner: testRunner(listQueryable(data)) });
  await catalog.renew(T, none);
  const rows = catalog
    .list()
    .map(({ id, rate, saturation }) => [`${id.namespace}/${id.name}`, rate?.toFixed(1), saturation?.toFixed(1)]);
  assert.deepEqual(rows, [
    ['prod/agent', undefined, '0.5'],
    ['prod/mail', undefined, undefined],
    ['prod/news', undefined, undefined],
    ['prod/pay', undefined, '0.5'],
    ['shop/checkout', '3.0', '0.5'],
  ]);
  const { pods, workload, mesh: requests } = catalog.selectors({ cluster: '', namespace: 'shop', name: 'checkout' });
  assert.match(pods, /^namespace="prod",pod=~"checkout-api/);
  assert.equal(workload, 'namespace="prod",deployment="checkout-api"');
  assert.equal(requests, 'destination_workload="checkout-api",destination_workload_namespace="prod"');
});

/** A catalog of some series, renewed. */
async function renewed(data: readonly TestSeries[]): Promise<ServiceCatalog> {
  const catalog = new ServiceCatalog({ tenant: 't', runner: testRunner(listQueryable(data)) });
  await catalog.renew(T, none);
  return catalog;
}

test('whoever speaks for others gives no service its pods, nor them to itself', async () => {
  const ofMonitoring = (pod: string) => ({ namespace: 'monitoring', pod: `${pod}-6d4cf56db6-x7k2p` });
  const attributes = (name: string) => ({ k8s_namespace_name: 'shop', k8s_deployment_name: name });
  const target = { __name__: 'target_info', instance: 'otel:8889' };
  const each = (labels: (name: string) => Record<string, string>) =>
    ['cart', 'mail'].map((name) => gauge({ ...target, ...attributes(name), ...labels(name) }));
  const up = { __name__: 'up', service_name: 'cart' };
  const cases: Record<string, readonly TestSeries[]> = {
    'a collector that is scraped with honor_labels': each((name) => ({
      ...{ job: `shop/${name}`, ...ofMonitoring('otel-collector') },
    })),
    'a pod of another name that is scraped': each((name) => ({
      ...{ job: `shop/${name}`, k8s_pod_name: `${name}-6d4cf56db6-x7k2p`, ...ofMonitoring('relay') },
    })),
    'one that names the services, too': each((name) => ({ service_name: `${name}s`, ...ofMonitoring('relay') })),
    'a collector without a pod': each((name) => ({ job: 'otel', exported_job: `shop/${name}` })),
    'a job over several workloads': each(() => ({ job: 'otel' })),
    'a job over several pods that are scraped': each((name) => {
      const pod = `${name}-6d4cf56db6-x7k2p`;
      return { job: 'pods', namespace: 'shop', pod, k8s_pod_name: pod };
    }),
    'a target of an exporter': [gauge({ ...up, job: 'blackbox', instance: 'cart:80', ...ofMonitoring('blackbox') })],
    'a URL that is probed': [gauge({ ...up, job: 'p', instance: 'https://cart', ...ofMonitoring('checks') })],
    'a host that is probed': [
      gauge({ ...up, job: 'p', instance: 'cart:80', ...ofMonitoring('checks') }),
      gauge({ __name__: 'probe_success', job: 'p', instance: 'cart:80', ...ofMonitoring('checks') }),
    ],
  };
  for (const [name, data] of Object.entries(cases)) {
    const { workloads } = await renewed([...data, ...deployed('shop', 'cart'), ...deployed('shop', 'mail')]);
    const all = [
      ...['cart', 'mail'].map((workload) => ({ cluster: '', namespace: 'shop', name: workload })),
      ...['otel-collector', 'relay', 'blackbox', 'checks'].map((workload) => ({
        ...{ cluster: '', namespace: 'monitoring', name: workload },
      })),
    ];
    assert.deepEqual(
      all.map((workload) => workloads.serviceOf(workload)?.name).filter((service) => service !== undefined),
      [],
      name,
    );
  }
});

test('a cluster that only OpenTelemetry names does not part a service from its pods', async () => {
  const target = { __name__: 'target_info', job: 'shop/checkout', instance: 'a', k8s_cluster_name: 'prod' };
  const attributes = { k8s_namespace_name: 'shop', k8s_deployment_name: 'checkout-api' };
  const catalog = await renewed([gauge({ ...target, ...attributes }), ...deployed('shop', 'checkout-api')]);
  const { pods, workload, mesh } = catalog.selectors({ cluster: '', namespace: 'shop', name: 'checkout' });
  assert.match(pods, /^namespace="shop",pod=~"checkout-api/);
  assert.equal(workload, 'namespace="shop",deployment="checkout-api"');
  assert.equal(mesh, 'destination_workload="checkout-api",destination_workload_namespace="shop"');
});

test('of a shared job, pods of the workload or the label that names the service select', async () => {
  const up = { __name__: 'up', namespace: 'prod' };
  const pod = { pod: 'payments-6d4cf56db6-x7k2p' };
  const target = { __name__: 'target_info', job: 'shop/pay', instance: 'a', k8s_namespace_name: 'prod' };
  const scraped = [
    gauge({ ...up, job: 'pods', ...pod }),
    gauge({ ...up, job: 'pods', pod: 'cart-6d4cf56db6-x7k2p' }),
    ...deployed('prod', 'payments'),
  ];
  const pushed = await renewed([gauge({ ...target, k8s_pod_name: pod.pod }), ...scraped]);
  const { own } = pushed.selectors({ cluster: '', namespace: 'shop', name: 'pay' });
  assert.match(own, /^namespace="prod",pod=~"payments/);
  const named = await renewed([gauge({ ...up, job: 'a', service_name: 'pay', ...pod }), ...scraped]);
  const id = { cluster: '', namespace: 'prod', name: 'pay' };
  assert.equal(named.selectors(id).own, 'namespace="prod",service_name="pay"');
});

test('workloads in several places select no workloads of others there', async () => {
  const target = (namespace: string, name: string) =>
    gauge({
      ...{ __name__: 'target_info', job: 'shop/shop', service_name: 'shop', instance: name },
      ...{ k8s_namespace_name: namespace, k8s_deployment_name: name },
    });
  const id = { cluster: '', namespace: 'shop', name: 'shop' };
  const apart = await renewed([target('a', 'web'), target('b', 'api'), target('b', 'jobs')]);
  assert.equal(apart.selectors(id).workload, 'namespace="b",deployment=~"api|jobs"');
  const same = await renewed(['a', 'b'].flatMap((place) => ['web', 'api'].map((name) => target(place, name))));
  assert.equal(same.selectors(id).workload, 'namespace=~"a|b",deployment=~"api|web"');
});

test('workloads that cannot be had are among the refusals', async () => {
  for (const refused of ['kube_pod_owner', 'k8s_pod_name']) {
    const runner = testRunner(listQueryable(DATA), (expr) => expr.includes(refused));
    const catalog = new ServiceCatalog({ tenant: 't', runner });
    await catalog.renew(T, none);
    assert.equal(catalog.refusals.length, 1, refused);
    assert.ok(catalog.list().length > 0);
  }
});

test('probes belong to the service that their labels name, reporters to themselves', async () => {
  const probe = { __name__: 'probe_success', job: 'blackbox' };
  const data = [
    gauge({ __name__: 'up', job: 'cart', instance: 'a' }),
    gauge({ __name__: 'up', job: 'blackbox', instance: 'https://cart', service_name: 'cart' }),
    gauge({ ...probe, instance: 'https://cart', service_name: 'cart' }),
    gauge({ __name__: 'up', job: 'blackbox', instance: 'https://mail', service_name: 'mail' }),
    gauge({ ...probe, instance: 'https://mail', service_name: 'mail' }),
    gauge({ __name__: 'up', job: 'monitoring/kubelet', instance: 'n1', pod: 'cart-6d4cf56db6-x7k2p' }),
  ];
  const catalog = new ServiceCatalog({ tenant: 't', runner: testRunner(listQueryable(data)) });
  await catalog.renew(T, none);
  assert.deepEqual(
    catalog.list().map(({ id }) => id.name),
    ['cart', 'kubelet', 'mail'],
  );
  const { own } = catalog.selectors({ cluster: '', namespace: '', name: 'mail' });
  const found = parseMetricSelector(`probe_success{${own}}`);
  const has = (labels: Record<string, string>) => found.every((matcher) => matcher.matches(labels[matcher.name] ?? ''));
  assert.ok(has({ ...probe, instance: 'https://mail', service_name: 'mail' }), own);
  assert.ok(!has({ ...probe, instance: 'https://cart', service_name: 'cart' }), own);
});

test('several workloads of a service are all its own', async () => {
  const data = ['web', 'worker'].flatMap((name) => [
    gauge({ __name__: 'up', job: 'shop', service_name: 'shop', namespace: name, pod: `${name}-6d4cf56db6-x7k2p` }),
    ...deployed(name, name),
  ]);
  const catalog = new ServiceCatalog({ tenant: 't', runner: testRunner(listQueryable(data)) });
  await catalog.renew(T, none);
  assert.deepEqual(
    catalog.list().map(({ id }) => `${id.namespace}/${id.name}`),
    ['web/shop', 'worker/shop'],
  );
  const one = data.map(([labels, ...samples]): TestSeries => [{ ...labels, namespace: 'shop' }, ...samples]);
  const together = new ServiceCatalog({ tenant: 't', runner: testRunner(listQueryable(one)) });
  await together.renew(T, none);
  const id = { cluster: '', namespace: 'shop', name: 'shop' };
  assert.deepEqual(
    together.list().map((service) => [service.id, service.saturation?.toFixed(1)]),
    [[id, '0.5']],
  );
  const pods = parseMetricSelector(`x{${together.selectors(id).pods}}`).find(({ name }) => name === 'pod')!;
  for (const own of ['web-6d4cf56db6-x7k2p', 'worker-0']) assert.ok(pods.matches(own), own);
  for (const other of ['webb-0', 'shop-0']) assert.ok(!pods.matches(other), other);
});

test('labels that a tenant sets name its services, also names that PromQL quotes', async () => {
  const data = [
    gauge({ __name__: 'up', job: 'pods', instance: 'a', 'team.service': 'cart' }),
    gauge({ __name__: 'up', job: 'pods', instance: 'b', 'team.service': 'mail' }),
    counter({ __name__: 'http_requests_total', job: 'pods', instance: 'a', code: '200', 'team.service': 'cart' }, 2),
  ];
  const runner = testRunner(listQueryable(data));
  const catalog = new ServiceCatalog({ tenant: 't', runner, nameLabels: ['team.service'] });
  await catalog.renew(T, none);
  assert.deepEqual(catalog.refusals, []);
  assert.deepEqual(
    catalog.list().map(({ id, rate }) => [id.name, rate?.toFixed(1)]),
    [
      ['cart', '2.0'],
      ['mail', undefined],
    ],
  );
  const { own } = catalog.selectors({ cluster: '', namespace: '', name: 'mail' });
  assert.equal(own, '"team.service"="mail"');
  const value = await runner.instant('t', { expr: `count (up{${own}})`, timeMs: T }, { signal: none });
  assert.deepEqual([...(value.value as { values: Float64Array }).values], [1]);
});

test('requests that are only native histograms are listed, and durations that are beside a counter', async () => {
  const native = '{{schema:0 sum:3 count:6 buckets:[2 3 1]}}';
  const storage = new LoadedStorage();
  const script = `load 1m
    http_request_duration_seconds{job="alone",instance="a",code="200"} ${native}+${native}x20
    http_request_duration_seconds{job="beside",instance="a"} ${native}+${native}x20
    http_requests_total{job="beside",instance="a",code="200"} 0+120x20`;
  for (const command of parseScript(script, {})) if (command.kind === 'load') storage.load(command);
  const catalog = new ServiceCatalog({ tenant: 't', runner: testRunner(storage) });
  await catalog.renew(20 * 60_000, none);
  const rows = catalog
    .list()
    .map(({ id, rate, errorRatio, durationSeconds }) => [
      id.name,
      rate?.toFixed(1),
      errorRatio,
      (durationSeconds ?? 0) > 0.5,
    ]);
  assert.deepEqual(rows, [
    ['alone', '0.1', 0, true],
    ['beside', '2.0', 0, true],
  ]);
});
