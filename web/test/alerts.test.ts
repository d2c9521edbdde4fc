import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { Pallium } from '../../test/harness/pallium.ts';
import { until } from '../../test/harness/wait.ts';
import { launch, skip, Visit } from './browser.ts';
import { HOSTILE, sendShop } from './data.ts';

let browser: Browser;
let server: Pallium;

const TENANT = { 'x-scope-orgid': 'shop' };

/** Two rules: one that fires for a host, one whose texts are hostile. */
const RULES = `name: hosts
interval: 1s
rules:
- alert: HostSlow
  expr: up{instance="host-5:9100"} == 1
  labels: {severity: page}
  annotations: {summary: '{{ $labels.instance }} is slow'}
- alert: Odd
  expr: up{instance="host-6:9100"} == 1
  annotations: {summary: ${JSON.stringify(HOSTILE[0])}, other: ${JSON.stringify(HOSTILE[1])}}
- record: hosts:up:sum
  expr: sum(up)
`;
const CONFIG = `alertmanager_config: |
  route: {receiver: nobody, group_wait: 1s, group_interval: 1s}
  receivers: [{name: nobody}]
`;

before(async () => {
  if (skip !== false) return;
  [browser, server] = await Promise.all([launch(), Pallium.start()]);
  await sendShop(server.url, 'shop');
  const post = async (path: string, body: string) => {
    const answer = await fetch(server.url + path, {
      method: 'POST',
      body,
      headers: { ...TENANT, 'content-type': 'application/yaml' },
    });
    assert.ok(answer.status < 300, `${path}: ${answer.status} ${await answer.text()}`);
  };
  await post('/config/v1/alerts', CONFIG);
  await post('/api/v1/rules/shop', RULES);
  await until(
    'the Alertmanager to have both alerts',
    async () => {
      const answer = await fetch(`${server.url}/alertmanager/api/v2/alerts`, { headers: TENANT });
      return answer.ok && ((await answer.json()) as unknown[]).length >= 2;
    },
    { timeoutMs: 180_000, intervalMs: 200 },
  );
});

after(async () => {
  await browser?.close();
  await server?.[Symbol.asyncDispose]();
});

test('an alert is seen, silenced from where it stands, and heard again', { skip }, async () => {
  await using visitor = await Visit.of(browser, server.url);
  const { page } = visitor;
  await visitor.open('/alerts?tenant=shop');
  const group = page.getByLabel('group hosts');
  await group.getByText('host-5:9100 is slow').waitFor();
  await group.getByText('firing').first().waitFor();
  assert.equal(await page.evaluate(() => document.querySelectorAll('img, #root script').length), 0);
  await visitor.picture('alerts');
  await group.locator('tr', { hasText: 'host-5:9100 is slow' }).getByRole('link', { name: 'silence' }).click();
  await page.waitForURL(/\/ui\/silences\/new/);
  await page.getByText('It hits 1 alert now').waitFor();
  await page.getByLabel(/^by/).fill('ann');
  await page.getByLabel('because').fill(HOSTILE[0]!);
  await visitor.picture('silence-new');
  await page.getByRole('button', { name: 'Silence for 2h' }).click();
  const silence = page.getByLabel(/^silence [0-9a-f-]{36}$/);
  await silence.getByText('active').waitFor();
  await silence.getByRole('button', { name: '1 h more' }).click();
  await page.waitForTimeout(500);
  await visitor.picture('silences');
  await visitor.open('/ui/alerts?tenant=shop');
  await group.getByRole('link', { name: 'silenced' }).click();
  await silence.getByRole('button', { name: 'End' }).click();
  await silence.getByText('expired').waitFor();
  visitor.assertClean();
});

test("addresses of Alertmanager's own pages lead to these", { skip }, async () => {
  await using visitor = await Visit.of(browser, server.url);
  const { page } = visitor;
  await page.addInitScript(() => localStorage.setItem('pallium.tenant', 'shop'));
  await visitor.open('/alertmanager/#/silences/new?filter=%7Balertname%3D%22HostSlow%22%7D');
  await page.getByText('It hits 1 alert now').waitFor();
  await visitor.open('/alertmanager/?x=1#/alerts?filter=Odd');
  await page.getByLabel('group hosts').getByText('Odd').first().waitFor();
  assert.equal(await page.getByText('host-5:9100 is slow').count(), 0);
  visitor.assertClean();
});
