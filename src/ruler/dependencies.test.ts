import assert from 'node:assert/strict';
import { test } from 'node:test';
import { independentBatches, metricsReadWithin, readsAlerts, readsBackwards } from './dependencies.ts';
import { readRuleGroup } from './rule-file.ts';

const record = (name: string, expr: string) => `{ record: '${name}', expr: '${expr}' }`;
const alert = (name: string, expr: string, more = '') => `{ alert: '${name}', expr: '${expr}'${more} }`;
const rulesOf = (...rules: string[]) => readRuleGroup(`name: g\nrules: [${rules.join(', ')}]`).groups[0]!.rules;

test('rules are side by side where none reads what another one of them writes', () => {
  for (const [rules, batches] of [
    [[record('a', 'x'), record('b', 'y'), alert('C', 'z')], [[0, 1, 2]]],
    [
      [record('a', 'x'), record('b', 'a + 1'), record('c', 'b')],
      [[0], [1], [2]],
    ],
    // the later one is read before it is written: the order counts as well
    [
      [record('a', 'b'), record('b', 'x')],
      [[0], [1]],
    ],
    [
      [record('a', 'x'), record('b', '{__name__=~"a|c"}')],
      [[0], [1]],
    ],
    [
      [record('a', 'x'), record('b', '{job="x"}')],
      [[0], [1]],
    ],
    [
      [alert('A', 'x'), record('b', 'ALERTS{alertname="A"}')],
      [[0], [1]],
    ],
    [
      [alert('A', 'x'), record('b', 'count(ALERTS_FOR_STATE)')],
      [[0], [1]],
    ],
    [[alert('A', 'x'), record('b', 'ALERTS{alertname="B"}')], [[0, 1]]],
    [
      [record('a', 'x'), record('b', 'sum(max_over_time(a[5m:1m])) or c')],
      [[0], [1]],
    ],
  ] as const) {
    assert.deepEqual(independentBatches(rulesOf(...rules)), batches, rules.join());
  }
});

test('expressions that read alerts, rules that read themselves, metrics that stay within', () => {
  assert.deepEqual(
    ['ALERTS', 'sum(ALERTS_FOR_STATE{a="b"})', '{a="b"}', 'ALERT', 'up'].map((expr) => readsAlerts(expr)),
    [true, true, true, false, false],
  );
  assert.equal(readsBackwards(rulesOf(record('a', 'x'), record('b', 'a'))), false);
  assert.equal(readsBackwards(rulesOf(record('a', 'a or x'))), true);
  assert.equal(readsBackwards(rulesOf(record('a', 'b'), record('b', 'x'))), true);
  assert.equal(readsBackwards(rulesOf(alert('A', 'x'), record('b', 'ALERTS'))), true);
  const named = alert('A', 'x', `, annotations: { s: '{{ with query "b" }}{{ . }}{{ end }}' }`);
  assert.deepEqual(metricsReadWithin(rulesOf(record('a', 'x'), record('b', 'x'), record('c', 'a'), named)), ['a', 'b']);
});
