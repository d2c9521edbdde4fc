import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { GeneratedDashboard } from '../../src/dashboards/dashboard.ts';
import { Pallium, tempFolder } from '../harness/pallium.ts';
import { push, writeBody } from '../harness/remote-write.ts';

// Services, their dashboards and events of a process, over HTTP.

const folder = tempFolder('services');
after(() => rmSync(folder, { recursive: true, force: true }));

const NOW_MS = Math.floor(Date.now() / 1000) * 1000;
/** The parts of answers that are looked at. */
interface Answer {
  readonly status: string;
  readonly message?: string;
  readonly error?: string;
  readonly data: {
    readonly refusals: readonly string[];
    readonly services: readonly { readonly key: string; readonly rate: number; readonly errorRatio: number }[];
    readonly intervalMs: number;
    readonly dashboard: GeneratedDashboard;
    readonly result: readonly unknown[];
    readonly readyMs: number;
  };
}

interface Events {
  readonly data: readonly { readonly type: string; readonly to?: string; readonly text?: string }[];
}

const headers = { 'x-scope-orgid': 'shop' };

function samples(value: (i: number) => number): [number, number][] {
  return Array.from({ length: 20 }, (_, i) => [NOW_MS - (19 - i) * 30_000, value(i)]);
}

test('a service is listed, has a dashboard with data, and events that outlive a restart', {
  timeout: 240_000,
}, async () => {
  const server = await Pallium.start({ dataDir: join(folder, 'data') });
  const own = { job: 'cart', instance: 'a:80' };
  const series = [
    { labels: { __name__: 'up', ...own }, samples: samples(() => 1) },
    { labels: { __name__: 'http_requests_total', ...own, code: '200' }, samples: samples((i) => i * 30) },
    { labels: { __name__: 'process_cpu_seconds_total', ...own }, samples: samples((i) => i * 3) },
    { labels: { __name__: 'odd_things_total', ...own }, samples: samples((i) => i) },
  ];
  const { status, text } = await push(`${server.url}/api/v1/push`, writeBody(series), headers);
  assert.equal(status, 204, text);
  const ask = async (path: string, init: RequestInit = {}) => {
    const answer = await fetch(`${server.url}${path}`, { ...init, headers: { ...headers, ...init.headers } });
    return { status: answer.status, body: (await answer.json()) as Answer };
  };

  const list = await ask('/api/v1/services');
  assert.equal(list.status, 200, JSON.stringify(list.body));
  assert.deepEqual(list.body.data.refusals, []);
  const cart = list.body.data.services[0]!;
  assert.equal(cart.key, '//cart');
  assert.ok(Math.abs(cart.rate - 1) < 0.1, `${cart.rate}`);
  assert.equal(cart.errorRatio, 0);

  const path = `/api/v1/services/${encodeURIComponent(cart.key)}`;
  const { body } = await ask(`${path}/dashboard?step=15`);
  assert.equal(body.status, 'success', JSON.stringify(body));
  assert.equal(body.data.intervalMs, 30_000);
  const titles = body.data.dashboard.spec.layouts.map(({ spec }) => spec.display!.title);
  assert.deepEqual(titles, ['HTTP', 'Process', 'Metrics']);
  for (const [key, panel] of Object.entries(body.data.dashboard.spec.panels)) {
    const counts = await Promise.all(
      panel.spec.queries.map(async ({ spec }) => {
        const { query } = spec.plugin.spec;
        assert.ok(!query.includes('$'), query);
        const answer = await ask(`/api/v1/query?${new URLSearchParams({ query })}`);
        assert.equal(answer.status, 200, query);
        return answer.body.data.result.length;
      }),
    );
    assert.ok(
      counts.some((count) => count > 0),
      key,
    );
  }

  const sent = { type: 'deployment', service: 'cart', to: '2.0', time: NOW_MS - 60_000 };
  for (let i = 0; i < 2; i++) {
    const answer = await ask('/api/v1/events', { method: 'POST', body: JSON.stringify(sent) });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
  }
  const grafana = { time: NOW_MS, tags: ['release'], text: '<b>lunch</b>', dashboardUID: 'x' };
  assert.equal(
    (await ask('/api/v1/events', { method: 'POST', body: JSON.stringify(grafana) })).body.message,
    'Annotation added',
  );
  const bad = await ask('/api/v1/events', { method: 'POST', body: '{}' });
  assert.deepEqual([bad.status, bad.body.error], [400, 'invalid event: text is missing']);
  assert.equal((await ask('/api/v1/services/x/dashboard')).status, 400);
  assert.equal((await ask(`/api/v1/services/${encodeURIComponent('//nobody')}/dashboard`)).status, 404);
  const early = await ask(`${path}/before_after?event=${encodeURIComponent(`//cart/2.0/${NOW_MS - 60_000}`)}`);
  assert.equal(early.body.data.readyMs, NOW_MS - 60_000 + 35 * 60_000, JSON.stringify(early.body));

  await server.stop();
  const again = await Pallium.start({ dataDir: join(folder, 'data') });
  try {
    const eventsOf = async (tenant: string, query = '') => {
      const answer = await fetch(`${again.url}/api/v1/events${query}`, { headers: { 'x-scope-orgid': tenant } });
      return ((await answer.json()) as Events).data;
    };
    assert.deepEqual(
      (await eventsOf('shop')).map(({ type, to, text }) => `${type} ${to ?? text}`),
      ['deployment 2.0', 'annotation <b>lunch</b>'],
    );
    assert.deepEqual(await eventsOf('other'), []);
    assert.equal((await eventsOf('shop', `?service=${encodeURIComponent('//cart')}`)).length, 1);
  } finally {
    await again.stop();
  }
});
