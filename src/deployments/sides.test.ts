import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { QueryRunner } from '../contract/query.ts';
import type { EvidenceKind } from './deployment.ts';
import { sidesAt } from './sides.ts';

type Rows = readonly (Readonly<Record<string, string>> & { readonly value?: string })[];

/** Answers queries by the metric that they name. */
function runnerOf(answers: Readonly<Record<string, Rows>>): QueryRunner {
  return {
    async instant(_tenant: string, { expr }: { expr: string }) {
      const [, rows = []] = Object.entries(answers).find(([name]) => expr.includes(name)) ?? [];
      const pairs = rows.map(({ value: _, ...labels }) => Object.entries(labels).flat());
      return { value: { type: 'vector', pairs, values: Float64Array.from(rows, ({ value }) => Number(value ?? 1)) } };
    },
  } as unknown as QueryRunner;
}

const BEGIN_MS = 1_000_000_000_000;

function sides(evidence: EvidenceKind, answers: Readonly<Record<string, Rows>>, to = '1.5') {
  const deployment = {
    id: 'one',
    kind: 'deployment',
    evidence,
    service: { cluster: '', namespace: '', name: 'cart' },
    from: '1.4',
    to,
    beginMs: BEGIN_MS,
    endMs: undefined,
  } as const;
  const selectors = { own: 'job="cart"', pods: 'pod=~"cart-.*"' };
  const options = { runner: runnerOf(answers), tenant: 't', selectors, deployment };
  return sidesAt(options, BEGIN_MS, new AbortController().signal);
}

const PODS = {
  'up{': [
    { instance: 'a:1', pod: 'cart-a' },
    { instance: 'b:1', pod: 'cart-b' },
  ],
};

test('instances are told apart by the evidence that the deployment was found by', async () => {
  const expected = { newer: ['b:1'], older: ['a:1'] };
  const of = (instance: string, service_version: string) => ({ instance, service_version });
  assert.deepEqual(await sides('target-info', { target_info: [of('a:1', '1.4'), of('b:1', '1.5')] }), expected);
  const info = (instance: string, version: string, metric = 'cart_build_info') => ({
    __name__: metric,
    instance,
    version,
    revision: 'abcdefabcdef0123',
  });
  const infos = [info('a:1', '1.4'), info('b:1', '1.5'), info('c:1', '1.5 ', 'other_build_info')];
  assert.deepEqual(await sides('build-info', { _build_info: infos }, '1.5 (abcdefabcdef)'), expected);
  const image = (pod: string, tag: string, container = 'cart') => ({ pod, container, image: `r/${container}:${tag}` });
  const containers = [image('cart-a', '1.4'), image('cart-b', '1.5'), image('cart-b', '1.4', 'istio-proxy')];
  assert.deepEqual(await sides('image', { kube_pod_container_info: containers, ...PODS }), expected);
  const owners = [
    { pod: 'cart-a', owner_name: 'cart-1' },
    { pod: 'cart-b', owner_name: 'cart-2' },
  ];
  assert.deepEqual(await sides('replica-set', { kube_pod_owner: owners, ...PODS }, 'cart-2'), expected);
});

test('where the evidence says nothing of instances, those that started since are new', async () => {
  const starts = [
    { instance: 'a:1', value: String(BEGIN_MS / 1000 - 3600) },
    { instance: 'b:1', value: String(BEGIN_MS / 1000 + 30) },
  ];
  const expected = { newer: ['b:1'], older: ['a:1'] };
  for (const evidence of ['sent', 'generation', 'image'] as const) {
    assert.deepEqual(await sides(evidence, { process_start_time_seconds: starts }), expected, evidence);
  }
});

test('an instance that is on both sides is on none', async () => {
  const rows = ['1.4', '1.5'].map((service_version) => ({ instance: 'a:1', service_version }));
  const more = [
    { instance: 'b:1', service_version: '1.5' },
    { instance: 'c:1', service_version: '1.4' },
  ];
  assert.deepEqual(await sides('target-info', { target_info: [...rows, ...more] }), { newer: ['b:1'], older: ['c:1'] });
});
