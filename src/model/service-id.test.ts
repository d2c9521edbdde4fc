import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Labels } from './labels.ts';
import { areSeveral, NO_WORKLOADS, serviceKey, serviceOf, serviceOfKey, workloadOfPodName } from './service-id.ts';

test('a service is named by the first label there is', () => {
  const name = (labels: Record<string, string>) => {
    const { cluster, namespace, name } = serviceOf(Labels.of(labels)) ?? { cluster: '', namespace: '', name: '–' };
    return `${cluster}/${namespace}/${name}`;
  };
  const pod = 'cart-6d4cf56db6-x7k2p';
  assert.equal(name({ service_name: 's', pod, app: 'a', job: 'j' }), '//s');
  assert.equal(
    name({ pod, app_kubernetes_io_name: 'k', app: 'a', job: 'j', namespace: 'n', cluster: 'c' }),
    'c/n/cart',
  );
  assert.equal(name({ app_kubernetes_io_name: 'k', app: 'a', job: 'j' }), '//k');
  assert.equal(name({ app: 'a', job: 'j' }), '//a');
  assert.equal(name({ job: 'shop/cart' }), '/shop/cart');
  assert.equal(name({ job: 'shop/cart', namespace: 'n' }), '/n/cart');
  assert.equal(name({ job: '/cart' }), '///cart');
  assert.equal(name({ instance: 'x' }), '///–'.slice(1));
});

test('a tenant may name the labels, and knows the workload of a pod', () => {
  const labels = Labels.of({ team: 't', pod: 'odd-name', job: 'j' });
  assert.equal(serviceOf(labels, undefined, ['absent', 'team'])?.name, 't');
  assert.equal(serviceOf(labels, { ...NO_WORKLOADS, workloadOf: () => 'w' })?.name, 'w');
});

test('names of pods lose what Kubernetes adds', () => {
  const cases = [
    ['cart-6d4cf56db6-x7k2p', 'cart'],
    ['cart-api-6d4cf56db6-x7k2p', 'cart-api'],
    ['fluentd-x7k2p', 'fluentd'],
    ['redis-0', 'redis'],
    ['backup-28391040-x7k2p', 'backup'],
    ['plain', 'plain'],
    ['x7k2p', 'x7k2p'],
    ['ip-10-0-0-1', 'ip-10-0-0'],
  ] as const;
  for (const [pod, workload] of cases) assert.equal(workloadOfPodName(pod), workload, pod);
});

test('keys are read back, whatever names hold', () => {
  for (const name of ['cart', 'a/b', 'ä ö', '%2F', '\ud800', '<script>']) {
    const id = { cluster: 'c/1', namespace: '', name: name.toWellFormed() };
    assert.deepEqual(serviceOfKey(serviceKey(id)), id);
    assert.equal(serviceKey({ ...id, name }), serviceKey(id));
  }
  for (const key of ['', 'a', 'a/b', '//', 'a/b/c/d', '//%']) assert.equal(serviceOfKey(key), undefined, key);
});

test('a workload with and without its cluster is one', () => {
  const at = (cluster: string, name = 'cart', namespace = 'shop') => ({ cluster, namespace, name });
  assert.ok(!areSeveral([]));
  assert.ok(!areSeveral([at('')]));
  assert.ok(!areSeveral([at(''), at('prod')]));
  assert.ok(areSeveral([at(''), at('prod'), at('test')]));
  assert.ok(areSeveral([at(''), at('prod'), at('', 'mail')]));
  assert.ok(areSeveral([at(''), at('', 'cart', 'other')]));
});
