import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { QueryRunner } from '../contract/query.ts';
import { Pacer } from '../lib/pacer.ts';
import { Engine } from '../promql/engine.ts';
import { listQueryable, type TestSeries } from '../storage/test-list.ts';
import { unlimited } from '../storage/unlimited.ts';
import type { ServiceDeployment } from './deployment.ts';
import { DeploymentDetector } from './detector.ts';
import { EvidenceChoices, readEvidence } from './evidence.ts';
import { imageName, imageVersion } from './image.ts';
import { isForeignBuildInfo, isSidecar } from './known-programs.ts';

const T = 1_767_231_000_000;

/** A runner without limits, in this thread. */
function runnerOn(series: readonly TestSeries[]): QueryRunner {
  const engine = new Engine();
  const queryable = listQueryable(series);
  return {
    async range(_tenant: string, request: { expr: string; startMs: number; endMs: number; stepMs: number }) {
      const { value } = await engine.queryRange(queryable, request, unlimited());
      assert.equal(value.type, 'matrix');
      return {
        value: {
          type: 'matrix',
          series: value.type === 'matrix' ? value.series.map((one) => ({ ...one, pairs: one.labels.pairs })) : [],
        },
      };
    },
  } as unknown as QueryRunner;
}

async function minuteOf(series: readonly Readonly<Record<string, string>>[], key: string) {
  const runner = runnerOn(series.map((labels) => [labels, [T, 1]]));
  const options = { runner, choices: new EvidenceChoices() };
  const { services } = await readEvidence('t', T, T, options, new AbortController().signal);
  const minute = services.get(key)?.minutes[0];
  return Object.fromEntries(
    Object.entries(minute?.versions ?? {}).map(([evidence, counts]) => [
      evidence,
      counts.map(({ version, instances }) => `${version.version}|${version.revision}*${instances}`),
    ]),
  );
}

test('versions come from target_info, by service and instance', async () => {
  const target = (instance: string, service_version: string, more = {}) => ({
    __name__: 'target_info',
    job: 'shop/cart',
    instance,
    service_version,
    ...more,
  });
  const versions = await minuteOf(
    [target('a', '1'), target('b', '1'), target('c', '2'), target('c', '2', { host: 'x' })],
    '/shop/cart',
  );
  assert.deepEqual(versions, { 'target-info': ['1|*2', '2|*1'] });
});

test('reading many instances gives others their turn every few milliseconds', async () => {
  const series = Array.from(
    { length: 2_000 },
    (_, i): Record<string, string> => ({
      ...{ __name__: 'target_info', job: `shop/s${i}`, instance: `${i}`, service_version: '1' },
    }),
  );
  const runner = runnerOn(series.map((labels) => [labels, [T, 1]]));
  let nowMs = 0;
  let turns = 0;
  // a millisecond goes by with each look at the clock
  const clock = { monotonicMs: () => nowMs++, turn: async () => void turns++ };
  const pacer = new Pacer(clock, { sliceMs: 5 });
  const options = { runner, choices: new EvidenceChoices(), pacer };
  const { services } = await readEvidence('t', T, T, options, new AbortController().signal);
  assert.equal(services.size, 2_000);
  // each row, and each service, is a place to pause at
  assert.ok(turns >= 4_000 / 7, `${turns} turns`);
});

test('a build_info is asked that half of the instances have and that is no exporter, library or sidecar', async () => {
  const own = { job: 'cart', instance: 'a' };
  const series = [
    { __name__: 'up', ...own },
    { __name__: 'up', job: 'cart', instance: 'b' },
    { __name__: 'go_build_info', ...own, version: '(devel)' },
    { __name__: 'redis_exporter_build_info', ...own, version: '9' },
    { __name__: 'envoy_build_info', ...own, version: '1.3' },
    { __name__: 'aaa_build_info', ...own, version: '7' },
    { __name__: 'cart_build_info', ...own, version: '2.0', revision: 'abc' },
  ];
  assert.deepEqual(await minuteOf(series, '//cart'), { 'build-info': ['2.0|abc*1'] });
  const more = [...series, ...['c', 'd', 'e'].map((instance) => ({ __name__: 'up', job: 'cart', instance }))];
  assert.deepEqual(await minuteOf(more, '//cart'), {}, 'one of five instances');
});

test('images are of the container that all pods have, by the pods of the workload', async () => {
  const pod = (suffix: string, container: string, image: string) => ({
    __name__: 'kube_pod_container_info',
    namespace: 'shop',
    pod: `cart-6d4cf56db6-${suffix}`,
    container,
    image,
  });
  const pods = ['x7k2p', 'q9w4z'].flatMap((suffix) => [
    pod(suffix, 'main', 'registry:5000/shop/cart:1.4.2'),
    pod(suffix, 'istio-proxy', 'istio/proxyv2:1.20'),
  ]);
  assert.deepEqual(await minuteOf([...pods, pod('x7k2p', 'debug', 'busybox:1')], '/shop/cart'), {
    image: ['1.4.2|*1', '1.4.2|*1'],
  });
});

test('new ReplicaSets are counted by their pods', async () => {
  const pod = (name: string, replicaSet: string) => ({
    __name__: 'kube_pod_owner',
    namespace: 'shop',
    pod: name,
    owner_kind: 'ReplicaSet',
    owner_name: replicaSet,
  });
  const series = [
    pod('odd-1', 'odd'),
    pod('cart-6d4cf56db6-x7k2p', 'cart-6d4cf56db6'),
    {
      __name__: 'kube_replicaset_owner',
      namespace: 'shop',
      replicaset: 'odd',
      owner_kind: 'Deployment',
      owner_name: 'cart',
    },
  ];
  assert.deepEqual(await minuteOf(series, '/shop/cart'), { 'replica-set': ['cart-6d4cf56db6|*1', 'odd|*1'] });
});

/** Choices of a service with ten instances; the names that may be chosen are on half of them. */
function choicesOf() {
  const choices = new EvidenceChoices();
  return (minute: number, counts: Readonly<Record<string, number>>) => {
    const names = Object.keys(counts).filter((name) => counts[name]! >= 5);
    return choices.choose('k', names, { of: new Map(Object.entries(counts)), all: 10 }, minute * 60_000);
  };
}

test('a choice stays while what was chosen is there', () => {
  const at = choicesOf();
  assert.equal(at(0, { a: 10, b: 10 }), 'a');
  assert.equal(at(1, { b: 10, a: 10 }), 'a');
  assert.equal(at(2, { b: 10 }), 'a', 'missing for a minute');
  assert.equal(at(120, { b: 10 }), 'b');
});

test('a choice goes on under another name that comes in its place, and back', () => {
  const at = choicesOf();
  assert.equal(at(0, { cart: 10, lib: 10 }), 'cart');
  // the new version's name has not half of the instances yet
  assert.equal(at(1, { cart: 8, lib: 10, shop_cart: 2 }), 'cart');
  assert.equal(at(2, { cart: 5, lib: 10, shop_cart: 7 }), 'cart', 'the last samples of some are still there');
  assert.equal(at(3, { cart: 3, lib: 10, shop_cart: 7 }), 'shop_cart');
  assert.equal(at(4, { cart: 1, lib: 10, shop_cart: 9 }), 'shop_cart');
  assert.equal(at(5, { cart: 6, lib: 10, shop_cart: 4 }), 'cart', 'rolled back');
  // what its instances have beside it takes nothing over in a gap
  assert.equal(at(6, { lib: 10 }), 'cart');
});

test('a version whose build_info has another name is a deployment when half of the instances have it', async () => {
  const minutes = Array.from({ length: 40 }, (_, i) => T + i * 60_000);
  const series: TestSeries[] = [];
  for (let i = 0; i < 10; i++) {
    const own = { job: 'cart', instance: `${i}` };
    // one instance a minute from the 20th on
    const isNew = (timeMs: number) => timeMs >= T + (20 + i) * 60_000;
    const samples = (wanted: boolean) =>
      minutes.filter((timeMs) => isNew(timeMs) === wanted).map((timeMs) => [timeMs, 1] as const);
    series.push([{ __name__: 'up', ...own }, ...minutes.map((timeMs) => [timeMs, 1] as const)]);
    series.push([{ __name__: 'cart_build_info', ...own, version: '1' }, ...samples(false)]);
    series.push([{ __name__: 'shop_cart_build_info', ...own, version: '2' }, ...samples(true)]);
  }
  const detector = new DeploymentDetector({ tenant: 't', runner: runnerOn(series) });
  const found: ServiceDeployment[] = [];
  for (const timeMs of minutes) found.push(...(await detector.look(timeMs, timeMs, new AbortController().signal)));
  const last = found.at(-1);
  assert.deepEqual([last?.kind, last?.from, last?.to, last?.evidence], ['deployment', '1', '2', 'build-info']);
  const begin = (last!.beginMs - T) / 60_000;
  assert.ok(begin >= 20 && begin <= 30, `after ${begin} minutes`);
  assert.equal(new Set(found.map(({ id }) => id)).size, 1);
});

test('images are read as registries write them', () => {
  const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;
  const cases = [
    ['nginx', '', ''],
    ['nginx:1.27', '', '1.27'],
    ['registry:5000/a/b', '', ''],
    ['registry:5000/a/b:v2', '', 'v2'],
    [`a/b:v2@${digest}`, '', 'v2'],
    [`a/b@${digest}`, '', 'sha256:0123456789ab'],
    [digest, '', 'sha256:0123456789ab'],
    ['a/b:latest', `docker-pullable://a/b@${digest}`, 'sha256:0123456789ab'],
    ['a/b:latest', '', 'latest'],
  ] as const;
  for (const [image, id, version] of cases) assert.equal(imageVersion(imageName(image), id), version, image);
});

test('helpers are told from services', () => {
  assert.ok(isForeignBuildInfo('node_exporter_build_info', 'node-exporter'));
  assert.ok(isForeignBuildInfo('thanos_build_info', 'prometheus'));
  assert.ok(!isForeignBuildInfo('thanos_build_info', 'thanos-query'));
  assert.ok(!isForeignBuildInfo('prometheus_build_info', 'prometheus'));
  for (const name of ['istio-proxy', 'config-reloader', 'redis-exporter', 'vault-agent'])
    assert.ok(isSidecar(name, 'x', 'cart'), name);
  assert.ok(!isSidecar('vector', 'vector', 'vector'));
  assert.ok(!isSidecar('cart', 'cart', 'cart'));
});
