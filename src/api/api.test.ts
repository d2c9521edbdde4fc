import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import type { QueryExplanation } from '../contract/query.ts';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { processErrors } from '../model/errors-process.ts';
import type { TestSeries } from '../storage/test-list.ts';
import { deflateSnappy, inflateSnappy } from '../wire/snappy.ts';
import { PromApi } from './backend.ts';
import { ask, type TestParts, testSources } from './test-sources.ts';

const T = 1767231000;
const DATA: TestSeries[] = [
  [{ __name__: 'up', job: 'a', instance: 'a:1' }, [T * 1000 - 1000, 1]],
  [{ __name__: 'up', job: 'b' }, [T * 1000 - 1000, 0.5]],
  [{ __name__: 'ütf.8', job: 'a' }, [T * 1000 - 1000, 1234567]],
];

/** A small language: url → the answer's data, or `status errorType: error`. */
async function shown(url: string, more: TestParts = {}, method = 'GET'): Promise<unknown> {
  const { status, json, text } = await ask(testSources(DATA, more), url, method);
  const answer = json as
    | { status: string; data: unknown; errorType: string; error: string; warnings?: string[] }
    | undefined;
  if (answer === undefined) return `${status} ${text}`;
  return answer.status === 'success' ? answer.data : `${status} ${answer.errorType}: ${answer.error}`;
}

test('an instant query answers at a time', async () => {
  assert.deepEqual(await shown(`/api/v1/query?query=4&time=${T}`), { resultType: 'scalar', result: [T, '4'] });
  assert.deepEqual(await shown(`/api/v1/query?query=up&time=${T}.5`), {
    resultType: 'vector',
    result: [
      { metric: { __name__: 'up', instance: 'a:1', job: 'a' }, value: [T + 0.5, '1'] },
      { metric: { __name__: 'up', job: 'b' }, value: [T + 0.5, '0.5'] },
    ],
  });
  assert.deepEqual(await shown(`/api/v1/query?query=4&time=2026-01-01T03:30:00.25%2B02:00`), {
    resultType: 'scalar',
    result: [T + 0.25, '4'],
  });
  for (const [query, text] of [
    ['1e-9', '0.000000001'],
    ['1e21', '1000000000000000000000'],
  ]) {
    const want = { resultType: 'scalar', result: [T, text] };
    assert.deepEqual(await shown(`/api/v1/query?query=${query}&time=${T}`), want);
  }
  assert.deepEqual(await shown('/api/v1/query?query=4'), { resultType: 'scalar', result: [T, '4'] }, 'now');
});

test('a range query answers at every step', async () => {
  assert.deepEqual(await shown('/api/v1/query_range?query=7&start=10&end=11.5&step=500ms'), {
    resultType: 'matrix',
    result: [
      {
        metric: {},
        values: [
          [10, '7'],
          [10.5, '7'],
          [11, '7'],
          [11.5, '7'],
        ],
      },
    ],
  });
});

test('parameters are refused in Prometheus’ words', async () => {
  const range = '/api/v1/query_range?query=1&start=0&end=100';
  for (const [url, want] of [
    [
      `${range}&step=0`,
      'invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer',
    ],
    [
      '/api/v1/query_range?query=1&start=0&end=0.001&step=0.0001',
      'invalid parameter "step": query resolution step widths below 1ms are not accepted',
    ],
    [`${range}&step=`, 'invalid parameter "step": cannot parse "" to a valid duration'],
    [
      '/api/v1/query_range?query=1&start=5&end=1&step=1',
      'invalid parameter "end": end timestamp must not be before start time',
    ],
    [
      '/api/v1/query_range?query=1&start=0&end=11001&step=1',
      'exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)',
    ],
    ['/api/v1/query?query=sum(', 'invalid parameter "query": 1:5: parse error: unclosed left parenthesis'],
    ['/api/v1/query?query=1&timeout=1h1', 'invalid parameter "timeout": cannot parse "1h1" to a valid duration'],
    [
      '/api/v1/series?match[]={a=""}',
      'invalid parameter "match[]": match[] must contain at least one non-empty matcher',
    ],
    ['/api/v1/series?match[]=up&limit=1.5', 'invalid parameter "limit": strconv.Atoi: parsing "1.5": invalid syntax'],
    [
      '/api/v1/rules?group_next_token=x',
      'invalid parameter "group_next_token": group_limit needs to be present in order to paginate over the groups',
    ],
  ] as const) {
    assert.equal(await shown(url), `400 bad_data: ${want}`);
  }
  assert.notEqual(typeof (await shown('/api/v1/query_range?query=1&start=0&end=11000&step=1')), 'string');
});

test('limits cut answers and say so', async () => {
  for (const url of [
    `/api/v1/query?query=up&time=${T}&limit=1`,
    '/api/v1/series?match[]=up&limit=1',
    '/api/v1/labels?limit=1',
  ]) {
    const { json } = await ask(testSources(DATA), url);
    assert.deepEqual((json as { warnings: string[] }).warnings, ['results truncated due to limit'], url);
  }
  const exact = await ask(testSources(DATA), '/api/v1/series?match[]=up&limit=2');
  assert.equal((exact.json as { warnings?: string[] }).warnings, undefined);
});

test('series, label names and values', async () => {
  assert.deepEqual(await shown('/api/v1/series?match[]=up&match[]={job="b"}'), [
    { __name__: 'up', instance: 'a:1', job: 'a' },
    { __name__: 'up', job: 'b' },
  ]);
  assert.deepEqual(await shown('/api/v1/labels'), ['__name__', 'instance', 'job']);
  assert.deepEqual(await shown(`/api/v1/labels?match[]=up{job="b"}&start=${T - 10}`), ['__name__', 'job']);
  assert.deepEqual(await shown('/api/v1/label/job/values?end=5'), []);
  assert.deepEqual(await shown('/api/v1/label/__name__/values'), ['up', 'ütf.8']);
  assert.deepEqual(await shown('/api/v1/label/U___6a_ob/values'), ['a', 'b']);
  assert.deepEqual(await shown('/api/v1/label/U______name____/values'), ['up', 'ütf.8']);
  assert.equal(await shown('/api/v1/label/job/values', {}, 'POST'), '405 Method Not Allowed\n');
});

test('the newest samples are federated', async () => {
  const { text } = await ask(testSources(DATA), '/federate?match[]=up&match[]={job="a"}');
  const ms = T * 1000 - 1000;
  assert.equal(
    text,
    `# TYPE up untyped\nup{instance="a:1",job="a"} 1 ${ms}\nup{job="b",instance=""} 0.5 ${ms}\n# TYPE _tf_8 untyped\n_tf_8{job="a",instance=""} 1.234567e+06 ${ms}\n`,
  );
});

test('federation answers in the form that is accepted', async () => {
  const federated = async (accept: string) => {
    const params: [string, string][] = [['match[]', '{job="a"}']];
    const request = { tenant: 't', method: 'GET', path: '/federate', params, accept };
    return new PromApi(testSources(DATA)).handle(request, new AbortController().signal);
  };
  const ms = T * 1000 - 1000;
  const text = await federated('text/plain;version=0.0.4;escaping=allow-utf-8');
  assert.equal(text.contentType, 'text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8');
  assert.match(
    new TextDecoder().decode(text.body),
    new RegExp(`# TYPE "ütf.8" untyped\\n{"ütf.8",job="a",instance=""} 1.234567e\\+06 ${ms}\\n$`),
  );
  const messages = await federated(
    'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,text/plain;q=0.5',
  );
  assert.match(
    messages.contentType,
    /^application\/vnd\.google\.protobuf; .*encoding=delimited; escaping=underscores$/,
  );
  assert.match(new TextDecoder('latin1').decode(messages.body), /_tf_8.*job/s);
});

test('remote read hands out raw samples, as a message or as chunks', async () => {
  const query = new BinaryWriter().tag(1, WireType.LengthDelimited).fork();
  query.tag(2, WireType.Varint).int64(T * 1000);
  query.tag(3, WireType.LengthDelimited).fork();
  query.tag(2, WireType.LengthDelimited).string('job').tag(3, WireType.LengthDelimited).string('b').join().join();
  const messages = query.finish();
  const read = (body: Uint8Array) =>
    new PromApi(testSources(DATA)).handle(
      { tenant: 't', method: 'POST', path: '/api/v1/read', params: [], body },
      new AbortController().signal,
    );
  const sampled = await read(deflateSnappy(messages));
  assert.deepEqual([sampled.status, sampled.contentType], [200, 'application/x-protobuf']);
  const text = new TextDecoder('latin1').decode(inflateSnappy(sampled.body, 1000, 'test'));
  assert.match(text, /job.*b/s);
  assert.doesNotMatch(text, /instance/);
  const chunked = await read(deflateSnappy(Uint8Array.of(...messages, 16, 1)));
  assert.match(chunked.contentType, /^application\/x-streamed-protobuf/);
  assert.ok(chunked.body.length > 0);
  assert.equal((await read(Uint8Array.of(1, 2, 3))).status, 400);
  assert.equal((await read(deflateSnappy(Uint8Array.of(255)))).status, 400);
});

test('tenants have limits on what a query reads, spans and answers', async () => {
  const limited = (limits: Partial<typeof DEFAULT_LIMITS>) => ({ limits: () => ({ ...DEFAULT_LIMITS, ...limits }) });
  assert.equal(
    await shown(`/api/v1/query?query=up&time=${T}`, limited({ maxFetchedSeriesPerQuery: 1 })),
    '422 execution: the query reads at least 2 series, more than 1 (max_fetched_series_per_query)',
  );
  assert.equal(
    await shown('/api/v1/query_range?query=1&start=0&end=100&step=1', limited({ maxQueryLengthMs: 50_000 })),
    '422 execution: the query spans 100 s, more than 50 s (max_query_length)',
  );
  assert.match(
    String(
      await shown('/api/v1/query_range?query=1&start=0&end=10000&step=1', limited({ maxQueryResponseSize: 1000 })),
    ),
    /^422 execution: the answer has at least \d+ bytes, more than 1000 \(max_query_response_size\)$/,
  );
  const long = `/api/v1/query?query="${'A'.repeat(100_000)}"`;
  assert.match(
    String(await shown(long, limited({ maxQueryResponseSize: 0, maxQueryMemoryBytes: 100_000 }))),
    /^422 execution: .*more than 100000 bytes of memory.* \(max_query_memory_bytes\)/,
    'the text of the answer is memory too',
  );
  assert.equal(
    ((await shown(long, limited({ maxQueryMemoryBytes: 1_000_000 }))) as { resultType: string }).resultType,
    'string',
  );
  const { result } = (await shown(
    `/api/v1/query_range?query=1&start=${T - 100}&end=${T}&step=30`,
    limited({ maxQueryLookbackMs: 45_000 }),
  )) as { result: { values: unknown[][] }[] };
  assert.deepEqual(
    result[0]!.values,
    [
      [T - 40, '1'],
      [T - 10, '1'],
    ],
    'earlier points are left out, the others stay where they were',
  );
});

test('what is further back than a tenant may see is an empty answer, and what is longer is refused', async () => {
  const limited = (limits: Partial<typeof DEFAULT_LIMITS>) => ({ limits: () => ({ ...DEFAULT_LIMITS, ...limits }) });
  const near = limited({ maxQueryLookbackMs: 45_000 });
  const nothing = { resultType: 'matrix', result: [] };
  for (const [start, end] of [
    [T - 200, T - 100],
    // its only step within is after its end
    [T - 50, T - 40],
  ])
    assert.deepEqual(await shown(`/api/v1/query_range?query=1&start=${start}&end=${end}&step=30`, near), nothing);
  assert.deepEqual(await shown(`/api/v1/query?query=1&time=${T - 46}`, near), { resultType: 'vector', result: [] });
  assert.deepEqual(await shown(`/api/v1/query?query=1&time=${T - 45}`, near), {
    resultType: 'scalar',
    result: [T - 45, '1'],
  });
  const { children } = (await shown(`/api/v1/query_explain?query=1&time=${T - 46}`, near)) as QueryExplanation;
  assert.match(children[0]!.what, /max_query_lookback/);
  // only what may be seen is counted
  const both = limited({ maxQueryLookbackMs: 45_000, maxQueryLengthMs: 50_000 });
  const { resultType } = (await shown(`/api/v1/query_range?query=1&start=0&end=${T}&step=7d`, both)) as typeof nothing;
  assert.equal(resultType, 'matrix');
  const long = limited({ maxQueryLengthMs: 3_600_000 });
  const refused = (text: string) => `422 execution: the query spans ${text} s, more than 3600 s (max_query_length)`;
  const range = `start=${T - 3600}&end=${T}&step=60`;
  for (const query of ['count_over_time(up[1h])', 'up', 'max_over_time(up[50m:1m])']) {
    await shown(`/api/v1/query?query=${query}&time=${T}`, long);
    const of = (await shown(`/api/v1/query_range?query=${query}&${range}`, long)) as typeof nothing;
    assert.equal(of.resultType, 'matrix', query);
  }
  for (const query of ['count_over_time(up[400d])', 'sum(count_over_time(up[399d+1d]))']) {
    assert.equal(
      await shown(`/api/v1/query?query=${encodeURIComponent(query)}&time=${T}`, long),
      refused('34559999.999'),
    );
    const asked = `/api/v1/query_range?query=${encodeURIComponent(query)}&${range}`;
    assert.equal(await shown(asked, long), refused('34559999.999'));
  }
  assert.match(String(await shown(`/api/v1/query?query=max_over_time(up[1h:1m])&time=${T}`, long)), /max_query_length/);

  const asked: number[] = [];
  const exemplars: TestParts['exemplars'] = {
    async exemplars(_, { startMs }) {
      asked.push(startMs);
      return [];
    },
  };
  assert.deepEqual(await shown(`/api/v1/query_exemplars?query=up&end=${T - 46}`, { ...near, exemplars }), []);
  assert.deepEqual(await shown('/api/v1/query_exemplars?query=up', { ...near, exemplars }), []);
  assert.deepEqual(asked, [T * 1000 - 45_000]);

  const read = async (more: Partial<typeof DEFAULT_LIMITS>, takesChunks: boolean) => {
    const query = new BinaryWriter().tag(1, WireType.LengthDelimited).fork();
    query.tag(2, WireType.Varint).int64(T * 1000);
    query.tag(3, WireType.LengthDelimited).fork();
    query.tag(2, WireType.LengthDelimited).string('job').tag(3, WireType.LengthDelimited).string('b').join().join();
    const body = deflateSnappy(Uint8Array.of(...query.finish(), ...(takesChunks ? [16, 1] : [])));
    const request = { tenant: 't', method: 'POST', path: '/api/v1/read', params: [], body };
    const answer = await new PromApi(testSources(DATA, limited(more))).handle(request, new AbortController().signal);
    return `${answer.status} ${answer.status === 200 ? '' : new TextDecoder().decode(answer.body).trim()}`;
  };
  for (const takesChunks of [false, true]) {
    const tooLong = await read({ maxQueryLengthMs: 3_600_000 }, takesChunks);
    assert.equal(tooLong, `422 the query spans ${T} s, more than 3600 s (max_query_length)`);
    assert.equal(await read({ maxQueryLengthMs: 3_600_000, maxQueryLookbackMs: 1_800_000 }, takesChunks), '200 ');
    assert.match(
      await read({ maxQueryResponseSize: 10 }, takesChunks),
      /^422 .*more than 10 \(max_query_response_size\)$/,
    );
    assert.equal(await read({ maxQueryResponseSize: 1000 }, takesChunks), '200 ');
  }
});

test('an explanation tells what limits left out, and statistics what was read of the store', async () => {
  const limits = () => ({ ...DEFAULT_LIMITS, maxQueryLookbackMs: 45_000 });
  const explained = `/api/v1/query_range_explain?query=up&start=${T - 100}&end=${T}&step=30`;
  const [cut] = ((await shown(explained, { limits })) as QueryExplanation).children;
  assert.equal(cut!.what, `limits: steps from ${new Date((T - 40) * 1000).toISOString()} on (max_query_lookback)`);
  assert.equal(cut!.children.length, 1);
  assert.doesNotMatch(((await shown(explained)) as QueryExplanation).children[0]!.what, /limits/);

  const read = { fetchedRows: 1, fetchedObjects: 2, fetchedBytes: 3, cachedBlocks: 4, readSlots: 5, readGroups: 6 };
  const { queries } = testSources(DATA);
  const counting: TestParts['queries'] = {
    range: queries.range.bind(queries),
    partial: queries.partial.bind(queries),
    async instant(...asked) {
      const result = await queries.instant(...asked);
      return { ...result, statistics: { ...result.statistics, ...read } };
    },
  };
  const url = '/api/v1/query?query=1&stats=all';
  const { stats } = (await shown(url, { queries: counting })) as { stats: { store: unknown } };
  assert.deepEqual(stats.store, read);
});

const notAsked = () => Promise.reject(new Error('not asked'));

test('time runs out, callers leave, engines fail', async () => {
  const slow: NonNullable<TestParts['engine']> = {
    queryRange: notAsked,
    partial: notAsked,
    query: (_, __, { signal }) =>
      new Promise((___, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  };
  assert.match(
    String(await shown('/api/v1/query?query=1&timeout=0.01', { engine: slow })),
    /^503 timeout: query timed out/,
  );
  assert.match(String(await shown('/api/v1/query?query=1&timeout=0')), /^503 timeout/);
  const leave = new AbortController();
  const request = { tenant: 't', method: 'GET', path: '/api/v1/query', params: [['query', '1']] as const };
  const gone = new PromApi(testSources([], { engine: slow })).handle(request, leave.signal);
  leave.abort(processErrors.callCancelled({}));
  await assert.rejects(gone, /no longer waits/);
  const broken: NonNullable<TestParts['engine']> = {
    queryRange: notAsked,
    partial: notAsked,
    query: () => Promise.reject(new TypeError('x of undefined')),
  };
  assert.equal(await shown('/api/v1/query?query=1', { engine: broken }), '500 internal: x of undefined');
});

test('statistics come on demand', async () => {
  const { stats } = (await shown(`/api/v1/query?query=up&time=${T}&stats=all`)) as {
    stats: { samples: unknown; timings: object };
  };
  assert.deepEqual(stats.samples, {
    totalQueryableSamplesPerStep: [[T, 2]],
    totalQueryableSamples: 2,
    samplesRead: 2,
    peakSamples: 2,
  });
  assert.equal(Object.keys(stats.timings).length, 6);
  const { json } = await ask(testSources(DATA), '/api/v1/query?query=1&stats=foo');
  assert.match((json as { warnings: string[] }).warnings[0]!, /^value "foo" for parameter "stats" is deprecated/);
});

test('a plan can be explained', async () => {
  const { children } = (await shown(`/api/v1/query_explain?query=sum(up)&time=${T}`)) as QueryExplanation;
  assert.match(children[0]!.what, /sum/);
  assert.equal(children[0]!.children[0]!.series, 2);
  assert.ok(await shown(`/api/v1/query_range_explain?query=up&start=${T - 60}&end=${T}&step=15`));
});

test('an explanation tells how long the answer takes to write, and how many bytes it has', async () => {
  const params = `query=up&start=${T - 60}&end=${T}&step=15`;
  for (const more of ['', '&limit=1']) {
    const { text } = await ask(testSources(DATA), `/api/v1/query_range?${params}${more}`);
    const { what, ms, series, children } = (await shown(
      `/api/v1/query_range_explain?${params}${more}`,
    )) as QueryExplanation;
    assert.match(what, new RegExp(`^encode: \\d+\\.\\d ms, an answer of ${text.length} bytes$`));
    assert.ok(ms >= children[0]!.ms && children.length === 1 && series === children[0]!.series);
  }
  const limits = () => ({ ...DEFAULT_LIMITS, maxQueryResponseSize: 1000 });
  const { what } = (await shown(`/api/v1/query_range_explain?query=1&start=0&end=1000&step=1`, {
    limits,
  })) as QueryExplanation;
  assert.match(what, /^encode: the answer has at least \d+ bytes, more than 1000 \(max_query_response_size\)$/);
});

test('what else Grafana and clients ask is well-formed', async () => {
  assert.deepEqual(await shown('/api/v1/metadata?metric=up'), { up: [{ type: 'gauge', help: 'Is it up.', unit: '' }] });
  assert.deepEqual(await shown('/api/v1/metadata?limit=0'), {});
  assert.deepEqual(await shown('/api/v1/rules'), { groups: [] });
  assert.deepEqual(await shown('/api/v1/alerts'), { alerts: [] });
  assert.deepEqual(await shown('/api/v1/targets?state=x'), {
    activeTargets: [],
    droppedTargets: [],
    droppedTargetCounts: null,
  });
  assert.deepEqual(await shown('/api/v1/status/flags'), { 'log.level': 'info' });
  assert.deepEqual(await shown('/api/v1/format_query?query=a%2Bb'), 'a + b');
  assert.equal(await shown('/api/v1/admin/tsdb/snapshot', {}, 'POST'), '500 unavailable: admin APIs disabled');
  assert.equal(await shown('/api/v1/nope'), '404 404 page not found\n');
});

test('whatever is asked, the answer is one', async () => {
  const sources = testSources(DATA);
  const api = new PromApi(sources);
  const path = fc.constantFrom(
    '/api/v1/query',
    '/api/v1/query_range',
    '/api/v1/series',
    '/api/v1/labels',
    '/api/v1/label/x/values',
    '/federate',
    '/api/v1/parse_query',
  );
  const name = fc.constantFrom(
    'query',
    'time',
    'start',
    'end',
    'step',
    'match[]',
    'limit',
    'timeout',
    'lookback_delta',
    'stats',
  );
  const value = fc.oneof(
    fc.string(),
    fc.double().map(String),
    fc.constantFrom('up', '1h', 'Inf', '-1e30', '9e18', '2026-02-30T00:00:00Z', '{', ''),
  );
  await fc.assert(
    fc.asyncProperty(path, fc.array(fc.tuple(name, value), { maxLength: 6 }), async (where, params) => {
      const { status, body } = await api.handle(
        { tenant: 't', method: 'GET', path: where, params },
        new AbortController().signal,
      );
      assert.ok(
        status === 200 || status === 400 || status === 422 || status === 503,
        `${status} ${new TextDecoder().decode(body)}`,
      );
    }),
    { numRuns: 2000 },
  );
});
