import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { Pallium } from '../../test/harness/pallium.ts';
import { readEverything } from '../../test/harness/remote-read.ts';
import { until } from '../../test/harness/wait.ts';
import { launch, skip, Visit } from './browser.ts';
import { sendHostile, sendOne, sendShop } from './data.ts';

let browser: Browser;
let server: Pallium;

before(async () => {
  if (skip !== false) return;
  const flags = ['-web.enable-admin-api'];
  [browser, server] = await Promise.all([launch(), Pallium.start({ flags })]);
  await sendShop(server.url, 'shop');
  await sendHostile(server.url, 'hostile');
});

after(async () => {
  await browser?.close();
  await server?.[Symbol.asyncDispose]();
});

const visit = (options = {}) => Visit.of(browser, server.url, options);

test('what series cost, who uses them, what would be saved, and a deletion that is undone', { skip }, async () => {
  const asked = await fetch(`${server.url}/api/v1/query?query=up`, {
    headers: { 'x-scope-orgid': 'shop', 'x-dashboard-uid': 'd' },
  });
  assert.equal(asked.status, 200);
  await using visitor = await visit();
  const { page } = visitor;
  await visitor.open('/ui/costs?tenant=shop');
  const table = (name: string | RegExp) => page.getByRole('region', { name });
  await table('Series by metric').getByText('node_memory_MemAvailable_bytes').waitFor();
  await table('Bytes by metric').getByText('up', { exact: true }).waitFor();
  assert.match((await page.locator('main').textContent())!, /samples in [\d.]+ \S*B.* not stored yet and estimated/);
  await table('Values by label').getByRole('button', { name: 'instance' }).click();
  await table(/^Values of instance \(13\)/).waitFor();
  await visitor.picture('costs-series');
  assert.match(page.url(), /focus=instance/);
  await page.getByText('Use', { exact: true }).click();
  await page.getByRole('cell', { name: 'http_requests_total' }).waitFor();
  await page.getByText('All', { exact: true }).click();
  const row = page.getByRole('row', { name: /^up / });
  await row.waitFor();
  assert.match((await row.textContent())!, /^up1010/);
  await visitor.picture('costs-use');
  await page.getByText('Savings', { exact: true }).click();
  await page.getByLabel('Drop labels').fill('instance');
  await page.getByLabel('Drop series that match').fill('up');
  await page.keyboard.press('Enter');
  await table('savings')
    .getByText(/action: labeldrop/)
    .waitFor();
  assert.match((await table('savings').textContent())!, /12 by dropped series.*11 by dropped labels/);
  await visitor.picture('costs-savings');
  await page.getByText('Deletes', { exact: true }).click();
  await page.getByLabel('Delete samples of series that match').fill('up{instance="host-3:9100"}');
  await page.getByRole('button', { name: 'What would it hit?' }).click();
  assert.match(
    (await page.getByRole('status', { name: 'preview' }).textContent())!,
    /^1 series of 1 metrics with \d+ samples/,
  );
  await visitor.picture('costs-deletes');
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  const list = table('deletions');
  await list.getByText('hidden, can be undone').waitFor();
  await list.getByRole('button', { name: 'Undo' }).click();
  await list.getByText('None has been asked for.').waitFor();
  visitor.assertClean();
});

test('look-ups and remote reads are use of the metrics that they find', { skip }, async () => {
  for (const name of ['looked_at', 'read_only', 'unseen']) await sendOne(server.url, 'counted', name, 1);
  const headers = { 'x-scope-orgid': 'counted' };
  const countedUse = async () => {
    const answer = await fetch(`${server.url}/api/v1/status/metric_names_stats`, { headers });
    const { records } = (await answer.json()) as { records: { metricName: string; requestsCount: number }[] };
    return Object.fromEntries(records.map(({ metricName, requestsCount }) => [metricName, requestsCount]));
  };
  const asked = [
    '/api/v1/series?match[]=looked_at',
    '/api/v1/labels?match[]=looked_at',
    '/api/v1/label/x/values?match[]=looked_at',
    `/api/v1/query?query=${encodeURIComponent('{__name__=~"read_.*|looked_.*"}')}`,
    '/federate?match[]=looked_at',
    // asks for nothing in particular
    '/api/v1/labels',
  ];
  for (const path of asked) assert.equal((await fetch(`${server.url}${path}`, { headers })).status, 200, path);
  const counted = { looked_at: 5, read_only: 1, unseen: 0 };
  await until('use by other labels', async () => (await countedUse()).read_only === 1);
  assert.deepEqual(await countedUse(), counted);
  const read = { method: 'POST', headers, body: readEverything(Date.now()) as Uint8Array<ArrayBuffer> };
  assert.equal((await fetch(`${server.url}/api/v1/read`, read)).status, 200);
  await until('use by remote read', async () => (await countedUse()).unseen === 1);
  assert.deepEqual(await countedUse(), { looked_at: 6, read_only: 2, unseen: 1 });
});

test('hostile names cost no more than others', { skip }, async () => {
  await using visitor = await visit({ width: 420, height: 900, dark: true });
  const { page } = visitor;
  for (const view of ['series', 'use', 'savings', 'deletes']) {
    await visitor.open(`/ui/costs?tenant=hostile&view=${view}`);
    await page.locator('[aria-busy="true"]').waitFor({ state: 'detached' });
    await page.locator('table, form').last().waitFor();
    await visitor.picture(`costs-hostile-${view}`);
    const width = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(width <= 0, `${view}: ${width} px too wide`);
  }
  assert.equal(await page.evaluate(() => (window as { __hit?: number }).__hit), undefined);
  visitor.assertClean();
});
