import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readRuleFile, readRuleGroup } from './rule-file.ts';

function errors(text: string): readonly string[] {
  return readRuleFile(text).errors;
}

test('everything that a file may say', () => {
  const { groups, errors, warnings } = readRuleFile(`
groups:
  - name: g
    interval: 1m30s
    query_offset: 10s
    limit: 5
    labels: { team: x }
    source_tenants: [a, b]
    align_evaluation_time_on_interval: true
    rules:
      - record: a:b
        expr: 1
      - &down
        alert: Down
        expr: up == 0
        for: 5m
        keep_firing_for: 1h
        labels: { severity: page }
        annotations: { summary: "{{ $labels.job }}" }
      - <<: *down
        alert: Again
`);
  assert.deepEqual(errors, []);
  assert.deepEqual(warnings, []);
  const down = {
    kind: 'alert',
    expr: 'up == 0',
    forMs: 300_000,
    keepFiringForMs: 3_600_000,
    labels: new Map([['severity', 'page']]),
    annotations: new Map([['summary', '{{ $labels.job }}']]),
  };
  assert.deepEqual(groups, [
    {
      name: 'g',
      intervalMs: 90_000,
      queryOffsetMs: 10_000,
      limit: 5,
      labels: new Map([['team', 'x']]),
      sourceTenants: ['a', 'b'],
      alignsToInterval: true,
      rules: [
        { kind: 'record', name: 'a:b', expr: '1', labels: new Map() },
        { ...down, name: 'Down' },
        { ...down, name: 'Again' },
      ],
    },
  ]);
});

test('verdicts have their place, and come all at once', () => {
  assert.deepEqual(
    errors(`groups:
- name: ""
- name: a
  labels: { __name__: x }
  rules:
  - record: "a{b}"
    alert: B
    for: 1m
  - expr: sum(
  - record: ok
    expr: up
    annotations: { "": x }
    keep_firing_for: 1m
  - alert: T
    expr: up
    labels: { x: "{{ nope }}" }
- name: a
`),
    [
      '0:0: Groupname must not be empty',
      'invalid label name: __name__',
      `6:13: 7:12: group "a", rule 1, "B": only one of 'record' and 'alert' must be set`,
      `0:0: group "a", rule 1, "B": field 'expr' must be set in rule`,
      `6:13: group "a", rule 1, "B": invalid field 'for' in recording rule`,
      '6:13: group "a", rule 1, "B": braces present in the recording rule name; should it be in expr?: a{b}',
      `0:0: 0:0: group "a", rule 2, "": one of 'record' or 'alert' must be set`,
      '9:11: group "a", rule 2, "": could not parse expression: 1:5: parse error: unclosed left parenthesis',
      `10:13: group "a", rule 3, "ok": invalid field 'annotations' in recording rule`,
      `10:13: group "a", rule 3, "ok": invalid field 'keep_firing_for' in recording rule`,
      'group "a", rule 3, "ok": invalid annotation name: ',
      'group "a", rule 4, "T": label "x": template: __alert_T:1: function "nope" not defined',
      '0:0: groupname: "a" is repeated in the same file',
    ],
  );
});

test('what is no rule file says where', () => {
  assert.deepEqual(errors(''), []);
  assert.deepEqual(errors('groups: [{ name: a, interval: 1 }]'), [
    'not a valid duration string: "1"',
    'not a valid duration string: "1"',
  ]);
  // what Prometheus finds again when it reads the file a second time, for places
  assert.deepEqual(errors('groups:\n- name: a\n  limit: many\n  rules: x\n- name: b\n  name: c\n  nope: 1\n'), [
    'yaml: unmarshal errors:\n' +
      '  line 3: cannot unmarshal !!str `many` into int\n' +
      '  line 4: cannot unmarshal !!str `x` into []rulefmt.Rule\n' +
      '  line 6: mapping key "name" already defined at line 5',
    'yaml: unmarshal errors:\n' +
      '  line 3: cannot unmarshal !!str `many` into int\n' +
      '  line 4: cannot unmarshal !!str `x` into []rulefmt.RuleNode\n' +
      '  line 6: mapping key "name" already defined at line 5',
  ]);
  assert.deepEqual(new Set(errors('groups: [{ name: *a }]')), new Set(["yaml: unknown anchor 'a' referenced"]));
  assert.match(errors('groups:\n- name: [\n')[0]!, /^yaml: line 3: /);
  assert.match(errors(`groups: ${'['.repeat(50_000)}`)[0]!, /^yaml: /);
  assert.match(errors(' '.repeat((16 << 20) + 1))[0]!, /^yaml: file of more than 16777216 characters$/);
});

test('aliases multiply what is read only so far', () => {
  const rules = Array.from({ length: 200 }, () => '*r').join(', ');
  const groups = Array.from({ length: 200 }, (_, i) => `  - { name: g${i}, rules: [${rules}] }`).join('\n');
  assert.equal(
    errors(`x: &r { record: a, expr: 1 }\ngroups:\n${groups}`)[0],
    'yaml: document contains excessive aliasing',
  );
});

test('fields of other rulers are refused with what does the same here', () => {
  const group =
    'groups:\n- name: a\n  eval_delay: 1m\n  partial_response_strategy: warn\n  rules: [{ record: a, expr: 1, debug: true }]\n';
  assert.deepEqual(errors(group), [
    'yaml: unmarshal errors:\n' +
      '  line 3: field eval_delay not found in type rulefmt.RuleGroup (it is of vmalert; query_offset does the same)\n' +
      '  line 4: field partial_response_strategy not found in type rulefmt.RuleGroup ' +
      '(it is of Thanos; a rule whose data cannot all be read fails, and never sees a part)\n' +
      '  line 5: field debug not found in type rulefmt.Rule ' +
      '(it is of vmalert; /api/v1/rules shows the last evaluation of each rule)',
  ]);
  assert.deepEqual(readRuleFile(group, { ignoreUnknownFields: true }).errors, []);
});

test('one group alone', () => {
  assert.deepEqual(readRuleGroup('name: a\nrules: [{ record: b, expr: 1 }]').groups[0]!.rules.length, 1);
  assert.deepEqual(readRuleGroup('rules: [{ record: b, expr: 1 }]').errors, ['0:0: Groupname must not be empty']);
});

test('scalars are read as in Go', () => {
  const group =
    'groups: [{ name: 5, limit: 1.9, align_evaluation_time_on_interval: on, rules: [{ record: true, expr: 1e3 }] }]';
  const { groups, errors } = readRuleFile(group);
  assert.deepEqual(errors, []);
  const [{ name, limit, alignsToInterval, rules }] = groups as [(typeof groups)[number]];
  assert.deepEqual([name, limit, alignsToInterval, rules[0]!.name, rules[0]!.expr], ['5', 1, true, 'true', '1e3']);
});
