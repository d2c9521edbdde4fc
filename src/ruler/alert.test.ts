import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Labels } from '../model/labels.ts';
import { type Alerts, type AlertTiming, nextAlerts } from './alert.ts';

const labels = Labels.of({ alertname: 'Down', job: 'a' });
const element = { labels, annotations: ['summary', 'x'], value: 1 };
const minuteMs = 60_000;

/** States minute by minute: `+` the element is there, `.` it is not. */
function states(line: string, timing: AlertTiming, from: Alerts = new Map()): { line: string; alerts: Alerts } {
  let alerts = from;
  let shown = '';
  [...line].forEach((character, i) => {
    const found = character === '+' ? new Map([[labels.key, element]]) : new Map();
    alerts = nextAlerts(alerts, found, timing, i * minuteMs);
    const state = alerts.get(labels.key)?.state;
    shown += state === undefined ? '.' : state[0];
  });
  return { line: shown, alerts };
}

test('pending, firing, resolved, forgotten', () => {
  const timing = { forMs: 2 * minuteMs, keepFiringForMs: 0 };
  assert.equal(states('++++..', timing).line, 'ppffii');
  assert.equal(states('+.++.', timing).line, 'p.pp.');
  assert.equal(states('+++.++', timing).line, 'ppfipp');
  // resolved at minute 1, and kept for 15 minutes
  assert.equal(states(`+${'.'.repeat(18)}`, { ...timing, forMs: 0 }).line, `f${'i'.repeat(16)}..`);
});

test('an alert goes on firing for as long as its rule says', () => {
  const timing = { forMs: 0, keepFiringForMs: 2 * minuteMs };
  assert.equal(states('+..+...', timing).line, 'ffffffi');
  const { alerts } = states('+.', timing);
  assert.equal(alerts.get(labels.key)!.keepFiringSinceMs, minuteMs);
  assert.equal(states('+.+', timing).alerts.get(labels.key)!.keepFiringSinceMs, undefined);
});

test('a longer `for` takes a firing alert back', () => {
  const { alerts } = states('++', { forMs: 0, keepFiringForMs: 0 });
  const found = new Map([[labels.key, element]]);
  const pending = nextAlerts(alerts, found, { forMs: 10 * minuteMs, keepFiringForMs: 0 }, 2 * minuteMs);
  assert.equal(pending.get(labels.key)!.state, 'pending');
  assert.equal(pending.get(labels.key)!.firedAtMs, undefined);
  assert.equal(pending.get(labels.key)!.activeAtMs, 0);
});

test('an evaluation that changes nothing leaves the same alert', () => {
  const timing = { forMs: 0, keepFiringForMs: 0 };
  const { alerts } = states('+', timing);
  const after = nextAlerts(alerts, new Map([[labels.key, { ...element }]]), timing, minuteMs);
  assert.equal(after.get(labels.key), alerts.get(labels.key));
});
