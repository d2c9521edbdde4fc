import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { request as send } from 'undici';
import { readEverything } from '../../../test/harness/remote-read.ts';
import { WRITE_HEADERS, writeBody } from '../../../test/harness/remote-write.ts';
import { until } from '../../../test/harness/wait.ts';
import type { ApiRequest } from '../../contract/api.ts';
import type { Job, JobOrder } from '../../contract/jobs.ts';
import type { LanguageFlags, QueryExplanation } from '../../contract/query.ts';
import { JobDesk } from '../../frontend/job-desk.ts';
import { loadConfig } from '../../kit/config/load.ts';
import { silentLogger } from '../../kit/observe/log.ts';
import { Registry } from '../../kit/observe/metrics.ts';
import { currentTrace } from '../../kit/observe/trace.ts';
import { systemClock } from '../../lib/clock.ts';
import { ANY_TIME_MS } from '../../lib/day.ts';
import { seededRandom, systemRandom } from '../../lib/random.ts';
import { DEFAULT_LIMITS } from '../../limits/limits.ts';
import { joinedLimits } from '../../limits/query-limits.ts';
import { peerErrors } from '../../model/errors-peer.ts';
import { JobBatches } from '../../peer/job-batches.ts';
import { JobRunner } from '../../peer/job-runner.ts';
import { decodeRequest, encodeRequest } from '../../peer/job-shapes.ts';
import { JobWorker } from '../../querier/job-worker.ts';
import type { QueryWorkers } from '../../querier/service.ts';
import { composeApp } from '../compose.ts';
import { sections } from '../config.ts';
import { modules, resolveTargets } from '../modules/modules.ts';
import { queryThreads } from '../modules/querier.ts';
import { FrontendThreads } from './frontend-threads.ts';
import { QueryThreads } from './query-threads.ts';

// A front end's threads and a querier's in one process: what goes between them goes by jobs.

const folder = await mkdtemp(join(tmpdir(), 'pallium-frontend-threads-'));
const stops: (() => Promise<void>)[] = [];
after(async () => {
  for (const stop of stops.toReversed()) await stop();
  await rm(folder, { recursive: true });
});

const DAY_S = 86_400;
const NOW_S = Math.floor(Date.now() / DAY_S / 1000) * DAY_S;
const SERIES = 300;
const limits = joinedLimits('anonymous', () => DEFAULT_LIMITS);
const { signal } = new AbortController();

async function started() {
  const flags = ['-server.http-listen-port=0', `-data.dir=${join(folder, 'data')}`, '-querier.workers=1'];
  const more = ['-ingester.shards=1', '-ingester.out-of-order-time-window=10d', '-querier.cache-results=false'];
  // `m` has slots of its own in the store, `n` shares one
  // what it asks between the samples and their flush would be kept: that the store has nothing
  more.push('-deployments.enabled=false');
  more.push('-frontend.query-vertical-shard-size=4', `-ingester.split-metric-series=${SERIES / 2}`);
  const { values } = loadConfig(sections, { args: [...flags, ...more], env: {} });
  const { querier: usual } = modules;
  let querier: QueryThreads | undefined;
  let front: QueryThreads | undefined;
  const jobs: string[] = [];
  /** The trace that each job came with, and that which was left of it at a scheduler. */
  const traces: (string | undefined)[] = [];
  const left: (string | undefined)[] = [];
  const underWay = { now: 0, most: 0 };
  const desk = new JobDesk({
    name: 'f',
    address: () => '',
    retriesMax: 2,
    timeoutMs: 60_000,
    answerBytesMax: 1 << 30,
    log: silentLogger,
    registry: new Registry(),
    clock: systemClock,
    random: systemRandom,
  });
  const all = {
    ...modules,
    querier: {
      ...usual!,
      async build(app: Parameters<NonNullable<typeof usual>['build']>[0]) {
        const services = await usual!.build(app);
        querier = services.find((each) => each instanceof QueryThreads);
        front = queryThreads(app, { desk });
        return [...services, front];
      },
    },
  };
  const order = resolveTargets(['all'], all);
  const common = { version: '1.2.3', order, log: silentLogger, clock: systemClock, modules: all };
  const app = await composeApp({ config: values, ...common });
  await app.services.start();
  stops.push(() => app.services.stop(5000));
  await until('it is ready', async () => (await send(`${app.http.url}/ready`)).statusCode === 200);
  const orders = new Orders();
  desk.add({
    async enqueue(job) {
      left.push(currentTrace());
      orders.add({ kind: 'job', job });
    },
    cancel: (id) => orders.add({ kind: 'cancel', id }),
  });
  const run = async (job: Job, ends: AbortSignal) => {
    const request = decodeRequest(job.payload);
    if (request.kind === 'lookup' && isOfBefore) throw peerErrors.peerMessageInvalid({ reason: 'request.kind' });
    if (request.kind !== 'rules') traces.push(request.kind === 'api' ? request.request.trace : request.trace);
    if (request.kind === 'rules') jobs.push('rules');
    else jobs.push(request.kind === 'api' ? request.request.path : request.method);
    if (request.kind !== 'query' || languageOfJobs === undefined)
      return (await querier!.job(job, limitsOfQuerier, ends)).answer;
    const payload = encodeRequest({ ...request, language: languageOfJobs(request.language) });
    return (await querier!.job({ ...job, payload }, limitsOfQuerier, ends)).answer;
  };
  const worker = new JobWorker({
    id: 'q',
    places: 4,
    heavyPlaces: 4,
    async run(job, ends) {
      underWay.now++;
      underWay.most = Math.max(underWay.most, underWay.now);
      try {
        return await run(job, ends);
      } finally {
        underWay.now--;
      }
    },
    answers: () => desk,
    log: silentLogger,
    clock: systemClock,
    random: seededRandom(1),
  });
  worker.add('here', {
    seat: async () => ({
      orders,
      resize: async () => 0,
      async done(id, error) {
        if (error !== undefined) desk.failed(id, error, 'q');
      },
    }),
  });
  stops.push(() => worker.stop(AbortSignal.abort()));
  const threads = { querier: querier!, front: new FrontendThreads(front!, desk) };
  return { url: app.http.url, ...threads, desk, jobs, traces, left, underWay };
}

/** Orders of a scheduler, in memory. */
class Orders implements AsyncIterable<JobOrder> {
  readonly #waiting: JobOrder[] = [];
  #wake = Promise.withResolvers<void>();

  add(order: JobOrder): void {
    this.#waiting.push(order);
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<JobOrder, void> {
    for (;;) {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) yield next;
      await this.#wake.promise;
    }
  }
}

/** The querier is of a version that knows no look-ups. */
let isOfBefore = false;
/** Makes other settings of those that a front end asks with. */
let languageOfJobs: ((own: LanguageFlags | undefined) => LanguageFlags | undefined) | undefined;
/** Limits that the querier has of jobs: it may have read others than the front end. */
let limitsOfQuerier = limits;
const stage = await started();

/** Series of a few days, the first of which are there on some of them only. */
test('samples of several days are written and flushed', async () => {
  const series = Array.from({ length: SERIES }, (_, i) => ({
    labels: { __name__: 'm', i: `${i}`, [`l${i % 5}`]: `v${i % 11}` },
    samples: [0, 1, 2, 3]
      .filter((day) => i > 40 || i % 4 === day)
      .map((day) => [(NOW_S - day * DAY_S) * 1000, i / 7] as const)
      .reverse(),
  }));
  const narrow = series.slice(100, 120).map((each) => ({ ...each, labels: { ...each.labels, __name__: 'n' } }));
  const body = writeBody([...series, ...narrow]);
  const pushed = await send(`${stage.url}/api/v1/push`, { method: 'POST', headers: WRITE_HEADERS, body });
  assert.equal(pushed.statusCode, 204, await pushed.body.text());
  const flushed = await send(`${stage.url}/ingester/flush?wait=true`, { method: 'POST' });
  assert.ok(flushed.statusCode < 300, await flushed.body.text());
});

async function asked(
  workers: QueryWorkers,
  path: string,
  params: ApiRequest['params'] = [],
  takesParts = false,
  own = limits,
) {
  const request = { tenant: 'anonymous', method: 'GET', path, params, takesParts };
  const { answer } = await workers.handle(request, own, signal);
  const all = [answer.body];
  for await (const part of answer.parts ?? []) all.push(part);
  return { status: answer.status, text: Buffer.concat(all).toString(), parts: all.length };
}

const days = (count: number): ApiRequest['params'] => [
  ['start', `${NOW_S - count * DAY_S}`],
  ['end', `${NOW_S + 60}`],
];

test('a front end answers look-ups of several days as the querier does, by a job for each day', async () => {
  const { front, querier, jobs } = stage;
  const asks: [string, ApiRequest['params'], string][] = [
    ['/api/v1/series', [['match[]', '{i=~".+"}']], 'series'],
    [
      '/api/v1/series',
      [
        ['match[]', '{i=~"1.*"}'],
        ['match[]', 'm{l1="v1"}'],
        ['limit', '7'],
      ],
      'series',
    ],
    ['/api/v1/labels', [], 'labelNames'],
    ['/api/v1/labels', [['match[]', '{l1="v1"}']], 'labelNames'],
    ['/api/v1/label/i/values', [['limit', '20']], 'labelValues'],
    ['/api/v1/label/l1/values', [['match[]', 'm{i="6"}']], 'labelValues'],
    ['/api/v1/label/0/values', [['match[]', 'm{']], ''],
  ];
  for (const count of [0, 1, 3]) {
    for (const [path, params, method] of asks) {
      const all = [...params, ...days(count)];
      jobs.length = 0;
      const answer = await asked(front, path, all);
      const selectors = path === '/api/v1/series' ? params.filter(([name]) => name === 'match[]').length : 1;
      const wanted = method === '' ? 0 : selectors * (count + 1);
      assert.deepEqual(
        jobs,
        Array.from({ length: wanted }, () => method),
        `${path} of ${count} days`,
      );
      assert.deepEqual(answer, await asked(querier, path, all));
      if (method !== '' && count === 3) assert.ok(!answer.text.includes('[]'), answer.text);
    }
  }
});

test('a front end asks for an instant over several days by a job for each day', async () => {
  const { front, querier, jobs } = stage;
  const resultOf = ({ text }: { readonly text: string }) =>
    (JSON.parse(text) as { readonly data: { readonly result: readonly unknown[] } }).data.result;
  for (const query of [
    'count_over_time(m[5d])',
    'max_over_time(m{i=~"1.*"}[5d])',
    'topk(3, last_over_time(m[5d]) - min_over_time(m[4d] offset 1d))',
  ]) {
    const params: ApiRequest['params'] = [
      ['query', query],
      ['time', `${NOW_S + 3600}`],
    ];
    jobs.length = 0;
    const result = resultOf(await asked(front, '/api/v1/query', params));
    const windows = query.split('_over_time').length - 1;
    assert.ok(jobs.length >= 5 * windows && jobs.every((method) => method === 'range'), jobs.join(' '));
    // where samples of steps are counted it is evaluated whole
    assert.deepEqual(result, resultOf(await asked(querier, '/api/v1/query', [...params, ['stats', 'all']])));
    assert.ok(result.length > 1, query);
  }
});

test('the trace of a request goes with each of its jobs, and with the call that leaves it', async () => {
  const { front, jobs, traces, left } = stage;
  const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const range = days(2);
  const asks: readonly (readonly [path: string, params: ApiRequest['params'], kind: string])[] = [
    ['/api/v1/query', [['query', 'm']], 'instant'],
    ['/api/v1/query_range', [['query', 'm'], ['step', '3600'], ...range], 'range'],
    ['/api/v1/query_range', [['query', 'sum(m)'], ['step', '3600'], ...range], 'partial'],
    ['/api/v1/series', [['match[]', 'm'], ...range], 'series'],
    ['/api/v1/query_exemplars', [['query', 'm'], ...range], '/api/v1/query_exemplars'],
  ];
  for (const [path, params, kind] of asks) {
    for (const list of [jobs, traces, left]) list.length = 0;
    await front.handle({ tenant: 'anonymous', method: 'GET', path, params, trace }, limits, signal);
    assert.ok(jobs.length > 0 && jobs.every((each) => each === kind), `${path}: ${jobs}`);
    for (const list of [traces, left]) assert.deepEqual(list, Array(jobs.length).fill(trace), path);
  }
  for (const list of [traces, left]) list.length = 0;
  await front.handle({ tenant: 'anonymous', method: 'GET', path: '/api/v1/labels', params: [] }, limits, signal);
  assert.ok(traces.length > 0 && [...traces, ...left].every((each) => each === undefined), 'none where none came');
});

/** Texts of an explanation, each part before its children. */
async function explained(query: string, from: number): Promise<string[]> {
  const params: ApiRequest['params'] = [['query', query], ['step', '3600'], ...days(from)];
  const { text } = await asked(stage.front, '/api/v1/query_range_explain', params);
  const lines: string[] = [];
  const walk = ({ what, children }: QueryExplanation) => {
    lines.push(what);
    children.forEach(walk);
  };
  walk((JSON.parse(text) as { readonly data: QueryExplanation }).data);
  return lines;
}

test('an explanation tells shards, the queue, and who worked at each', async () => {
  const lines = await explained('sum(m)', 2);
  assert.match(lines[0]!, /^encode: \d+\.\d ms, an answer of \d+ bytes$/);
  assert.equal(lines[1], 'shard: up to 4 shards of the series, where their answers can be merged');
  assert.equal(lines[2], 'merge of 2 parts by time');
  const queued = lines.filter((line) => /^queue: \d+\.\d ms/.test(line)).length;
  const worked = lines.filter((line) => /^querier q: \d+\.\d ms, an answer of \d+ bytes$/.test(line)).length;
  const read = lines.filter((line) =>
    /^read: 1 member, 1 answered: this process; store: slots (?:4|8|12), groups \d+, rows \d+, .*; bytes \d+$/.test(
      line,
    ),
  ).length;
  assert.deepEqual([queued, worked, read], [8, 8, 8]);
  const whole = await explained('m', 0);
  assert.equal(whole.filter((line) => line.startsWith('shard')).length, 0);
  assert.match(whole.slice(1, 3).join('\n'), /^queue: .*\nquerier q: /);
});

test('shards read groups of their own, and a metric that shares its slot is left whole', async () => {
  const { front, querier, jobs } = stage;
  const read = async (query: string) => {
    jobs.length = 0;
    const found = (await explained(query, 3)).flatMap((line) => [
      ...line.matchAll(/store: slots (\d+), groups (\d+),/g),
    ]);
    const sum = (field: number) => found.reduce((total, match) => total + Number(match[field]), 0);
    return { jobs: [...jobs], slots: sum(1), groups: sum(2) };
  };
  const result = async (workers: QueryWorkers, query: string) => {
    const params: ApiRequest['params'] = [['query', query], ['step', '3600'], ...days(3)];
    return JSON.parse((await asked(workers, '/api/v1/query_range', params)).text).data.result;
  };
  for (const [metric, shards] of [
    ['m', ['partial', 'partial', 'partial', 'partial']],
    ['n', ['range']],
  ] as const) {
    const query = `max by (l1) (${metric})`;
    const [whole, most] = [await read(metric), await read(query)];
    assert.deepEqual([most.slots, most.groups], [whole.slots, whole.groups], 'each group is read once');
    assert.ok(most.groups >= 3, metric);
    assert.deepEqual(whole.jobs, ['range', 'range', 'range']);
    assert.deepEqual(most.jobs, [...shards, ...shards, ...shards]);
    const answer = await result(front, query);
    assert.deepEqual(answer, await result(querier, query));
    assert.ok(answer.length > 1, metric);
  }
});

test('parts by time and their shards are under way at once up to max_query_parallelism together', async () => {
  const { front, querier, jobs, underWay } = stage;
  const params: ApiRequest['params'] = [['query', 'max(m)'], ['step', '3600'], ...days(3)];
  const resultOf = (text: string) => JSON.parse(text).data.result;
  const whole = await asked(querier, '/api/v1/query_range', params);
  for (const maxQueryParallelism of [1, 2]) {
    jobs.length = 0;
    underWay.most = 0;
    const answer = await asked(front, '/api/v1/query_range', params, false, { ...limits, maxQueryParallelism });
    assert.deepEqual(resultOf(answer.text), resultOf(whole.text));
    assert.deepEqual(
      jobs,
      Array.from({ length: 12 }, () => 'partial'),
    );
    assert.equal(underWay.most, maxQueryParallelism);
  }
});

test('what the parts of a query read is held against its limits by the front end, and told with limit and need', async () => {
  const path = '/api/v1/query_range';
  const params: ApiRequest['params'] = [['query', 'max(m)'], ['step', '3600'], ...days(3)];
  for (const [limit, text] of [
    [{ maxFetchedDataBytesPerQuery: 1 }, /reads at least \d+ bytes, more than 1 \(max_fetched_data_bytes_per_query\)/],
    [
      { maxFetchedChunkBytesPerQuery: 1 },
      /reads at least \d+ bytes of chunks, more than 1 \(max_fetched_chunk_bytes_per_query\)/,
    ],
    [{ maxFetchedChunksPerQuery: 1 }, /reads at least \d+ chunks, more than 1 \(max_fetched_chunks_per_query\)/],
  ] as const) {
    // the querier knows nothing of them
    const answer = await asked(stage.front, path, params, false, { ...limits, ...limit });
    assert.equal(answer.status, 422);
    assert.match(answer.text, text);
  }
});

test('a querier that knows no look-ups is asked for all of the request', async () => {
  const { front, querier, jobs } = stage;
  isOfBefore = true;
  const asks: [string, ApiRequest['params']][] = [
    ['/api/v1/series', [['match[]', '{i=~"1.*"}']]],
    ['/api/v1/labels', []],
    ['/api/v1/label/l1/values', [['limit', '7']]],
  ];
  try {
    for (const [path, params] of asks) {
      for (const [count, takesParts] of [
        [0, false],
        [3, true],
      ] as const) {
        jobs.length = 0;
        const all = [...params, ...days(count)];
        const answer = await asked(front, path, all, takesParts);
        assert.deepEqual(jobs, [path]);
        assert.equal(answer.status, 200);
        assert.equal(answer.text, (await asked(querier, path, all)).text);
      }
    }
  } finally {
    isOfBefore = false;
  }
});

test('exemplars, metadata, remote read, and federation are one job each, and answered as by the querier', async () => {
  const { front, querier, jobs, url } = stage;
  const nowMs = Date.now();
  const labels = { __name__: 'fresh', i: '1' };
  const series = { labels, samples: [[nowMs, 7] as const], exemplars: [[nowMs, 7, 'abc'] as const] };
  const pushed = await send(`${url}/api/v1/push`, {
    method: 'POST',
    headers: WRITE_HEADERS,
    body: writeBody([series]),
  });
  assert.equal(pushed.statusCode, 204, await pushed.body.text());
  const nowS = nowMs / 1000;
  const range: ApiRequest['params'] = [
    ['start', `${nowS - 60}`],
    ['end', `${nowS + 60}`],
  ];
  const asks: [Partial<ApiRequest> & Pick<ApiRequest, 'path'>, RegExp][] = [
    [{ path: '/api/v1/query_exemplars', params: [['query', 'fresh'], ...range] }, /"trace_id":"abc"/],
    [{ path: '/api/v1/metadata' }, /"status":"success"/],
    [{ path: '/federate', params: [['match[]', 'fresh']] }, /^fresh\{.*\} 7 \d+$/m],
    [{ path: '/api/v1/read', method: 'POST', body: readEverything(nowMs) }, /fresh/],
  ];
  for (const [part, shown] of asks) {
    const request = { tenant: 'anonymous', method: 'GET', params: [], ...part };
    const answers = await Promise.all(
      [front, querier].map(async (workers) => {
        const own = workers === front ? jobs : [];
        own.length = 0;
        const { answer } = await workers.handle(request, limits, signal);
        return {
          status: answer.status,
          contentType: answer.contentType,
          body: Buffer.from(answer.body).toString('latin1'),
        };
      }),
    );
    assert.deepEqual(jobs, [part.path]);
    assert.deepEqual(answers[0], answers[1]);
    assert.match(answers[0]!.body, shown);
  }
});

test('a querier evaluates only by the settings of the front end, as far as both know them', async () => {
  const flag = '-querier.enable-promql-delayed-name-removal';
  const params: ApiRequest['params'] = [['query', 'sum(m)'], ['step', '3600'], ['time', `${NOW_S}`], ...days(3)];
  const ask = async (path: string) => {
    const { status, text } = await asked(stage.front, path, params);
    return { status, text };
  };
  for (const path of ['/api/v1/query', '/api/v1/query_range']) {
    const usual = await ask(path);
    assert.equal(usual.status, 200, usual.text);
    languageOfJobs = (own) => ({ ...own, [flag]: true });
    const { status, text } = await ask(path);
    assert.equal(status, 503);
    assert.ok(text.includes(`a querier has ${flag}=false where the query front end has true`), text);
    // a front end of a version before, and one of a version to come
    for (const language of [() => undefined, (own?: LanguageFlags) => ({ ...own, '-querier.to-come': true })]) {
      languageOfJobs = language;
      assert.deepEqual(await ask(path), usual);
    }
    languageOfJobs = undefined;
  }
});

test('a querier sees as far back as max_query_lookback of the front end says, whatever its own is', async () => {
  const { front } = stage;
  const shorter = { ...limits, maxQueryLookbackMs: DAY_S * 1000 };
  const range = days(3);
  const asks: [string, ApiRequest['params']][] = [
    ['/api/v1/query_range', [['query', 'count(last_over_time(m[2d]))'], ['step', '3600'], ...range]],
    [
      '/api/v1/query',
      [
        ['query', 'count_over_time(m[2d])'],
        ['time', `${NOW_S + 60}`],
      ],
    ],
    ['/api/v1/series', [['match[]', 'm'], ...range]],
    ['/api/v1/label/i/values', range],
  ];
  try {
    for (const [path, params] of asks) {
      for (const [own, other] of [
        [limits, shorter],
        [shorter, limits],
      ] as const) {
        const resultsBy = async (ofQuerier: typeof limits) => {
          limitsOfQuerier = ofQuerier;
          const { text } = await asked(front, path, params, false, own);
          return JSON.parse(text).data.result ?? JSON.parse(text).data;
        };
        const result = await resultsBy(own);
        assert.ok(result.length > 0, path);
        assert.deepEqual(await resultsBy(other), result, path);
      }
    }
  } finally {
    limitsOfQuerier = limits;
  }
});

test('a front end says how far back selectors look where a request does not', async () => {
  const lookbacks: (number | undefined)[] = [];
  const runner = new JobRunner(
    async (_tenant, payload) => {
      const request = decodeRequest(payload);
      if (request.kind === 'query') lookbacks.push(request.request.lookbackMs);
      throw new Error('no answer');
    },
    { lookbackMs: 7000, language: {}, oldestMs: ANY_TIME_MS },
  );
  const instant = { expr: 'm', timeMs: 0 };
  for (const request of [instant, { ...instant, lookbackMs: 3 }]) {
    await assert.rejects(runner.instant('t', request, { signal }), /no answer/);
    await assert.rejects(runner.range('t', { ...request, startMs: 0, endMs: 5, stepMs: 1 }, { signal }), /no answer/);
  }
  assert.deepEqual(lookbacks, [7000, 7000, 3, 3]);
});

test('long answers of a front end come in parts, and whole', async () => {
  const { front, querier } = stage;
  const params: ApiRequest['params'] = [
    ['query', 'last_over_time(m[2000s]) + time() / 7'],
    ['start', `${NOW_S}`],
    ['end', `${NOW_S + 1999}`],
    ['step', '1'],
  ];
  const whole = await asked(querier, '/api/v1/query_range', params);
  assert.ok(whole.text.length > 8e6);
  const parted = await asked(front, '/api/v1/query_range', params, true);
  assert.ok(parted.parts > 10 && parted.text === whole.text);
});

test('a batch of rules is answered by a job as by the querier, each tenant from its own series', async () => {
  const { desk, querier, jobs } = stage;
  const batches = new JobBatches({
    ask: (tenant, payload, avoid, ends) =>
      desk.ask({ tenant, query: 'q', costMs: 0, priority: 0, isOfRules: true, payload, avoid }, ends),
    timeoutMs: 60_000,
    clock: systemClock,
  });
  const timeMs = NOW_S * 1000;
  const exprs = ['m', 'sum by (l1) (m)', 'm > 1e9', 'time()', '"x"', 'm[2d]', 'm{', 'sum(m) by (l1) / 0', 'nothing'];
  const requests = exprs.map((expr) => ({ expr, timeMs, timeoutMs: 30_000 }));
  for (const tenant of ['anonymous', 'other']) {
    for (let round = 0; round < 2; round++) {
      jobs.length = 0;
      const outcomes = await batches.instants(tenant, requests, { signal });
      assert.deepEqual(jobs, ['rules']);
      const { answer } = await querier.instants({ tenant, request: requests }, limits, signal);
      assert.deepEqual(outcomes, answer);
      const [first] = outcomes;
      assert.ok(first !== undefined && 'result' in first && first.result.type === 'vector');
      assert.equal(first.result.values.length, tenant === 'other' ? 0 : 270);
    }
  }
});
