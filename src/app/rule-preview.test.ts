import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PreviewedRule } from '../contract/rules.ts';
import { systemClock } from '../lib/clock.ts';
import { seededRandom } from '../lib/random.ts';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { LimitedBudget } from '../limits/query-budget.ts';
import { Engine } from '../promql/engine.ts';
import { EngineRunner } from '../querier/engine-runner.ts';
import { QueryTurns } from '../querier/turns.ts';
import { previewRules } from '../ruler/preview.ts';
import type { Queryable } from '../storage/queryable.ts';
import { listQueryable, type TestSeries } from '../storage/test-list.ts';

const MINUTE_MS = 60_000;
const SETTINGS = {
  evaluationIntervalMs: MINUTE_MS,
  intervalMsMin: 1000,
  queryOffsetMs: 0,
  externalLabels: { cluster: 'eu' },
  externalUrl: 'http://here/',
  rulesMax: 0,
};

/** A series with a sample a minute; undefined: none. */
function series(labels: Readonly<Record<string, string>>, values: readonly (number | undefined)[]): TestSeries {
  const samples = values.flatMap((value, i) => (value === undefined ? [] : [[i * MINUTE_MS, value] as const]));
  return [labels, ...samples];
}

function previewed(
  group: string,
  data: readonly TestSeries[],
  endMs: number,
  more: { maxQueryMemoryBytes?: number } = {},
  isCutToFit = false,
  from: { startMs?: number; continues?: boolean } = {},
) {
  const limits = { ...DEFAULT_LIMITS, ...more };
  const stored = listQueryable(data);
  const runner = (queryable: Queryable) =>
    new EngineRunner({
      engine: new Engine({ lookbackMs: MINUTE_MS }),
      queryable: () => queryable,
      limits: () => limits,
      turns: new QueryTurns(systemClock),
      timeoutMs: 60_000,
      clock: systemClock,
    });
  return previewRules(
    { group, namespace: 'space', startMs: 0, endMs, isCutToFit, settings: SETTINGS, ...from },
    {
      tenant: 'a',
      parser: {},
      queries: runner(stored),
      stored,
      over: runner,
      budget: new LimitedBudget(limits),
      timeoutMs: 60_000,
      clock: systemClock,
      signal: AbortSignal.timeout(60_000),
    },
  );
}

/** `1 pending, 3 firing, …` in minutes, with the labels that differ. */
function told({ alerts }: PreviewedRule): string[] {
  return alerts.map(({ labels, changes }) => {
    const instance = labels[labels.indexOf('instance') + 1];
    return `${instance}: ${changes.map(({ timeMs, state }) => `${timeMs / MINUTE_MS} ${state}`).join(', ')}`;
  });
}

const ALIGNED = 'align_evaluation_time_on_interval: true';

test('says when alerts would have been pending, firing and resolved', async () => {
  const up = (instance: string, values: readonly (number | undefined)[]) =>
    series({ __name__: 'up', instance }, values);
  const data = [up('a', [1, 0, 0, 0, 0, 1, 1, 0, 1, 1]), up('b', [1, 1, undefined, undefined, 1, 0, 0, 0, 0, 0])];
  const group = `
name: g
${ALIGNED}
rules:
  - alert: Down
    expr: up == 0
    for: 2m
    keep_firing_for: 1m
    labels: { severity: 'page{{ $value }}' }
    annotations: { summary: '{{ $labels.instance }} in {{ $externalLabels.cluster }}' }`;
  const { rules, evaluations, firstMs, lastMs } = await previewed(group, data, 9 * MINUTE_MS);
  assert.deepEqual([evaluations, firstMs, lastMs], [10, 0, 9 * MINUTE_MS]);
  const [down] = rules;
  assert.deepEqual(told(down!), [
    'a: 1 pending, 3 firing, 6 inactive, 7 pending, 8 inactive',
    'b: 5 pending, 7 firing',
  ]);
  const [{ labels, changes }] = [down!.alerts[0]!];
  assert.deepEqual(labels, ['alertname', 'Down', 'instance', 'a', 'severity', 'page0']);
  assert.deepEqual(changes[1]!.annotations, ['summary', 'a in eu']);
});

test('rules of the same group come first, in the place of what is stored', async () => {
  const load = series({ __name__: 'load', instance: 'a' }, [1, 1, 9, 9, 9, 1, 1, 1]);
  // written by the rule as it was
  const before = series({ __name__: 'i:load', instance: 'a' }, [99, 99, 99, 99, 99, 99, 99, 99]);
  const gone = series({ __name__: 'i:load', instance: 'gone' }, [99, 99, 99, 99, 99, 99, 99, 99]);
  const group = `
name: g
${ALIGNED}
rules:
  - { record: 'i:load', expr: load }
  - { alert: High, expr: 'max_over_time(i:load[2m]) > 5' }`;
  const { rules } = await previewed(group, [load, before, gone], 7 * MINUTE_MS);
  assert.deepEqual([rules[0]!.samples, rules[0]!.series], [8, 1]);
  assert.deepEqual(told(rules[1]!), ['a: 2 firing, 6 inactive']);
});

test('an evaluation that fails leaves the others as they are', async () => {
  const data = [
    series({ __name__: 'a', instance: 'x' }, [1, 1, 1, 1, 1, 1]),
    series({ __name__: 'b', instance: 'x', n: '1' }, [1, 1, 1, 1, 1, 1]),
    series({ __name__: 'b', instance: 'x', n: '2' }, [undefined, undefined, 1, undefined, undefined, undefined]),
  ];
  const group = `name: g\n${ALIGNED}\nrules: [{ alert: A, expr: 'a * on (instance) b > 0', for: 1m }]`;
  const { rules } = await previewed(group, data, 5 * MINUTE_MS);
  assert.equal(rules[0]!.failures, 1);
  assert.match(rules[0]!.lastError!, /many-to-many|found duplicate series/);
  assert.deepEqual(told(rules[0]!), ['x: 0 pending, 1 firing']);
});

test('what is asked for in ranges is what evaluations one by one give', async () => {
  const random = seededRandom(7);
  const pick = <Value>(values: readonly Value[]) => values[Math.floor(random() * values.length)]!;
  const data = ['a', 'b', 'c', 'd'].flatMap((instance) =>
    ['load', 'other'].map((__name__) =>
      series(
        { __name__, instance, zone: pick(['1', '2']) },
        Array.from({ length: 60 }, () => (random() < 0.15 ? undefined : Math.floor(random() * 4))),
      ),
    ),
  );
  const exprs = [
    'load > 1',
    'r > 2',
    'load * on (instance) other > 2',
    'count by (zone) (load > 1) > 1',
    'rate(r[3m]) > 0',
  ];
  for (let round = 0; round < 6; round++) {
    const rules = ['{ record: r, expr: load + 1 }'];
    for (let i = 0; i < 3; i++) {
      const times = `for: ${pick(['0s', '1m', '3m'])}, keep_firing_for: ${pick(['0s', '2m'])}`;
      const labels = pick(['{}', '{ v: "{{ $value }}" }', '{ zone: "" }']);
      rules.push(
        `{ alert: A${i}, expr: '${pick(exprs)}', ${times}, labels: ${labels}, annotations: { x: '{{ $value }}' } }`,
      );
    }
    const head = `name: g${round}\ninterval: ${pick(['1m', '30s', '90s'])}\nquery_offset: ${pick(['0s', '45s'])}\nlimit: ${pick([0, 0, 3])}`;
    const group = (more: readonly string[]) => `${head}\nrules: [${[...rules, ...more].join(', ')}]`;
    const inRanges = await previewed(group([]), data, 60 * MINUTE_MS);
    const oneByOne = await previewed(group(['{ record: x, expr: load @ end() }']), data, 60 * MINUTE_MS);
    assert.deepEqual(inRanges.rules, oneByOne.rules.slice(0, -1), group([]));
  }
});

test('rules that read themselves or ALERTS are evaluated one by one', async () => {
  const up = series({ __name__: 'up', instance: 'a' }, [1, 0, 0, 0, 0, 1, 1]);
  const group = `
name: g
${ALIGNED}
rules:
  - { record: n, expr: 'sum(n) + 1 or vector(1)' }
  - { alert: Down, expr: up == 0, for: 2m }
  - { alert: Any, expr: 'ALERTS{alertstate="firing", alertname="Down"}' }`;
  const { rules } = await previewed(group, [up], 6 * MINUTE_MS);
  assert.equal(rules[0]!.samples, 7);
  assert.deepEqual(told(rules[1]!), ['a: 1 pending, 3 firing, 5 inactive']);
  assert.deepEqual(told(rules[2]!), ['a: 3 firing, 5 inactive']);
});

test('refuses what would take too long, with the name of the limit', async () => {
  const far = 200_001 * MINUTE_MS;
  await assert.rejects(previewed('name: g\nrules: [{ alert: A, expr: up }]', [], far), /rule_preview_evaluations_max/);
  const self = 'name: g\nrules: [{ record: n, expr: n + 1 }]';
  await assert.rejects(previewed(self, [], 11_001 * MINUTE_MS), /limit 11000 \(rule_preview_evaluations_max\)/);
  await assert.rejects(previewed('name: g\nrules: [{ alert: A, expr: "up +" }]', [], 0), /parse expression/);
  const wide = Array.from({ length: 50 }, (_, i) => series({ __name__: 'up', i: String(i) }, Array(100).fill(1)));
  const group = 'name: g\nrules: [{ alert: A, expr: up, annotations: { a: "{{ $labels.i }} is up" } }]';
  await assert.rejects(previewed(group, wide, 100 * MINUTE_MS, { maxQueryMemoryBytes: 20_000 }), /max_query_memory/);
});

test('takes the end of a range that has too many evaluations, where that is asked for', async () => {
  const group = `name: g\n${ALIGNED}\nrules: [{ record: n, expr: n + 1 }, { record: m, expr: n }]`;
  const endMs = 20_000 * MINUTE_MS;
  const { evaluations, firstMs, lastMs } = await previewed(group, [], endMs, {}, true);
  assert.deepEqual([evaluations, firstMs, lastMs], [5_500, 14_501 * MINUTE_MS, endMs]);
  const short = await previewed(group, [], 10 * MINUTE_MS, {}, true);
  assert.deepEqual([short.evaluations, short.firstMs], [11, 0]);
});

test('begins with the alerts that their series tell of, where it is asked to', async () => {
  const down = (instance: string) => series({ __name__: 'up', instance }, new Array(10).fill(0));
  const own = (instance: string, more: object = {}) => ({ alertname: 'Down', instance, team: 'x', ...more });
  const state = (instance: string, activeAtS: number, more: object = {}) =>
    series({ __name__: 'ALERTS_FOR_STATE', ...own(instance, more) }, new Array(5).fill(activeAtS));
  const firing = (instance: string) =>
    series({ __name__: 'ALERTS', alertstate: 'firing', ...own(instance) }, new Array(5).fill(1));
  const data = [
    down('a'),
    down('b'),
    // fired, pending, and one that is not found any more
    ...[state('a', 60), firing('a'), state('b', 180), state('gone', 60), firing('gone')],
    // of the other rule of that name
    state('a', 60, { severity: 'page' }),
  ];
  const group = `
name: g
${ALIGNED}
rules:
  - { alert: Down, expr: up == 0, for: 3m, labels: { team: x } }
  - { alert: Down, expr: up == 1, for: 3m, labels: { team: x, severity: page } }`;
  const from = { startMs: 5 * MINUTE_MS, continues: true };
  const { rules } = await previewed(group, data, 9 * MINUTE_MS, {}, false, from);
  const told = rules.map(({ alerts }) =>
    alerts.map(({ labels, before, changes }) => [
      labels[labels.indexOf('instance') + 1],
      before && `${before.state} since ${before.activeAtMs / MINUTE_MS}`,
      changes.map(({ timeMs, state: to }) => `${timeMs / MINUTE_MS} ${to}`).join(),
    ]),
  );
  assert.deepEqual(told, [
    [
      ['a', 'firing since 1', ''],
      ['b', 'pending since 3', '6 firing'],
      ['gone', 'firing since 1', '5 inactive'],
    ],
    [['a', 'pending since 1', '5 inactive']],
  ]);
  const anew = await previewed(group, data, 9 * MINUTE_MS, {}, false, { startMs: 5 * MINUTE_MS });
  assert.deepEqual(
    anew.rules[0]!.alerts.map(({ before, changes }) => [before, changes.map(({ state: to }) => to).join()]),
    [
      [undefined, 'pending,firing'],
      [undefined, 'pending,firing'],
    ],
  );
});
