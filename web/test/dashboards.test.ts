import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { Pallium } from '../../test/harness/pallium.ts';
import { launch, skip, Visit } from './browser.ts';
import { HOSTILE, sendEvents, sendShop } from './data.ts';

let browser: Browser;
let server: Pallium;

/** Classic JSON with variables, common panels and one that cannot be drawn. */
const GRAFANA = {
  title: `Imported ${HOSTILE[0]}`,
  tags: [HOSTILE[1]],
  time: { from: 'now-3h', to: 'now' },
  annotations: {
    list: [{ name: 'Down', enable: true, expr: '(up == bool 0) == 1', titleFormat: `{{instance}} is ${HOSTILE[0]}` }],
  },
  templating: {
    list: [
      {
        name: 'route',
        type: 'query',
        query: 'label_values(http_requests_total, route)',
        multi: true,
        includeAll: true,
        current: { value: ['$__all'] },
      },
      { name: 'host', type: 'query', query: 'label_values(up{job="node"}, instance)', current: {} },
      { name: 'odd', label: HOSTILE[3], type: 'custom', query: 'a, b' },
    ],
  },
  panels: [
    {
      type: 'timeseries',
      title: 'Requests of $route',
      gridPos: { x: 0, y: 0, w: 14, h: 8 },
      fieldConfig: { defaults: { unit: 'reqps' } },
      targets: [
        {
          expr: 'sum by (route) (rate(http_requests_total{route=~"$route"}[$__rate_interval]))',
          legendFormat: '{{route}}',
        },
      ],
    },
    {
      type: 'stat',
      title: 'Memory of $host',
      gridPos: { x: 14, y: 0, w: 10, h: 4 },
      fieldConfig: { defaults: { unit: 'bytes' } },
      targets: [{ expr: 'node_memory_MemAvailable_bytes{instance="$host"}', legendFormat: '{{instance}}' }],
    },
    { type: 'bargauge', title: 'Up', gridPos: { x: 14, y: 4, w: 10, h: 4 }, targets: [{ expr: 'sum by (job) (up)' }] },
    {
      type: 'text',
      title: '',
      gridPos: { x: 0, y: 8, w: 8, h: 5 },
      options: { content: `# Words\n- **one** ${HOSTILE[0]}\n[x](javascript:alert(1))` },
    },
    { type: 'geomap', title: HOSTILE[1], gridPos: { x: 8, y: 8, w: 8, h: 5 }, targets: [] },
    {
      type: 'table',
      title: 'Table',
      gridPos: { x: 16, y: 8, w: 8, h: 5 },
      targets: [{ expr: 'up{job="node"}' }],
      transformations: [
        { id: 'organize', options: { excludeByName: { job: true }, renameByName: { instance: `Host ${HOSTILE[0]}` } } },
      ],
    },
    {
      type: 'stat',
      title: 'Rate of $route',
      gridPos: { x: 0, y: 13, w: 24, h: 3 },
      repeat: 'route',
      maxPerRow: 2,
      targets: [{ expr: 'sum (rate(http_requests_total{route="$route"}[5m]))' }],
    },
  ],
};

before(async () => {
  if (skip !== false) return;
  [browser, server] = await Promise.all([launch(), Pallium.start()]);
  await sendShop(server.url, 'shop');
  await sendEvents(server.url, 'shop', [{ minutesAgo: 60, service: 'shop', from: '1.3', to: '1.4' }]);
});

after(async () => {
  await browser?.close();
  await server?.[Symbol.asyncDispose]();
});

/** A request of another user of the same tenant. */
async function ask(method: string, path: string, body?: object) {
  const answer = await fetch(`${server.url}/api/v1/dashboards${path}`, {
    method,
    headers: { 'x-scope-orgid': 'shop' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  // biome-ignore lint/suspicious/noExplicitAny: JSON of many shapes
  return { status: answer.status, data: ((await answer.json()) as any).data };
}

async function assertHarmless({ page }: Visit, what: string): Promise<void> {
  const hit = await page.evaluate(() => [
    (window as { __hit?: number }).__hit,
    document.querySelectorAll('img, #root script, #root iframe, a[href^="javascript"]').length,
    document.documentElement.scrollWidth - window.innerWidth > 0,
  ]);
  assert.deepEqual(hit, [undefined, 0, false], what);
}

test("a service's own dashboard is saved, changed in place, and not overwritten by another", { skip }, async () => {
  await using visitor = await Visit.of(browser, server.url);
  const { page } = visitor;
  // a query with a variable that nobody knows is refused
  visitor.expectedStatuses = [400, 409];
  await visitor.open('/ui/service?tenant=shop&name=shop');
  await visitor.drawn(2);
  await page.getByRole('button', { name: 'save as a dashboard' }).click();
  await page.waitForURL(/\/ui\/dashboards\/shop\?tenant=shop/);
  await page.getByRole('button', { name: 'Edit' }).waitFor();
  await visitor.drawn(2);
  await visitor.picture('dashboard');

  await page.getByRole('button', { name: 'Edit' }).click();
  const panels = page.locator('.dashboard-panel');
  const count = await panels.count();
  await page.getByRole('button', { name: 'Add panel' }).click();
  await page.getByRole('button', { name: 'edit panel' }).last().click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Title').fill(HOSTILE[0]!);
  await dialog.getByLabel('Kind').selectOption('GaugeChart');
  await dialog.getByLabel('Unit').selectOption('bytes');
  await dialog.getByRole('button', { name: 'Add query' }).click();
  await dialog.locator('.cm-content').click();
  await page.keyboard.type('node_memory_MemAvailable_bytes');
  await page.keyboard.press('Escape');
  await dialog.getByLabel('name of a series').fill('{{instance}}');
  await dialog.getByText('host-5:9100').waitFor();
  // variables of dashboards are no errors, what nobody knows is one
  const write = async (text: string) => {
    await dialog.locator('.cm-content').click();
    await page.keyboard.press('ControlOrMeta+a');
    await page.keyboard.type(text);
    await page.keyboard.press('Escape');
  };
  const wrong = dialog.locator('.cm-lintRange-error');
  await write('rate(http_requests_total[$__no_such_interval])');
  await wrong.first().waitFor();
  await write('rate(http_requests_total[$__rate_interval])');
  await wrong.first().waitFor({ state: 'detached' });
  await visitor.picture('dashboard-panel-editor-variable');
  await write('node_memory_MemAvailable_bytes');
  await dialog.getByText('host-5:9100').waitFor();
  await visitor.picture('dashboard-panel-editor');
  await dialog.getByRole('button', { name: 'Done' }).click();
  assert.equal(await panels.count(), count + 1);

  // by keys: one column wider; by mouse: to the place of the first panel
  const { width } = (await panels.first().boundingBox())!;
  await dialog.waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'move', exact: true }).first().press('Shift+ArrowRight');
  assert.ok((await panels.first().boundingBox())!.width > width);
  const title = await panels.nth(1).getAttribute('aria-label');
  const [from, to] = [
    (await page.getByRole('button', { name: 'move', exact: true }).nth(1).boundingBox())!,
    (await panels.first().boundingBox())!,
  ];
  await page.mouse.move(from.x + 5, from.y + 5);
  await page.mouse.down();
  await page.mouse.move(to.x + to.width - 60, to.y - 20, { steps: 4 });
  await page.mouse.up();
  await visitor.picture('dashboard-edited');

  // another one is faster
  const { data } = await ask('GET', '/shop');
  assert.equal(data.dashboard.spec.sampleInterval, '15s');
  assert.equal(
    (
      await ask('PUT', `/shop?version=${data.version.number}`, {
        ...data.dashboard,
        spec: { ...data.dashboard.spec, display: { name: 'of bob' } },
      })
    ).status,
    200,
  );
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByText('Another one has changed this dashboard').waitFor();
  await visitor.picture('dashboard-conflict');
  await page.getByRole('button', { name: 'Save mine as a copy' }).click();
  await page.waitForURL(/\/ui\/dashboards\/shop-[0-9a-f]{8}/);
  await page.getByLabel(HOSTILE[0]!).getByText('host-5:9100').waitFor();
  assert.equal((await ask('GET', '/shop')).data.dashboard.spec.display.name, 'of bob');
  const copy = (await ask('GET', `/${page.url().match(/shop-[0-9a-f]{8}/)![0]}`)).data.dashboard;
  const moved = Object.keys(copy.spec.panels).find((key) => copy.spec.panels[key].spec.display.name === title)!;
  const items = copy.spec.layouts.flatMap((layout: { spec: { items: unknown[] } }) => layout.spec.items);
  assert.equal(items.find((item: { content: { $ref: string } }) => item.content.$ref.endsWith(`/${moved}`)).y, 0);

  // what it was before can be had again
  await visitor.open('/ui/dashboards/shop?tenant=shop');
  await page.getByRole('button', { name: 'Versions' }).click();
  await page.getByRole('button', { name: 'Compare' }).click();
  await page.locator('.difference').getByText('of bob').waitFor();
  await visitor.picture('dashboard-versions');
  await page.getByRole('link', { name: 'open' }).click();
  await page.getByRole('button', { name: 'Make it the current one' }).click();
  await page.getByRole('button', { name: 'Edit' }).waitFor();
  assert.equal((await ask('GET', '/shop')).data.dashboard.spec.display.name, 'shop');
  await assertHarmless(visitor, 'dashboard');
  visitor.assertClean();
});

test("Grafana's JSON is imported with its variables, and goes out again", { skip }, async () => {
  await using visitor = await Visit.of(browser, server.url);
  const { page } = visitor;
  await visitor.open('/ui/dashboards?tenant=shop');
  await page.getByRole('button', { name: 'Import' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('JSON').fill(JSON.stringify({ dashboard: GRAFANA, meta: { folderTitle: 'Shops' } }));
  await dialog.getByRole('button', { name: 'Check' }).click();
  await dialog.getByText('panels of type geomap cannot be drawn here').waitFor();
  await visitor.picture('dashboard-import');
  await dialog.getByRole('button', { name: 'Import' }).click();
  // with the range that it opens with
  await page.waitForURL(/\/ui\/dashboards\/imported.*range=3h/);
  await visitor.drawn(1);
  await page.getByText("This kind of panel (Grafana's geomap) is kept").waitFor();
  await page.getByText('host-0:9100').first().waitFor();
  const events = page.waitForResponse(/\/api\/v1\/events/);
  await page.getByLabel('deployments').check();
  assert.match(await (await events).text(), /"from":"1.3"/);
  // once for each of its values, in a table with named columns, with what annotations mark
  for (const route of ['/cart', '/login', '/search']) await page.getByText(`Rate of ${route}`).waitFor();
  await page.getByRole('columnheader', { name: /^Host/ }).waitFor();
  await visitor.drawn(1);
  const box = (await page.locator('.u-over').first().boundingBox())!;
  const tooltip = page.locator('.tooltip', { hasText: 'Down: host-3:9100 is <img' });
  await page.waitForFunction(() => document.querySelectorAll('.panel[data-state="busy"]').length === 0);
  for (let tries = 0; tries < 200 && (await tooltip.count()) === 0; tries++) {
    await page.mouse.move(box.x + box.width * (0.8 + (tries % 10) / 100), box.y + 60);
    await page.waitForTimeout(60);
  }
  await tooltip.waitFor();
  await visitor.picture('dashboard-imported');
  await assertHarmless(visitor, 'imported');
  // one route in place of all of them
  const names = page.locator('.dashboard-panel').first().locator('.names > span');
  assert.equal(await names.count(), 3);
  await visitor.open(`${new URL(page.url()).pathname}?tenant=shop&var-route=%2Fcart&var-host=host-7:9100`);
  await page.getByText('Requests of /cart').waitFor();
  await page.getByText('Memory of host-7:9100').waitFor();
  await page.waitForFunction(() => document.querySelectorAll('.dashboard-panel .names > span').length === 1);
  const downloaded = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Grafana JSON' }).click();
  const written = JSON.parse(readFileSync(await (await downloaded).path(), 'utf8'));
  assert.equal(written.title, GRAFANA.title);
  assert.deepEqual(
    written.panels.map(({ type }: { type: string }) => type).sort(),
    GRAFANA.panels.map(({ type }) => type).sort(),
  );
  // its annotations and repeats are edited where its other settings are
  await page.getByRole('button', { name: 'Edit' }).click();
  await page.getByRole('button', { name: 'Settings' }).click();
  const settings = page.getByRole('dialog');
  await settings.getByRole('button', { name: 'remove annotation Down' }).waitFor();
  await settings.getByRole('button', { name: 'Add annotation' }).click();
  await settings.getByLabel('Marks').last().selectOption('EventAnnotation');
  await settings.getByLabel('Tags or types, with commas').fill('deployment, rollback');
  await settings.getByLabel('any of them').check();
  await visitor.picture('dashboard-settings');
  await settings.getByRole('button', { name: 'Done' }).click();
  await settings.waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'edit panel' }).first().click();
  await settings.getByLabel('repeated over').selectOption('route');
  await settings.getByLabel('placed').selectOption('v');
  await visitor.picture('dashboard-panel-repeated');
  await settings.getByRole('button', { name: 'Done' }).click();
  await settings.waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByRole('button', { name: 'Edit', exact: true }).waitFor();
  const id = new URL(page.url()).pathname.split('/').at(-1)!;
  const { spec } = (await ask('GET', `/${id}`)).data.dashboard;
  assert.deepEqual(
    spec.annotations.map(({ plugin }: { plugin: { kind: string } }) => plugin.kind),
    ['PrometheusPromQLAnnotation', 'EventAnnotation'],
  );
  assert.deepEqual(spec.annotations[1].plugin.spec, { tags: ['deployment', 'rollback'], matchAny: true });
  assert.deepEqual(
    spec.layouts[0].spec.items.flatMap(({ repeat }: { repeat?: object }) => repeat ?? []),
    [
      { variable: 'route', direction: 'v' },
      { variable: 'route', direction: 'h', perRow: 2 },
    ],
  );
  const all = await ask('GET', '');
  assert.deepEqual(all.data.map(({ folder }: { folder: string }) => folder).sort(), ['', '', 'Shops']);
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.waitForURL(/\/ui\/dashboards\?/);
  await page.getByText(/of \d/).waitFor();
  await visitor.picture('dashboards');
  visitor.assertClean();
});
