import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { Pallium } from '../../test/harness/pallium.ts';
import { until } from '../../test/harness/wait.ts';
import { readFaults } from './accessibility.ts';
import { launch, skip, Visit } from './browser.ts';
import { HOSTILE, sendEvents, sendHostile, sendNative, sendOne, sendRollOut, sendShop } from './data.ts';

let browser: Browser;
let server: Pallium;

before(async () => {
  if (skip !== false) return;
  [browser, server] = await Promise.all([launch(), Pallium.start({ ownMetrics: true })]);
  await sendShop(server.url, 'shop');
  await sendNative(server.url, 'shop');
  await sendRollOut(server.url, 'roll');
  // minutes of it are still to come: the list of services looks for new samples, however long the tests before took
  await sendHostile(server.url, 'hostile', Date.now() + 7 * 60_000);
  const texts = HOSTILE.map((text) => text.slice(0, 1000));
  await sendEvents(
    server.url,
    'hostile',
    texts.map((text, i) => ({ minutesAgo: i + 5, service: 'hostile', to: text, text, tags: [text] })),
  );
});

after(async () => {
  await browser?.close();
  await server?.[Symbol.asyncDispose]();
});

const visit = (options = {}) => Visit.of(browser, server.url, options);
const param = (expr: string) => encodeURIComponent(expr);

/** A hidden tab asks for nothing, and asks again when it is looked at. */
async function assertHiddenRests(): Promise<void> {
  await using visitor = await visit();
  const { page } = visitor;
  let asked = 0;
  page.on('request', (request) => {
    if (request.url().includes('/api/v1/query')) asked++;
  });
  await visitor.open(`/ui/query?tenant=shop&g0.expr=up&g0.tab=table&refresh=5s`);
  await page.getByText('host-3:9100').waitFor();
  const hide = (hidden: boolean) =>
    page.evaluate((is) => {
      Object.defineProperty(document, 'hidden', { configurable: true, get: () => is });
      document.dispatchEvent(new Event('visibilitychange'));
    }, hidden);
  await hide(true);
  await page.locator('.panel[data-state="idle"]').waitFor();
  const before = asked;
  await page.waitForTimeout(7_000);
  assert.equal(asked, before);
  const again = page.waitForRequest(/\/api\/v1\/query/);
  await hide(false);
  await again;
  visitor.assertClean();
}

test('an empty server says how to write to it, and leads to its own metrics; hidden tabs rest', { skip }, async () => {
  await using visitor = await visit();
  const { page } = visitor;
  await visitor.open('/');
  await page.getByText('No data yet').waitFor();
  assert.match((await page.locator('pre.block').textContent())!, new RegExp(`url: ${server.url}/api/v1/push`));
  await visitor.picture('empty');
  await page.getByText("this server's own metrics").click();
  await page.waitForURL(/tenant=pallium/);
  assert.match(page.url(), /\/ui\/query/);
  // they come every 15 s: time for another tab to be hidden
  const resting = assertHiddenRests();
  await page.getByText('No data yet').waitFor({ state: 'detached' });
  await resting;
  visitor.assertClean();
});

test('a query is typed with completion of a metric, a label and a value, and drawn', { skip }, async () => {
  await using visitor = await visit();
  const { page } = visitor;
  await visitor.open('/ui/query?tenant=shop');
  await page.locator('.cm-content').waitFor();
  await page.keyboard.press('/');
  const option = (text: string) => page.locator('.cm-tooltip-autocomplete li', { hasText: text }).first();
  await page.keyboard.type('sum by (route) (rate(http_requ');
  await option('http_requests_total').waitFor();
  await visitor.picture('completion');
  await option('http_requests_total').click();
  await page.keyboard.type('{co');
  await option('code').click();
  await page.keyboard.type('="2');
  await option('200').click();
  await page.keyboard.press('End');
  const typed = await page.locator('.cm-content').textContent();
  assert.match(typed!, /http_requests_total\{code="200"\}?/);
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.type('sum by (route) (rate(http_requests_total[5m]))');
  await page.keyboard.press('Escape');
  await page.keyboard.press('ControlOrMeta+Enter');
  await visitor.drawn();
  assert.ok((await visitor.colouredPixels()) > 500);
  assert.equal(await page.locator('.legend-row').count(), 3);
  assert.match(page.url(), /g0\.expr=sum\+by/);
  await page.getByText(/3 series · step/).waitFor();
  await page.locator('.chart').hover({ position: { x: 600, y: 150 } });
  await page.locator('.tooltip').waitFor();
  assert.match((await page.locator('.tooltip').textContent())!, /route="\/search"/);
  await visitor.picture('graph');
  // pinned by a click: the largest first, with exact values
  await page.locator('.u-over').click({ position: { x: 500, y: 150 } });
  const pinned = page.locator('.tooltip[data-pinned]');
  await pinned.waitFor();
  const values = (await pinned.locator('small').allTextContents()).map(Number);
  assert.deepEqual(
    values,
    values.toSorted((a, b) => b - a),
  );
  assert.equal(values.length, 3);
  await page.keyboard.press('Escape');
  await page.locator('.u-over').click({ position: { x: 500, y: 150 } });
  await pinned.waitFor({ state: 'detached' });
  // one series alone, and all again
  const all = await visitor.colouredPixels();
  await page.locator('.legend-row').first().click();
  await until('one series is drawn', async () => (await visitor.colouredPixels()) < all * 0.7);
  await page.locator('.legend-row').first().click();
  // dragging zooms
  const box = (await page.locator('.u-over').boundingBox())!;
  await page.mouse.move(box.x + 300, box.y + 100);
  await page.mouse.down();
  await page.mouse.move(box.x + 600, box.y + 120, { steps: 5 });
  await page.mouse.up();
  await page.waitForURL(/g0\.end_input=/);
  await visitor.drawn();
  assert.match(page.url(), /g0\.range_input=1[4-9]m/);
  visitor.assertClean();
});

test('each view of a panel shows what it is for', { skip }, async () => {
  await using visitor = await visit();
  const { page } = visitor;
  await visitor.open(`/ui/query?tenant=shop&g0.expr=${param('up')}&g0.tab=table`);
  await page.getByText('host-3:9100').waitFor();
  assert.equal(await page.locator('.row').count(), 12);
  await visitor.picture('table');
  const [csv] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'CSV' }).click()]);
  const text = readFileSync(await csv.path(), 'utf8');
  assert.match(text, /^__name__,instance,job,time,value\r\nup,host-0:9100,node,/);
  await page.getByText('Explain', { exact: true }).click();
  await page.locator('.tree .node').first().waitFor();
  await visitor.picture('explain');
  const heat = 'sum by (le) (rate(http_request_duration_seconds_bucket[5m]))';
  await visitor.open(
    `/ui/query?tenant=shop&g0.expr=${param(heat)}&g0.tab=graph&g0.display_mode=heatmap&g1.expr=${param('node_memory_MemAvailable_bytes')}&g1.tab=graph&g1.display_mode=stacked`,
  );
  await visitor.drawn(2);
  assert.ok((await visitor.colouredPixels(0)) > 20_000, 'cells');
  assert.ok((await visitor.colouredPixels(1)) > 20_000, 'areas');
  await page.getByText(/GiB/).first().waitFor();
  await visitor.picture('heatmap-stacked');
  // native histograms as a heatmap, exemplars on a line
  const traced = `g1.expr=${param('sum by (job) (rate(traced_total[5m]))')}&g1.tab=graph&g1.show_exemplars=1`;
  await visitor.open(
    `/ui/query?tenant=shop&g0.expr=${param('rate(native_seconds[5m])')}&g0.tab=graph&g0.display_mode=heatmap&${traced}`,
  );
  await visitor.drawn(2);
  await page.waitForFunction(() => document.querySelectorAll('.chart canvas').length === 2);
  assert.ok((await visitor.colouredPixels(0)) > 10_000, 'cells of native histograms');
  // four points on the line, in a colour that no line has; with the switch they go
  const exemplar = [0xe6, 0x9f, 0x00] as const;
  await until('exemplars are drawn', async () => (await visitor.pixelsOf(exemplar, 1)) >= 4 * 10);
  await visitor.picture('native-exemplars');
  await page.getByLabel('exemplars').nth(1).click();
  await until('exemplars are gone', async () => (await visitor.pixelsOf(exemplar, 1)) === 0);
  // a picture of it, and a query that is saved and taken up again
  const [png] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'PNG' }).first().click(),
  ]);
  assert.deepEqual([...readFileSync(await png.path()).subarray(1, 4)], [...Buffer.from('PNG')]);
  await page.getByRole('button', { name: 'save the query' }).nth(1).click();
  await page.getByRole('button', { name: 'history' }).first().click();
  await page.getByText('Saved', { exact: true }).click();
  await page.getByRole('button', { name: 'sum by (job) (rate(traced_total[5m]))' }).click();
  await page.waitForFunction(
    () => document.querySelector('.cm-content, textarea.expr')?.textContent?.includes('traced') ?? false,
  );
  visitor.assertClean();
});

test('a link of Prometheus with two panels opens both, below a path prefix too', { skip }, async () => {
  await using below = await Pallium.start({
    flags: ['-server.http-path-prefix=/metrics'],
    waitReady: false,
  });
  const query = `g0.expr=${param('sum(rate(http_requests_total[5m]))')}&g0.tab=0&g0.range_input=30m&g1.expr=${param('up == 0')}&g1.tab=1`;
  await using visitor = await visit();
  await visitor.page.addInitScript(() => localStorage.setItem('pallium.tenant', 'shop'));
  await visitor.open(`/graph?${query}`);
  await visitor.drawn(1);
  assert.equal(await visitor.page.locator('.panel').count(), 2);
  await visitor.page.getByText('last 30m').waitFor();
  await visitor.picture('two-panels');
  visitor.assertClean();
  const prefixed = `${below.url}/metrics`;
  while ((await fetch(`${prefixed}/ready`).catch(() => undefined))?.status !== 200)
    await new Promise((done) => setTimeout(done, 50));
  await sendShop(prefixed, 'anonymous');
  await using other = await Visit.of(browser, below.url);
  await other.open(`/metrics/prometheus/graph?${query}`);
  await other.drawn(1);
  assert.match(other.page.url(), /\/metrics\/ui\/query\?g0\.expr=/);
  assert.equal(await other.page.locator('.panel').count(), 2);
  assert.ok((await other.colouredPixels()) > 300);
  other.assertClean();
});

test('what is wrong with a query is told at its place, and the picture before it stays', { skip }, async () => {
  await using visitor = await visit();
  visitor.expectedStatuses = [400];
  const { page } = visitor;
  await visitor.open(`/ui/query?tenant=shop&g0.expr=${param('up')}&g0.tab=table`);
  await page.getByText('host-3:9100').waitFor();
  await page.locator('.cm-content').click();
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.type('sum(rate(up[5m]) by');
  await page.keyboard.press('Escape');
  await page.keyboard.press('ControlOrMeta+Enter');
  await page.getByRole('alert').waitFor();
  assert.match((await page.getByRole('alert').textContent())!, /parse error/);
  await page.locator('.cm-lintRange-error').first().waitFor();
  await page.getByText('host-3:9100').waitFor();
  await visitor.picture('error');
  // a note of the answer stands at the name that it is about
  await visitor.open(
    `/ui/query?tenant=shop&g0.expr=${param('sum(rate(node_memory_MemAvailable_bytes[5m]))')}&g0.tab=table`,
  );
  await page.locator('.cm-lintRange-info', { hasText: /^node_memory_MemAvailable_bytes$/ }).waitFor();
  await page.getByRole('status').getByText('metric might not be a counter').waitFor();
  await visitor.picture('note');
  visitor.assertClean();
});

test('a panel is moved in time, searched, copied and taken along', { skip }, async () => {
  await using visitor = await visit();
  const { page } = visitor;
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  const memory = 'node_memory_MemAvailable_bytes';
  await visitor.open(
    `/ui/query?tenant=shop&g0.expr=${param('sum by (route) (rate(http_requests_total[5m]))')}&g0.tab=graph&g1.expr=${memory}&g1.tab=graph`,
  );
  await visitor.drawn(2);
  // cursors go together: a tooltip in each panel
  await page
    .locator('.chart')
    .first()
    .hover({ position: { x: 600, y: 150 } });
  await until('both panels have a tooltip', async () => (await page.locator('.tooltip').count()) === 2);
  await visitor.picture('linked-cursors');
  const panel = page.getByRole('region', { name: `query ${memory}` });
  await panel.getByLabel('search series').fill('host-3:');
  await panel.getByText('1 of 12').waitFor();
  assert.equal(await panel.locator('.legend-row').count(), 1);
  // the exact value of what is shown in GiB
  assert.match((await panel.locator('.legend-row .row-value').getAttribute('title'))!, /^\d{10}/);
  await panel.getByLabel('resolution').selectOption('custom');
  await panel.getByLabel('step', { exact: true }).fill('5m');
  await panel.getByLabel('step', { exact: true }).press('Enter');
  await panel.getByText(/12 series · step 5m/).waitFor();
  const [json] = await Promise.all([
    page.waitForEvent('download'),
    panel.getByRole('button', { name: 'JSON' }).click(),
  ]);
  assert.equal(JSON.parse(readFileSync(await json.path(), 'utf8')).data.result.length, 12);
  await panel.getByRole('button', { name: 'API call' }).click();
  await panel.getByRole('button', { name: 'Copied' }).waitFor();
  const curl = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(curl, /^curl -sG '\S+\/api\/v1\/query_range' -H 'X-Scope-OrgID: shop' --data-urlencode/);
  // half a range back, in both panels and in the address
  await page.getByRole('button', { name: 'earlier' }).click();
  await page.waitForURL(/g1\.end_input=/);
  assert.match(page.url(), /g0\.end_input=/);
  await page.getByRole('button', { name: /^times are in .*; switch$/ }).click();
  await page.getByRole('button', { name: 'times are in UTC; switch' }).waitFor();
  const label = (await page.getByRole('button', { name: /^time range/ }).getAttribute('aria-label'))!;
  const shown = Date.parse(`${/– (.+)$/.exec(label)![1]}Z`);
  assert.ok(Math.abs(Date.now() - 30 * 60_000 - shown) < 10 * 60_000, label);
  await panel.getByRole('button', { name: 'Copy link' }).click();
  await until('the link is copied', async () =>
    (await page.evaluate(() => navigator.clipboard.readText())).startsWith(server.url),
  );
  const link = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(link, page.url());
  assert.match(link, /[?&]tenant=shop/);
  visitor.assertClean();
});

test('a link names the tenant, also where it was chosen at another visit', { skip }, async () => {
  await using visitor = await visit();
  await visitor.page.addInitScript(() => localStorage.setItem('pallium.tenant', 'shop'));
  for (const path of ['/ui/query?g0.expr=up&g0.tab=table', '/ui/services', '/ui/explore', '/ui/']) {
    await visitor.open(path);
    await visitor.page.waitForURL(/[?&]tenant=shop/);
  }
  await visitor.page.waitForURL(/\/ui\/query\?/);
  // what looks like an escape within a query is none
  const expr = 'up{job!="%60%2B"}';
  await visitor.open(`/ui/query?g0.expr=${param(expr)}&g0.tab=table`);
  await visitor.page.waitForURL(/[?&]tenant=shop/);
  await visitor.page.getByLabel(`query ${expr}`, { exact: true }).waitFor();
  assert.equal(new URL(visitor.page.url()).searchParams.get('g0.expr'), expr);
  visitor.assertClean();
});

test('refreshes do not overlap, and what an answer lacks is told on each page', { skip }, async () => {
  await using visitor = await visit();
  const { page } = visitor;
  const lacks = 'the answer is incomplete: one ingester is away';
  let [underWay, most, ended] = [0, 0, 0];
  await page.route('**/api/v1/query_range', async (route) => {
    most = Math.max(most, ++underWay);
    const response = await route.fetch();
    const answer = await response.json();
    await new Promise((done) => setTimeout(done, 400));
    underWay--;
    ended++;
    await route.fulfill({ response, json: { ...answer, warnings: [lacks] } }).catch(() => {});
  });
  await visitor.open('/ui/query?tenant=shop&g0.expr=up&g0.tab=graph&refresh=100ms');
  await until('some refreshes ended', async () => ended >= 4);
  assert.equal(most, 1);
  await page.getByRole('status').getByText(lacks).waitFor();
  await page.getByText(/ · incomplete$/).waitFor();
  await visitor.picture('incomplete');
  await visitor.open('/ui/service?tenant=shop&name=shop');
  await page.locator('.dashboard-panel').getByText(lacks).first().waitFor();
  visitor.assertClean();
});

test('a dashboard under way keeps its pictures and is cancelled', { skip }, async () => {
  await using visitor = await visit();
  const { page } = visitor;
  await visitor.open('/ui/service?tenant=shop&name=shop');
  await visitor.drawn(2);
  const { promise: mayGoOn, resolve: goOn } = Promise.withResolvers<void>();
  await page.route('**/api/v1/query_range', async (route) => {
    await mayGoOn;
    await route.continue().catch(() => {});
  });
  await page.getByRole('button', { name: 'refresh', exact: true }).click();
  const panel = page.locator('.dashboard-panel').first();
  await panel.getByRole('button', { name: 'cancel' }).waitFor();
  assert.ok((await visitor.colouredPixels(0)) > 200, 'the old picture stays');
  await visitor.picture('dashboard-busy');
  await panel.getByRole('button', { name: 'cancel' }).click();
  await panel.getByRole('button', { name: 'cancel' }).waitFor({ state: 'detached' });
  assert.ok((await visitor.colouredPixels(0)) > 200, 'and is there after it');
  await panel.getByText('Cancelled.').waitFor();

  // one that has shown nothing yet
  await visitor.open('/ui/service?tenant=shop&name=shop');
  await panel.getByRole('button', { name: 'cancel' }).click();
  await panel.getByText('Cancelled.').waitFor();
  assert.equal(await panel.locator('[aria-busy]').count(), 0);
  goOn();
  await panel.getByRole('button', { name: 'ask again' }).click();
  await panel.locator('.chart canvas').first().waitFor();
  assert.equal(await panel.getByText('Cancelled.').count(), 0);
  // what is not seen yet takes no focus
  const visibility = await page.evaluate(() => {
    const button = document.body.appendChild(document.createElement('button'));
    button.className = 'late';
    button.style.animation = 'none';
    return getComputedStyle(button).visibility;
  });
  assert.equal(visibility, 'hidden');
  visitor.assertClean();
});

test('what a chart cannot show is told, of floats beside native histograms', { skip }, async () => {
  const query = (expr: string) => ({
    kind: 'TimeSeriesQuery',
    spec: { plugin: { kind: 'PrometheusTimeSeriesQuery', spec: { query: expr } } },
  });
  const panel = (name: string, ...exprs: string[]) => ({
    kind: 'Panel',
    spec: { display: { name }, plugin: { kind: 'TimeSeriesChart' }, queries: exprs.map(query) },
  });
  const panels = {
    both: panel('both', 'native_seconds', 'node_memory_MemAvailable_bytes'),
    native: panel('native', 'native_seconds', 'rate(native_seconds[5m])'),
  };
  const items = Object.keys(panels).map((key, i) => ({
    ...{ x: 12 * i, y: 0, width: 12, height: 8 },
    content: { $ref: `#/spec/panels/${key}` },
  }));
  const answer = await fetch(`${server.url}/api/v1/dashboards`, {
    method: 'POST',
    headers: { 'x-scope-orgid': 'shop' },
    body: JSON.stringify({
      kind: 'Dashboard',
      spec: { display: { name: 'kinds' }, panels, layouts: [{ kind: 'Grid', spec: { items } }] },
    }),
  });
  assert.ok(answer.ok, `${answer.status} ${await answer.clone().text()}`);
  const { data } = (await answer.json()) as { data: { id: string } };
  await using visitor = await visit();
  const { page } = visitor;
  await visitor.open(`/ui/dashboards/${data.id}?tenant=shop`);
  await visitor.drawn(2);
  const both = page.getByLabel('both', { exact: true });
  await both.getByText('Not drawn: native histograms of one series.').waitFor();
  assert.match((await both.locator('.names').textContent()) ?? '', /host-5:9100/);
  const native = page.getByLabel('native', { exact: true });
  await native.locator('.chart canvas').first().waitFor();
  assert.deepEqual([await native.getByText('Not drawn').count(), await native.locator('.names').count()], [0, 0]);
  await visitor.picture('dashboard-histograms-and-floats');
  await visitor.open(`/ui/query?tenant=shop&g0.tab=graph&g0.expr=${param('native_seconds or up')}`);
  await page.getByText('Not drawn: native histograms of one series.').waitFor();
  visitor.assertClean();
});

test('a long query is cancelled, and the page is at hand meanwhile', { skip }, async () => {
  await using visitor = await visit();
  const { page } = visitor;
  const { promise: cancelled, resolve } = Promise.withResolvers<void>();
  await page.route('**/api/v1/query_range', async (route) => {
    await cancelled;
    await route.continue().catch(() => {});
  });
  await visitor.open(`/ui/query?tenant=shop&g0.expr=up&g0.tab=graph`);
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('button', { name: 'Run' }).waitFor();
  resolve();
  visitor.assertClean();
});

test('metrics are found without a query, narrowed by label, and broken down', { skip }, async () => {
  await using visitor = await visit();
  const { page } = visitor;
  await visitor.open('/ui/explore?tenant=shop');
  const tile = (metric: string) => page.locator('.explore-row', { hasText: metric });
  await tile('http_requests_total').locator('svg path').first().waitFor();
  assert.equal(
    await tile('http_requests_total').locator('.tile-query').textContent(),
    'sum (rate(http_requests_total[3m]))',
  );
  await visitor.picture('explore');
  await page.getByLabel('label', { exact: true }).selectOption('job');
  await page.getByLabel('value', { exact: true }).selectOption('node');
  await page.getByText('2 metrics').waitFor();
  await page.getByLabel('without job').click();
  await page.getByLabel('search metrics').fill('requests');
  await page.getByText('2 metrics').waitFor();
  await page.getByRole('button', { name: 'http_requests_total', exact: true }).click();
  await page.getByLabel('by route').locator('svg path').nth(2).waitFor();
  await visitor.picture('explore-metric');
  await page.getByLabel('by code').locator('a').click();
  await visitor.drawn();
  assert.match(page.url(), /g0\.expr=sum\+by\+%28code%29/);
  // nobody described it: its samples say that it is a native histogram
  await visitor.open('/ui/explore?tenant=shop&search=native_seconds');
  // a line that is level has no height
  await tile('native_seconds').locator('svg path').first().waitFor({ state: 'attached' });
  await tile('native_seconds').getByText('histogram', { exact: true }).waitFor();
  assert.match(
    (await tile('native_seconds').locator('.tile-query').textContent()) ?? '',
    /^histogram_quantile\(0\.9, sum \(rate\(native_seconds\[/,
  );
  await page.getByRole('button', { name: 'native_seconds', exact: true }).click();
  await page.getByLabel('by job').locator('svg path').first().waitFor({ state: 'attached' });
  await visitor.picture('explore-native');
  // of one name, and a gauge in another tenant
  await sendOne(server.url, 'roll', 'native_seconds', 7);
  await page.getByRole('button', { name: 'all metrics' }).click();
  await tile('native_seconds').getByText('histogram', { exact: true }).waitFor();
  await page.evaluate(() => history.pushState(null, '', location.href.replace('tenant=shop', 'tenant=roll')));
  await tile('native_seconds').getByText('7 s', { exact: true }).waitFor();
  await tile('native_seconds').getByText('gauge', { exact: true }).waitFor();
  // a step of the line is nine hours: its last one is before the only sample
  await sendOne(server.url, 'shop', 'just_came', 42);
  await visitor.open('/ui/explore?tenant=shop&range=30d&search=just');
  await tile('just_came').getByText('42', { exact: true }).waitFor();
  visitor.assertClean();
});

test('services are listed, and each has a dashboard of its own metrics', { skip }, async () => {
  await using visitor = await visit();
  const { page } = visitor;
  await visitor.open('/ui/services?tenant=shop');
  await page.getByRole('link', { name: 'shop' }).waitFor();
  await page.getByText(/ m?s$/).waitFor();
  await visitor.picture('services');
  await page.getByRole('link', { name: 'shop' }).click();
  await page.waitForURL(/\/ui\/service\?.*name=shop/);
  await visitor.drawn(3);
  assert.ok((await visitor.colouredPixels(0)) > 200);
  await visitor.picture('service');
  await sendEvents(server.url, 'shop', [
    { minutesAgo: 40, service: 'shop', from: '1.3', to: '1.4' },
    { minutesAgo: 20, service: 'shop', type: 'rollback', from: '1.4', to: '1.3' },
  ]);
  await visitor.open('/ui/service?tenant=shop&name=shop');
  await page.getByText('rollback 1.4 → 1.3').waitFor();
  await visitor.drawn(3);
  await page.getByRole('button', { name: 'before and after' }).first().click();
  await page.getByText(/Nothing to compare yet/).waitFor();
  await page
    .locator('.chart')
    .first()
    .hover({ position: { x: 300, y: 60 } });
  await visitor.picture('service-deployments');
  // while both versions run
  await visitor.open('/ui/service?tenant=roll&name=cart');
  await page.getByRole('button', { name: 'before and after' }).first().click();
  await page.getByText(/While both run: 2 new against 2 old instances over 15 minutes/).waitFor();
  await page
    .getByText(/^worse: HTTP: error ratio/)
    .first()
    .waitFor();
  await visitor.picture('service-both-versions');
  visitor.assertClean();
});

test('keys lead from page to page, and are listed', { skip }, async () => {
  await using visitor = await visit();
  const { page } = visitor;
  await visitor.open('/ui/query?tenant=shop');
  await page.locator('.cm-content').waitFor();
  await page.keyboard.press('g');
  await page.keyboard.press('a');
  await page.waitForURL(/\/ui\/alerts\?tenant=shop/);
  await page.getByText('The tenant has no rules').waitFor();
  await page.keyboard.press('?');
  await page.getByRole('dialog').waitFor();
  await visitor.picture('keys');
  await page.keyboard.press('Escape');
  await page.keyboard.press('g');
  await page.keyboard.press('q');
  await page.waitForURL(/\/ui\/query\?tenant=shop/);
  visitor.assertClean();
});

test('it is of use in the dark and on a phone', { skip }, async () => {
  const panel = `/ui/query?tenant=shop&g0.expr=${param('sum by (route) (rate(http_requests_total[5m]))')}&g0.tab=graph`;
  await using dark = await visit({ dark: true });
  await dark.open(panel);
  await dark.drawn();
  await dark.picture('dark');
  dark.assertClean();
  await using phone = await visit({ width: 390, height: 780 });
  await phone.open(panel);
  await phone.drawn();
  await phone.picture('phone');
  const overflow = await phone.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(overflow <= 0, `${overflow} px wider than the phone`);
  phone.assertClean();
});

/** Pages with the heading of each. */
const PAGES = [
  ['query?g0.expr=up&g0.tab=graph', 'Query'],
  ['explore?metric=up', 'Explore'],
  ['services', 'Services'],
  ['service?name=shop', 'Service'],
  ['dashboards', 'Dashboards'],
  ['dashboards/none', 'Dashboard'],
  ['alerts', 'Alerts'],
  ['rules/edit', 'Rules'],
  ['rules/import', 'Import of rules'],
  ['routing', 'Routing'],
  ['routing/edit', 'Configuration of the Alertmanager'],
  ['silences', 'Silences'],
  ['costs', 'Costs'],
  ['costs?view=deletes', 'Costs'],
  ['operating', 'Operating'],
  ['operating?view=process', 'Operating'],
  ['operating?view=config', 'Operating'],
] as const;

test('every page is of use on a phone and in the dark', { skip }, async () => {
  for (const [kind, options] of [
    ['phone', { width: 390, height: 780 }],
    ['dark', { dark: true }],
  ] as const) {
    await using visitor = await visit(options);
    const { page } = visitor;
    // there is no such dashboard, and none without a name
    visitor.expectedStatuses = [400, 404];
    const wide: string[] = [];
    for (const [path, heading] of PAGES) {
      await visitor.open(`/ui/${path}${path.includes('?') ? '&' : '?'}tenant=shop`);
      await page.getByRole('heading', { level: 1, name: heading, exact: true }).waitFor();
      await page.waitForFunction(() =>
        // what lies below is asked for when it is seen
        [...document.querySelectorAll('main [aria-busy=true], .panel[data-state=busy]')].every(
          (each) => each.getBoundingClientRect().top > innerHeight,
        ),
      );
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      if (overflow > 0) wide.push(`${path} is ${overflow} px wider than the ${kind}`);
      await visitor.picture(`${kind}-${path.replaceAll(/\W+/g, '-')}`);
    }
    assert.deepEqual(wide, []);
    visitor.assertClean();
  }
});

test('each page is read out with a heading and a name for whatever can be used', { skip }, async () => {
  await using visitor = await visit();
  const { page } = visitor;
  // there is no such dashboard, and none without a name
  visitor.expectedStatuses = [400, 404];
  const faults: string[] = [];
  for (const [path, heading] of PAGES) {
    await visitor.open(`/ui/${path}${path.includes('?') ? '&' : '?'}tenant=shop`);
    await page.getByRole('heading', { level: 1, name: heading, exact: true }).waitFor();
    await page.waitForFunction(() => document.querySelector('main [aria-busy=true], .panel[data-state=busy]') === null);
    for (const fault of await readFaults(page)) faults.push(`${path}: ${fault}`);
  }
  assert.deepEqual(faults, []);
});

test('what is on its way and what went wrong is read out', { skip }, async () => {
  await using visitor = await visit();
  const { page } = visitor;
  visitor.expectedStatuses = [500];
  const { promise: mayAnswer, resolve: answer } = Promise.withResolvers<void>();
  await page.route('**/api/v1/status/top_queries*', async (route) => {
    await mayAnswer;
    await route.fulfill({ status: 500, json: { status: 'error', errorType: 'internal', error: 'the list is lost' } });
  });
  await visitor.open('/ui/operating?tenant=shop');
  await page.getByRole('status').getByText('loading').waitFor();
  answer();
  await page.getByRole('alert').getByText('the list is lost').waitFor();
});

test('names are text, whatever is in them', { skip }, async () => {
  await using visitor = await visit();
  const { page } = visitor;
  visitor.expectedStatuses = [400];
  for (const [expr, tab, display] of [
    ['{job="hostile"}', 'table', 'lines'],
    ['{job="hostile"}', 'graph', 'lines'],
    ['{job="hostile"}', 'graph', 'stacked'],
    ['hostile_bucket', 'graph', 'heatmap'],
    ['{job="hostile"}', 'explain', 'lines'],
    [HOSTILE[0]!, 'table', 'lines'],
    [`{${JSON.stringify(HOSTILE[0])}}`, 'graph', 'lines'],
  ]) {
    await visitor.open(`/ui/query?tenant=hostile&g0.expr=${param(expr!)}&g0.tab=${tab}&g0.display_mode=${display}`);
    await page.locator('.panel[data-state="idle"]').waitFor();
    await page.waitForTimeout(300);
    if ((await page.locator('.chart').count()) > 0) {
      await page.locator('.chart').hover({ position: { x: 700, y: 150 } });
      await page.waitForTimeout(100);
    }
    const hit = await page.evaluate(() => [
      (window as { __hit?: number }).__hit,
      document.querySelectorAll('img, #root script, #root iframe').length,
    ]);
    assert.deepEqual(hit, [undefined, 0], `${expr} ${tab}`);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(overflow <= 0, `${expr} ${tab} is ${overflow} px too wide`);
    await visitor.picture(`hostile-${tab}-${display}`);
  }
  for (const path of [
    '/ui/explore',
    `/ui/explore?metric=${param(HOSTILE[1]!)}`,
    '/ui/explore?metric=hostile_metric',
    '/ui/services',
    '/ui/service?name=hostile',
    `/ui/service?name=${param(HOSTILE[1]!)}`,
    '/ui/explore?matchers=x&prefix=%3C',
  ]) {
    await visitor.open(`${path}${path.includes('?') ? '&' : '?'}tenant=hostile`);
    await page.locator('.rows, .panel, .dense').first().waitFor();
    await page.waitForTimeout(250);
    const images = await page.evaluate(() => document.querySelectorAll('img, #root script').length);
    assert.equal(images, 0);
    await visitor.picture(`hostile-explore-${param(path).length}`);
  }
  for (const name of HOSTILE) {
    await visitor.open(`/ui/query?tenant=${param(name)}&g0.expr=up&g0.tab=table`);
    await page.locator('.panel[data-state="idle"]').waitFor();
  }
  await visitor.open('/ui/query?tenant=hostile');
  await page.locator('.cm-content').click();
  await page.keyboard.type('hostile_metric{');
  await page.locator('.cm-tooltip-autocomplete').waitFor();
  await visitor.picture('hostile-completion');
  assert.equal(await page.evaluate(() => (window as { __hit?: number }).__hit), undefined);
  visitor.assertClean();
});

test('deployments are marked on the graphs of a query, and events can be sent in from a page', { skip }, async () => {
  await sendEvents(server.url, 'shop', [{ minutesAgo: 20, service: 'shop', to: '1.5', text: 'of the bench' }]);
  await using visitor = await visit();
  const { page } = visitor;
  await visitor.open('/ui/service?tenant=shop&cluster=&namespace=&name=shop');
  await page.getByText('deployment 1.5 of the bench').waitFor();
  // what still comes moves what is clicked
  await visitor.drawn();
  await page.waitForLoadState('networkidle');
  await page.getByText('Add an event').click();
  await page.getByLabel('What happened').fill('<b>moved</b> the database');
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByText('annotation <b>moved</b> the database').waitFor();
  await visitor.picture('event-added');
  await visitor.open(
    `/ui/query?tenant=shop&g0.expr=${param('sum by (job) (rate(http_requests_total[5m]))')}&g0.tab=graph&g0.range_input=1h`,
  );
  await visitor.drawn();
  const box = (await page.locator('.u-over').boundingBox())!;
  // two thirds of the way: where the deployment is
  const tooltip = page.locator('.tooltip', { hasText: '1.5 of the bench' });
  for (let tries = 0; tries < 200 && (await tooltip.count()) === 0; tries++) {
    await page.mouse.move(box.x + box.width * (0.6 + (tries % 12) / 100), box.y + 100);
    await page.waitForTimeout(60);
  }
  await tooltip.waitFor();
  await visitor.picture('query-marked');
  visitor.assertClean();
});
