import assert from 'node:assert/strict';
import { test } from 'node:test';
import { brokenMetrics, brokenMetricsProblems } from '../harness/broken-metrics.ts';
import { metricsOfWork } from '../harness/metrics-of-work.ts';
import { Pallium } from '../harness/pallium.ts';
import { checkMetrics, promtoolMissing } from '../harness/promtool.ts';

// promtool itself is asked what `metric-names.test.ts` holds by rules of our own.

test('promtool finds what our rules find', { skip: promtoolMissing }, () => {
  assert.deepEqual(checkMetrics(brokenMetrics).sort(), [...brokenMetricsProblems].sort());
});

test('promtool check metrics has nothing to say about /metrics', { skip: promtoolMissing }, async () => {
  await using server = await Pallium.start({ flags: ['-ingester.shards=2'] });
  assert.deepEqual(checkMetrics(await metricsOfWork(server)), []);
});
