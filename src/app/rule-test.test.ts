import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../lib/clock.ts';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { Engine } from '../promql/engine.ts';
import { EngineRunner } from '../querier/engine-runner.ts';
import { QueryTurns } from '../querier/turns.ts';
import { testRules } from '../ruler/unit-test/test-rules.ts';
import type { Queryable } from '../storage/queryable.ts';

const GROUP = `name: g
rules:
- record: up:sum
  expr: sum(up)
- alert: Down
  expr: up == 0
  for: 5m
  annotations: {summary: '{{ $labels.instance }} is down'}
`;

function tested(tests: string, group = GROUP, limits: Partial<typeof DEFAULT_LIMITS> = {}, timeoutMs = 60_000) {
  const over = (queryable: Queryable) =>
    new EngineRunner({
      engine: new Engine({}),
      queryable: () => queryable,
      limits: () => ({ ...DEFAULT_LIMITS, ...limits }),
      turns: new QueryTurns(systemClock),
      timeoutMs: 60_000,
      clock: systemClock,
    });
  const signal = AbortSignal.timeout(60_000);
  const options = { tenant: 'a', parser: {}, over, timeoutMs, clock: systemClock, signal };
  return testRules({ group, tests, rulesMax: 0 }, options);
}

const file = (values: string, summary: string, evalTime = '8m') => `
rule_files: [passed over.yaml]
tests:
- name: one
  input_series: [{series: 'up{instance="a"}', values: '${values}'}]
  alert_rule_test:
  - {eval_time: ${evalTime}, alertname: Down, exp_alerts: [{exp_labels: {instance: a}, exp_annotations: {summary: ${summary}}}]}
  promql_expr_test:
  - {expr: 'up:sum', eval_time: 1m, exp_samples: [{labels: 'up:sum', value: 1}]}
`;

test("unit tests of promtool's format are run over a group", async () => {
  assert.deepEqual(await tested(file('1 1 0x10', 'a is down')), [{ name: 'one', failures: [] }]);
  const { failures } = (await tested(file('1 1 0x10', 'b is down')))[0]!;
  assert.equal(failures.length, 1);
  assert.match(failures[0]!, /alertname: Down, time: 8m[\s\S]*b is down[\s\S]*got:[\s\S]*a is down/);
});

test('what would take long or much is refused, or ended', async () => {
  const refused: [Promise<unknown>, RegExp][] = [
    [tested('tests: 1'), /invalid unit tests: /],
    [tested('tests: []', 'name: g\nrules: [{alert: A, expr: up ==}]'), /parse error|could not parse/],
    [tested(file('1x1000000', 'x')), /take \d+ samples, limit 200000 \(rule_test_samples_max\)/],
    [tested(file('1', 'x', '30d')), /take \d+ evaluations, limit 10000 \(rule_test_evaluations_max\)/],
    [tested(`tests: [${Array.from({ length: 201 }, () => '{interval: 1m}')}]`), /take 201 tests, limit 200/],
    [tested(file('1 1 0x10', 'x', '3000m'), GROUP, {}, 1), /timed out|exceeded|timeout/],
  ];
  for (const [i, [outcome, wanted]] of refused.entries()) await assert.rejects(outcome, wanted, `case ${i}`);
  // an expression within a test has the limits of a query
  const wide = 'name: g\nrules: [{record: a, expr: "sum(sum_over_time(up[1y:1ms]))"}]';
  const verdicts = await tested(file('1 1', 'x'), wide).catch((thrown: Error) => [{ failures: [thrown.message] }]);
  assert.match(JSON.stringify(verdicts), /rule: a, time: [^"]*err: /);
});
