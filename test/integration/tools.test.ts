import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Documents } from '../../src/chunkstore/documents/documents.ts';
import { StateRows } from '../../src/chunkstore/documents/state-rows.ts';
import { TenantTables } from '../../src/chunkstore/documents/tables.ts';
import { Schema } from '../../src/chunkstore/schema.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { systemBytes } from '../../src/lib/random.ts';
import { EmbeddedTableStore } from '../../src/table/embedded.ts';
import type { ApiAnswer } from '../harness/api.ts';
import { Pallium, tempFolder } from '../harness/pallium.ts';
import { push, writeBody } from '../harness/remote-write.ts';
import { runTool } from '../harness/tool.ts';

const START_MS = Date.UTC(2026, 9, 1, 11, 30);
const folder = tempFolder('tools');
const source = join(folder, 'source');
const TENANT = 'team-a';

before(async () => {
  mkdirSync(source);
  await using server = await Pallium.start({ dataDir: source });
  const values = [
    1,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    -0,
    5e-324,
    0.1,
    -1e308,
    undefined,
  ];
  const series = Array.from({ length: 300 }, (_, k) => ({
    labels: { __name__: `m${k % 3}_total`, k: `${k}`, 'utf8.näme': '\u{1f308} "\n\\' },
    samples: values.map((value, i) => [START_MS + i * 450_000 + k, value] as const),
  }));
  series.push({ labels: { __name__: 'näme', k: 'x' } as never, samples: [[START_MS + 1, 7]] });
  const answer = await push(`${server.url}/api/v1/push`, writeBody(series), { 'x-scope-orgid': TENANT });
  assert.ok(answer.status < 300, answer.text);
  // of long random names, so that the group is too large for a row
  const large = Array.from({ length: 400 }, (_, k) => ({
    labels: { __name__: k % 2 === 0 ? 'even' : 'odd', id: randomBytes(64).toString('hex') },
    samples: [[START_MS, k] as const],
  }));
  await push(`${server.url}/api/v1/push`, writeBody(large), { 'x-scope-orgid': 'team-b' });
  await server.flush();
  await server.stop();
});
after(() => rmSync(folder, { recursive: true, force: true }));

async function exported(dataDir: string, ...more: string[]): Promise<string> {
  const { code, stdout, stderr } = await runTool(['export', `-data.dir=${dataDir}`, `-tenant=${TENANT}`, ...more]);
  assert.equal(code, 0, stderr);
  return stdout;
}

test('what is exported and imported is exported the same', async () => {
  const text = await exported(source);
  assert.equal(text.split('\n').length, 300 * 8 + 1 + 4 + 2);
  assert.match(text, /^# TYPE m0_total unknown\nm0_total\{k="0","utf8\.näme"="🌈 \\"\\n\\\\"\} 1 1790854200$/m);
  assert.match(text, /^\{"näme",k="x"\} 7 1790854200\.001/m);
  assert.match(text, /^# EOF\n$/m);
  const copy = join(folder, 'copy');
  const run = await runTool(['import', `-data.dir=${copy}`, `-tenant=${TENANT}`], text);
  assert.deepEqual([run.code, run.stdout], [0, '2401 samples imported\n'], run.stderr);
  assert.equal(await exported(copy), text);
  const again = await runTool(['import', `-data.dir=${copy}`, `-tenant=${TENANT}`], text);
  assert.equal(again.code, 0);
  assert.equal(await exported(copy), text);
  const { code, stdout } = await runTool(['verify', `-data.dir=${copy}`]);
  assert.equal(code, 0, stdout);
});

test('an export is of a selector and a range', async () => {
  const text = await exported(source, '-match={k=~"1|2",__name__!="m1_total"}', `-until=${START_MS / 1000 + 500}`);
  assert.equal(text.match(/^m2_total/gm)?.length, 2);
  assert.doesNotMatch(text, /^(m0|m1|\{)/m);
  const { code, stderr } = await runTool(['export', `-data.dir=${source}`, '-match={']);
  assert.deepEqual([code, /^pallium export: -match: /.test(stderr)], [2, true], stderr);
});

test('an import leaves out what a delete request covers, and says so', async () => {
  const text = await exported(source);
  const copy = join(folder, 'deleted');
  assert.equal((await runTool(['import', `-data.dir=${copy}`, `-tenant=${TENANT}`], text)).code, 0);
  await using server = await Pallium.start({ dataDir: copy, flags: ['-web.enable-admin-api'] });
  const api = server.api({ 'x-scope-orgid': TENANT });
  const path = `/api/v1/admin/tsdb/delete_series?${new URLSearchParams({ 'match[]': 'm2_total' })}`;
  assert.equal((await api.ask(path, { method: 'POST' })).status, 204);
  await server.stop();
  const left = await exported(copy);
  assert.doesNotMatch(left, /^m2_total/m);
  const run = await runTool(['import', `-data.dir=${copy}`, `-tenant=${TENANT}`], text);
  assert.deepEqual([run.code, run.stdout], [1, '1601 samples imported\n'], run.stderr);
  assert.match(run.stderr, /refused: 800 samples \(deleted\)/);
  assert.equal(await exported(copy), left);
});

test('an import goes to a server by remote write', async () => {
  const text = await exported(source);
  await using server = await Pallium.start();
  const run = await runTool(['import', `-tenant=${TENANT}`, `-url=${server.url}/api/v1/push`], text);
  assert.deepEqual([run.code, run.stdout], [0, '2401 samples imported\n'], run.stderr);
  const api = server.api({ 'x-scope-orgid': TENANT });
  const { result } = await api.instant('count(count_over_time({k=~".+"}[2h]))', START_MS / 1000 + 5000);
  assert.equal(result[0]?.value?.[1], '301');
  const refused = await runTool(['import', `-url=${server.url}/nowhere`], text);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /answers 404/);
});

test('an import names the line that it cannot read, and misses the end', async () => {
  const lines = Array.from({ length: 100_000 }, (_, i) => `m{i="${i}"} ${i} 1790854200`);
  const bad = await runTool(['import', `-data.dir=${join(folder, 'bad')}`], `${lines.join('\n')}\nm{ 1\n# EOF\n`);
  assert.deepEqual([bad.code, /line 100001: /.test(bad.stderr)], [1, true], bad.stderr);
  const cut = await runTool(['import', `-data.dir=${join(folder, 'bad')}`], lines.slice(0, 10).join('\n'));
  assert.deepEqual([cut.code, /# EOF/.test(cut.stderr)], [1, true], cut.stderr);
});

test('inspect tells sizes by tenant and metric', async () => {
  const { code, stdout } = await runTool(['inspect', `-data.dir=${source}`, `-tenant=${TENANT}`, '-groups', '-rows']);
  assert.equal(code, 0);
  assert.match(stdout, /^team-a: 1 days, rows .*\b2 g\b.* 2701 samples, /m);
  assert.match(stdout, /^ +[\d.]+ K?i?B +\d+ series {2}m0_total$/m);
  assert.equal(stdout.match(/^group /gm)?.length, 2);
});

/** Asks a server that has only the store. */
async function asked(tenant: string, query: string): Promise<ApiAnswer> {
  rmSync(join(source, 'ingester'), { recursive: true, force: true });
  await using server = await Pallium.start({ dataDir: source });
  const search = new URLSearchParams({ query, time: String(START_MS / 1000) });
  const answer = await server.api({ 'x-scope-orgid': tenant }).ask(`/api/v1/query?${search}`);
  await server.stop();
  return answer;
}

test('verify finds a damaged object, queries of it fail with its name, a backup copies it all the same, a damaged backup is refused', async () => {
  const backup = join(folder, 'backup');
  const made = await runTool(['backup', `-data.dir=${source}`, `-folder=${backup}`]);
  assert.equal(made.code, 0, made.stderr);
  assert.match((await runTool(['backup', `-data.dir=${source}`, `-folder=${backup}`])).stdout, /were there already/);

  const objects = join(source, 'store/objects');
  const file = readdirSync(objects, { recursive: true, withFileTypes: true }).find((each) => each.isFile());
  const path = join(file!.parentPath, file!.name);
  const bytes = readFileSync(path);
  const damaged = Buffer.from(bytes);
  // within the series blocks
  damaged[bytes.length >> 1]! ^= 1;
  writeFileSync(path, damaged);
  const { code, stdout } = await runTool(['verify', `-data.dir=${source}`]);
  assert.equal(code, 3, stdout);
  assert.match(stdout, /^damaged: /m);
  const { status, text } = await asked('team-b', 'count({id=~".+"})');
  assert.equal(status, 500, text);
  assert.match(text, /chunk group pallium_\d+\/\S+ in groups\/\S+ is damaged: series .* the checksum differs/);
  assert.equal((await asked(TENANT, 'count({k=~".+"} offset -30m)')).status, 200);
  writeFileSync(path, bytes);
  assert.equal((await runTool(['verify', `-data.dir=${source}`])).code, 0);

  const tables = join(backup, '0/tables');
  const rows = join(tables, readdirSync(tables).find((name) => name.endsWith('.rows'))!);
  const whole = readFileSync(rows);
  const restore = () => runTool(['restore', `-data.dir=${join(folder, 'restored')}`, `-folder=${backup}`]);
  truncateSync(rows, whole.length - 3);
  assert.match((await restore()).stderr, /ends within a row/);
  const flipped = Buffer.from(whole);
  flipped[whole.length - 3]! ^= 1;
  writeFileSync(rows, flipped);
  assert.match((await restore()).stderr, /a damaged row/);
  writeFileSync(rows, whole);
  const restored = await restore();
  assert.equal(restored.code, 0, restored.stderr);
  assert.equal(await exported(join(folder, 'restored')), await exported(source));
});

test('what tenants configure, and its state, is in a backup, and verified', async () => {
  const [from, to, backup] = ['documents', 'documents-back', 'documents-backup'].map((name) => join(folder, name));
  const key = { tenant: TENANT, kind: 'rules', name: 'ns/group' };
  const open = async (dir: string) => {
    const tables = await EmbeddedTableStore.open({ dir: join(dir, 'store/tables') });
    const period = { fromMs: Number.NEGATIVE_INFINITY, tables, tablePrefix: 'pallium_', tableMs: 7 * 86_400_000 };
    const both = await TenantTables.open(new Schema([period]));
    const documents = new Documents(both, systemClock, systemBytes);
    const state = new StateRows(both, systemBytes);
    return { documents, state, tables };
  };
  const old = await open(from!);
  const page = old.state.newPageId();
  await old.state.writePages(key, new Map([[page, randomBytes(100_000)]]));
  await old.state.compareAndSet(key, undefined, { pages: [page], body: Buffer.from('head') });
  const contents = [randomBytes(200_000), Buffer.from('small')];
  for (const content of contents) await old.documents.put(key, content, { user: 'ann' });
  // the ring of a cluster, which another one has not
  await old.tables.admin.create('pallium_ring');
  const ringRow = { hash: Buffer.from('kv'), range: Buffer.from('ring/newest'), value: Uint8Array.of(1) };
  await old.tables.client.write('pallium_ring', [ringRow]);
  await old.tables.close();
  const backedUp = await runTool(['backup', `-data.dir=${from}`, `-folder=${backup}`]);
  assert.equal(backedUp.code, 0, backedUp.stderr);
  const names = readdirSync(join(backup!, '0/tables')).sort();
  assert.deepEqual(names, ['pallium_config.rows', 'pallium_state.rows']);
  // one of an earlier version had it
  cpSync(join(backup!, '0/tables', names[0]!), join(backup!, '0/tables/pallium_ring.rows'));
  const manifest = join(backup!, 'backup.json');
  writeFileSync(
    manifest,
    readFileSync(manifest, 'utf8').replace('"pallium_config"', '"pallium_config","pallium_ring"'),
  );
  const restored = await runTool(['restore', `-data.dir=${to}`, `-folder=${backup}`]);
  assert.equal(restored.code, 0, restored.stderr);
  const verified = await runTool(['verify', `-data.dir=${to}`]);
  assert.deepEqual([verified.code, /1 document\b/.test(verified.stdout)], [0, true], verified.stdout);
  const back = await open(to!);
  assert.equal((await back.tables.admin.list()).includes('pallium_ring'), false);
  assert.deepEqual(Buffer.from((await back.documents.contentOf(key, 1))!), contents[0]);
  assert.equal(Buffer.from((await back.documents.get(key))!.content).toString(), 'small');
  assert.equal((await back.state.read(key))?.pages[0]?.length, 100_000);
  await back.state.removePages(key, [page]);
  await back.tables.close();
  const damaged = await runTool(['verify', `-data.dir=${to}`]);
  assert.deepEqual([damaged.code, /that it names is missing/.test(damaged.stdout)], [3, true], damaged.stdout);
});

test('commands and flags that are none are named', async () => {
  for (const [args, problem] of [
    [['verfy'], /no such command \(did you mean "verify"\?\)/],
    [['verify', '-data.dir=/nowhere/at/all'], /\/nowhere\/at\/all\/store is missing/],
    [['backup', `-data.dir=${source}`], /-folder is missing/],
    [['restore', '-folder=/nowhere', `-data.dir=${source}`], /no finished backup/],
    [['inspect', '-schema.stor=cassandra'], /unknown flag -schema.stor \(did you mean "schema.store"\?\)/],
  ] as const) {
    const { code, stderr } = await runTool(args);
    assert.ok(code === 1 || code === 2, `${code}`);
    assert.match(stderr, problem);
  }
  assert.match((await runTool(['export', '--help'])).stdout, /^Usage: pallium export \[flags\]\n/);
});

test('rules are checked and tested without a store', async () => {
  const rules = join(folder, 'rules.yml');
  writeFileSync(rules, 'groups: [{ name: g, rules: [{ record: r, expr: up * 2 }] }]');
  const tests = join(folder, 'rule-tests.yml');
  writeFileSync(
    tests,
    `rule_files: [${rules}]\ntests: [{ input_series: [{ series: up, values: 1 }], promql_expr_test: [{ expr: r, eval_time: 0, exp_samples: [{ labels: r, value: 2 }] }] }]`,
  );
  const checked = await runTool(['rules', 'check', rules]);
  assert.deepEqual(checked, { code: 0, stdout: `Checking ${rules}\n  SUCCESS: 1 rules found\n\n`, stderr: '' });
  const tested = await runTool(['rules', 'test', tests]);
  assert.deepEqual(tested, { code: 0, stdout: `Processing test file: ${tests}\n  SUCCESS\n\n`, stderr: '' });
  const wrong = await runTool(['rules', 'check'], 'groups: 1');
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /^ {2}FAILED:\nyaml: unmarshal errors:\n {2}line 1: cannot unmarshal !!int `1` into/);
});
