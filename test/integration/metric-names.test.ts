import assert from 'node:assert/strict';
import { test } from 'node:test';
import { brokenMetrics, brokenMetricsProblems } from '../harness/broken-metrics.ts';
import { lintMetrics } from '../harness/metric-lint.ts';
import { metricsOfWork } from '../harness/metrics-of-work.ts';
import { Pallium } from '../harness/pallium.ts';

test('each rule finds what breaks it', () => {
  assert.deepEqual(lintMetrics(brokenMetrics), brokenMetricsProblems);
});

test('the rules of promtool check metrics have nothing to say about /metrics', async () => {
  await using server = await Pallium.start({ flags: ['-ingester.shards=2'] });
  assert.deepEqual(lintMetrics(await metricsOfWork(server)), []);
});
