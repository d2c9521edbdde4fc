import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alertOf } from './alert.ts';
import { Inhibitor } from './inhibition.ts';
import { parseMatchers } from './matcher-parser.ts';

const nowMs = 1_000_000;
const rule = {
  name: '',
  sourceMatchers: parseMatchers('severity="critical"'),
  targetMatchers: parseMatchers('severity=~"warning|critical"'),
  equal: ['cluster'],
};

function alert(labels: Record<string, string>, endsAtMs = nowMs + 1000) {
  const given = { labels: new Map(Object.entries(labels)), annotations: new Map(), generatorUrl: '' };
  return alertOf({ ...given, startsAtMs: 0, endsAtMs }, nowMs, 0);
}

test('another source inhibits when one of the same values has resolved', () => {
  const inhibitor = new Inhibitor([rule]);
  const target = new Map([
    ['severity', 'warning'],
    ['cluster', 'a'],
  ]);
  assert.equal(inhibitor.inhibitedBy(target, nowMs), undefined);
  const [one, two] = ['1', '2'].map((n) => alert({ severity: 'critical', cluster: 'a', n }));
  inhibitor.put(one!);
  inhibitor.put(two!);
  assert.equal(inhibitor.inhibitedBy(target, nowMs), one!.fingerprint);
  inhibitor.put(alert({ severity: 'critical', cluster: 'a', n: '1' }, nowMs));
  assert.equal(inhibitor.inhibitedBy(target, nowMs), two!.fingerprint);
  inhibitor.sweep(nowMs);
  assert.equal(inhibitor.inhibitedBy(target, nowMs), two!.fingerprint);
  assert.equal(inhibitor.inhibitedBy(target, nowMs + 1000), undefined);
  assert.equal(inhibitor.inhibitedBy(new Map([...target, ['cluster', 'b']]), nowMs), undefined);
});

test('an alert of both sides is not inhibited by another such, and a missing label is as an empty one', () => {
  const inhibitor = new Inhibitor([rule, { ...rule, targetMatchers: parseMatchers('severity="warning"') }]);
  inhibitor.put(alert({ severity: 'critical' }));
  assert.equal(inhibitor.inhibitedBy(new Map([['severity', 'critical']]), nowMs), undefined);
  assert.notEqual(inhibitor.inhibitedBy(new Map([['severity', 'warning']]), nowMs), undefined);
});
