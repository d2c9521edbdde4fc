import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { ApiClient } from '../harness/api.ts';
import { Pallium, tempFolder } from '../harness/pallium.ts';
import { push, writeBody } from '../harness/remote-write.ts';
import { runTool } from '../harness/tool.ts';
import { until } from '../harness/wait.ts';

const folder = tempFolder('ruler');
after(() => rmSync(folder, { recursive: true, force: true }));

interface Posted {
  readonly labels: Record<string, string>;
  readonly annotations: Record<string, string>;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly generatorURL: string;
}

/** An Alertmanager that remembers what it is sent. */
async function alertmanager() {
  const received: Posted[] = [];
  const tenants = new Set<string>();
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (part) => {
      text += part;
    });
    request.on('end', () => {
      tenants.add(String(request.headers['x-scope-orgid']));
      received.push(...(JSON.parse(text) as Posted[]));
      response.end();
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, received, tenants, close: () => server.close() };
}

interface ShownRule {
  readonly name: string;
  readonly type: string;
  readonly health: string;
  readonly state?: string;
  readonly lastError?: string;
  readonly query: string;
  readonly alerts?: readonly { readonly state: string; readonly activeAt: string; readonly labels: object }[];
}

interface ShownGroup {
  readonly name: string;
  readonly file: string;
  readonly interval: number;
  readonly rules: readonly ShownRule[];
}

interface ShownRules {
  readonly groups: readonly ShownGroup[];
  readonly groupNextToken?: string;
  readonly errors?: readonly { readonly file: string; readonly error: string }[];
}

const rulesOf = (api: ApiClient, params: Record<string, string> = {}) => api.data<ShownRules>('/api/v1/rules', params);

async function write(server: Pallium, samples: Readonly<Record<string, number>>): Promise<void> {
  const series = Object.entries(samples).map(([job, value]) => ({
    labels: { __name__: 'load', job },
    samples: [[Date.now(), value] as const],
  }));
  const { status, text } = await push(`${server.url}/api/v1/push`, writeBody(series));
  assert.ok(status < 300, text);
}

const GROUP = `
name: g
interval: 1s
labels: { team: infra }
rules:
  - record: job:load:double
    expr: load * 2
  - record: job:load:sum
    expr: sum(job:load:double)
  - alert: High
    expr: load > 10
    for: 2s
    labels: { severity: page, job_copy: "{{ $labels.job }}" }
    annotations: { summary: "{{ $labels.job }} at {{ $value }}" }
`;

async function config(api: ApiClient, method: string, path: string, body?: string) {
  const { status, text, contentType } = await api.ask(path, { method, ...(body === undefined ? {} : { body }) });
  return { status, text, contentType };
}

test('rules are configured, evaluated and shown; alerts are sent, and their state outlives a kill', async () => {
  const target = await alertmanager();
  const dataDir = join(folder, 'main');
  mkdirSync(dataDir);
  const flags = [`-ruler.alertmanager-url=${target.url}`, '-ruler.resend-delay=1s'];
  let server = await Pallium.start({ dataDir, flags });
  let api = server.api();
  try {
    const none = await config(api, 'GET', '/rules/ns/none');
    assert.deepEqual([none.status, none.text], [404, 'group does not exist\n']);
    assert.equal((await config(api, 'GET', '/prometheus/config/v1/rules')).text, 'no rule groups found\n');
    assert.doesNotMatch((await api.ask('/metrics')).text, /cortex_prometheus/);

    const put = await config(api, 'POST', '/config/v1/rules/a%2Fb', GROUP);
    assert.deepEqual([put.status, put.text], [202, '{"status":"success"}']);
    await write(server, { a: 4, b: 20 });
    const sum = await until('the recorded sum', async () => {
      const { result } = await api.instant('job:load:sum', Date.now() / 1000);
      return result[0];
    });
    assert.deepEqual([sum.metric, sum.value?.[1]], [{ __name__: 'job:load:sum', team: 'infra' }, '48']);

    const firing = await until('a firing alert', async () => {
      await write(server, { a: 4, b: 20 });
      const { groups } = await rulesOf(api);
      return groups[0]?.rules[2]?.state === 'firing' && groups[0];
    });
    assert.deepEqual([firing.name, firing.file, firing.interval], ['g', 'a/b', 1]);
    assert.deepEqual(
      firing.rules.map(({ type, health, query }) => [type, health, query]),
      [
        ['recording', 'ok', 'load * 2'],
        ['recording', 'ok', 'sum(job:load:double)'],
        ['alerting', 'ok', 'load > 10'],
      ],
    );
    const labels = { alertname: 'High', job: 'b', job_copy: 'b', severity: 'page', team: 'infra' };
    const { alerts } = await api.data<{ alerts: Record<string, unknown>[] }>('/api/v1/alerts');
    const [{ activeAt, ...alert } = {}] = alerts;
    assert.deepEqual(alert, {
      labels,
      annotations: { summary: 'b at 20' },
      state: 'firing',
      value: '2e+01',
    });
    const sent = await until('the alert', () => target.received[0]);
    assert.deepEqual([sent.labels, sent.annotations], [labels, { summary: 'b at 20' }]);
    assert.equal(sent.generatorURL, `${server.url}/graph?g0.expr=load+%3E+10&g0.tab=1`);
    assert.deepEqual([...target.tenants], ['anonymous']);
    const { result } = await api.instant('ALERTS_FOR_STATE', Date.now() / 1000);
    assert.deepEqual(result[0]?.metric, { __name__: 'ALERTS_FOR_STATE', ...labels });
    assert.equal(Number(result[0]?.value?.[1]), Math.floor(Date.parse(String(activeAt)) / 1000));
    assert.match(
      (await api.ask('/metrics')).text,
      /^cortex_prometheus_rule_evaluations_total\{user="anonymous",rule_group="a\/b;g"\} \d+$/m,
    );

    await server.kill();
    const before = target.received.length;
    server = await Pallium.start({ dataDir, flags });
    api = server.api();
    await until('the alert again', () => target.received.length > before);
    const again = target.received.at(-1)!;
    assert.equal(again.startsAt, sent.startsAt, 'it fires since when it did');
    await write(server, { a: 4, b: 20 });
    const kept = await until(
      'rules after the start',
      async () => (await rulesOf(api)).groups[0]?.rules[2]?.alerts?.[0],
    );
    assert.deepEqual([kept.state, kept.activeAt], ['firing', activeAt]);

    // an edit of the expression keeps it, and a dry run tells what another would lose
    const dry = await config(
      api,
      'POST',
      '/rules/a%2Fb?dry_run=true',
      GROUP.replace('severity: page', 'severity: low'),
    );
    assert.deepEqual(JSON.parse(dry.text).data.reset, [
      { alert: 'High', labels: { severity: 'page', job_copy: '{{ $labels.job }}' }, active: 1 },
    ]);
    await config(api, 'POST', '/rules/a%2Fb', GROUP.replace('load > 10', 'load > 11'));
    const edited = await until('the edited rule', async () => {
      const rule = (await rulesOf(api)).groups[0]?.rules[2];
      return rule?.query === 'load > 11' && rule.health === 'ok' && rule;
    });
    assert.equal(edited.alerts?.[0]?.activeAt, activeAt);

    // resolved
    await write(server, { b: 1 });
    await until('the resolution', () => target.received.some(({ endsAt }) => Date.parse(endsAt) <= Date.now()));
    const { text, contentType } = await config(api, 'GET', '/api/prom/rules');
    assert.equal(contentType, 'application/yaml');
    assert.match(text, /^a\/b:\n {2}- name: g\n {4}interval: 1s\n/);
    assert.equal((await config(api, 'DELETE', '/api/v1/rules/a%2Fb/g')).status, 202);
    await until('no rules', async () => (await rulesOf(api)).groups.length === 0);
    assert.equal((await config(api, 'DELETE', '/config/v1/rules/a%2Fb')).status, 404);
    await until('the end of the series', async () => {
      const { result } = await api.instant('job:load:sum', Date.now() / 1000);
      return result.length === 0;
    });
  } finally {
    await server.kill();
    target.close();
  }
});

test('wrong groups are refused with their verdicts, limits with their names', async () => {
  const file = join(folder, 'limits.yaml');
  writeFileSync(
    file,
    'overrides: { small: { ruler_max_rules_per_rule_group: 1, ruler_max_rule_groups_per_tenant: 1, ruler_alertmanager_url: ["http://me:secret@am"] } }',
  );
  await using server = await Pallium.start({ flags: [`-runtime-config.file=${file}`] });
  const api = server.api({ 'x-scope-orgid': 'small' });
  for (const path of ['/api/v1/user_limits', '/runtime_config']) {
    const { text } = await api.ask(path);
    assert.ok(text.includes('http://me:********@am') && !text.includes('secret'), text);
  }
  const refused = async (body: string) => {
    const { status, text } = await config(api, 'POST', '/config/v1/rules/ns', body);
    assert.equal(status, 400, text);
    return text;
  };
  assert.match(await refused('- 1'), /^unable to decoded rule group: /);
  assert.match(
    await refused('name: g\nrules: [{ record: r, expr: "1 +" }]'),
    /could not parse expression: 1:4: parse error/,
  );
  assert.match(
    await refused('name: g\nrules: [{ record: a, expr: 1 }, { record: b, expr: 1 }]'),
    /per-user rules per rule group limit \(limit: 1 actual: 2\) exceeded \(ruler_max_rules_per_rule_group\)/,
  );
  assert.match(await refused('name: g\ninterval: 10ms\nrules: []'), /ruler_min_rule_evaluation_interval/);
  assert.match(await refused('name: g\nsource_tenants: [other]\nrules: []'), /source_tenants/);
  const good = (name: string) =>
    config(api, 'POST', '/config/v1/rules/ns', `name: ${name}\nrules: [{ record: a, expr: 1 }]`);
  assert.equal((await good('one')).status, 202);
  assert.equal((await good('one')).status, 202);
  assert.match((await good('two')).text, /per-user rule groups limit \(limit: 1 actual: 2\) exceeded/);
  // a client that leaves the path as it is
  const status = await new Promise((done, fail) => {
    const { hostname, port } = new URL(server.url);
    const request = get({ hostname, port, path: '/rules/%2E%2E/x', headers: api.headers }, (answer) => {
      answer.resume();
      done(answer.statusCode);
    });
    request.once('error', fail);
  });
  assert.equal(status, 400);
  const all = await server.api().ask('/ruler/rule_groups');
  assert.deepEqual([all.status, /^small:\n {2}ns:\n {4}- name: one\n/.test(all.text)], [200, true], all.text);
  assert.equal((await api.ask('/ruler/delete_tenant_config', { method: 'POST' })).status, 200);
  assert.equal((await config(api, 'GET', '/rules')).status, 404);
});

test('rules never write into the window for samples that come late, and one that fails keeps no other', async () => {
  await using server = await Pallium.start({ flags: ['-ingester.out-of-order-time-window=1h'] });
  const api = server.api();
  const ahead = { labels: { __name__: 'late' }, samples: [[Date.now() + 300_000, 1] as const] };
  assert.ok((await push(`${server.url}/api/v1/push`, writeBody([ahead]))).status < 300);
  const rules = '{ record: late, expr: vector(1) }, { record: fine, expr: vector(2) }';
  const group = `name: g\ninterval: 1s\nrules: [${rules}]`;
  assert.equal((await config(api, 'POST', '/rules/ns', group)).status, 202);
  const [late, fine] = await until('both', async () => {
    const found = (await rulesOf(api)).groups[0]?.rules ?? [];
    return found.every(({ health }) => health !== 'unknown') && found.length === 2 && found;
  });
  assert.deepEqual([late!.health, fine!.health], ['err', 'ok']);
  assert.match(late!.lastError!, /out of order/);
  const { result } = await api.instant('fine', Date.now() / 1000);
  assert.equal(result[0]?.value?.[1], '2');
});

test('files are brought to a server, which has nothing else then', async () => {
  await using server = await Pallium.start();
  const one = join(folder, 'one.yaml');
  const two = join(folder, 'two.yaml');
  const group = (name: string, expr: string) => `{ name: ${name}, rules: [{ record: r, expr: '${expr}' }] }`;
  writeFileSync(one, `groups: [${group('a', '1')}, ${group('b', 'sum(x)')}]`);
  writeFileSync(two, `namespace: other/name\ngroups: [${group('c', '3')}]`);
  const flags = [`-url=${server.url}`, '-tenant=team'];
  const run = async (command: string, ...args: string[]) => {
    const { code, stdout, stderr } = await runTool(['rules', command, ...args, ...flags]);
    return [code, stdout + stderr] as const;
  };
  const all = '+ one/a\n+ one/b\n+ other/name/c\n';
  assert.deepEqual(await run('diff', one, two), [1, `${all}3 of 3 groups differ\n`]);
  assert.deepEqual(await run('sync', one, two, '-dry-run'), [0, `${all}3 of 3 groups differ\n`]);
  assert.deepEqual(await run('sync', one, two), [0, `${all}3 of 3 groups changed\n`]);
  assert.deepEqual(await run('diff', one, two), [0, '0 of 3 groups differ\n']);
  writeFileSync(one, `groups: [${group('a', '2')}]`);
  assert.deepEqual(await run('sync', one, '-namespaces=one'), [0, '~ one/a\n- one/b\n2 of 1 groups changed\n']);
  assert.deepEqual(await run('diff', one), [1, '- other/name/c\n1 of 1 groups differ\n']);
  writeFileSync(one, `groups: [${group('a', '2 +')}]`);
  const [code, text] = await run('sync', one);
  assert.deepEqual([code, /could not parse expression/.test(text)], [1, true], text);
  const api = server.api({ 'x-scope-orgid': 'team' });
  const shown = (await config(api, 'GET', '/config/v1/rules')).text;
  assert.match(shown, /^one:\n[\s\S]*expr: "2"\nother\/name:\n/);
});

test('an alert goes to the Alertmanager of the process', async () => {
  await using server = await Pallium.start();
  const api = server.api();
  const settings = 'alertmanager_config: |\n  route: { receiver: none }\n  receivers: [{ name: none }]\n';
  assert.equal((await config(api, 'POST', '/config/v1/alerts', settings)).status, 201);
  const rules = 'name: g\ninterval: 1s\nrules: [{ alert: Always, expr: vector(1) }]';
  assert.equal((await config(api, 'POST', '/rules/ns', rules)).status, 202);
  const [alert] = await until('the alert', async () => {
    const found = JSON.parse((await api.ask('/alertmanager/api/v2/alerts')).text) as { labels: object }[];
    return found.length > 0 && found;
  });
  assert.deepEqual(alert?.labels, { alertname: 'Always' });
});

test('local files are read, and a file that is wrong keeps the rules that it had', async () => {
  const rules = join(folder, 'local');
  mkdirSync(join(rules, 'anonymous'), { recursive: true });
  const file = join(rules, 'anonymous', 'one.yaml');
  const group = (name: string) => `{ name: ${name}, interval: 1s, rules: [{ record: "r:${name}", expr: vector(1) }] }`;
  writeFileSync(file, `groups: [${group('b')}, ${group('a')}, ${group('c')}]`);
  await using server = await Pallium.start({ flags: [`-ruler.local-directory=${rules}`] });
  const api = server.api();
  const first = await until('the groups', async () => {
    const shown = await rulesOf(api);
    return shown.groups.length === 3 && shown;
  });
  assert.deepEqual(
    first.groups.map(({ name, file: from }) => [name, from]),
    ['a', 'b', 'c'].map((name) => [name, file]),
  );
  const pages: string[] = [];
  for (let token = ''; ; ) {
    const page = await rulesOf(api, { group_limit: '2', ...(token === '' ? {} : { group_next_token: token }) });
    pages.push(page.groups.map(({ name }) => name).join());
    if (page.groupNextToken === undefined) break;
    token = page.groupNextToken;
  }
  assert.deepEqual(pages, ['a,b', 'c']);
  const filtered = await rulesOf(api, { 'rule_name[]': 'r:b', type: 'record', health: 'ok' });
  assert.ok(filtered.groups.every(({ name }) => name === 'b'));
  assert.deepEqual((await rulesOf(api, { type: 'alert' })).groups, []);
  writeFileSync(file, 'groups: 1');
  const wrong = await until('the problem', async () => {
    const shown = await rulesOf(api);
    return shown.errors !== undefined && shown;
  });
  assert.deepEqual([wrong.groups.length, wrong.errors?.[0]?.file], [3, file]);
  assert.match(wrong.errors![0]!.error, /cannot unmarshal/);
  writeFileSync(file, `groups: [${group('a')}]`);
  await until('one group', async () => {
    const shown = await rulesOf(api);
    return shown.groups.length === 1 && shown.errors === undefined;
  });
});

test('a local group reads what other tenants have, and writes for its own', async () => {
  const rules = join(folder, 'federated');
  mkdirSync(join(rules, 'overview'), { recursive: true });
  const rule = "{ record: 'tenant:load:sum', expr: 'sum by (__tenant_id__) (load)' }";
  const group = `{ name: all, interval: 1s, source_tenants: [a, b], rules: [${rule}] }`;
  writeFileSync(join(rules, 'overview', 'one.yaml'), `groups: [${group}]`);
  await using server = await Pallium.start({ flags: [`-ruler.local-directory=${rules}`] });
  const now = Date.now();
  for (const [tenant, value] of Object.entries({ a: 1, b: 2, c: 4 })) {
    const body = writeBody([{ labels: { __name__: 'load' }, samples: [[now, value]] }]);
    const { status, text } = await push(`${server.url}/api/v1/push`, body, { 'x-scope-orgid': tenant });
    assert.ok(status < 300, text);
  }
  const recorded = async (tenant: string) => {
    const api = server.api({ 'x-scope-orgid': tenant });
    const { result } = await api.data<{ result: { metric: Record<string, string>; value: [number, string] }[] }>(
      '/api/v1/query',
      { query: 'tenant:load:sum' },
    );
    return result.map(({ metric, value }) => `${metric.__tenant_id__} ${value[1]}`).sort();
  };
  await until('the sums', async () => (await recorded('overview')).length === 2);
  assert.deepEqual(await recorded('overview'), ['a 1', 'b 2']);
  assert.deepEqual(await recorded('a'), []);
});

test('a tenant that is deleted has no rules any more', async () => {
  await using server = await Pallium.start({ flags: ['-web.enable-admin-api'] });
  for (const tenant of ['gone', 'stays']) {
    const { status } = await config(server.api({ 'x-scope-orgid': tenant }), 'POST', '/rules/ns', GROUP);
    assert.equal(status, 202);
  }
  const [gone, stays] = ['gone', 'stays'].map((tenant) => server.api({ 'x-scope-orgid': tenant }));
  await until('both', async () => (await rulesOf(gone!)).groups.length + (await rulesOf(stays!)).groups.length === 2);
  assert.equal((await gone!.ask('/purger/delete_tenant', { method: 'POST' })).status, 200);
  assert.equal((await config(gone!, 'GET', '/rules')).status, 404);
  await until('none', async () => (await rulesOf(gone!)).groups.length === 0);
  assert.equal((await rulesOf(stays!)).groups.length, 1);
});
