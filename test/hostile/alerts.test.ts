import assert from 'node:assert/strict';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { Pallium } from '../harness/pallium.ts';
import { until } from '../harness/wait.ts';
import { withVictim } from './victim.ts';

// Rules, configurations and alerts that are built to hurt others than their tenant, or to reach what it must not.

let server: Pallium;
const agent = new Agent({ keepAlive: true });
const reached: string[] = [];
/** A service of the machine that no receiver may reach. */
const inside = createServer((received, response) => {
  reached.push(received.url!);
  response.end();
});

before(async () => {
  await new Promise<void>((resolve) => inside.listen(0, '127.0.0.1', resolve));
  server = await Pallium.start();
});
after(async () => {
  inside.close();
  agent.destroy();
  await server[Symbol.asyncDispose]();
});

async function ask(method: string, path: string, body?: string | object, tenant = 'attacker') {
  return send(method, path, body === undefined || typeof body === 'string' ? body : JSON.stringify(body), {
    'x-scope-orgid': tenant,
    'content-type': 'application/json',
  });
}

/** Hears the answer also where the server does not read the body to its end. */
function send(method: string, path: string, body: string | undefined, headers: Record<string, string>) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    let failure: Error | undefined;
    let isAnswered = false;
    const sent = request(server.url + path, { method, headers, agent }, (response) => {
      isAnswered = true;
      const status = response.statusCode!;
      readText(response).then((text) => resolve({ status, text }), reject);
    });
    sent.on('error', (error: Error) => {
      failure = error;
    });
    sent.on('close', () => {
      if (!isAnswered) reject(failure ?? new Error(`${path}: no answer`));
    });
    sent.end(body);
  });
}

/** @param limit is named in the answer */
async function refused(path: string, body: string | object, limit: RegExp): Promise<void> {
  const { status, text } = await ask('POST', path, body);
  assert.ok(status >= 400 && status < 500, `${path}: ${status} ${text.slice(0, 300)}`);
  assert.match(text, limit);
  assert.ok(text.length < 2_000, `a text of ${text.length} characters`);
}

const LOOPS = [
  '{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}',
  `{{ range $i, $c := "${'x'.repeat(500)}" }}${'{{ range $j, $d := "0123456789012345678901234567890123456789" }}'.repeat(4)}x${'{{ end }}'.repeat(5)}`,
  `{{ $s := "xxxxxxxx" }}${'{{ $s = printf "%s%s" $s $s }}'.repeat(60)}{{ $s }}`,
];

test('templates that loop, in rules and in receivers', { timeout: 240_000 }, async () => {
  await withVictim(server, async () => {
    for (const [i, loop] of LOOPS.entries()) {
      const annotations = { loop };
      const rules = [{ alert: 'Loop', expr: 'vector(1)', annotations, labels: { loop } }];
      // a rule whose template cannot be read or run is refused, or says so where it stands
      const put = await ask('POST', '/config/v1/rules/space', { name: `loop${i}`, interval: '1s', rules });
      assert.ok([202, 400].includes(put.status), `${put.status} ${put.text.slice(0, 300)}`);
      const config = {
        route: { receiver: 'hook' },
        receivers: [{ name: 'hook', webhook_configs: [{ url: 'http://127.0.0.1/', payload: { text: loop } }] }],
      };
      const given = { config: { alertmanager_config: JSON.stringify(config) }, receiver: 'hook' };
      const shown = await ask('POST', '/config/v1/alerts/preview', given);
      assert.match(shown.text, /template_steps_max|exceeded|limit|maximum|"failed"/i, shown.text.slice(0, 300));
    }
    await until(
      'evaluations of the rules',
      async () => !/"health":"unknown"/.test((await ask('GET', '/api/v1/rules')).text),
      { timeoutMs: 60_000 },
    );
  });
  assert.equal((await ask('DELETE', '/config/v1/rules/space')).status, 202);
});

test('receivers at addresses of the machine and its network', async () => {
  const { port } = inside.address() as AddressInfo;
  const hosts = [
    '127.0.0.1',
    '169.254.169.254',
    'localhost',
    '[::ffff:127.0.0.1]',
    '0x7f000001',
    '2130706433',
    '10.0.0.1',
  ];
  const config = {
    route: { receiver: 'r0' },
    receivers: hosts.map((host, i) => ({
      name: `r${i}`,
      webhook_configs: [{ url: `http://${host}:${port}/latest/meta-data` }],
      slack_configs: [{ api_url: `http://${host}:${port}/slack`, channel: '#x' }],
      email_configs: [{ to: 'a@b', from: 'c@d', smarthost: `${host}:${port}` }],
    })),
  };
  const alertmanager_config = JSON.stringify(config);
  for (const [i, host] of hosts.entries()) {
    const { status, text } = await ask('POST', '/config/v1/alerts/test', {
      config: { alertmanager_config },
      receiver: `r${i}`,
    });
    // what is no address for mail is refused when it is read
    if (status === 400) continue;
    const { data } = JSON.parse(text) as { data: { integration: string; status: string; error: string }[] };
    assert.equal(data.length, 3, text);
    for (const { status: outcome, error } of data) {
      assert.equal(outcome, 'failed', `${host}: ${text}`);
      assert.match(error, /alertmanager_receivers_firewall_block_private_addresses/, host);
    }
  }
  // notifications too, not only those that are tried
  assert.equal((await ask('POST', '/config/v1/alerts', { alertmanager_config })).status, 201);
  assert.equal((await ask('POST', '/alertmanager/api/v2/alerts', [{ labels: { alertname: 'X' } }])).status, 200);
  assert.deepEqual(reached, []);
});

test('10,000 silences', { timeout: 240_000 }, async () => {
  const silence = (i: number) => ({
    matchers: [{ name: 'alertname', value: `.*${i}.*`, isRegex: true }],
    startsAt: new Date(Date.now() - 1000).toISOString(),
    endsAt: new Date(Date.now() + 3_600_000).toISOString(),
    createdBy: 'x',
    comment: 'x',
  });
  await withVictim(server, async () => {
    let [taken, last] = [0, ''];
    for (let i = 0; i < 10_000; i += 5) {
      const answers = await Promise.all(
        Array.from({ length: 5 }, (_, k) => ask('POST', '/alertmanager/api/v2/silences', silence(i + k))),
      );
      for (const { status, text } of answers) {
        if (status === 200) taken++;
        else last = text;
      }
    }
    assert.ok(taken <= 1000, `${taken} silences`);
    assert.match(last, /alertmanager_max_silences_count/);
  });
});

test('a configuration of 10 MB, alerts of 10,000 labels, and too many of them', { timeout: 240_000 }, async () => {
  await withVictim(server, async () => {
    // a connection may be closed before all of 10 MB is taken, and its answer be lost with it
    const large = await ask('POST', '/config/v1/alerts', { alertmanager_config: `# ${'x'.repeat(10 << 20)}\n` }).catch(
      (thrown: NodeJS.ErrnoException) => ({ status: 413, text: `${thrown.code}` }),
    );
    assert.equal(large.status, 413);
    assert.match(large.text, /query_body_bytes_max|EPIPE|ECONNRESET/);
    const routes = Array.from({ length: 60_000 }, (_, i) => ({ receiver: 'a', matchers: [`x="${i}"`] }));
    const long = JSON.stringify({ route: { receiver: 'a', routes }, receivers: [{ name: 'a' }] });
    await refused('/config/v1/alerts', { alertmanager_config: long }, /alertmanager_max_config_size_bytes/);
    const template_files = { 'a.tmpl': '{{ define "a" }}x{{ end }}'.repeat(3_000) };
    const alertmanager_config = JSON.stringify({ route: { receiver: 'a' }, receivers: [{ name: 'a' }] });
    await refused('/config/v1/alerts', { template_files, alertmanager_config }, /alertmanager_max_template_size_bytes/);
    const labels = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`l${i}`, 'v']));
    await refused('/alertmanager/api/v2/alerts', [{ labels }], /alertmanager_max_alert_labels/);
    await refused(
      '/alertmanager/api/v2/alerts',
      [{ labels: { a: 'x'.repeat(40_000) } }],
      /alertmanager_max_alert_size_bytes/,
    );
    let refusal = '';
    for (let i = 0; i < 60; i++) {
      const alerts = Array.from({ length: 1000 }, (_, k) => ({ labels: { alertname: 'A', i: `${i}`, k: `${k}` } }));
      const { status, text } = await ask('POST', '/alertmanager/api/v2/alerts', alerts);
      if (status !== 200) refusal = text;
    }
    assert.match(refusal, /alertmanager_max_alerts_count/);
  });
});

test('rules and previews that ask for too much', { timeout: 240_000 }, async () => {
  await withVictim(server, async () => {
    const day = 86_400;
    const form = (group: object, days: number) =>
      new URLSearchParams({
        group: JSON.stringify(group),
        start: String(Date.now() / 1000 - days * day),
        end: String(Date.now() / 1000),
      }).toString();
    const previewed = (group: object, days: number) => {
      const headers = { 'x-scope-orgid': 'attacker', 'content-type': 'application/x-www-form-urlencoded' };
      return send('POST', '/api/v1/rule_preview', form(group, days), headers);
    };
    const group = (expr: string, more: object = {}) => ({ name: 'g', rules: [{ alert: 'A', expr, ...more }] });
    for (const [one, days, limit] of [
      [group('vector(1)'), 365, /rule_preview_evaluations_max/],
      [group('ALERTS'), 9, /rule_preview_evaluations_max/],
    ] as const) {
      const { status, text } = await previewed(one, days);
      assert.equal(status, 400);
      assert.match(text, limit);
    }
    // a template that loops at each step, and alerts that change at each
    const wide = `label_replace(vector(time() % 120), "x", "$1", "", "")`;
    for (const one of [group(`${wide} < 60`, { labels: { loop: LOOPS[1], v: '{{ $value }}' } }), group(wide)]) {
      const { status, text } = await previewed(one, 5);
      assert.ok(status < 500, text.slice(0, 300));
    }
  });
});
