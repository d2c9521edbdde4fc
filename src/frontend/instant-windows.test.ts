import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryCache } from '../cache/memory.ts';
import type { QueryNotes, QueryRunner, RangeRequest, ResultSeries } from '../contract/query.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { processErrors } from '../model/errors-process.ts';
import { parseDuration } from '../promql/parser/duration.ts';
import { ParsedExprs } from '../promql/parser/parsed.ts';
import { Frontend } from './frontend.ts';
import { ResultsCache } from './results-cache.ts';
import { nothingOver, testSteps } from './test-answers.ts';

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

/** A front end over a querier that counts samples, and the pieces that it was asked for. */
function counting(series: readonly Series[], more: { notes?: QueryNotes; failures?: number } = {}) {
  const asked: string[] = [];
  let { failures = 0 } = more;
  const clock = new ManualClock(REQUEST.timeMs);
  const querier: QueryRunner = {
    async instant(_, { expr }) {
      asked.push(`whole ${expr}`);
      return testSteps(0, 0);
    },
    partial: () => assert.fail('nobody asks for shards'),
    async range(_, request) {
      const { expr, startMs, endMs, whole } = request;
      asked.push(`${expr} ${startMs / DAY_MS}${endMs === startMs ? '' : `-${endMs / DAY_MS}`}`);
      assert.deepEqual(whole, { startMs: REQUEST.timeMs, endMs: REQUEST.timeMs, windows: true });
      if (failures-- > 0) throw processErrors.workerGone({ worker: 'query-0', reason: 'killed' });
      const found = series.flatMap((each) => countsOf(each, request));
      const { notes, ...rest } = testSteps(0, 0, { fetchedBytes: 3 });
      const infos = more.notes === undefined ? [] : ['PromQL info: a note (1:1)'];
      return { ...rest, infos, value: { type: 'matrix', series: found }, notes: more.notes ?? notes! };
    },
  };
  const frontend = new Frontend({
    querier,
    parsed: new ParsedExprs(),
    rules: { delayedNameRemoval: false },
    splitIntervalMs: DAY_MS,
    shards: 0,
    cache: new ResultsCache({
      cache: new MemoryCache({ bytesMax: 1 << 20, clock }),
      generations: async () => ({ token: () => 'one', isSettled: () => true }),
      flags: '',
      intervalMs: DAY_MS,
      clock,
    }),
    cacheLimits: { ageMs: HOUR_MS, retentionMs: 0, ttlMs: 0 },
    lookbackMs: 300_000,
    alignToStep: false,
    parallelMax: 2,
    memory: () => ({ addMemory() {}, close() {} }),
    over: nothingOver,
    samplesMax: 50_000_000,
    retriesMax: 2,
    timeoutMs: 1000,
    clock,
  });
  const ask = async (request = REQUEST) => {
    const { value, statistics } = await frontend.instant('t', request, { signal: SIGNAL });
    await new Promise(setImmediate);
    const pieces = asked.splice(0);
    if (value.type !== 'vector') return { pieces };
    return { pieces, pairs: value.pairs, values: [...value.values], parts: statistics.parts };
  };
  return { ask };
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
  const cold = await ask();
  assert.deepEqual(cold, { ...answer, parts: 6, pieces: [EDGES[0], ...DAYS, EDGES[1]] });
  const warm = await ask();
  assert.deepEqual(warm.pieces, EDGES);
  assert.deepEqual([warm.pairs, warm.values], [answer.pairs, answer.values]);
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
