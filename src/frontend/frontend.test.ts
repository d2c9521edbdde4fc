import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PartialResult, QueryExplanation, QueryResult, QueryRunner, RangeRequest } from '../contract/query.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { seededRandom } from '../lib/random.ts';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { queryErrors } from '../model/errors-query.ts';
import { storeErrors } from '../model/errors-store.ts';
import { NO_STATISTICS } from '../promql/no-statistics.ts';
import { parseExpr } from '../promql/parser/parser.ts';
import { alignToStep } from './align.ts';
import { Frontend, type FrontendOptions } from './frontend.ts';
import type { SizesOf } from './need.ts';
import { NO_LIMITS } from './parts-budget.ts';
import type { ResultsCache } from './results-cache.ts';
import { drawnOrder } from './run-parts.ts';
import { isShardable, rangeInShards, type ShardOptions } from './shard.ts';
import { splitByInterval } from './split.ts';
import { splitRefusal } from './split-rules.ts';
import { frontendOptions, testSteps } from './test-answers.ts';

const DAY_MS = 86_400_000;
const SIGNAL = new AbortController().signal;

test('parts end at the last step that looks back at their day only, and have at least two', () => {
  const days = (startMs: number, endMs: number, stepMs: number) =>
    splitByInterval({ startMs, endMs, stepMs }, DAY_MS).map((part) => [part.startMs / DAY_MS, part.endMs / DAY_MS]);
  const hour = 1 / 24;
  assert.deepEqual(days(DAY_MS, DAY_MS * 1.5, DAY_MS / 24), [[1, 1.5]]);
  assert.deepEqual(days(DAY_MS * 1.5, DAY_MS * 3.5, DAY_MS / 24), [
    [1.5, 2],
    [2 + hour, 3],
    [3 + hour, 3.5],
  ]);
  // a step on the border alone stays with those before it
  assert.deepEqual(days(DAY_MS * 1.5, DAY_MS * 2, DAY_MS / 24), [[1.5, 2]]);
  // steps as long as a day: two in each part, and three where one would be left
  assert.deepEqual(days(0, DAY_MS * 4, DAY_MS), [
    [0, 1],
    [2, 4],
  ]);
  assert.deepEqual(days(0, 0, DAY_MS), [[0, 0]]);
  assert.deepEqual(days(0, DAY_MS * 9, DAY_MS * 2.5), [
    [0, 2.5],
    [5, 7.5],
  ]);
  assert.deepEqual(days(-DAY_MS * 1.5, -DAY_MS / 2, DAY_MS / 4), [
    [-1.5, -1],
    [-0.75, -0.5],
  ]);
});

test('a query is split unless its steps need each other', () => {
  const refusals: Record<string, string | undefined> = {
    up: undefined,
    'sum by (job) (rate(x[5m]))': undefined,
    'sum by (job) (rate(x[5m])) / on (job) group_left () max by (job) (y)': undefined,
    'histogram_quantile(0.9, sum by (le) (rate(x_bucket[5m])))': undefined,
    'x @ start() - x offset -1h': undefined,
    'max_over_time(rate(x[5m])[1h:1m])': undefined,
    'topk(5, rate(x[5m]))': undefined,
    'min(max by (a) (x))': undefined,
    'avg_over_time(x[1h] @ end()) + x': undefined,
    'sum(max by (a) (x) and y)': 'order',
    'sum(x and y)': undefined,
    'topk(5, sum by (a) (x))': 'order',
    'sum(rate({job="a"}[5m]))': 'order',
    'sum({job="a"})': undefined,
    'sum(x / y)': 'order',
    'sum(x / 2)': undefined,
    'sum(label_replace(x, "a", "$1", "b", "(.*)"))': 'order',
    'sum(sum(x) or y)': 'order',
    'topk(scalar(y), x)': 'parameter',
    'quantile(-(0.5), x)': undefined,
    'sort(x)': 'function',
    'info(x)': 'function',
    '1 + time()': 'constant',
    'x @ 17': 'constant',
    'max_over_time(x[1h:1m] @ end())': 'constant',
  };
  const syntax = { experimentalFunctions: true };
  for (const [text, refusal] of Object.entries(refusals)) {
    assert.equal(splitRefusal(parseExpr(text, syntax), { delayedNameRemoval: false }), refusal, text);
  }
});

test('steps are moved to their multiples', () => {
  const { startMs, endMs } = alignToStep({ expr: 'x', startMs: 61_000, endMs: 130_000, stepMs: 60_000 });
  assert.deepEqual([startMs, endMs], [60_000, 120_000]);
});

interface Asked {
  readonly request: RangeRequest;
  readonly signal: AbortSignal;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** A front end over a querier that answers when the test says so. */
function askedFrontend(
  parallelMax: number,
  more: Partial<FrontendOptions> = {},
  result = emptyResult(),
  ended = (signal: AbortSignal): Error => signal.reason,
) {
  const asked: Asked[] = [];
  /** Expressions that were asked for in shards. */
  const shards: string[] = [];
  const clock = new ManualClock();
  const querier: QueryRunner = {
    instant: async () => result,
    // what is asked for in shards is then asked for as it is
    async partial(_, { expr }) {
      shards.push(expr);
      return { type: 'whole', reason: 'rounding', statistics: emptyResult().statistics };
    },
    range: (_, request, { signal }) =>
      new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(ended(signal)));
        asked.push({ request, signal, resolve: () => resolve(result), reject });
      }),
  };
  const frontend = new Frontend({
    ...frontendOptions(),
    querier,
    parallelMax,
    samplesMax: 50_000_000,
    retriesMax: 2,
    timeoutMs: 1000,
    clock,
    ...more,
  });
  return { asked, shards, clock, frontend };
}

const emptyResult = (): QueryResult => testSteps(0, 0, { fetchedBytes: 3 });

const FIVE_DAYS = { expr: 'up', startMs: 0, endMs: 5 * DAY_MS - 1, stepMs: DAY_MS / 24 };
const WITHIN_DAY = { startMs: 0, endMs: DAY_MS / 2, stepMs: DAY_MS / 24 };
const INNER: Partial<FrontendOptions> = { shards: 1 };
const untilAborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(new Error('canceled'))));
const settle = () => new Promise(setImmediate);

test('some parts are under way at a time, and the cost is that of all', async () => {
  const { asked, frontend } = askedFrontend(2);
  const answer = frontend.range('t', FIVE_DAYS, { signal: SIGNAL });
  for (let i = 0; i < 5; i++) {
    await settle();
    assert.equal(asked.length, Math.min(5, i + 2));
    assert.deepEqual(asked[i]!.request.whole, { startMs: 0, endMs: 5 * DAY_MS - 1 });
    asked[i]!.resolve();
  }
  assert.equal((await answer).statistics.fetchedBytes, 15);
});

test('the error is that of the first part that fails, and later ones end', async () => {
  const { asked, frontend } = askedFrontend(3);
  const answer = frontend.range('t', FIVE_DAYS, { signal: SIGNAL });
  await settle();
  asked[1]!.reject(queryErrors.queryInvalid({ text: 'second' }));
  await settle();
  assert.deepEqual(
    asked.map(({ signal }) => signal.aborted),
    [false, false, true],
  );
  asked[0]!.reject(queryErrors.queryInvalid({ text: 'first' }));
  await assert.rejects(answer, /first/);
  assert.equal(asked.length, 3);
});

test('parts that are too much together end the query, also those before them', async () => {
  const limits = { ...DEFAULT_LIMITS, maxFetchedChunksPerQuery: 10 };
  const need = { sizesOf: async () => {}, limits };
  const canceled = () => queryErrors.queryCanceled({});
  const { asked, frontend } = askedFrontend(3, { need }, testSteps(0, 0, { fetchedChunks: 6 }), canceled);
  const answer = frontend.range('t', FIVE_DAYS, { signal: SIGNAL });
  await settle();
  asked[2]!.resolve();
  await settle();
  assert.equal(asked[3]!.request.used?.chunks, 6);
  asked[1]!.resolve();
  await settle();
  assert.ok(asked[0]!.signal.aborted && asked[3]!.signal.aborted);
  // what parts read twice at their borders the whole reads once
  assert.equal(asked.length, 5);
  const { whole, used, startMs, endMs } = asked[4]!.request;
  assert.deepEqual(
    { whole, used, startMs, endMs },
    { whole: undefined, used: undefined, startMs: 0, endMs: 5 * DAY_MS - 1 },
  );
  asked[4]!.resolve();
  assert.equal((await answer).statistics.fetchedChunks, 6);
});

test('of a query whose parts read too much the refusal of the whole is told, and what parts held is given back before', async () => {
  let held = 0;
  const memory = () => ({
    addMemory(bytes: number) {
      held += bytes;
    },
    close() {},
  });
  const within = async (maxFetchedDataBytesPerQuery: number, parts: number) => {
    const need = { sizesOf: async () => {}, limits: { ...DEFAULT_LIMITS, maxFetchedDataBytesPerQuery } };
    const result = testSteps(2, 3, { fetchedBytes: 60 });
    const { asked, frontend } = askedFrontend(1, { need, memory }, result);
    const answer = frontend.range('t', FIVE_DAYS, { signal: SIGNAL });
    for (let i = 0; i < parts; i++) {
      await settle();
      asked[i]!.resolve();
    }
    await settle();
    assert.equal(asked.length, parts + 1);
    assert.equal(held, 0);
    return { answer, whole: asked[parts]! };
  };
  const refused = await within(100, 2);
  refused.whole.reject(queryErrors.queryTooManyBytes({ bytes: 101, limit: 100 }));
  await assert.rejects(refused.answer, /at least 101 bytes, more than 100 /);
  // whoever evaluates may have another limit
  const { answer, whole } = await within(59, 1);
  whole.resolve();
  await assert.rejects(answer, /at least 60 bytes, more than 59 /);
});

test('all parts together have the time of the query, and end with who asks', async () => {
  const { asked, clock, frontend } = askedFrontend(2);
  const late = frontend.range('t', FIVE_DAYS, { signal: SIGNAL });
  await settle();
  asked[0]!.resolve();
  await settle();
  await Promise.all([clock.advance(1000), assert.rejects(late, /timed out/)]);
  assert.ok(asked.every(({ signal }, i) => i === 0 || signal.aborted));

  const leave = new AbortController();
  const left = frontend.range('t', FIVE_DAYS, { signal: leave.signal });
  await settle();
  leave.abort(new Error('gone'));
  await assert.rejects(left, /gone/);
  assert.equal(asked.length, 5);
});

test('a query is evaluated where the store does not tell its need, and has one time for that, too', async () => {
  const away = storeErrors.storeUnavailable({ backend: 's3', operation: 'get', reason: 'away', tries: 1 });
  const limits = { ...DEFAULT_LIMITS, maxFetchedChunksPerQuery: 10 };
  for (const expr of ['up', 'sort(up)']) {
    const failing = askedFrontend(5, { need: { sizesOf: () => Promise.reject(away), limits } });
    const answer = failing.frontend.range('t', { ...FIVE_DAYS, expr }, { signal: SIGNAL });
    await settle();
    for (const { resolve } of failing.asked) resolve();
    assert.equal((await answer).statistics.fetchedBytes, 3 * failing.asked.length);

    const hangs: SizesOf = (_, __, signal) => untilAborted(signal);
    const hanging = askedFrontend(5, { need: { sizesOf: hangs, limits } });
    const late = hanging.frontend.range('t', { ...FIVE_DAYS, expr, timeoutMs: 600 }, { signal: SIGNAL });
    await settle();
    await Promise.all([hanging.clock.advance(600), assert.rejects(late, /timed out/)]);
    assert.equal(hanging.asked.length, 0);
  }
  // what is wrong with the query stays so
  const refusal = queryErrors.queryTooManyChunks({ chunks: 11, limit: 10 });
  const refusing = askedFrontend(5, { need: { sizesOf: () => Promise.reject(refusal), limits } });
  await assert.rejects(refusing.frontend.range('t', FIVE_DAYS, { signal: SIGNAL }), refusal);
});

test('a part that reads more than a limit ends all others, whichever come first, and the query is asked for whole', async () => {
  const drawn = drawnOrder(5, seededRandom(3));
  assert.ok(drawn[0]! > 1, `${drawn}`);
  const { asked, frontend } = askedFrontend(2, { orderOfParts: seededRandom(3) });
  const answer = frontend.range('t', FIVE_DAYS, { signal: SIGNAL });
  await settle();
  asked[0]!.reject(queryErrors.queryTooManyChunks({ chunks: 2, limit: 1 }));
  await settle();
  assert.ok(asked[1]!.signal.aborted);
  assert.equal(asked.length, 3);
  assert.deepEqual([asked[2]!.request.whole, asked[2]!.request.endMs], [undefined, FIVE_DAYS.endMs]);
  asked[2]!.resolve();
  assert.equal((await answer).statistics.fetchedBytes, 3);
});

test('instants over long windows, and what is likely to be large of one part, are refused by what the store has', async () => {
  const asked: string[] = [];
  const sizesOf: SizesOf = async (_, { startMs, endMs }, __, see) => {
    asked.push(`${startMs / DAY_MS}-${endMs / DAY_MS}`);
    see({ series: 6, chunks: 6, chunkBytes: 6, spans: [] });
  };
  const within = async (run: (frontend: Frontend) => Promise<unknown>, limit: number, more = {}) => {
    asked.length = 0;
    const limits = { ...DEFAULT_LIMITS, maxFetchedChunksPerQuery: limit };
    const { asked: evaluated, frontend } = askedFrontend(2, { need: { sizesOf, limits }, ...more });
    const answer = run(frontend).then(
      () => 'answered',
      (thrown: Error) => thrown.message,
    );
    await settle();
    for (const { resolve } of evaluated) resolve();
    return [/at least 6 chunks/.test(await answer) ? 'refused' : await answer, ...asked];
  };
  const instant = (expr: string) => (frontend: Frontend) =>
    frontend.instant('t', { expr, timeMs: 9 * DAY_MS }, { signal: SIGNAL });
  const range = (expr: string, stepMs: number) => (frontend: Frontend) =>
    frontend.range('t', { ...WITHIN_DAY, expr, stepMs }, { signal: SIGNAL });
  assert.deepEqual(await within(instant('rate(x[2d])'), 5), ['refused', '7-9']);
  assert.deepEqual(await within(instant('rate(x[2d])'), 6), ['answered', '7-9']);
  assert.deepEqual(await within(instant('rate(x[2h])'), 5), ['answered']);
  assert.deepEqual(await within(range('rate(x[12h])', 10_000), 5), ['refused', '-0.5-0.5']);
  assert.deepEqual(await within(range('rate(x[12h])', 60_000), 5), ['answered']);
  for (const shards of [0, 1]) {
    assert.equal((await within(range('sum({job="a"})', 60_000), 5, { shards }))[0], 'refused');
    assert.deepEqual(await within(range('sum(x)', 60_000), 5, { shards }), ['answered']);
  }
});

test('aggregations within an expression have the time of the query together', async () => {
  const { asked, clock, frontend } = askedFrontend(2, INNER);
  const late = frontend.range('t', { ...WITHIN_DAY, expr: 'sum(x) / sum(y)' }, { signal: SIGNAL });
  await settle();
  asked[0]!.resolve();
  await clock.advance(600);
  await settle();
  assert.deepEqual(
    asked.map(({ request }) => request.expr.trim()),
    ['sum(x)', 'sum(y)'],
  );
  // what is left of the time, and no more
  const ends = late.catch((thrown: Error) => thrown.message);
  await clock.advance(400);
  asked[1]!.reject(new Error('nobody ended it'));
  assert.match(String(await ends), /timed out/);
});

test('nothing is asked for in shards where series are limited: parts do not tell how many they have read', async () => {
  const asksFor = async (expr: string, maxFetchedSeriesPerQuery: number) => {
    const limits = { ...DEFAULT_LIMITS, maxFetchedSeriesPerQuery };
    const { asked, shards, frontend } = askedFrontend(2, { ...INNER, need: { sizesOf: async () => {}, limits } });
    const answer = frontend.range('t', { ...WITHIN_DAY, expr }, { signal: SIGNAL });
    await settle();
    asked[0]!.reject(new Error('enough'));
    await assert.rejects(answer, /enough/);
    return [...shards, asked[0]!.request.expr].map((text) => text.trim());
  };
  assert.deepEqual(await asksFor('sum(x) / sum(y)', 0), ['sum(x)', 'sum(x)']);
  assert.deepEqual(await asksFor('sum(x) / sum(y)', 20), ['sum(x) / sum(y)']);
  assert.deepEqual(await asksFor('sum(x)', 0), ['sum(x)', 'sum(x)']);
  assert.deepEqual(await asksFor('sum(x)', 20), ['sum(x)']);
});

test('what cannot be split, or read, is asked as it is', async () => {
  const { asked, frontend } = askedFrontend(2);
  const within = { ...FIVE_DAYS, endMs: DAY_MS - 1 };
  const acrossMidnight = { ...FIVE_DAYS, startMs: DAY_MS / 2, endMs: (3 * DAY_MS) / 2 };
  for (const request of [{ ...FIVE_DAYS, expr: 'sort(up)' }, { ...FIVE_DAYS, expr: 'sum(' }, within, acrossMidnight]) {
    const answer = frontend.range('t', request, { signal: SIGNAL });
    await settle();
    const { request: seen, resolve } = asked.pop()!;
    assert.equal(seen, request);
    resolve();
    await answer;
  }
});

test('an explanation tells each stage around what evaluated the parts', async () => {
  const explanation = { what: 'selector up', steps: 24, series: 2, points: 48, ms: 1, children: [] };
  const { asked, frontend } = askedFrontend(5, { alignToStep: true }, { ...emptyResult(), explanation });
  const request = { expr: 'up', startMs: 1000, endMs: 2 * DAY_MS - 1, stepMs: DAY_MS / 24, explain: true };
  const answer = frontend.range('t', request, { signal: SIGNAL });
  await settle();
  for (const { resolve } of asked) resolve();
  const texts = (all: readonly QueryExplanation[]): unknown[] =>
    all.map(({ what, children }) => (children.length === 0 ? what : [what, texts(children)]));
  assert.deepEqual(texts([(await answer).explanation!]), [
    [
      'align: steps at multiples of the step',
      [
        [
          'merge of 2 parts by time',
          [
            ['part from 1970-01-01T00:00:00.000Z to 1970-01-02T00:00:00.000Z', ['selector up']],
            ['part from 1970-01-02T01:00:00.000Z to 1970-01-02T23:00:00.000Z', ['selector up']],
          ],
        ],
      ],
    ],
  ]);
  const left = frontend.range('t', { ...request, expr: 'sort(up)' }, { signal: SIGNAL });
  await settle();
  asked.at(-1)!.resolve();
  assert.deepEqual(texts([(await left).explanation!]), [
    ['align: steps at multiples of the step', [['split: left whole (function)', ['selector up']]]],
  ]);

  // counts of steps are those of what is evaluated
  const open = () => assert.fail('the cache is asked');
  const cache = { isWorth: () => true, open, days: open } as unknown as ResultsCache;
  const cached = askedFrontend(2, { cache }, { ...emptyResult(), explanation });
  const answered = cached.frontend.range('t', { ...request, expr: 'up' }, { signal: SIGNAL });
  await settle();
  for (const { resolve } of cached.asked) resolve();
  const { what, children } = (await answered).explanation!;
  assert.deepEqual(
    [what, children[0]!.what],
    ['cache: not asked, what is explained is evaluated', 'merge of 2 parts by time'],
  );
});

const SUM = { ...FIVE_DAYS, expr: 'sum(x)' };
const FOUR_SHARDS: ShardOptions = {
  count: 4,
  parallelMax: 2,
  limits: NO_LIMITS,
  turns: { due: false, pause: async () => {} },
};

test('a part is asked for in as many shards as its metrics have slots, and whole where that is one', async () => {
  const seen: string[] = [];
  const ask = async (expr: string, slots: Record<string, number | Error>, explain = false) => {
    const { querier, asked } = shardedQuerier(async () => ({
      type: 'whole',
      reason: 'rounding',
      statistics: NO_STATISTICS,
    }));
    const counts = new Set<number>();
    seen.length = 0;
    const partial: QueryRunner['partial'] = (tenant, request, context) => {
      counts.add(request.shard.count);
      return querier.partial(tenant, request, context);
    };
    const explanation: QueryExplanation | undefined = explain
      ? { what: 'plan', steps: 1, series: 1, points: 1, ms: 1, children: [] }
      : undefined;
    const range: QueryRunner['range'] = async (...how) => ({ ...(await querier.range(...how)), explanation });
    const frontend = new Frontend({
      ...frontendOptions(),
      querier: { ...querier, partial, range },
      shards: 8,
      parallelMax: 32,
      over: () => querier,
      async ownSlots(tenant, { matchers, startMs, endMs }) {
        seen.push(`${tenant} ${matchers[0]!.value} ${startMs} ${endMs}`);
        const found = slots[matchers[0]!.value]!;
        if (typeof found === 'number') return found;
        throw found;
      },
      clock: new ManualClock(),
    });
    const result = await frontend.range('t', { ...WITHIN_DAY, expr, explain }, { signal: SIGNAL });
    return { counts: [...counts], last: asked.at(-1), explanation: result.explanation };
  };
  for (const [slots, count] of [
    [256, 8],
    [8, 8],
    [2, 2],
  ] as const)
    assert.deepEqual((await ask('sum(x)', { x: slots })).counts, [count]);
  assert.deepEqual(seen, [`t x ${-300_000} ${DAY_MS / 2}`]);
  const { counts, last } = await ask('sum(x)', { x: 1 });
  assert.deepEqual([counts, last], [[], 'whole']);
  // the fewest of all that are read, over all that they look back
  assert.deepEqual((await ask('sum(rate(x[1h]) * on (a) y offset 1d)', { x: 16, y: 4 })).counts, [4]);
  assert.deepEqual(
    seen,
    ['x', 'y'].map((name) => `t ${name} ${-DAY_MS - 300_000} ${DAY_MS / 2}`),
  );
  // where it is not known what is read, and where the store does not tell
  assert.deepEqual((await ask('sum(x @ end())', { x: 16 })).counts, []);
  const away = storeErrors.storeUnavailable({ backend: 's3', operation: 'get', reason: 'away', tries: 1 });
  assert.deepEqual((await ask('sum(x)', { x: away })).counts, []);
  await assert.rejects(ask('sum(x)', { x: new Error('a bug') }), /a bug/);
  // within a larger expression each aggregation by itself, where any has slots of its own
  assert.deepEqual((await ask('sum(x) / sum(y)', { x: 1, y: 1 })).counts, []);
  assert.deepEqual((await ask('sum(x) / sum(y)', { x: 1, y: 16 })).counts, [8]);
  // nothing is read for what has no shards
  await ask('x', { x: 16 });
  assert.deepEqual(seen, []);
  const lines = async (slots: number) => {
    const all: string[] = [];
    const walk = ({ what, children }: QueryExplanation) => {
      all.push(what);
      children.forEach(walk);
    };
    walk((await ask('sum(x)', { x: slots }, true)).explanation!);
    return all;
  };
  const upTo = 'shard: up to 8 shards of the series, where their answers can be merged';
  assert.deepEqual(await lines(16), ['split: one part', upTo, 'plan']);
  assert.deepEqual(await lines(1), ['split: one part', upTo, 'shard: left whole (shards would read the same)', 'plan']);
  assert.deepEqual(await lines(2), ['split: one part', upTo, 'shard: 2 shards, as many as there are slots', 'plan']);
});

test('shards are asked for one by one, and the query as it is once one cannot be merged', async () => {
  const { querier, asked } = shardedQuerier(async (index, signal) =>
    index === 1 ? { type: 'whole', reason: 'rounding', statistics: NO_STATISTICS } : untilAborted(signal),
  );
  const answer = await rangeInShards(querier, 't', SUM, FOUR_SHARDS, { signal: SIGNAL });
  assert.deepEqual(asked, ['0 of 4', '1 of 4', 'whole']);
  assert.equal(answer.statistics.fetchedBytes, 3);
});

test('shards that are too much together end, and the query is asked for as it is', async () => {
  const within = async (maxFetchedChunksPerQuery: number) => {
    const { querier, asked, usedBefore } = shardedQuerier(async (index, signal) =>
      index === 0 ? untilAborted(signal) : shardWith(6),
    );
    const limits = { ...NO_LIMITS, maxFetchedChunksPerQuery };
    const request = { ...SUM, used: { chunks: 1, chunkBytes: 0, fetchedBytes: 0 } };
    await rangeInShards(querier, 't', request, { ...FOUR_SHARDS, limits }, { signal: SIGNAL });
    return { asked, usedBefore };
  };
  assert.deepEqual(await within(18), {
    asked: [0, 1, 2, 3].map((i) => `${i} of 4`).concat('whole'),
    usedBefore: [1, 1, 7, 13],
  });
  assert.deepEqual(await within(12), { asked: ['0 of 4', '1 of 4', '2 of 4', 'whole'], usedBefore: [1, 1, 7] });
});

test('the query is asked for as it is where a shard is refused, and not where one fails', async () => {
  const failing = (error: Error) => shardedQuerier(() => Promise.reject(error));
  const refused = failing(queryErrors.queryTooManyChunks({ chunks: 2, limit: 1 }));
  await rangeInShards(refused.querier, 't', SUM, FOUR_SHARDS, { signal: SIGNAL });
  assert.equal(refused.asked.at(-1), 'whole');
  const late = failing(queryErrors.queryTimedOut({ limitMs: 1 }));
  await assert.rejects(rangeInShards(late.querier, 't', SUM, FOUR_SHARDS, { signal: SIGNAL }), /timed out/);
});

test('sums, counts and extremes are asked for in shards', () => {
  const shardable = (text: string) => isShardable(parseExpr(text));
  for (const text of ['sum(x)', '(count by (a) (rate(x[5m])))', 'max(x)']) assert.ok(shardable(text), text);
  for (const text of ['x', 'avg(x)', 'topk(1, x)', 'sum(x) / 2']) assert.ok(!shardable(text), text);
});

/** A querier that tells which shards it was asked for, and how many chunks were used before each. */
function shardedQuerier(answer: (index: number, signal: AbortSignal) => Promise<PartialResult>) {
  const asked: string[] = [];
  const usedBefore: number[] = [];
  const querier: QueryRunner = {
    instant: () => Promise.reject(new Error('bug: nobody asks for this')),
    partial(_, { shard: { index, count }, used }, { signal }) {
      asked.push(`${index} of ${count}`);
      usedBefore.push(used!.chunks);
      return answer(index, signal);
    },
    async range() {
      asked.push('whole');
      return emptyResult();
    },
  };
  return { querier, asked, usedBefore };
}

/** A shard that has read so many chunks. */
function shardWith(fetchedChunks: number): PartialResult {
  const none = new Float64Array(0);
  return {
    type: 'partial',
    op: 'sum',
    shard: { index: 0, count: 4 },
    steps: { instant: false, startMs: 0, stepMs: 1, count: 0 },
    groups: [],
    counts: none,
    values: none,
    lost: none,
    magnitudes: none,
    dropped: undefined,
    warnings: [],
    infos: [],
    statistics: { ...NO_STATISTICS, fetchedChunks },
    explanation: undefined,
  };
}
