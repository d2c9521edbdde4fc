import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { lintMetrics } from '../harness/metric-lint.ts';
import { Pallium } from '../harness/pallium.ts';
import { push, writeBody } from '../harness/remote-write.ts';

const HOME = process.env.SERVICES_HOME ?? join(homedir(), '.cache/pallium-services');
const PROMTOOL = join(HOME, 'apps/promtool-3.16.0/promtool');

test('each rule finds what breaks it', () => {
  const text = `# HELP a_count Words.
# TYPE a_count gauge
a_count 1
# HELP b_total Words.
# TYPE b_total gauge
b_total{quantile="0.5",le="1",aB="}\\""} 1
# TYPE c counter
c 1
c 2
# HELP d_gauge_days Words.
# TYPE d_gauge_days gauge
# HELP e:mS_kilobytes_ms Words.
# TYPE e:mS_kilobytes_ms gauge
# HELP fine_seconds Words.
# TYPE fine_seconds histogram
fine_seconds_bucket{le="1"} 1
fine_seconds_bucket{le="+Inf"} 1
fine_seconds_sum 1
fine_seconds_count 1
untyped_total_count 1
`;
  assert.deepEqual(lintMetrics(text), [
    'a_count should not have "_count" or "_sum" suffix',
    'b_total non-counter metrics should not have "_total" suffix',
    'b_total non-summary metrics should not have "quantile" label',
    'b_total non-histogram metrics should not have "le" label',
    `b_total label names should be written in 'snake_case' not 'camelCase'`,
    'c no help text',
    'c counter metrics should have "_total" suffix',
    'c metric not unique',
    'd_gauge_days use base unit "seconds" instead of "days"',
    `d_gauge_days metric name should not include type 'gauge'`,
    'e:mS_kilobytes_ms use base unit "bytes" instead of "kilobytes"',
    `e:mS_kilobytes_ms metric names should not contain ':'`,
    `e:mS_kilobytes_ms metric names should be written in 'snake_case' not 'camelCase'`,
    'e:mS_kilobytes_ms metric names should not contain abbreviated units',
    'untyped_total_count no help text',
  ]);
});

test('promtool check metrics has nothing to say about /metrics', async (t) => {
  await using server = await Pallium.start({ flags: ['-ingester.shards=2'] });
  const body = writeBody([{ labels: { __name__: 'up' }, samples: [[Date.now(), 1]] }]);
  assert.equal((await push(`${server.url}/api/v1/push`, body)).status, 204);
  await fetch(`${server.url}/api/v1/push`, { method: 'POST', body: 'no snappy' }).then((answer) => answer.text());
  await fetch(`${server.url}/api/v1/query?query=up`).then((answer) => answer.text());
  await fetch(`${server.url}/ingester/flush?wait=true`, { method: 'POST' }).then((answer) => answer.text());
  const text = await fetch(`${server.url}/metrics`).then((answer) => answer.text());
  for (const name of ['pallium_compactor_', 'pallium_ingester_', 'pallium_request_', 'nodejs_', 'process_']) {
    assert.match(text, new RegExp(`^${name}`, 'm'));
  }
  assert.deepEqual(lintMetrics(text), []);
  if (!existsSync(PROMTOOL)) return t.diagnostic('not asked: promtool is missing (test/services/install-promtool)');
  const { status, stdout, stderr } = spawnSync(PROMTOOL, ['check', 'metrics'], { input: text, encoding: 'utf8' });
  assert.deepEqual([status, stdout, stderr], [0, '', '']);
});
