import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Pallium, tempFolder } from '../harness/pallium.ts';

const folder = tempFolder('versions');
after(() => rmSync(folder, { recursive: true, force: true }));

interface Version {
  readonly version: number;
  readonly time: string;
  readonly user: string;
  readonly deleted: boolean;
}

test('configurations of rules and Alertmanager have versions, with who made them, and a way back', async () => {
  const usersFile = join(folder, 'users.yaml');
  writeFileSync(usersFile, 'users: [{ name: anna, password: x }, { name: ben, password: x }]\n');
  await using server = await Pallium.start({ flags: [`-auth.users-file=${usersFile}`] });
  const ask = async (user: string, method: string, path: string, body?: string) => {
    const authorization = `Basic ${Buffer.from(`${user}:x`).toString('base64')}`;
    const headers = { authorization, 'x-scope-orgid': 'a' };
    const answer = await fetch(server.url + path, { method, headers, ...(body === undefined ? {} : { body }) });
    return { status: answer.status, text: await answer.text() };
  };
  const versions = async (path: string) => {
    const { status, text } = await ask('anna', 'GET', `${path}/versions`);
    assert.equal(status, 200, text);
    const { data } = JSON.parse(text) as { data: Version[] };
    for (const { time } of data) assert.ok(Math.abs(Date.now() - Date.parse(time)) < 600_000, time);
    return data.map(({ version, user, deleted }) => `${version} ${user}${deleted ? ' deleted' : ''}`);
  };

  const group = '/config/v1/rules/space/g';
  const rule = (expr: string) => `name: g\nrules: [{ record: a, expr: ${expr} }]`;
  assert.equal((await ask('anna', 'GET', `${group}/versions`)).status, 404);
  for (const [user, expr] of [
    ['anna', 'up'],
    ['ben', 'down'],
  ] as const) {
    assert.equal((await ask(user, 'POST', '/config/v1/rules/space', rule(expr))).status, 202);
  }
  assert.equal((await ask('ben', 'DELETE', group)).status, 202);
  assert.deepEqual(await versions(group), ['3 ben deleted', '2 ben', '1 anna']);
  assert.match((await ask('anna', 'GET', `${group}/versions/1`)).text, /expr: up/);
  for (const [method, path] of [
    ['GET', `${group}/versions/3`],
    ['GET', `${group}/versions/9`],
    ['GET', `${group}/versions/x`],
    ['POST', `${group}/versions/3/restore`],
  ] as const) {
    assert.deepEqual(await ask('anna', method, path), { status: 404, text: 'version does not exist\n' });
  }
  assert.equal((await ask('anna', 'POST', `${group}/versions/1/restore`)).status, 202);
  assert.match((await ask('ben', 'GET', group)).text, /expr: up/);
  assert.deepEqual(await versions(group), ['4 anna', '3 ben deleted', '2 ben', '1 anna']);

  // the root's path of Cortex for the Alertmanager's configuration, beside that of Prometheus' alerts
  const config = (receiver: string) =>
    JSON.stringify({ alertmanager_config: `{ route: { receiver: ${receiver} }, receivers: [{ name: ${receiver} }] }` });
  assert.equal((await ask('anna', 'POST', '/api/v1/alerts', config('first'))).status, 201);
  assert.equal((await ask('ben', 'POST', '/config/v1/alerts', config('second'))).status, 201);
  assert.match((await ask('ben', 'GET', '/api/v1/alerts')).text, /"alerts":\[\]/);
  assert.equal((await ask('anna', 'DELETE', '/api/v1/alerts')).status, 200);
  assert.equal((await ask('anna', 'GET', '/config/v1/alerts')).status, 404);
  assert.deepEqual(await versions('/config/v1/alerts'), ['3 anna deleted', '2 ben', '1 anna']);
  assert.match((await ask('anna', 'GET', '/config/v1/alerts/versions/1')).text, /receiver: first/);
  assert.equal((await ask('anna', 'GET', '/config/v1/alerts/versions/7')).status, 404);
  assert.equal((await ask('ben', 'POST', '/config/v1/alerts/versions/2/restore')).status, 201);
  // compare-and-set: whoever began with another version is told, and nothing is put
  const stale = await ask('anna', 'POST', '/config/v1/alerts?version=2', config('third'));
  assert.equal(stale.status, 409, stale.text);
  assert.equal((await ask('anna', 'POST', '/config/v1/alerts?version=x', config('third'))).status, 400);
  assert.match((await ask('anna', 'GET', '/config/v1/alerts')).text, /receiver: second/);
  assert.match((await ask('anna', 'GET', '/alertmanager/api/v2/status')).text, /receiver: second/);
  assert.deepEqual((await versions('/config/v1/alerts')).slice(0, 2), ['4 ben', '3 anna deleted']);
  const { data } = JSON.parse((await ask('anna', 'GET', '/multitenant_alertmanager/status')).text);
  assert.deepEqual([data.tenants, data.alerts, data.groups], [1, 0, 0]);
});
