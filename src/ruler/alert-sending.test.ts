import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Relabelling } from '../limits/relabel.ts';
import { Labels } from '../model/labels.ts';
import { GeneratorUrlTemplate } from '../template/generator-url.ts';
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

test('alerts link to the address that the tenant has a template for', async () => {
  const { groups } = readRuleGroup('name: g\nrules: [{ alert: A, expr: x > 1 }]');
  const run = new GroupRun(groups[0]!, { append: async (_, writes) => writes.map(() => []) });
  await run.evaluate({
    query: { instant: async () => [{ labels: Labels.empty, value: 2, histogram: undefined }] },
    slotMs: SECOND_MS,
    externalLabels: new Map(),
    externalUrl: '',
    nowMs: () => SECOND_MS,
  });
  const common = {
    tenant: 'a',
    slotMs: SECOND_MS,
    intervalMs: SECOND_MS,
    resendDelayMs: 60 * SECOND_MS,
    externalUrl: 'http://x',
    externalLabels: {},
    relabelling: Relabelling.none,
  };
  const linksTo = (template: string | undefined) => {
    run.rules[0]!.sent.clear();
    const generatorUrl = template === undefined ? undefined : GeneratorUrlTemplate.parse(template);
    return alertsToSend(run.rules[0]!, { ...common, generatorUrl })[0]!.generatorUrl;
  };
  assert.equal(linksTo(undefined), 'http://x/graph?g0.expr=x+%3E+1&g0.tab=1&tenant=a');
  assert.equal(linksTo('{{ .ExternalURL }}/explore?expr={{ urlquery .Expression }}'), 'http://x/explore?expr=x+%3E+1');
  // it is right for the expression that it is tried with, and fails for this one
  assert.equal(
    linksTo('{{ slice .Expression 0 (len "up") }}{{ if ne .Expression "up" }}{{ index .Expression 99 }}{{ end }}'),
    linksTo(undefined),
  );
});
