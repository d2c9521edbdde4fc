import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Relabelling } from '../limits/relabel.ts';
import { Labels } from '../model/labels.ts';
import { alertsToSend } from './alert-sending.ts';
import { GroupRun } from './group-run.ts';
import { readRuleGroup } from './rule-file.ts';

const SECOND_MS = 1000;

test('an alert is sent when it fires, resolves, fires again, and after each resend delay', async () => {
  const { groups } = readRuleGroup('name: g\nrules: [{ alert: A, expr: x }]');
  const run = new GroupRun(groups[0]!, { append: async (_, writes) => writes.map(() => []) });
  const sent: string[] = [];
  for (const [second, fires] of [
    [1, true],
    [2, true],
    [3, false],
    [4, false],
    [5, true],
    [6, true],
    [7, false],
    [8, true],
    [60, true],
    [69, true],
  ] as const) {
    const slotMs = second * SECOND_MS;
    await run.evaluate({
      query: { instant: async () => (fires ? [{ labels: Labels.empty, value: 1, histogram: undefined }] : []) },
      slotMs,
      externalLabels: new Map(),
      externalUrl: '',
      nowMs: () => slotMs,
    });
    const due = alertsToSend(run.rules[0]!, {
      tenant: 'a',
      slotMs,
      intervalMs: SECOND_MS,
      resendDelayMs: 60 * SECOND_MS,
      externalUrl: 'http://x',
      externalLabels: {},
      relabelling: Relabelling.none,
    });
    for (const { startsAtMs, endsAtMs } of due) {
      sent.push(`${second}: ${endsAtMs <= slotMs ? 'resolved' : 'firing'} since ${startsAtMs / SECOND_MS}`);
    }
  }
  assert.deepEqual(sent, [
    '1: firing since 1',
    '3: resolved since 1',
    '5: firing since 5',
    '7: resolved since 5',
    '8: firing since 8',
    '69: firing since 8',
  ]);
});
