import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryCache } from '../cache/memory.ts';
import type { QueryNotes, QueryRunner, RangeRequest, ResultSeries } from '../contract/query.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { processErrors } from '../model/errors-process.ts';
import { queryErrors } from '../model/errors-query.ts';
import { storeErrors } from '../model/errors-store.ts';
import { parseDuration } from '../promql/parser/duration.ts';
import { Frontend, type FrontendOptions } from './frontend.ts';
import { NO_LIMITS, POINT_BYTES, SERIES_BYTES } from './parts-budget.ts';
import { ResultsCache } from './results-cache.ts';
import { afterPauses, frontendOptions, testSteps } from './test-answers.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const SIGNAL = new AbortController().signal;
const REQUEST = { expr: 'count_over_time(x[5d])', timeMs: 100.5 * DAY_MS };
const INFO: QueryNotes = {
  storage: [],
  warnings: { notes: [], omitted: 0 },
  infos: { notes: [{ text: 'a note', pos: pos(), by: pos(), count: 0, forced: undefined }], omitted: 0 },
};

function pos() {
  return { start: 0, end: 1 };
}

interface Series {
  readonly pairs: readonly string[];
  /** Its samples come once an hour; times of the first and the last, both inclusive. */
  readonly fromMs: number;
  readonly toMs: number;
}

const TWO: readonly Series[] = [
  { pairs: ['__name__', 'x', 'a', '1'], fromMs: 0, toMs: 200 * DAY_MS },
  { pairs: ['__name__', 'x', 'a', '2'], fromMs: 98 * DAY_MS, toMs: 99 * DAY_MS - 1 },
];

const NONE = { ...NO_LIMITS, maxQueryResponseSize: 0 };

interface More {
  readonly notes?: QueryNotes;
  readonly failures?: number;
  /** Each piece fails so. */
  readonly refusal?: Error;
  readonly options?: Partial<FrontendOptions>;
}

/** A front end over a querier that counts samples, the pieces that it was asked for, and what was held then. */
function counting(series: readonly Series[], more: More = {}) {
  const asked: string[] = [];
  const memory = { held: 0, peak: 0, budgets: 0, heldThen: [] as number[] };
  /** Reads of what holds of the tenant's days. */
  const reads: string[] = [];
  let { failures = 0 } = more;
  const clock = new ManualClock(REQUEST.timeMs);
  const querier: QueryRunner = {
    async instant(_, { expr }) {
      asked.push(`whole ${expr}`);
      assert.equal(memory.held, 0);
      return testSteps(0, 0);
    },
    partial: () => assert.fail('nobody asks for shards'),
    async range(_, request) {
      const { expr, startMs, endMs, whole } = request;
      asked.push(`${expr} ${startMs / DAY_MS}${endMs === startMs ? '' : `-${endMs / DAY_MS}`}`);
      assert.deepEqual(whole, { startMs: REQUEST.timeMs, endMs: REQUEST.timeMs, windows: true });
      memory.heldThen.push(memory.held);
      if (more.refusal !== undefined) throw more.refusal;
      if (failures-- > 0) throw processErrors.workerGone({ worker: 'query-0', reason: 'killed' });
      const found = series.flatMap((each) => countsOf(each, request));
      const { notes, ...rest } = testSteps(0, 0, { fetchedBytes: 3 });
      const infos = more.notes === undefined ? [] : ['PromQL info: a note (1:1)'];
      return { ...rest, infos, value: { type: 'matrix', series: found }, notes: more.notes ?? notes! };
    },
  };
  const frontend = new Frontend({
    ...frontendOptions(),
    querier,
    cache: new ResultsCache({
      cache: new MemoryCache({ bytesMax: 1 << 20, clock }),
      async generations(tenant) {
        reads.push(tenant);
        return { token: () => 'one', isSettled: () => true };
      },
      flags: '',
      intervalMs: DAY_MS,
      clock,
    }),
    cacheLimits: { ageMs: HOUR_MS, retentionMs: 0, ttlMs: 0 },
    memory() {
      memory.budgets++;
      return {
        addMemory(bytes) {
          memory.held += bytes;
          memory.peak = Math.max(memory.peak, memory.held);
        },
        close() {
          memory.held = 0;
        },
      };
    },
    samplesMax: 50_000_000,
    retriesMax: 2,
    timeoutMs: 1000,
    clock,
    ...more.options,
  });
  const ask = async (request = REQUEST) => {
    const { value, statistics } = await frontend.instant('t', request, { signal: SIGNAL });
    await new Promise(setImmediate);
    const pieces = asked.splice(0);
    if (value.type !== 'vector') return { pieces };
    return { pieces, pairs: value.pairs, values: [...value.values], parts: statistics.parts, statistics };
  };
  return { ask, memory, clock, reads };
}

function countsOf({ pairs, fromMs, toMs }: Series, { expr, startMs, endMs, stepMs }: RangeRequest): ResultSeries[] {
  const rangeMs = parseDuration(/\[(.*)\]/.exec(expr)![1]!);
  const times: number[] = [];
  const values: number[] = [];
  for (let timeMs = startMs; timeMs <= endMs; timeMs += stepMs) {
    const last = Math.floor(Math.min(toMs, timeMs) / HOUR_MS);
    const before = Math.floor(Math.max(fromMs - 1, timeMs - rangeMs) / HOUR_MS);
    if (last <= before) continue;
    times.push(timeMs);
    values.push(last - before);
  }
  if (times.length === 0) return [];
  return [{ pairs, times: Float64Array.from(times), values: Float64Array.from(values), histograms: undefined }];
}

const EDGES = ['count_over_time(x[12h]) 96', 'count_over_time(x[12h]) 100.5'];
const DAYS = [97, 98, 99, 100].map((day) => `count_over_time(x[1d]) ${day}`);

test('a window is put together from its days, and asks for its edges alone the next time', async () => {
  const { ask } = counting(TWO);
  const answer = {
    pairs: [
      ['a', '1'],
      ['a', '2'],
    ],
    values: [120, 24],
  };
  const { statistics: _, ...cold } = await ask();
  assert.deepEqual(cold, { ...answer, parts: 6, pieces: [EDGES[0], ...DAYS, EDGES[1]] });
  const warm = await ask();
  assert.deepEqual(warm.pieces, EDGES);
  assert.deepEqual([warm.pairs, warm.values], [answer.pairs, answer.values]);
});

test('what holds of the days is read once for all that is asked for', async () => {
  const { ask, reads } = counting(TWO);
  // a sum and a count
  const { pieces } = await ask({ ...REQUEST, expr: 'avg_over_time(x[5d])' });
  assert.equal(pieces.length, 2 * (EDGES.length + DAYS.length));
  assert.deepEqual(reads, ['t']);
});

test('a piece that fails is asked for again, and no other', async () => {
  const { pieces, values } = await counting(TWO, { failures: 1 }).ask();
  assert.deepEqual(pieces, [EDGES[0], EDGES[0], ...DAYS, EDGES[1]]);
  assert.deepEqual(values, [120, 24]);
});

test('where pieces do not tell the answer the instant is asked for as it is', async () => {
  const whole = async (from: ReturnType<typeof counting>) => (await from.ask()).pieces.at(-1);
  assert.equal(await whole(counting(TWO, { notes: INFO })), `whole ${REQUEST.expr}`);
  // two series that are one without what means something else now
  const [one, two] = TWO;
  const same = { ...two!, pairs: [...one!.pairs.slice(0, 2), '__type__', 'counter', ...one!.pairs.slice(2)] };
  assert.equal(await whole(counting([one!, same])), `whole ${REQUEST.expr}`);
  // a querier of a version before
  assert.equal(await whole(counting([{ ...one!, pairs: ['a', '1'] }])), `whole ${REQUEST.expr}`);
});

test('where a piece is more than a limit allows the instant is asked for as it is, which may need less', async () => {
  const limit = { limit: 1 };
  for (const refusal of [
    queryErrors.queryTooManyChunks({ chunks: 2, ...limit }),
    queryErrors.queryTooManyChunkBytes({ bytes: 2, ...limit }),
    queryErrors.queryTooManyBytes({ bytes: 2, ...limit }),
    queryErrors.queryTooManySamples(limit),
    queryErrors.queryMemoryExceeded({ usedBytes: 2, limitBytes: 1 }),
    queryErrors.queryThreadMemoryExceeded({ usedBytes: 2, limitBytes: 1 }),
    queryErrors.answerTooLarge({ bytes: 2, ...limit }),
  ]) {
    const { pieces } = await counting(TWO, { refusal }).ask();
    assert.deepEqual(pieces, [EDGES[0], `whole ${REQUEST.expr}`], refusal.message);
  }
  for (const refusal of [
    queryErrors.queryTimedOut({ limitMs: 1 }),
    queryErrors.tooManySelectsOfTenant(limit),
    storeErrors.storeUnavailable({ backend: 's3', operation: 'get', reason: 'away', tries: 1 }),
  ]) {
    const { ask, clock } = counting(TWO, { refusal });
    await assert.rejects(afterPauses(clock, ask()), refusal);
  }
});

test('days of which the points would be more than may be held are not asked for, the instant is', async () => {
  for (const more of [{ maxQueryMemoryBytes: 2 ** 20 }, { samplesMax: 100_000 }]) {
    const { samplesMax = 1e9, ...limits } = more as { samplesMax?: number };
    const need: FrontendOptions['need'] = {
      async sizesOf(_, { startMs, endMs }, __, see) {
        const span = { firstMs: startMs, lastMs: endMs, series: 400_000, samplesEach: 1e6 };
        see({ series: 400_000, chunks: 400_000, chunkBytes: 1e9, spans: [span] });
      },
      limits: { ...NONE, ...limits },
    };
    const { pieces } = await counting(TWO, { options: { need, samplesMax } }).ask();
    assert.deepEqual(pieces, [EDGES[0], `whole ${REQUEST.expr}`]);
  }
});

test('where what the store has of the whole window is more than a limit allows, the instant is refused', async () => {
  const need: FrontendOptions['need'] = {
    sizesOf: async (_, __, ___, see) => see({ series: 9, chunks: 101, chunkBytes: 1e9, spans: [] }),
    limits: { ...NONE, maxFetchedChunksPerQuery: 100 },
  };
  const { ask, memory } = counting(TWO, { options: { need } });
  await assert.rejects(ask(), /at least 101 chunks, more than 100/);
  // of the pieces its first edge was asked for
  assert.deepEqual([memory.heldThen.length, memory.held], [1, 0]);
});

test('windows are left whole where series are limited: pieces do not tell which they have read', async () => {
  const need = { sizesOf: async () => {}, limits: { ...NONE, maxFetchedSeriesPerQuery: 20 } };
  const { pieces } = await counting(TWO, { options: { need } }).ask();
  assert.deepEqual(pieces, [`whole ${REQUEST.expr}`]);
});

test('windows that are longer than a query may be are left to who refuses them', async () => {
  const whole = await counting(TWO, { options: { windowMsMax: 5 * DAY_MS - 1 } }).ask();
  assert.deepEqual(whole.pieces, [`whole ${REQUEST.expr}`]);
  const cut = await counting(TWO, { options: { windowMsMax: 5 * DAY_MS } }).ask();
  assert.equal(cut.parts, 6);
});

test('points of pieces are held until they are put together, also those from the cache', async () => {
  const { ask, memory } = counting(TWO);
  const seriesBytes = SERIES_BYTES + POINT_BYTES;
  await ask();
  // nothing of a piece is held when the next one is asked for but a value of each series; two days are under way at once
  assert.deepEqual([memory.heldThen[0], memory.heldThen[1], memory.heldThen.at(-1)], [0, seriesBytes, 2 * seriesBytes]);
  assert.deepEqual([memory.held, memory.budgets], [0, 1]);
  memory.peak = 0;
  assert.deepEqual((await ask()).pieces, EDGES);
  // days from the cache: six points of two series
  assert.ok(memory.peak >= 2 * seriesBytes + 2 * SERIES_BYTES + 6 * POINT_BYTES, `${memory.peak} bytes`);
  assert.deepEqual([memory.held, memory.budgets], [0, 2]);
});

test('points of all windows are counted together', async () => {
  const average = { ...REQUEST, expr: 'avg_over_time(x[5d])' };
  const asked = async (samplesMax: number, request = REQUEST) =>
    (await counting(TWO, { options: { samplesMax } }).ask(request)).pieces;
  // edges have one each, days six
  assert.equal((await asked(8)).at(-1), EDGES[1]);
  assert.equal((await asked(7)).at(-1), `whole ${REQUEST.expr}`);
  assert.equal((await asked(16, average)).at(-1), EDGES[1]);
  assert.equal((await asked(15, average)).at(-1), `whole ${average.expr}`);
});

test('samples of an average are told once, and what was fetched for its sum and its count', async () => {
  const count = await counting(TWO).ask();
  const average = await counting(TWO).ask({ ...REQUEST, expr: 'avg_over_time(x[5d])' });
  assert.equal(average.pieces.length, 2 * count.pieces.length);
  assert.equal(count.statistics?.totalQueryableSamples, 12);
  assert.equal(average.statistics?.totalQueryableSamples, 12);
  assert.equal(average.statistics?.fetchedBytes, 36);
});
