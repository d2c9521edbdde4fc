import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { after, type TestContext, test } from 'node:test';
import pino from 'pino';
import { loadConfig } from '../kit/config/load.ts';
import { systemClock } from '../lib/clock.ts';
import { composeApp } from './compose.ts';
import { sections } from './config.ts';
import { resolveTargets } from './modules/modules.ts';
import { reload } from './reload.ts';

const folder = mkdtempSync(join(tmpdir(), 'pallium-alertmanager-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Bodies of webhooks. */
const received: { path: string; body: { status: string; alerts: { labels: Record<string, string> }[] } }[] = [];
const hook = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    received.push({ path: request.url!, body: JSON.parse(Buffer.concat(parts).toString()) });
    response.end();
  });
});
await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve));
after(() => hook.close());
const hookUrl = `http://127.0.0.1:${(hook.address() as AddressInfo).port}`;

async function until(what: () => boolean): Promise<void> {
  for (let tries = 0; !what(); tries++) {
    assert.ok(tries < 500, 'it does not come');
    await systemClock.sleep(20);
  }
}

async function run(t: TestContext, name: string, flags: readonly string[] = []) {
  const lines: string[] = [];
  const sink = new Writable({
    write(chunk, _, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const args = ['-server.http-listen-port=0', `-data.dir=${join(folder, name)}`, '-target=alertmanager', ...flags];
  const { values } = loadConfig(sections, { args, env: {} });
  const app = await composeApp({
    config: values,
    version: '1',
    order: resolveTargets(['alertmanager']),
    log: pino(sink),
    clock: systemClock,
  });
  await app.services.start();
  let isRunning = true;
  const stop = async () => {
    if (isRunning) await app.services.stop(5000);
    isRunning = false;
  };
  t.after(stop);
  const ask = async (method: string, path: string, body?: string | object, tenant = 'team-a') => {
    const answer = await fetch(app.http.url + path, {
      method,
      headers: { 'x-scope-orgid': tenant, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await answer.text();
    const type = answer.headers.get('content-type') ?? '';
    return { status: answer.status, text, json: type.includes('json') && text !== '' ? JSON.parse(text) : undefined };
  };
  return { app, ask, stop, lines };
}

const OPEN = '-alertmanager.receivers-firewall.block.private-addresses=false';

const config = (path: string) =>
  JSON.stringify({
    template_files: { 'own.tmpl': '{{ define "own" }}{{ .Status }}{{ end }}' },
    alertmanager_config: `
route: { receiver: hook, group_by: [alertname], group_wait: 0s, group_interval: 1s }
receivers:
- name: hook
  webhook_configs: [{ url: '${hookUrl}${path}?s={{ template "own" . }}&topsecret', http_config: { authorization: { credentials: topsecret } } }]
templates: ['*.tmpl']
`,
  });

test('configuration, alerts, silences and what comes of them, also after a restart', async (t) => {
  const first = await run(t, 'whole', [OPEN]);
  const { ask } = first;
  assert.equal((await ask('GET', '/config/v1/alerts')).status, 404);
  assert.equal((await ask('DELETE', '/config/v1/alerts')).status, 200);
  assert.deepEqual((await ask('GET', '/alertmanager/api/v2/status')).json.cluster, { peers: [], status: 'disabled' });
  assert.equal((await ask('POST', '/config/v1/alerts', config('/a'))).status, 201);
  assert.match((await ask('GET', '/cortex/api/v1/alerts')).text, /own\.tmpl:/);
  const shown = (await ask('GET', '/alertmanager/api/v2/status')).json.config.original;
  assert.match(shown, /url: <secret>/);
  assert.doesNotMatch(shown, /topsecret/);
  assert.deepEqual((await ask('GET', '/alertmanager/api/v2/receivers')).json, [
    { labels: { name: 'hook' }, name: 'hook' },
  ]);

  const silence = {
    matchers: [{ name: 'alertname', value: 'Sil.*', isRegex: true }],
    startsAt: new Date().toISOString(),
    endsAt: new Date(Date.now() + 60_000).toISOString(),
    createdBy: 'me',
    comment: 'why',
  };
  const { silenceID } = (await ask('POST', '/alertmanager/api/v2/silences', silence)).json;
  const posted = [
    { labels: { alertname: 'Down' }, generatorURL: 'http://x' },
    { labels: { alertname: 'Silent' } },
    { labels: {} },
  ];
  const refused = await ask('POST', '/alertmanager/api/v2/alerts', posted);
  assert.deepEqual([refused.status, refused.json], [400, 'at least one label pair required']);
  await until(() => received.length > 0);
  assert.deepEqual(
    received.map(({ path, body }) => [path, body.status, body.alerts[0]!.labels.alertname]),
    [['/a?s=firing&topsecret', 'firing', 'Down']],
  );
  const alerts = (await ask('GET', '/alertmanager/api/v2/alerts')).json as {
    labels: { alertname: string };
    status: { state: string; silencedBy: string[] };
  }[];
  assert.deepEqual(alerts.map(({ labels, status }) => [labels.alertname, status.state, ...status.silencedBy]).sort(), [
    ['Down', 'active'],
    ['Silent', 'suppressed', silenceID],
  ]);
  const count = async (path: string) => (await ask('GET', path)).json.length;
  assert.equal(await count('/alertmanager/api/v2/alerts?silenced=false'), 1);
  assert.equal(await count(`/alertmanager/api/v2/alerts?filter=${encodeURIComponent('alertname="Down"')}`), 1);
  assert.equal(await count('/alertmanager/api/v2/alerts/groups?receiver=ho.*'), 2);
  assert.equal(await count('/alertmanager/api/v2/alerts/groups?receiver=o'), 0);
  assert.equal(await count('/alertmanager/api/v2/silences?active=false'), 0);
  assert.equal((await ask('GET', `/alertmanager/api/v2/silence/${silenceID}`)).json.status.state, 'active');
  assert.equal((await ask('GET', '/alertmanager/api/v2/silence/nothing')).status, 422);
  assert.equal((await ask('DELETE', '/alertmanager/api/v2/silence/00000000-0000-4000-8000-000000000000')).status, 404);
  assert.deepEqual((await ask('GET', '/alertmanager/api/v2/alerts?filter=x')).json, 'bad matcher format: x');
  assert.equal((await ask('GET', '/alertmanager/api/v2/alerts', undefined, 'team-b')).text, '[]\n');
  const all = await ask('GET', '/multitenant_alertmanager/configs');
  assert.match(all.text, /^team-a: /);
  assert.doesNotMatch(all.text, /topsecret/);

  await first.stop();
  received.splice(0);
  const second = await run(t, 'whole', [OPEN]);
  await systemClock.sleep(1500);
  assert.equal(received.length, 0, 'nothing is told twice');
  assert.equal((await second.ask('GET', '/alertmanager/api/v2/alerts')).json.length, 2);
  assert.equal((await second.ask('DELETE', `/alertmanager/api/v2/silence/${silenceID}`)).status, 200);
  await until(() => received.length > 0);
  assert.equal(received.at(0)?.body.alerts[0]?.labels.alertname, 'Silent');
  assert.doesNotMatch([...first.lines, ...second.lines].join('\n'), /topsecret/);
});

test('a fallback for tenants without a configuration; private addresses are refused by default', async (t) => {
  const file = join(folder, 'fallback.yaml');
  writeFileSync(
    file,
    `
route: { receiver: hook, group_wait: 0s, group_interval: 1s }
receivers: [{ name: hook, webhook_configs: [{ url: '${hookUrl}/fallback' }] }]
`,
  );
  const flags = [`-alertmanager.configs.fallback=${file}`];
  received.splice(0);
  const strict = await run(t, 'strict', flags);
  await strict.ask('POST', '/alertmanager/api/v2/alerts', [{ labels: { alertname: 'x' } }]);
  const failures = async () => {
    const text = await (await fetch(`${strict.app.http.url}/metrics`)).text();
    return /pallium_alertmanager_notifications_failed_total\{[^}]*reason="clientError"[^}]*\} (\d+)/.exec(text)?.[1];
  };
  for (let tries = 0; (await failures()) === undefined; tries++) {
    assert.ok(tries < 100);
    await systemClock.sleep(50);
  }
  assert.equal(received.length, 0);
  await strict.stop();
  const open = await run(t, 'open', [...flags, OPEN]);
  await open.ask('POST', '/alertmanager/api/v2/alerts', [{ labels: { alertname: 'x' } }]);
  await until(() => received.length > 0);
  assert.equal(received.at(0)?.path, '/fallback');
  // read again, and in force at once; one that is wrong leaves the one before
  writeFileSync(
    file,
    `route: { receiver: hook, group_wait: 0s, group_interval: 1s }\nreceivers: [{ name: hook, webhook_configs: [{ url: '${hookUrl}/another' }] }]`,
  );
  assert.deepEqual(await reload(open.app), []);
  received.splice(0);
  await open.ask('POST', '/alertmanager/api/v2/alerts', [{ labels: { alertname: 'y' } }]);
  await until(() => received.length > 0);
  assert.equal(received.at(0)?.path, '/another');
  writeFileSync(file, 'route: {}');
  assert.match(
    (await reload(open.app)).join(),
    /-alertmanager\.configs\.fallback .*: error validating Alertmanager config/,
  );
  assert.match((await open.ask('GET', '/alertmanager/api/v2/status')).json.config.original, /receiver: hook/);
  await assert.rejects(
    run(t, 'wrong', flags),
    /-alertmanager\.configs\.fallback .*: error validating Alertmanager config: root route/,
  );
});

test('a receiver is tried, its messages are shown, labels are routed', async (t) => {
  const { ask } = await run(t, 'tried', [OPEN]);
  const post = (path: string, body: object) => ask('POST', `/config/v1/alerts/${path}`, body);
  assert.match((await post('test', { receiver: 'hook' })).json, /there is no configuration/);
  assert.equal((await ask('POST', '/config/v1/alerts', config('/tried'))).status, 201);
  received.splice(0);
  const tested = await post('test', { receiver: 'hook' });
  assert.deepEqual([tested.json.data[0].integration, tested.json.data[0].status], ['webhook', 'ok']);
  assert.equal(received.at(0)?.body.alerts[0]?.labels.alertname, 'TestAlert');
  const preview = await post('preview', {
    receiver: 'hook',
    alerts: [{ labels: { alertname: 'x' }, annotations: { a: 'topsecret' } }],
  });
  assert.equal(received.length, 1, 'nothing goes out');
  assert.match(preview.json.data[0].messages[0], /"alertname":"x"/);
  assert.doesNotMatch(preview.text, /topsecret/);
  const routed = await post('route', { labels: { alertname: 'x', team: 'y' } });
  assert.deepEqual(routed.json.data, [
    {
      receiver: 'hook',
      route: '{}',
      groupKey: '{}:{alertname="x"}',
      groupWaitMs: 0,
      groupIntervalMs: 1000,
      repeatIntervalMs: 14_400_000,
      groupLabels: { alertname: 'x' },
    },
  ]);
  assert.match((await post('test', { receiver: 'nobody' })).json, /undefined receiver "nobody"/);
  const other = {
    alertmanager_config:
      "route: { receiver: b }\nreceivers: [{ name: b, webhook_configs: [{ url: 'http://x/{{ .Nope }}' }] }]",
  };
  assert.match((await post('test', { receiver: 'b', config: other })).json.data[0].error, /can't evaluate field Nope/);
  assert.match(
    (await post('route', { labels: {}, config: { alertmanager_config: 'route: {}' } })).text,
    /root route must specify/,
  );
});

test('configurations that are refused say why', async (t) => {
  const { ask } = await run(t, 'refused', [
    '-alertmanager.max-config-size-bytes=2KiB',
    '-alertmanager.max-templates-count=1',
    '-alertmanager.max-template-size-bytes=100',
  ]);
  const put = async (body: string | object) => (await ask('POST', '/config/v1/alerts', body)).text.trim();
  assert.match(await put(''), /configuration provided is empty/);
  assert.match(await put({ alertmanager_config: '' }), /configuration provided is empty/);
  assert.equal(
    await put({ alertmanager_config: 'route: {}' }),
    'error validating Alertmanager config: root route must specify a default receiver',
  );
  assert.match(
    await put({ alertmanager_config: 'x'.repeat(3000) }),
    /Alertmanager configuration is too big, limit: 2048 bytes \(alertmanager_max_config_size_bytes\)/,
  );
  const valid = 'route: { receiver: a }\nreceivers: [{ name: a }]\ntemplates: ["*"]';
  const files = (template_files: object) => put({ alertmanager_config: valid, template_files });
  assert.match(
    await files({ a: '', b: '' }),
    /too many templates in the configuration: 2 \(limit: 1, alertmanager_max_templates_count\)/,
  );
  assert.match(
    await files({ a: 'x'.repeat(101) }),
    /template a is too big: 101 bytes \(limit: 100 bytes, alertmanager_max_template_size_bytes\)/,
  );
  assert.match(await files({ '../a': '' }), /the template name cannot contain any path/);
  assert.match(
    await files({ a: '{{ nope }}' }),
    /error validating Alertmanager config: template: a:1: function "nope" not defined/,
  );
  assert.match(
    await put({
      alertmanager_config: valid.replace('{ name: a }', '{ name: a, webhook_configs: [{ url_file: /etc/passwd }] }'),
    }),
    /setting url_file is not allowed/,
  );
  assert.equal((await ask('GET', '/config/v1/alerts')).status, 404);
});
