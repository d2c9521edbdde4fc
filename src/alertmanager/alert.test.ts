import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Alert, alertOf, compareAlerts, type GivenAlert, joined } from './alert.ts';
import { compareLabels, fingerprintOf, labelsText } from './label-set.ts';

const labels = (given: Record<string, string>) => new Map(Object.entries(given));
const nowMs = 1_000_000;

function given(own: Record<string, string>, more: Partial<GivenAlert> = {}): GivenAlert {
  return { labels: labels(own), annotations: new Map(), generatorUrl: '', ...more };
}

test('fingerprints are those of the Alertmanager', () => {
  // from model.LabelSet.Fingerprint of github.com/prometheus/common
  assert.equal(fingerprintOf(new Map()), 'cbf29ce484222325');
  assert.equal(fingerprintOf(labels({ alertname: 'Down', instance: 'é' })), '0b682a7d61450fad');
});

test('labels as text, and their order', () => {
  assert.equal(labelsText(labels({ b: 'x"y', a: '1' })), '{a="1", b="x\\"y"}');
  assert.ok(compareLabels(labels({ z: '1' }), labels({ a: '1', b: '1' })) < 0);
  assert.ok(compareLabels(labels({ a: '1' }), labels({ b: '1' })) > 0, 'a name that the first lacks comes first');
});

test('what a sender leaves out', () => {
  const alert = alertOf(given({ a: 'b', c: '' }), nowMs, 5000);
  assert.deepEqual([...alert.labels], [['a', 'b']]);
  assert.deepEqual([alert.startsAtMs, alert.endsAtMs, alert.isTimeout], [nowMs, nowMs + 5000, true]);
  const ended = alertOf(given({ a: 'b' }, { endsAtMs: 7 }), nowMs, 5000);
  assert.deepEqual([ended.startsAtMs, ended.endsAtMs, ended.isTimeout], [7, 7, false]);
  assert.throws(() => alertOf(given({ a: '' }), nowMs, 1), { message: 'at least one label pair required' });
  assert.throws(() => alertOf(given({ a: 'b' }, { startsAtMs: 9, endsAtMs: 8 }), nowMs, 1), {
    message: 'start time must be before end time',
  });
  assert.throws(() => alertOf(given({ '': 'b' }), nowMs, 1), { message: 'invalid label set: invalid name ""' });
  assert.throws(() => alertOf(given({ a: '\ud800' }), nowMs, 1), /invalid label set: invalid value/);
});

test('alerts that overlap are joined', () => {
  const at = (startsAtMs: number, endsAtMs: number, isTimeout: boolean, updatedAtMs: number): Alert => ({
    ...alertOf(given({ a: 'b' }), nowMs, 0),
    startsAtMs,
    endsAtMs,
    isTimeout,
    updatedAtMs,
  });
  const span = ({ startsAtMs, endsAtMs }: Alert) => [startsAtMs, endsAtMs];
  const future = nowMs + 100;
  // the earliest start; a later end that was given stays
  assert.deepEqual(span(joined(at(10, future + 50, false, 1), at(20, future, false, 2), nowMs)), [10, future + 50]);
  assert.deepEqual(span(joined(at(10, future + 50, true, 1), at(20, future, false, 2), nowMs)), [10, future]);
  // one that has resolved ends what fires
  assert.deepEqual(span(joined(at(10, future, false, 1), at(20, 30, false, 2), nowMs)), [10, 30]);
  assert.deepEqual(span(joined(at(10, 40, false, 1), at(20, 30, false, 2), nowMs)), [10, 40]);
  // without an overlap the new one counts
  assert.deepEqual(span(joined(at(10, 15, false, 1), at(20, 30, false, 2), nowMs)), [20, 30]);
});

test('alerts are told by job, instance, then labels', () => {
  const make = (own: Record<string, string>) => alertOf(given(own), nowMs, 1);
  const sorted = [
    make({ a: 'x' }),
    make({ instance: '2', job: 'b' }),
    make({ instance: '1', job: 'b' }),
    make({ job: 'a' }),
  ].sort(compareAlerts);
  assert.deepEqual(
    sorted.map(({ labels: own }) => labelsText(own)),
    ['{job="a"}', '{instance="1", job="b"}', '{instance="2", job="b"}', '{a="x"}'],
  );
});
