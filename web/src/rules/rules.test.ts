import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventAnswer } from '../../../src/contract/services.ts';
import { nearestDeployment } from '../alerts/nearest-deployment.ts';
import { groupNameIn, spansOf } from './preview-spans.ts';
import { groupsOfFile } from './rule-groups.ts';

test('a rule file is taken apart into its groups', () => {
  const file = `# head
groups:
# a comment
- name: one
  rules:
  - alert: A
    expr: |
      up
        == 0
- name: "two: #2"
  interval: 1m
  rules:
  - {record: b, expr: c}
other: 1
`;
  assert.deepEqual(groupsOfFile(file), [
    'name: one\nrules:\n- alert: A\n  expr: |\n    up\n      == 0\n',
    'name: "two: #2"\ninterval: 1m\nrules:\n- {record: b, expr: c}\n',
  ]);
  const indented = 'groups:\n    - name: a\n      rules: []\n    -   name: b\n        rules: []\n';
  assert.deepEqual(groupsOfFile(indented), ['name: a\nrules: []\n', 'name: b\nrules: []\n']);
  for (const none of ['', 'groups: []', 'groups:\n']) assert.deepEqual(groupsOfFile(none), [], none);
  assert.deepEqual(groupsOfFile('name: single\nrules: []\n'), ['name: single\nrules: []\n']);
});

test("a group's name is found where it stands plainly", () => {
  const cases: [string, string | undefined][] = [
    ['interval: 1m\nname: a b # c\n', 'a b'],
    ['name: "a\\"b"', 'a"b'],
    ["name: 'it''s'", "it's"],
    ['rules:\n  - name: x', undefined],
  ];
  for (const [text, name] of cases) assert.equal(groupNameIn(text), name, text);
});

test('changes become spans, the last one up to the end', () => {
  const changes = [
    { time: 1, state: 'pending' },
    { time: 2, state: 'firing' },
    { time: 3, state: 'inactive' },
    { time: 5, state: 'firing' },
  ] as const;
  assert.deepEqual(spansOf(changes, 9_000), [
    { fromMs: 1_000, toMs: 2_000, state: 'pending' },
    { fromMs: 2_000, toMs: 3_000, state: 'firing' },
    { fromMs: 5_000, toMs: 9_000, state: 'firing' },
  ]);
});

test('the deployment before an alert is that of the service that its labels name', () => {
  const event = (name: string, time: number, more: object = {}): EventAnswer => ({
    id: `${name} ${time}`,
    type: 'deployment',
    evidence: '',
    time,
    tags: [],
    service: { key: '', cluster: '', namespace: '', name },
    ...more,
  });
  const hour = 3_600_000;
  const at = 100 * hour;
  const events = [
    event('shop', at - 3 * hour),
    event('shop', at - hour),
    event('shop', at - hour / 2, { type: 'restart' }),
    event('shop', at + hour),
    event('other', at - 1),
    event('old', at - 30 * hour),
    event('spaced', at - hour, { service: { key: '', cluster: '', namespace: 'a', name: 'spaced' } }),
  ];
  const found = (labels: Record<string, string>) => nearestDeployment(events, labels, at)?.id;
  assert.equal(found({ job: 'shop' }), `shop ${at - hour}`);
  assert.equal(found({ job: 'ns/shop' }), `shop ${at - hour}`);
  assert.equal(found({ instance: 'shop' }), undefined);
  assert.equal(found({ job: 'old' }), undefined);
  assert.equal(found({ service: 'spaced', namespace: 'a' }), `spaced ${at - hour}`);
  assert.equal(found({ service: 'spaced', namespace: 'b' }), undefined);
});
