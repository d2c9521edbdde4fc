import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { Pallium, tempFolder } from '../../test/harness/pallium.ts';
import { push, writeBody } from '../../test/harness/remote-write.ts';
import { launch, skip, Visit } from './browser.ts';

// Users of two tenants, of each right: each sees its own on every page, and nothing else.

const USERS = `users:
- {name: ann, password: geheim-a, tenants: [a]}
- {name: ann-read, password: geheim-a, tenants: [a], rights: [read]}
- {name: ann-write, token: nur-schreiben, tenants: [a], rights: [write]}
- {name: ann-edit, password: geheim-a, tenants: [a], rights: [edit]}
- {name: bob, password: geheim-b, tenants: [b]}
- {name: both, password: geheim-ab, tenants: [a, b], rights: [read]}
- {name: root, password: geheim-r}
`;

let browser: Browser;
let server: Pallium;

before(async () => {
  if (skip !== false) return;
  const file = join(tempFolder('users'), 'users.yaml');
  writeFileSync(file, USERS);
  [browser, server] = await Promise.all([
    launch(),
    Pallium.start({ ownMetrics: true, flags: [`-auth.users-file=${file}`] }),
  ]);
  for (const [user, tenant] of [
    ['ann:geheim-a', 'a'],
    ['bob:geheim-b', 'b'],
  ] as const) {
    const samples = Array.from({ length: 20 }, (_, i) => [Date.now() - (20 - i) * 15_000, i] as const);
    const body = writeBody([{ labels: { __name__: 'secret', of: `of-${tenant}` }, samples }]);
    const authorization = `Basic ${Buffer.from(user).toString('base64')}`;
    assert.equal((await push(`${server.url}/api/v1/push`, body, { authorization })).status, 204);
  }
});

after(async () => {
  await browser?.close();
  await server?.[Symbol.asyncDispose]();
});

const PANEL = '/ui/query?g0.expr=secret&g0.tab=table';

async function logIn({ page }: Visit, name: string, password: string): Promise<void> {
  await page.getByLabel('Name').fill(name);
  await page.getByRole('textbox', { name: 'Password' }).fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
}

test('whoever is not logged in comes to the login, and from there to the page that was asked for', {
  skip,
}, async () => {
  await using visitor = await Visit.of(browser, server.url);
  visitor.expectedStatuses = [401];
  const { page } = visitor;
  await visitor.open(PANEL);
  await page.getByRole('heading', { name: 'Pallium' }).waitFor();
  await visitor.picture('login');
  await logIn(visitor, 'ann', 'falsch');
  await page.getByText('name or password is wrong').waitFor();
  await logIn(visitor, 'ann', 'geheim-a');
  await page.getByText('of-a').waitFor();
  assert.match(page.url(), /g0\.expr=secret/);
  assert.equal(await page.getByText('of-b').count(), 0);
  const cookies = await page.context().cookies();
  assert.deepEqual(
    cookies.map(({ name, httpOnly, sameSite }) => [name, httpOnly, sameSite]),
    [['pallium_session', true, 'Strict']],
  );
  assert.equal(await page.evaluate(() => document.cookie), '');
  // a tenant in the address is chosen from the user's own only
  await visitor.open(`${PANEL}&tenant=b`);
  await page.getByText('of-a').waitFor();
  assert.equal(await page.getByText('of-b').count(), 0);
  const foreign = await page.evaluate(async () => {
    const answer = await fetch('/api/v1/query?query=secret', { headers: { 'X-Scope-OrgID': 'b' } });
    return [answer.status, await answer.text()] as const;
  });
  assert.equal(foreign[0], 403);
  assert.doesNotMatch(foreign[1], /of-b/);
  await page.getByRole('button', { name: 'log out ann' }).click();
  await page.getByRole('heading', { name: 'Pallium' }).waitFor();
  assert.deepEqual(await page.context().cookies(), []);
  visitor.faults.splice(
    0,
    visitor.faults.length,
    ...visitor.faults.filter((fault) => !fault.includes('status of 403')),
  );
  visitor.assertClean();
});

test('each right sees what it may, and is told what it may not', { skip }, async () => {
  for (const [name, password, sees] of [
    ['ann-read', 'geheim-a', 'of-a'],
    ['bob', 'geheim-b', 'of-b'],
    ['ann-edit', 'geheim-a', undefined],
  ] as const) {
    await using visitor = await Visit.of(browser, server.url);
    visitor.expectedStatuses = [401, 403];
    await visitor.open(PANEL);
    await logIn(visitor, name, password);
    if (sees !== undefined) await visitor.page.getByText(sees).waitFor();
    else
      await visitor.page
        .getByText(/has not the right read/)
        .first()
        .waitFor();
    for (const other of ['of-a', 'of-b']) {
      if (other !== sees) assert.equal(await visitor.page.getByText(other).count(), 0, `${name} sees ${other}`);
    }
    await visitor.open('/ui/alerts');
    await visitor.page
      .getByText(sees === undefined ? /has not the right read/ : 'The tenant has no rules')
      .first()
      .waitFor();
    // whoever may not edit is offered no silence
    await visitor.open('/ui/silences');
    if (sees !== undefined) await visitor.page.getByText('Active and pending').waitFor();
    assert.equal(await visitor.page.getByLabel('new silence').count(), name === 'bob' ? 1 : 0, name);
    // nor a dashboard or a rule to write
    await visitor.open('/ui/dashboards');
    if (sees === undefined) await visitor.page.getByText(/has not the right read/).waitFor();
    else await visitor.page.getByText('The tenant keeps no dashboards yet').waitFor();
    assert.equal(await visitor.page.getByRole('button', { name: 'New' }).count(), name === 'bob' ? 1 : 0, name);
    await visitor.open('/ui/rules/edit');
    if (sees !== undefined) await visitor.page.getByLabel('rules', { exact: true }).waitFor();
    if (sees !== undefined) {
      assert.equal(await visitor.page.getByRole('button', { name: 'Save' }).count(), name === 'bob' ? 1 : 0, name);
    }
    visitor.assertClean();
  }
  await using robot = await Visit.of(browser, server.url);
  robot.expectedStatuses = [401, 403];
  await robot.open(PANEL);
  await robot.page.getByText('with a token').click();
  await robot.page.getByRole('textbox', { name: 'Token' }).fill('nur-schreiben');
  await robot.page.getByRole('button', { name: 'Log in' }).click();
  await robot.page
    .getByText(/has not the right read/)
    .first()
    .waitFor();
  robot.assertClean();
});

test('whoever has several tenants chooses, and whoever may name any types', { skip }, async () => {
  await using both = await Visit.of(browser, server.url);
  both.expectedStatuses = [401];
  await both.open(PANEL);
  await logIn(both, 'both', 'geheim-ab');
  await both.page.getByText('of-a').waitFor();
  await both.page.getByLabel('tenant').selectOption('b');
  await both.page.getByText('of-b').waitFor();
  assert.match(both.page.url(), /tenant=b/);
  both.assertClean();
  await using root = await Visit.of(browser, server.url);
  root.expectedStatuses = [401];
  await root.open(PANEL);
  await logIn(root, 'root', 'geheim-r');
  await root.page.getByRole('combobox', { name: 'tenant' }).fill('b');
  await root.page.keyboard.press('Enter');
  await root.page.getByText('of-b').waitFor();
  root.assertClean();
});

test('operators see the process and all tenants, others their own queries and limits', { skip }, async () => {
  const bad = writeBody([{ labels: { __name__: 'far' }, samples: [[Date.now() + 86_400_000, 1]] }]);
  const authorization = `Basic ${Buffer.from('ann:geheim-a').toString('base64')}`;
  assert.equal((await push(`${server.url}/api/v1/push`, bad, { authorization })).status, 400);
  await using own = await Visit.of(browser, server.url);
  own.expectedStatuses = [401];
  await own.open('/ui/operating');
  await logIn(own, 'ann', 'geheim-a');
  await own.page.getByRole('region', { name: 'running queries' }).waitFor();
  assert.equal(await own.page.getByText('Process', { exact: true }).count(), 0);
  await own.page.getByText('Use and limits').click();
  await own.page
    .getByText('sample_too_far_ahead')
    .or(own.page.getByText(/1 samples/))
    .first()
    .waitFor();
  await own.picture('operating-tenant');
  own.assertClean();

  await using visitor = await Visit.of(browser, server.url);
  visitor.expectedStatuses = [401];
  const { page } = visitor;
  await visitor.open('/ui/operating?tenant=b');
  await logIn(visitor, 'root', 'geheim-r');
  await page.getByRole('region', { name: 'top queries' }).getByText('secret', { exact: true }).first().waitFor();
  const elsewhere = { id: '7@b-1', process: 'b-1', duration: '3.000s', query: 'slow', start: '', end: '', step: '' };
  await page.route('**/api/v1/status/running_queries', (route) =>
    route.fulfill({ json: { status: 'ok', data: [{ tenant: 'a', ...elsewhere }], warnings: ['c-1 does not tell'] } }),
  );
  await page.getByText('of all tenants').click();
  await page.getByRole('cell', { name: 'b-1', exact: true }).waitFor();
  await page.getByText('c-1 does not tell').waitFor();
  // it is cancelled as its tenant's
  visitor.expectedStatuses = [401, 404];
  const cancelled = page.waitForRequest(/\/cancel_query\?id=7%40b-1$/);
  await page.getByRole('button', { name: 'Cancel', exact: true }).click();
  assert.equal((await cancelled).headers()['x-scope-orgid'], 'a');
  await page.getByText('there is no query 7@b-1 under way').waitFor();
  await visitor.picture('operating-queries');
  await page.getByText('Tenants', { exact: true }).click();
  for (const name of ['a', 'b']) await page.getByRole('cell', { name, exact: true }).waitFor();
  await visitor.picture('operating-tenants');
  await page.getByText('Cluster', { exact: true }).click();
  await page.getByText('no member of a ring').waitFor();
  await page.getByText('Process', { exact: true }).click();
  await page.getByRole('cell', { name: 'flush', exact: true }).waitFor();
  await visitor.picture('operating-process');
  await page.getByText('Configuration', { exact: true }).click();
  await page.getByText(/users_file:/).waitFor();
  await visitor.picture('operating-config');
  await page.getByText('Flags', { exact: true }).click();
  await page.getByText(/-auth.users-file=/).waitFor();
  visitor.assertClean();
});
