import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { seededRandom } from '../../src/lib/random.ts';
import { floatHistogram } from '../../src/model/histogram.ts';
import { encodeRemoteWrite1, encodeRemoteWrite2 } from '../../src/wire/remote-write-encode.ts';
import { deflateSnappy, inflateSnappy } from '../../src/wire/snappy.ts';
import { type WriteRequest, WriteSamples } from '../../src/wire/write-request.ts';
import { conformanceFolder, skipWithoutConformance } from '../conformance/api-data.ts';
import { Pallium } from '../harness/pallium.ts';
import { push, writeBody } from '../harness/remote-write.ts';
import { Expressions } from './expressions.ts';
import { type FuzzReport, type FuzzRequest, fuzz } from './http.ts';
import { mutate } from './mutate.ts';

/** Bodies thrown at the push endpoint; half as many queries go to the API. */
const COUNT = Number(process.env.FUZZ_COUNT ?? 20_000);
const QUERIES = Number(process.env.FUZZ_QUERIES ?? Math.ceil(COUNT / 2));
const SEED = Number(process.env.SEED ?? Date.now() % 1e9);
const NOW_MS = Date.now();
const SERIES_MAX = 2000;

/** The size of the longest expressions. */
const EXPRESSION_BYTES_MAX = 1_000_000;

/** Series are limited so that bodies which stay valid do not fill memory: what may grow then is only what leaks. */
const FLAGS = [
  `-ingester.max-series-per-user=${SERIES_MAX}`,
  '-ingester.max-metadata-per-user=100',
  '-log.level=error',
  '-querier.timeout=5s',
  '-querier.enable-promql-experimental-functions',
  '-querier.enable-promql-extended-range-selectors',
  '-querier.enable-promql-binop-fill-modifiers',
  // another thread that comes when one is busy would look like a leak
  '-querier.workers=1',
];

/** Work before the halves are compared: heaps, buffers and caches of patterns grow to what the work needs, and then no more. */
const WARM_UP_BODIES = 10_000;
const WARM_UP_QUERIES = 20_000;

/** Looks at a server that grew. */
const LOOKS_MAX = 5;

/**
 * Fuzzes a server, and looks whether its memory goes on growing. What leaks makes each look larger than the one before; a heap that is
 * collected late grows, too, to about four times what it holds, and then no more.
 */
async function fuzzed(t: TestContext, server: Pallium, count: number, make: () => FuzzRequest): Promise<void> {
  const { rss } = report(t, await fuzz(server, count, make));
  const growth = rss[1] - rss[0];
  if (growth <= 0.1 * rss[0]) return;
  const looks: number[] = [...rss];
  while (looks.length < 2 + LOOKS_MAX) {
    const highest = Math.max(...looks);
    looks.push(Math.max(...report(t, await fuzz(server, count, make)).rss));
    if (looks.at(-1)! <= highest + growth / 2) return;
  }
  assert.fail(`it goes on growing: ${looks.map((bytes) => Math.round(bytes / 1e6)).join(', ')} MB, SEED=${SEED}`);
}

function report(t: TestContext, found: FuzzReport): FuzzReport {
  const { statuses, rss, faults } = found;
  const counts = [...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${status}: ${count}`);
  const mb = rss.map((bytes) => Math.round(bytes / 1e6));
  t.diagnostic(`SEED=${SEED}; ${counts.join(', ')}; RSS of the halves at most ${mb[0]} and ${mb[1]} MB`);
  assert.deepEqual(faults, [], `SEED=${SEED}`);
  return found;
}

test(`${COUNT} mutated bodies at the push endpoint`, async (t) => {
  await using server = await Pallium.start({ flags: FLAGS });
  const random = seededRandom(SEED);
  const seeds = seedBodies();
  const types = [
    ['application/x-protobuf', '0.1.0'],
    ['application/x-protobuf;proto=io.prometheus.write.v2.Request', '2.0.0'],
  ];
  const make = (): FuzzRequest => {
    const { body, version } = seeds[Math.floor(random() * seeds.length)]!;
    // half of them inside the compression, so that they reach what reads the messages
    const bytes = random() < 0.5 ? mutate(deflateSnappy(body), random) : deflateSnappy(mutate(body, random));
    const [type, number] = types[random() < 0.95 ? version - 1 : 2 - version]!;
    const headers = {
      'content-type': random() < 0.98 ? type! : 'text/plain',
      'content-encoding': random() < 0.98 ? 'snappy' : 'gzip',
      'x-prometheus-remote-write-version': number!,
      'x-scope-orgid': `fuzz-${Math.floor(random() * 3)}`,
    };
    return { method: 'POST', path: '/api/v1/push', headers, body: bytes, shown: shown(bytes, type!) };
  };
  await fuzz(server, WARM_UP_BODIES, make);
  await fuzzed(t, server, COUNT, make);
  // and it is as well as before
  const body = writeBody([{ labels: { __name__: 'after' }, samples: [[NOW_MS, 1]] }]);
  assert.equal((await push(`${server.url}/api/v1/push`, body, { 'x-scope-orgid': 'sane' })).status, 204);
  const { result } = await server.api({ 'x-scope-orgid': 'sane' }).instant('after', NOW_MS / 1000);
  assert.equal(result[0]?.value?.[1], '1');
});

test(`${QUERIES} queries, mutated and not, at the API`, async (t) => {
  await using server = await Pallium.start({ flags: FLAGS });
  for (let i = 0; i < 10; i++) {
    const series = Array.from({ length: 40 }, (_, s) => ({
      labels: { __name__: `m_${s % 4}`, instance: `${s % 5}`, job: `${s % 2}`, le: `${s % 8}` },
      samples: [[NOW_MS - 300_000 + i * 15_000, s * i] as const],
    }));
    assert.equal((await push(`${server.url}/api/v1/push`, writeBody(series))).status, 204);
  }
  const random = seededRandom(SEED);
  const expressions = new Expressions({
    random,
    metrics: ['m_0', 'm_1', 'm_2', 'm_3'].map((name) => ({
      name,
      kind: 'float' as const,
      labels: ['instance', 'job', 'le'],
      values: ['0', '1'],
    })),
    legacy: false,
  });
  const paths = [
    'query',
    'query_range',
    'series',
    'labels',
    'label/job/values',
    'format_query',
    'parse_query',
    'query_exemplars',
    'metadata',
    'query_explain',
    'query_range_explain',
    'cardinality/day',
    'cardinality/savings',
    'admin/tsdb/delete_series/preview',
  ];
  const number = () => {
    const dice = random();
    if (dice < 0.8) return String(NOW_MS / 1000 - Math.floor(random() * 600));
    return ['', '-1', '1e400', 'NaN', '0x10', '9'.repeat(400), '2026-01-01T00:00:00Z', '-9223372036854775809', '1e18'][
      Math.floor(random() * 9)
    ]!;
  };
  // a megabyte of text now and then moves the process' size by more than what is looked for: those come first
  let giants = true;
  const make = (): FuzzRequest => {
    let text: string = expressions.vector(1 + Math.floor(random() * 4));
    if (random() < 0.6)
      text = Buffer.from(mutate(Buffer.from(text), random)).toString(random() < 0.5 ? 'utf8' : 'latin1');
    if (random() < 0.005) text = '('.repeat(10_000) + text;
    else if (giants && random() < 0.002) text = `${text}+`.repeat(Math.ceil(EXPRESSION_BYTES_MAX / (text.length + 1)));
    const path = paths[Math.floor(random() ** 2 * paths.length)]!;
    const params = new URLSearchParams({ query: text, 'match[]': text });
    for (const name of ['time', 'start', 'end']) if (random() < 0.9) params.set(name, number());
    params.set('step', random() < 0.9 ? String(1 + Math.floor(random() * 300)) : number());
    if (random() < 0.2) params.set('timeout', ['1s', '-1', 'x', '1e9'][Math.floor(random() * 4)]!);
    if (random() < 0.2) params.set('limit', ['0', '1', '-1', '1e9', '99999999999999999999'][Math.floor(random() * 5)]!);
    if (random() < 0.2) params.set('stats', ['all', 'true', '1'][Math.floor(random() * 3)]!);
    const body = params.toString();
    const post = path !== 'metadata' && !path.startsWith('label/') && (body.length > 4000 || random() < 0.5);
    const shown = `${path}?${body}`.slice(0, 3000);
    if (post) {
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      return { method: 'POST', path: `/api/v1/${path}`, headers, body, shown };
    }
    return { method: 'GET', path: `/api/v1/${path}?${body.slice(0, 8000)}`, headers: {}, shown };
  };
  await fuzz(server, WARM_UP_QUERIES, make);
  giants = false;
  await fuzzed(t, server, QUERIES, make);
  const { result } = await server.api().instant('count(m_0)', NOW_MS / 1000);
  assert.equal(result[0]?.value?.[1], '10');
});

/** Sound bodies, not compressed. */
function seedBodies(): { body: Uint8Array; version: 1 | 2 }[] {
  const request: WriteRequest = {
    series: Array.from({ length: 6 }, (_, i) => ({
      pairs: ['__name__', `fuzz_${i}`, 'instance', `host-${i}`, 'text', 'ü"\\\n'.repeat(i)],
      labelsFault: undefined,
      samples: WriteSamples.of(
        Array.from({ length: i * 4 }, (_, k) => ({ timeMs: NOW_MS - 60_000 + k * 1000, value: k * 1.5 * i })),
      ),
      histograms:
        i % 3 !== 2
          ? []
          : [
              {
                timeMs: NOW_MS,
                startMs: NOW_MS - 1000,
                stale: false,
                fault: undefined,
                histogram: floatHistogram({
                  schema: 1,
                  count: 10,
                  sum: 18,
                  zeroThreshold: 0.001,
                  zeroCount: 2,
                  positiveSpans: [
                    { offset: 0, length: 2 },
                    { offset: 1, length: 1 },
                  ],
                  positiveBuckets: [3, 4, 1],
                }),
              },
            ],
      exemplars: i === 3 ? [{ pairs: ['trace_id', 'abc'], labelsFault: undefined, value: 1, timeMs: NOW_MS }] : [],
    })),
    metadata: [{ metric: 'fuzz_1', type: 'counter', help: 'Helps.', unit: 's' }],
  };
  const small: WriteRequest = { series: request.series.slice(1, 2), metadata: [] };
  const seeds: { body: Uint8Array; version: 1 | 2 }[] = [
    { body: encodeRemoteWrite1(request), version: 1 },
    { body: encodeRemoteWrite1(small), version: 1 },
    { body: encodeRemoteWrite2(request), version: 2 },
    { body: encodeRemoteWrite2(small), version: 2 },
  ];
  if (skipWithoutConformance === false) {
    const folder = join(conformanceFolder, 'vectors/bodies');
    for (const name of readdirSync(folder)) {
      try {
        const body = inflateSnappy(readFileSync(join(folder, name)), 1 << 20, 'a limit');
        // the long ones take the time that many short ones need
        if (body.length < 20_000) seeds.push({ body, version: name.startsWith('v2') ? 2 : 1 });
      } catch {
        // meant to be broken
      }
    }
  }
  return seeds;
}

function shown(bytes: Uint8Array, type: string): string {
  return `${type} base64 ${Buffer.from(bytes).toString('base64').slice(0, 4000)}`;
}
