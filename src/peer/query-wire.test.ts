import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InstantOutcome, PartialResult, QueryExplanation, QueryResult, QueryValue } from '../contract/query.ts';
import { ANY_TIME_MS } from '../lib/day.ts';
import { seededRandom } from '../lib/random.ts';
import { AppError } from '../model/errors.ts';
import { floatHistogram } from '../model/histogram.ts';
import { checkPairs, decodeOutcomes, encodeOutcomes } from './batch-wire.ts';
import { decodeRequest, encodeRequest, type JobRequest } from './job-shapes.ts';
import { encodeFound, foundHeadOf } from './lookup-wire.ts';
import { decodePartial, decodeResult, encodePartial, encodeResult } from './query-wire.ts';

const STATISTICS = {
  evaluatedMs: 1.25,
  totalQueryableSamples: 10,
  samplesRead: 9,
  peakSamples: 8,
  totalQueryableSamplesPerStep: [
    [1000, 3],
    [2000, 7],
  ] as const,
  fetchedBytes: 7,
  fetchedChunks: 6,
  fetchedChunkBytes: 5,
  fetchedRows: 4,
  fetchedObjects: 3,
  cachedBlocks: 2,
  readSlots: 1,
  readGroups: 0,
};

function explanationOf(levels: number): QueryExplanation {
  const children = levels === 0 ? [] : [explanationOf(levels - 1), explanationOf(0)];
  return { what: `level ${levels}`, steps: 1, series: 2, points: 3, ms: 0.5, children };
}

const HISTOGRAM = floatHistogram({
  resetHint: 'gauge',
  schema: 3,
  zeroThreshold: 1e-128,
  count: 6,
  sum: Number.NaN,
  positiveSpans: [
    { offset: -2, length: 2 },
    { offset: 1, length: 1 },
  ],
  positiveBuckets: [1, 2.5, -0],
});

const position = { start: 1, end: 5 };
const forced = { minBucket: Number.NEGATIVE_INFINITY, maxBucket: 1, maxDiff: 0.5, minMs: 1, maxMs: 2, count: 3 };
const NOTES = {
  storage: ['a store said so'],
  warnings: {
    notes: [{ text: 'PromQL warning: x', pos: position, by: { ...position, unplaced: true }, count: 2, forced }],
    omitted: 1,
  },
  infos: { notes: [], omitted: 0 },
};

function resultOf(value: QueryValue, more: Partial<QueryResult> = {}): QueryResult {
  return { value, warnings: ['w (1:5)'], infos: [], statistics: STATISTICS, explanation: undefined, ...more };
}

/** Not a number with bits of its own, which have to stay. */
const ODD_NAN = new Float64Array(new BigUint64Array([0x7ff8_0000_0000_1234n]).buffer);

const RESULTS: readonly QueryResult[] = [
  resultOf({ type: 'scalar', timeMs: 1000, value: Number.NaN }),
  resultOf({ type: 'string', timeMs: -5, value: 'größer\n' }),
  resultOf(
    {
      type: 'vector',
      timeMs: 1000,
      pairs: [['__name__', 'm', 'a', '1'], []],
      values: new Float64Array([-0, Number.NaN]),
      histograms: [undefined, HISTOGRAM],
    },
    { notes: NOTES },
  ),
  resultOf({ type: 'matrix', series: [] }, { explanation: explanationOf(60) }),
  resultOf(
    { type: 'matrix', series: [] },
    { missing: [{ what: 'recent samples', startMs: 0, endMs: 5, reason: 'away' }] },
  ),
  resultOf({
    type: 'matrix',
    series: [
      {
        pairs: ['a', '1'],
        times: Float64Array.of(0, 60_000, 120_000),
        values: Float64Array.of(1, 2, 3),
        histograms: undefined,
      },
      {
        pairs: ['a', '2'],
        times: Float64Array.of(0, 60_000, 240_000),
        values: Float64Array.of(1, 2, ODD_NAN[0]!),
        histograms: undefined,
      },
      {
        pairs: ['a', '3'],
        times: Float64Array.of(60_000),
        values: Float64Array.of(Number.NaN),
        histograms: [HISTOGRAM],
      },
      { pairs: ['a', '4'], times: new Float64Array(0), values: new Float64Array(0), histograms: [] },
    ],
  }),
];

const PARTIALS: readonly PartialResult[] = [
  { type: 'whole', reason: 'rounding', statistics: STATISTICS },
  {
    type: 'partial',
    op: 'sum',
    shard: { index: 1, count: 4 },
    steps: { instant: false, startMs: 0, stepMs: 60_000, count: 2 },
    groups: [{ pairs: ['a', '1'], first: ['__name__', 'm', 'a', '1'], dropName: true, unit: 2 ** -20 }],
    counts: Float64Array.of(1, 0),
    values: Float64Array.of(0.1, 0),
    lost: Float64Array.of(1e-18, 0),
    magnitudes: new Float64Array(0),
    dropped: 'm\0counter',
    warnings: [],
    infos: ['i'],
    statistics: STATISTICS,
    explanation: explanationOf(2),
    notes: NOTES,
  },
];

const REQUESTS: readonly JobRequest[] = [
  {
    kind: 'query',
    method: 'instant',
    request: { expr: 'up', timeMs: 5, lookbackMs: 60_000, noStore: true, allowPartial: true },
    trace: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    language: { '-a': true, '-b': false },
    oldestMs: ANY_TIME_MS,
  },
  {
    kind: 'query',
    method: 'range',
    request: {
      expr: 'sum(up)',
      startMs: 0,
      endMs: 600_000,
      stepMs: 60_000,
      whole: { startMs: 0, endMs: 1_200_000, windows: true },
      used: { chunks: 1, chunkBytes: 2, fetchedBytes: 3 },
      timeoutMs: 1000,
      explain: true,
      perStepStatistics: false,
    },
  },
  {
    kind: 'query',
    method: 'partial',
    request: { expr: 'sum(up)', timeMs: 0, shard: { index: 0, count: 2 } },
  },
  {
    kind: 'lookup',
    method: 'labelValues',
    name: 'ü',
    matchers: [[['a', '=~', 'b.*']], [['c', '!=', '']]],
    startMs: Number.NEGATIVE_INFINITY,
    endMs: 5,
    limit: 7,
    allowPartial: true,
    used: { chunks: 1, chunkBytes: 2, fetchedBytes: 3 },
    oldestMs: 60_000,
    trace: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  },
  { kind: 'rules', requests: [{ expr: 'up', timeMs: 5, timeoutMs: 1000, lookbackMs: 60_000 }] },
  {
    kind: 'api',
    request: {
      tenant: 'a|b',
      method: 'POST',
      path: '/api/v1/series',
      params: [['match[]', '{a="ü"}']],
      accept: 'application/json',
      asker: { user: 'u', source: 'dashboard' },
      body: Uint8Array.of(1, 2, 3),
      takesParts: true,
      trace: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00',
      caller: { userAgent: 'x', dashboardUid: '', panelId: '' },
      rules: {
        evaluationIntervalMs: 60_000,
        intervalMsMin: 1000,
        queryOffsetMs: 0,
        externalLabels: { cluster: 'c' },
        externalUrl: 'http://x',
        rulesMax: 0,
      },
    },
  },
];

const OUTCOMES: readonly InstantOutcome[] = [
  { result: { type: 'scalar', timeMs: 5, value: Number.NaN } },
  { result: { type: 'string', timeMs: 5, value: 'ü' } },
  { result: { type: 'matrix' } },
  { failure: { text: 'away', http: 503 } },
  { failure: { text: 'late', http: 503, isTimeout: true } },
  {
    result: {
      type: 'vector',
      timeMs: 5,
      pairs: '[["a","1"],["a","2","b","ü"]]',
      values: Float64Array.of(0.1, Number.NaN),
      histograms: [undefined, HISTOGRAM],
    },
  },
  { result: { type: 'vector', timeMs: 5, pairs: '[[]]', values: Float64Array.of(-0), histograms: undefined } },
];

const decodeOwn = (bytes: Uint8Array) =>
  decodeOutcomes(bytes, OUTCOMES.length, (_, pairs, series) => checkPairs(pairs, series));

const FOUND = await encodeFound(
  {
    items: [['__name__', 'm'], []],
    warnings: ['w'],
    missing: [{ what: 'stored samples', startMs: 0, endMs: 5, reason: 'away' }],
    used: { chunks: 1, chunkBytes: 2, fetchedBytes: 3 },
    series: 2,
  },
  { due: false, pause: async () => {} },
);

test('queries and results are what they were on the other side, to the last bit', () => {
  for (const result of RESULTS) assert.deepEqual(decodeResult(encodeResult(result)), result);
  for (const result of PARTIALS) assert.deepEqual(decodePartial(encodePartial(result)), result);
  assert.deepEqual(decodeOwn(encodeOutcomes(OUTCOMES)), OUTCOMES);
  for (const request of REQUESTS) assert.deepEqual(decodeRequest(encodeRequest(request)), request);
  const { value } = decodeResult(encodeResult(RESULTS[5]!));
  assert.equal(value.type, 'matrix');
  if (value.type === 'matrix') {
    const bits = (values: Float64Array) => new BigUint64Array(values.buffer, values.byteOffset, values.length);
    assert.equal(bits(value.series[1]!.values)[2], 0x7ff8_0000_0000_1234n);
  }
});

test('settings of a front end of a version to come that are no truth values are left out', () => {
  const { language, ...request } = REQUESTS[0] as JobRequest & { readonly kind: 'query' };
  const ofLater = { ...request, language: { ...language, '-to-come': 'both' } };
  assert.deepEqual(decodeRequest(encodeRequest(ofLater as unknown as JobRequest)), REQUESTS[0]);
});

test('bytes that another process would not send are refused, and take no memory that is not theirs', () => {
  const random = seededRandom(14);
  const all = [
    ...RESULTS.map((result) => [encodeResult(result), decodeResult] as const),
    ...PARTIALS.map((result) => [encodePartial(result), decodePartial] as const),
    ...REQUESTS.map((request) => [encodeRequest(request), decodeRequest] as const),
    [encodeOutcomes(OUTCOMES), decodeOwn] as const,
    [FOUND, foundHeadOf] as const,
  ];
  let refused = 0;
  const rounds = Number(process.env.FUZZ_RUNS ?? 300);
  for (const [bytes, decode] of all) {
    for (let i = 0; i < rounds; i++) {
      const changed = new Uint8Array(
        bytes.subarray(0, i % 5 === 0 ? Math.floor(random() * bytes.length) : bytes.length),
      );
      for (let k = 0; k <= i % 4 && changed.length > 0; k++) {
        changed[Math.floor(random() * changed.length)] = random() < 0.3 ? 255 : random() * 256;
      }
      try {
        decode(changed);
      } catch (error) {
        assert.ok(error instanceof AppError, String((error as Error).stack));
        refused++;
      }
    }
  }
  assert.ok(refused > all.length * rounds * 0.3, `${refused} refused`);
});

test('columns of an answer lie in its bytes, and series share the times that they have in common', () => {
  const times = () => Float64Array.of(0, 60_000, 120_000);
  const series = ['1', '22', '333'].map((i) => ({
    pairs: ['a', i],
    times: times(),
    values: Float64Array.of(Number(i), 2, 3),
    histograms: undefined,
  }));
  const bytes = encodeResult({ ...RESULTS[5]!, value: { type: 'matrix', series } });
  const { value } = decodeResult(bytes);
  assert.ok(value.type === 'matrix');
  assert.deepEqual(value.series, series);
  for (const each of value.series) {
    assert.equal(each.values.buffer, bytes.buffer);
    assert.equal(each.times, value.series[0]!.times);
  }
  // bytes within others are read as well
  const within = new Uint8Array(bytes.length + 3);
  within.set(bytes, 3);
  assert.deepEqual(decodeResult(within.subarray(3)).value, value);
});

test('labels of a batch that are none, or not of its values, are refused', () => {
  for (const pairs of ['', 'x', '{}', '[[]]', '[["a","1"],["a"]]', '[["a","1"],["a",2]]', '[["a","1"],[]] ']) {
    const refused = () => checkPairs(pairs, 2);
    if (pairs.endsWith(' ')) refused();
    else assert.throws(refused, AppError, pairs);
  }
  assert.throws(() => decodeOutcomes(encodeOutcomes(OUTCOMES), OUTCOMES.length + 1, () => {}), AppError);
});
