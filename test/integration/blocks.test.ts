import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { floatHistogram } from '../../src/model/histogram.ts';
import { toIntegerHistogram } from '../../src/model/histogram-integer.ts';
import { encodeRemoteWrite1 } from '../../src/wire/remote-write-encode.ts';
import { deflateSnappy } from '../../src/wire/snappy.ts';
import { WriteSamples } from '../../src/wire/write-request.ts';
import { ApiClient } from '../harness/api.ts';
import { CLOSE, difference, sorted } from '../harness/compare.ts';
import { Pallium, tempFolder } from '../harness/pallium.ts';
import { startNewestPrometheus, startPrometheusDebian } from '../harness/peers.ts';
import { WRITE_HEADERS, writeBody } from '../harness/remote-write.ts';
import { runTool } from '../harness/tool.ts';

// Blocks go from a real Prometheus into Pallium and back into one, and every answer is the same.

const STEP_MS = 15_000;
const STEPS = 500;
// within what Prometheus takes, over the edge of a block of two hours
const END_MS = Math.floor(Date.now() / STEP_MS) * STEP_MS;
const START_MS = END_MS - STEPS * STEP_MS;
const FLAGS = ['--web.enable-admin-api', '--storage.tsdb.retention.time=10y'];
const folder = tempFolder('blocks');
after(() => rmSync(folder, { recursive: true, force: true }));

const SPECIAL = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, -0, 5e-324, 0.1, -1e308];

function floats(from: number, to: number): Uint8Array {
  return writeBody(
    Array.from({ length: 40 }, (_, k) => ({
      labels: { __name__: `m${k % 4}_total`, k: `${k}`, Upper: 'before the name', text: '\u{1f308} "\n\\\\' },
      samples: Array.from({ length: to - from }, (_, j) => {
        const i = from + j;
        const value = k === 0 ? SPECIAL[i % SPECIAL.length]! : (i % 200) * k + k / 7;
        return [START_MS + i * STEP_MS + k, k % 9 === 8 && i % 60 === 59 ? undefined : value] as const;
      }),
    })),
  );
}

function histogramsAt(i: number): Uint8Array {
  const n = i % 300;
  const whole = floatHistogram({
    schema: 1,
    zeroThreshold: 0.001,
    zeroCount: n,
    count: 4 * n,
    sum: 1.5 * n,
    positiveSpans: [{ offset: -2, length: 2 }],
    positiveBuckets: [n, 2 * n],
  });
  const gauge = floatHistogram({
    resetHint: 'gauge',
    schema: 3,
    count: 3.75 + Math.sin(i),
    sum: i / 3,
    positiveSpans: [{ offset: i % 100 < 50 ? 0 : 4, length: 2 }],
    positiveBuckets: [1.25 + Math.sin(i), 2.5],
  });
  const none = { labelsFault: undefined, samples: WriteSamples.none, exemplars: [] };
  const timeMs = START_MS + i * STEP_MS;
  const series = [toIntegerHistogram(whole), gauge].map((histogram, k) => ({
    ...none,
    pairs: ['__name__', `h${k}`],
    histograms: [{ timeMs, startMs: 0, stale: i % 150 === 149, histogram, fault: undefined }],
  }));
  return deflateSnappy(encodeRemoteWrite1({ series, metadata: [] }));
}

const QUERIES = [
  '{__name__=~"m.*"}',
  'sum by (__name__) (rate({__name__=~"m[123].*"}[5m]))',
  'count_over_time({__name__=~"m.*"}[30m])',
  'changes(m0_total[20m])',
  'm1_total{k=~"1|5",Upper!=""} offset 10m',
  'h0',
  'h1',
  'rate(h0[5m])',
  'histogram_quantile(0.9, increase(h0[10m]))',
  'histogram_count(h1) + histogram_sum(h1)',
];

async function sameAnswers(want: ApiClient, got: ApiClient, queries: readonly string[], what: string): Promise<void> {
  for (const query of queries) {
    // no sample lies on an edge of a window: 2.42 closes them on both sides
    const params = { query, start: START_MS / 1000 + 1.5, end: END_MS / 1000, step: 67 };
    const path = `/api/v1/query_range?${new URLSearchParams(Object.entries(params).map(([k, v]): [string, string] => [k, `${v}`]))}`;
    const [a, b] = await Promise.all([want.ask(path), got.ask(path)]);
    assert.equal(a.status, 200, a.text);
    const { infos: _1, warnings: _2, ...wanted } = JSON.parse(a.text);
    const { infos: _3, warnings: _4, ...there } = JSON.parse(b.text);
    assert.ok(wanted.data.result.length > 0, `${what}: ${query} finds nothing`);
    assert.equal(difference(sorted(wanted), sorted(there), CLOSE), undefined, `${what}: ${query}`);
  }
}

test('blocks of a real Prometheus come in, and go out to one', async () => {
  const config = 'global: {}\n';
  const source = await startNewestPrometheus({ config, flags: [...FLAGS, '--enable-feature=native-histograms'] });
  const exportedTo = join(folder, 'exported');
  const dataDir = join(folder, 'data');
  try {
    const post = async (body: Uint8Array) => {
      const answer = await fetch(`${source.url}/api/v1/write`, {
        method: 'POST',
        headers: WRITE_HEADERS,
        body: body as never,
      });
      assert.ok(answer.ok, `${answer.status} ${await answer.text()}`);
    };
    for (let i = 0; i < STEPS; i++) {
      if (i % 100 === 0) await post(floats(i, i + 100));
      await post(histogramsAt(i));
    }
    // of the head it makes a block; what is deleted is in its tombstones or left out
    const erased = new URLSearchParams({
      'match[]': 'm2_total{k="6"}',
      start: `${START_MS / 1000 + 1000}`,
      end: `${START_MS / 1000 + 4000}`,
    });
    const api = new ApiClient(source.url);
    assert.equal((await api.ask(`/api/v1/admin/tsdb/delete_series?${erased}`, { method: 'POST' })).status, 204);
    const made = await api.ask('/api/v1/admin/tsdb/snapshot', { method: 'POST' });
    assert.equal(made.status, 200, made.text);
    const snapshot = join(source.dataDir, 'snapshots', JSON.parse(made.text).data.name);

    const run = await runTool(['import', `-data.dir=${dataDir}`, `-blocks=${snapshot}`]);
    assert.equal(run.code, 0, run.stderr);
    assert.match(run.stdout, /^2\d{4} samples of \d blocks imported\n$/);
    // a block alone, a second time: nothing is there twice
    const [one] = readdirSync(snapshot);
    assert.equal((await runTool(['import', `-data.dir=${dataDir}`, `-blocks=${join(snapshot, one!)}`])).code, 0);
    assert.equal((await runTool(['verify', `-data.dir=${dataDir}`])).code, 0);
    {
      await using server = await Pallium.start({ dataDir });
      await sameAnswers(api, server.api(), QUERIES, 'imported');
      await server.stop();
    }

    const out = await runTool(['export', `-data.dir=${dataDir}`, `-blocks=${exportedTo}`, '-block-range=2h']);
    assert.equal(out.code, 0, out.stderr);
    assert.match(out.stdout, /^2\d{4} samples in \d blocks\n$/);
    {
      await using again = await startNewestPrometheus({ config, flags: FLAGS, dataFrom: exportedTo });
      await sameAnswers(api, new ApiClient(again.url), QUERIES, 'exported');
      const { status, text } = await new ApiClient(again.url).ask('/api/v1/labels');
      assert.deepEqual([status, JSON.parse(text).data], [200, ['Upper', '__name__', 'k', 'text']]);
    }
    {
      // the older one knows no histograms in some of its functions
      await using older = await startPrometheusDebian({ config, flags: FLAGS, dataFrom: exportedTo });
      const plain = QUERIES.filter((query) => !query.includes('h'));
      assert.ok(plain.length >= 4);
      await sameAnswers(api, new ApiClient(older.url), plain, 'exported to 2.42');
    }
  } finally {
    await source[Symbol.asyncDispose]();
  }
});

test('what cannot be is named', async () => {
  for (const [args, problem] of [
    [['import', '-blocks=/nowhere/at/all'], /no such file or directory.*\/nowhere\/at\/all/],
    [['import', `-blocks=${folder}`, '-url=http://127.0.0.1:1'], /-blocks goes straight into the store/],
    [['export', `-blocks=${folder}`, '-file=x'], /-blocks and -file do not go together/],
  ] as const) {
    const { code, stderr } = await runTool([...args, `-data.dir=${join(folder, 'none')}`]);
    assert.ok(code === 1 || code === 2, `${code} ${stderr}`);
    assert.match(stderr, problem);
  }
});
