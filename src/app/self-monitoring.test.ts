import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SeriesPush } from '../contract/push.ts';
import { silentLogger } from '../kit/observe/log.ts';
import { counter, histogram, metricTable, Registry, readMetrics } from '../kit/observe/metrics.ts';
import { systemClock } from '../lib/clock.ts';
import { SelfMonitoring } from './self-monitoring.ts';

test("the process' own metrics are written as a scrape of them would be, and no two writes meet", async () => {
  const registry = new Registry();
  const table = metricTable({
    requests: counter('requests_total', 'Requests.', ['route', 'job']),
    seconds: histogram('seconds', 'Seconds.', [1]),
  })(registry);
  table.requests.inc({ route: '/a', job: 'x' }, 3);
  table.seconds.observe(0.5);
  let tick = () => {};
  const warnings: string[] = [];
  const pushed: SeriesPush[] = [];
  let answer = Promise.withResolvers<number>();
  const own = new SelfMonitoring({
    tenant: 'pallium',
    instance: () => 'host:1',
    read: () => readMetrics(registry, []),
    backend: {
      async pushSeries(push) {
        pushed.push(push);
        return { status: await answer.promise, headers: {}, text: 'no room' };
      },
    },
    clock: {
      ...systemClock,
      nowMs: () => 5_000,
      every(ms, work) {
        assert.equal(ms, 15_000);
        tick = work;
        return { cancel: () => {} };
      },
    },
    log: { ...silentLogger, warn: (fields: { error: string }) => warnings.push(fields.error) } as typeof silentLogger,
  });
  await own.start();
  const settled = () => new Promise((done) => setTimeout(done, 5));
  tick();
  tick();
  await settled();
  assert.equal(pushed.length, 1, 'the second waits for the first');
  answer.resolve(204);
  await settled();
  const { tenant, series } = pushed[0]!;
  assert.equal(tenant, 'pallium');
  const told = series.map(({ pairs, samples }) => `${pairs.join(' ')} ${JSON.stringify(samples)}`);
  const at = (value: number) => JSON.stringify([{ timeMs: 5_000, value }]);
  const target = 'instance host:1 job pallium';
  for (const wanted of [
    `__name__ up ${target} ${at(1)}`,
    `__name__ pallium_requests_total ${target} route /a exported_job x ${at(3)}`,
    `__name__ pallium_seconds_bucket ${target} le +Inf ${at(1)}`,
    `__name__ pallium_seconds_sum ${target} ${at(0.5)}`,
  ]) {
    assert.ok(told.includes(wanted), `${wanted}\n${told.join('\n')}`);
  }
  answer = Promise.withResolvers<number>();
  answer.resolve(429);
  for (let i = 0; i < 3; i++) {
    tick();
    await settled();
  }
  assert.deepEqual(warnings, ['no room'], 'told once');
  await own.stop();
});
