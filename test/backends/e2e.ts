import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { queries } from '../../bench/query-set.ts';
import { replay, type WorkloadSet, workloadSet } from '../../bench/sets.ts';
import { Pallium, tempFolder } from '../harness/pallium.ts';
import { push, writeBody } from '../harness/remote-write.ts';
import { runTool } from '../harness/tool.ts';

const TENANTS = ['large', 'small'] as const;
/** An hour of it in four windows. */
const SET = '2x240';
const WINDOW = '-ingester.window=20m';
const HOUR_MS = 3_600_000;

/**
 * Remote write, flush, a restart with an empty head: every answer stays as it was, and none shows another tenant's.
 * @param flags which stores
 */
export async function endToEnd(flags: readonly string[]): Promise<void> {
  const set = await workloadSet(SET);
  const dataDir = tempFolder('e2e');
  try {
    const options = { dataDir, flags: [WINDOW, ...flags] };
    const before = await withServer(options, async (server) => {
      await replay(set, `${server.url}/api/v1/push`, { tenant: 'large' });
      await pushSmall(server, set);
      const answers = await askAll(server, set);
      await server.flush();
      // what lies in both is there once
      compare(answers, await askAll(server, set), 'after the flush');
      return answers;
    });
    assert.ok([...before.values()].every((text) => text.includes('"status":"success"')));
    assert.match(before.get('large 6h every series')!, /node-exporter/);
    assert.doesNotMatch(before.get('small 6h every series')!, /node-exporter/);
    assert.match(before.get('small odd values')!, /NaN/);

    rmSync(join(dataDir, 'ingester'), { recursive: true });
    await withServer(options, async (server) => {
      const api = server.api({ 'x-scope-orgid': 'large' });
      const { stats } = await api.data<{ stats: { store: { fetchedRows: number; fetchedBytes: number } } }>(
        '/api/v1/query',
        { query: 'max_over_time(node_load1[5m])', time: set.endMs / 1000, stats: 'all' },
      );
      assert.ok(stats.store.fetchedRows > 0 && stats.store.fetchedBytes > 0, JSON.stringify(stats));
      compare(before, await askAll(server, set), 'with an empty head');
    });

    await verifyAll(dataDir, flags, set);
    const folder = join(dataDir, 'backup');
    await succeeds(['backup', `-folder=${folder}`, `-data.dir=${dataDir}`, ...flags]);
    // wherever it was: here it is embedded now
    const prefix = flags.filter((flag) => flag.startsWith('-schema.prefix='));
    const restored = join(dataDir, 'restored');
    await succeeds(['restore', `-folder=${folder}`, `-data.dir=${restored}`, ...prefix]);
    await verifyAll(restored, prefix, set);
    await withServer({ dataDir: restored, flags: [WINDOW, ...prefix] }, async (server) =>
      compare(before, await askAll(server, set), 'restored from a backup'),
    );
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
    rmSync(`${dataDir}.log`, { force: true });
  }
}

async function verifyAll(dataDir: string, flags: readonly string[], set: WorkloadSet): Promise<void> {
  const text = await succeeds(['verify', `-data.dir=${dataDir}`, ...flags]);
  const samples = Number(/(\d+) samples/.exec(text)![1]);
  assert.equal(samples, set.samples + SMALL_SAMPLES, text);
}

async function succeeds(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runTool(args);
  assert.equal(code, 0, `${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

async function withServer<T>(
  options: { readonly dataDir: string; readonly flags: readonly string[] },
  body: (server: Pallium) => Promise<T>,
): Promise<T> {
  await using server = await Pallium.start(options);
  const result = await body(server);
  const { code } = await server.stop();
  assert.equal(code, 0, server.logTail());
  return result;
}

const ODD = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 5e-324, 0.1, 2 ** 53, -1e308];
const SMALL_SAMPLES = 3 * (ODD.length + 1);

/** A tenant of a few series with the same names, and values that are hard to keep; each ends with a stale marker. */
async function pushSmall(server: Pallium, set: WorkloadSet): Promise<void> {
  const startMs = set.endMs - HOUR_MS / 2;
  const series = ['node_load1', 'odd', 'ungewöhnlich'].map((name, i) => ({
    labels: { __name__: name, instance: '10.0.3.17:9100', of: 'small', 'utf8.näme': '\u{1f308} "\n' },
    samples: [...ODD, undefined].map((value, k) => [startMs + i + k * 60_000, value] as const),
  }));
  const answer = await push(`${server.url}/api/v1/push`, writeBody(series), { 'x-scope-orgid': 'small' });
  assert.ok(answer.status < 300, answer.text);
}

/** Bodies of all answers by tenant and question. */
async function askAll(server: Pallium, set: WorkloadSet): Promise<Map<string, string>> {
  const end = set.endMs / 1000;
  const range = { start: end - 2 * 3600, end };
  const answers = new Map<string, string>();
  for (const tenant of TENANTS) {
    const api = server.api({ 'x-scope-orgid': tenant });
    const ask = async (what: string, path: string, params: Record<string, string | number>) => {
      const search = new URLSearchParams(
        Object.entries(params).map(([name, value]): [string, string] => [name, String(value)]),
      );
      const { status, text } = await api.ask(`${path}?${search}`);
      assert.equal(status, 200, `${tenant}: ${what}: ${text}`);
      answers.set(`${tenant} ${what}`, text);
    };
    for (const [name, kind, query, hours = 0, step = 0] of queries) {
      if (kind === 'query') await ask(name, '/api/v1/query', { query, time: end });
      else await ask(name, '/api/v1/query_range', { query, start: end - hours * 3600, end, step });
    }
    await ask('odd values', '/api/v1/query', { query: '{of="small"}[2h]', time: end });
    await ask('raw samples', '/api/v1/query', { query: 'node_load1[2h]', time: end });
    await ask('label names', '/api/v1/labels', range);
    await ask('label names of one', '/api/v1/labels', { ...range, 'match[]': 'node_load1' });
    await ask('label values', '/api/v1/label/instance/values', range);
    await ask('metric names', '/api/v1/label/__name__/values', range);
    await ask('series', '/api/v1/series', { ...range, 'match[]': '{__name__=~"node_(cpu|load).*"}' });
    await ask('series of an instance', '/api/v1/series', { ...range, 'match[]': '{instance="10.0.3.17:9100"}' });
  }
  return answers;
}

function compare(want: ReadonlyMap<string, string>, got: ReadonlyMap<string, string>, when: string): void {
  assert.deepEqual([...got.keys()], [...want.keys()]);
  for (const [what, text] of want) {
    // as text first: equal to the last digit, and in the same order
    if (got.get(what) === text) continue;
    assert.deepEqual(JSON.parse(got.get(what)!), JSON.parse(text), `${what}, ${when}`);
    assert.fail(`${what}, ${when}: not the same text`);
  }
}
