import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SeriesPush } from '../contract/push.ts';
import { silentLogger } from '../kit/observe/log.ts';
import { Registry, readMetrics } from '../kit/observe/metrics.ts';
import { systemClock } from '../lib/clock.ts';
import { rulerMetrics } from '../ruler/metrics.ts';
import { TenantMonitoring } from './tenant-monitoring.ts';

test('a tenant is told what of its rules and notifications went wrong, and nothing of others', async () => {
  const registry = new Registry();
  const metrics = rulerMetrics(registry);
  const pushed: SeriesPush[] = [];
  let [tick, nowMs] = [() => {}, 600_000];
  const monitoring = new TenantMonitoring({
    instance: () => 'host:1',
    read: () => readMetrics(registry, []),
    backend: {
      async pushSeries(push) {
        pushed.push(push);
        return { status: 204, headers: {}, text: '' };
      },
    },
    clock: {
      ...systemClock,
      nowMs: () => nowMs,
      every(_, work) {
        tick = work;
        return { cancel: () => {} };
      },
    },
    log: silentLogger,
  });
  await monitoring.start();
  const ticked = async () => {
    pushed.length = 0;
    tick();
    await new Promise((done) => setTimeout(done, 10));
    return pushed.map(({ tenant, series }) => [
      tenant,
      ...series.map(({ pairs, samples }) => `${pairs.join(' ')} ${JSON.stringify(samples)}`).sort(),
    ]);
  };
  metrics.evaluations.inc({ user: 'well', rule_group: 'f;g' });
  metrics.missed.inc({ user: 'well', rule_group: 'f;g' }, 0);
  assert.deepEqual(await ticked(), [], 'all is well');

  metrics.missed.inc({ user: 'a', rule_group: 'f;g' }, 2);
  metrics.failures.inc({ user: 'b', rule_group: 'f;h', reason: 'user' });
  metrics.errors.inc({ user: 'b', alertmanager: 'http://inside:9093' }, 3);
  metrics.errors.inc({ user: 'b', alertmanager: 'http://inside:9094' }, 4);
  const target = 'instance host:1 job pallium';
  const from = '[{"timeMs":540000,"value":0},{"timeMs":600000,"value":';
  assert.deepEqual(await ticked(), [
    [
      'b',
      `__name__ cortex_prometheus_notifications_errors_total ${target} ${from}7}]`,
      `__name__ cortex_prometheus_rule_evaluation_failures_total rule_group f;h reason user ${target} ${from}1}]`,
    ],
    ['a', `__name__ cortex_prometheus_rule_group_iterations_missed_total rule_group f;g ${target} ${from}2}]`],
  ]);
  nowMs += 60_000;
  assert.deepEqual((await ticked()).at(-1), [
    'a',
    `__name__ cortex_prometheus_rule_group_iterations_missed_total rule_group f;g ${target} [{"timeMs":660000,"value":2}]`,
  ]);
  await monitoring.stop();
});
