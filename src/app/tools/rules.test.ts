import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runRulesTool } from '../../../test/harness/rules-tool.ts';

const folder = mkdtempSync(join(tmpdir(), 'pallium-rules-'));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

file(
  'a.rules.yml',
  `groups:
- name: first
  labels: { team: x }
  rules:
  - { record: a, expr: up * 2 }
  - alert: Down
    expr: up == 0
    for: 2m
    keep_firing_for: 2m
    labels: { severity: '{{ if gt (query "up" | len) 1 }}page{{ else }}ticket{{ end }}' }
    annotations: { summary: '{{ $labels.job }} in {{ $externalLabels.zone }} at {{ $externalURL }} is {{ $value }}' }
- name: delayed
  query_offset: 1m
  rules:
  - { record: b, expr: up }
- name: limited
  limit: 1
  rules:
  - { record: c, expr: vector(1) }
`,
);

const tests = file(
  'tests.yml',
  `rule_files: ['*.rules.yml']
group_eval_order: [delayed, first]
tests:
- name: alerts
  external_labels: { zone: z1 }
  external_url: http://here
  input_series:
  - { series: 'up{job="x"}', values: '1 0x5 1x10' }
  alert_rule_test:
  - { eval_time: 2m, alertname: Down }
  - eval_time: 3m
    alertname: Down
    exp_alerts:
    - exp_labels: { job: x, team: x, severity: ticket }
      exp_annotations: { summary: x in z1 at http://here is 0 }
  - eval_time: 8m
    alertname: Down
    exp_alerts: [{ exp_labels: { job: x, team: x, severity: ticket }, exp_annotations: { summary: x in z1 at http://here is 0 } }]
  - { eval_time: 9m, alertname: Down }
  promql_expr_test:
  - { expr: a, eval_time: 1m, exp_samples: [{ labels: 'a{job="x",team="x"}', value: 0 }] }
  - { expr: timestamp(b), eval_time: 5m30s, exp_samples: [{ labels: '{job="x"}', value: 300 }] }
  - { expr: 'count(ALERTS_FOR_STATE)', eval_time: 10m, exp_samples: [] }
- name: stale
  input_series:
  - { series: up, values: '1 stale' }
  promql_expr_test:
  - { expr: a, eval_time: 1m, exp_samples: [] }
- name: wrong
  input_series:
  - { series: up, values: '0x9' }
  alert_rule_test:
  - { eval_time: 5m, alertname: Down, exp_alerts: [{ exp_labels: { team: y } }] }
`,
);

test('tests of rules, chosen by name', async () => {
  assert.deepEqual(await runRulesTool('test', '-run=^alerts$', '-run=stale', tests), {
    exit: 0,
    stdout: `Processing test file: ${tests}\n  SUCCESS\n\n`,
    stderr: '',
  });
  const { exit, stderr } = await runRulesTool('test', '-run', 'wr.{1,2}ng', tests);
  assert.equal(exit, 1);
  assert.match(stderr, /name: wrong,\n {4}alertname: Down, time: 5m, \n {8}exp:\[/);
});

test('what differs, line by line', async () => {
  const { stderr } = await runRulesTool('test', '-run=wrong', '-diff', tests);
  assert.match(stderr, /diff: \n {12}- .*Labels:\{alertname="Down", team="y"\}/);
  assert.match(stderr, /\n {12}\+ .*Labels:\{alertname="Down", severity="ticket", team="x"\}/);
});

test('results as JUnit XML', async () => {
  const junit = join(folder, 'junit.xml');
  const broken = file('broken.yml', 'tests: [{ nope: 1 }]');
  assert.equal((await runRulesTool('test', `-junit=${junit}`, tests, broken)).exit, 1);
  const xml = readFileSync(junit, 'utf8').replace(/timestamp="[^"]*"/g, 'timestamp=""');
  assert.ok(
    xml.startsWith(
      `<testsuites><testsuite name="${tests}" tests="3" failures="1" errors="0" skipped="0" timestamp="">`,
    ),
  );
  assert.match(
    xml,
    /<testcase name="alerts"><\/testcase><testcase name="stale"><\/testcase><testcase name="wrong"><failure>/,
  );
  assert.match(
    xml,
    /<error>yaml: unmarshal errors:&#xA; {2}line 1: field nope not found in type main\.testGroup<\/error>/,
  );
});

test('a test ends with the evaluation that fails, and with what is no series', async () => {
  const limited = file('limited.yml', 'groups: [{ name: l, limit: 1, rules: [{ record: r, expr: up }] }]');
  const over = file(
    'over.yml',
    `rule_files: [${limited}]\ntests: [{ input_series: [{ series: 'up{a="1"}', values: 1 }, { series: 'up{a="2"}', values: 1 }] }]`,
  );
  const { exit, stderr } = await runRulesTool('test', over);
  assert.equal(exit, 1);
  assert.match(stderr, /^ {2}FAILED:\n {4}rule: r, time: 0s, err: exceeded limit of 1 with 2 series\n$/);
  const many = file('many.yml', 'tests: [{ input_series: [{ series: up, values: 1x999999999 }] }]');
  assert.match((await runRulesTool('test', many)).stderr, /limit of 1000000 samples of a series exceeded/);
});

test('rules that write the same sample, or over the input, fail', async () => {
  const rules = file(
    'same.yml',
    'groups: [{ name: s, rules: [{ record: r, expr: up }, { record: r, expr: up * 2 }] }]',
  );
  const failing = async (name: string, values: string) => {
    const input = `rule_files: [${rules}]\ntests: [{ input_series: [${values}], promql_expr_test: [{ expr: r, eval_time: 1m }] }]`;
    return (await runRulesTool('test', file(name, input))).stderr;
  };
  assert.match(
    await failing('same1.yml', '{ series: up, values: _ 1 }'),
    /rule: r, time: 1m0s, err: duplicate sample for timestamp 60000; overrides not allowed: existing 1, new value 2\n$/,
  );
  assert.match(
    await failing('same2.yml', '{ series: up, values: 1 }'),
    /time: 0s, err: duplicate sample for timestamp\n$/,
  );
  assert.match(
    await failing('same4.yml', "{ series: up, values: '{{count:-3}}' }"),
    /time: 0s, err: observation count is {2}-3: histogram's observation count is negative\n/,
  );
  assert.doesNotMatch(await failing('same3.yml', '{ series: up, values: 0x2 }'), /duplicate/);
});

test('what is wrong with the values of a series is said as in promtool, before rules are read', async () => {
  const broken = file('broken-rules.yml', 'groups: 1');
  for (const [values, message] of [
    ['1 abc', '2:6: parse error: unexpected identifier "abc" in series values, expected number or "stale"'],
    ['1+1 2', '2:7: parse error: unexpected " " in series values'],
    ['1x', '2:6: parse error: unexpected end of input in series values'],
    ['5+-1x3', '2:6: parse error: unexpected <op:-> in series values'],
    ['1 @', "2:6: parse error: unexpected character in series sequence: '@'"],
  ] as const) {
    const test = file(
      'values.yml',
      `rule_files: [${broken}]\ntests: [{ input_series: [{ series: up, values: '${values}' }] }]`,
    );
    assert.equal((await runRulesTool('test', test)).stderr, `  FAILED:\n${message}\n`, values);
  }
});

test('check finds rules that write the same series, and reads standard input', async () => {
  const twice = file('twice.yml', 'groups: [{ name: a, rules: [{ record: r, expr: 1 }, { record: r, expr: 2 }] }]');
  assert.equal((await runRulesTool('check', twice)).exit, 0);
  assert.equal((await runRulesTool('check', '-lint-fatal', twice)).exit, 3);
  assert.equal((await runRulesTool('check', '-lint-fatal', '-lint=none', twice)).exit, 0);
  assert.deepEqual(await runRulesTool('check'), {
    exit: 0,
    stdout: 'Checking standard input\n  SUCCESS: 0 rules found\n\n',
    stderr: '',
  });
  await assert.rejects(runRulesTool('send'), /unknown command send: check, test, diff, sync or backfill/);
});

test('a backfill wants files, and a time from when to when', async () => {
  const rules = '-rules=a.yml';
  await assert.rejects(runRulesTool('backfill'), /name the files in -rules/);
  await assert.rejects(runRulesTool('backfill', rules, '-start=1'), /-start and -end/);
  await assert.rejects(runRulesTool('backfill', rules, '-start=2', '-end=1'), /-end is before -start/);
  await assert.rejects(runRulesTool('backfill', rules, '-start=2', '-end=2100-01-01T00:00:00Z'), /in the future/);
  await assert.rejects(runRulesTool('backfill', rules, '-start=soon', '-end=2'), /neither Unix seconds/);
});
