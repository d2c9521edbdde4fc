import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { PostedAlert } from '../contract/rules.ts';
import { defaultsOf } from '../kit/config/section.ts';
import { silentLogger } from '../kit/observe/log.ts';
import { Registry } from '../kit/observe/metrics.ts';
import { systemClock } from '../lib/clock.ts';
import { alertmanagersOf, type Resolver } from './alertmanagers.ts';
import { rulerConfig } from './config.ts';
import { rulerMetrics } from './metrics.ts';
import { Notifier, type NotifierOptions } from './notifier.ts';

const resolver: Resolver = {
  addresses: async () => ['10.0.0.1', 'fd00::1'],
  services: async () => [{ name: 'am-0.example.org.', port: 9093 }],
};

test('a name stands for its addresses, or for the hosts of its SRV records', async () => {
  const of = (configured: string, discovery = false) => alertmanagersOf(configured, discovery, resolver);
  assert.deepEqual(await of('http://am:9093/prefix/'), ['http://am:9093/prefix']);
  assert.deepEqual(await of('dns+http://u:p@am:9093/x'), ['http://u:p@10.0.0.1:9093/x', 'http://u:p@[fd00::1]:9093/x']);
  assert.deepEqual(await of('dnssrv+https://_http._tcp.am'), ['https://am-0.example.org:9093']);
  assert.deepEqual(await of('http://_http._tcp.am', true), ['http://am-0.example.org:9093']);
  assert.deepEqual(await of('http://127.0.0.1:9093', true), ['http://127.0.0.1:9093']);
});

function alerts(count: number): PostedAlert[] {
  return Array.from({ length: count }, (_, i) => ({
    labels: ['alertname', `a${i}`],
    annotations: [],
    startsAtMs: 0,
    endsAtMs: 60_000,
    generatorUrl: '',
  }));
}

async function notifierWith(options: Partial<NotifierOptions>, config: Partial<NotifierOptions['config']> = {}) {
  const registry = new Registry();
  const notifier = new Notifier({
    config: { ...defaultsOf(rulerConfig), ...config },
    metrics: rulerMetrics(registry),
    log: silentLogger,
    clock: systemClock,
    ...options,
  });
  const metric = async (name: string) =>
    (await registry.getSingleMetricAsString(`cortex_prometheus_notifications_${name}`))
      .split('\n')
      .filter((line) => !line.startsWith('#'));
  return { notifier, metric };
}

test('alerts go in batches; of those that wait too long the oldest go; one who is away holds up nobody', async () => {
  const taken: PostedAlert[][] = [];
  const gate = Promise.withResolvers<void>();
  const builtIn = {
    async post(_: string, batch: readonly PostedAlert[]) {
      await gate.promise;
      taken.push([...batch]);
    },
  };
  const requests: { url: string; authorization: string | undefined; count: number }[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (part) => {
      text += part;
    });
    request.on('end', () => {
      const { authorization } = request.headers;
      requests.push({ url: request.url!, authorization, count: (JSON.parse(text) as unknown[]).length });
      response.statusCode = requests.length === 2 ? 500 : 202;
      response.end('{}');
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  const config = { notificationBatchSize: 4, notificationQueueCapacity: 10 };
  const { notifier, metric } = await notifierWith({ builtIn }, config);
  const targets = { alertmanagers: [`http://me:secret@127.0.0.1:${port}/am`, 'http://127.0.0.1:1'] };
  await notifier.send('team', alerts(6), targets);
  await notifier.send('team', alerts(9), targets);
  gate.resolve();
  await notifier.stop(AbortSignal.timeout(10_000));
  server.close();
  // four are under way, and of the eleven behind them one had to go
  assert.deepEqual(
    taken.map((batch) => batch.length),
    [4, 4, 4, 2],
  );
  assert.equal(taken[1]![0]!.labels[1], 'a5');
  assert.ok(requests.every(({ url }) => url === '/am/api/v2/alerts'));
  assert.equal(requests[0]!.authorization, `Basic ${Buffer.from('me:secret').toString('base64')}`);
  const sent = await metric('sent_total');
  assert.ok(
    sent.includes('cortex_prometheus_notifications_sent_total{user="team",alertmanager="built-in"} 14'),
    `${sent}`,
  );
  assert.ok(!sent.join().includes('secret'));
  const errors = (await metric('errors_total')).join('\n');
  assert.match(errors, /alertmanager="http:\/\/127\.0\.0\.1:1\/api\/v2\/alerts"\} \d+/);
  assert.match(errors, new RegExp(`127\\.0\\.0\\.1:${port}/am/api/v2/alerts"\\} 4`));
});

test('what waits when the process ends is sent until the deadline, and then given up', async () => {
  const builtIn = {
    post: (_: string, __: readonly PostedAlert[], signal: AbortSignal) =>
      new Promise<void>((_, fail) => {
        signal.addEventListener('abort', () => fail(signal.reason as Error));
      }),
  };
  const { notifier, metric } = await notifierWith({ builtIn });
  await notifier.send('team', alerts(300), { alertmanagers: [] });
  await notifier.stop(AbortSignal.timeout(50));
  assert.deepEqual(await metric('dropped_total'), ['cortex_prometheus_notifications_dropped_total{user="team"} 300']);
});
