import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryCache } from '../src/cache/memory.ts';
import type { QueryRunner, RangeRequest } from '../src/contract/query.ts';
import { Frontend } from '../src/frontend/frontend.ts';
import { stepsOf } from '../src/frontend/merge-steps.ts';
import { type CacheableQuery, ResultsCache, type ResultsCacheOptions } from '../src/frontend/results-cache.ts';
import type { StepRange } from '../src/frontend/split.ts';
import { answersOf, comparableAnswer, frontendOptions, testSteps } from '../src/frontend/test-answers.ts';
import { ANY_TIME_MS } from '../src/lib/day.ts';
import { ManualClock } from '../src/lib/manual-clock.ts';
import { DEFAULT_LIMITS } from '../src/limits/limits.ts';
import { storeErrors } from '../src/model/errors-store.ts';
import { Labels } from '../src/model/labels.ts';
import { JobRunner, runQuery } from '../src/peer/job-runner.ts';
import { decodeRequest } from '../src/peer/job-shapes.ts';
import { Engine } from '../src/promql/engine.ts';
import { EngineRunner } from '../src/querier/engine-runner.ts';
import { QueryTurns } from '../src/querier/turns.ts';
import { mergedQueryable } from '../src/storage/merge.ts';
import type { SampleSource } from '../src/storage/source.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const NOW_MS = 100 * DAY_MS;
const SIGNAL = new AbortController().signal;
const TURNS = { due: false, pause: async () => {} };
const SETTLED = { token: () => 'first', isSettled: () => true };

function optionsOf(more: Partial<ResultsCacheOptions> = {}): ResultsCacheOptions & { readonly clock: ManualClock } {
  const clock = new ManualClock(NOW_MS);
  const cache = new MemoryCache({ bytesMax: 1 << 24, clock });
  return { cache, generations: async () => SETTLED, flags: 'a', intervalMs: DAY_MS, ...more, clock };
}

test('an answer is of one tenant, expression, step, phase, lookback, interval, part and of the settings it was made by', async () => {
  const options = optionsOf();
  const query: CacheableQuery = {
    tenant: 't',
    expr: 'x',
    normal: 'x',
    startMs: 0,
    endMs: 20 * HOUR_MS,
    stepMs: HOUR_MS,
    reach: { backMs: 5 * MINUTE_MS, aheadMs: 0 },
    lookbackMs: 5 * MINUTE_MS,
    limits: { ageMs: HOUR_MS, retentionMs: 0, ttlMs: 0 },
  };
  const open = async (
    own: Partial<CacheableQuery>,
    ofCache: Partial<ResultsCacheOptions> = {},
    more: StepRange[] = [],
  ) => {
    const asked = { ...query, ...own };
    const cached = await new ResultsCache({ ...options, ...ofCache }).open(asked, [asked, ...more], SIGNAL);
    return cached!;
  };
  const nextDay = { startMs: DAY_MS, endMs: DAY_MS + 20 * HOUR_MS };
  const first = await open({}, {}, [nextDay]);
  assert.deepEqual(first.shares, ['none', 'none']);
  await first.keep(
    first.tasks.map(() => stepsOf(testSteps(1, 21))),
    TURNS,
  );
  assert.deepEqual((await open({}, {}, [nextDay])).shares, ['whole', 'whole']);
  const within = { startMs: 2 * HOUR_MS, endMs: 10 * HOUR_MS };
  assert.deepEqual((await open(within)).shares, ['whole']);
  const others: Record<string, [Partial<CacheableQuery>, Partial<ResultsCacheOptions>?]> = {
    tenant: [{ tenant: 'u' }],
    expression: [{ normal: 'y' }],
    step: [{ stepMs: HOUR_MS / 2 }],
    phase: [{ startMs: 2 * HOUR_MS + MINUTE_MS, endMs: 10 * HOUR_MS + MINUTE_MS }],
    lookback: [{ lookbackMs: 6 * MINUTE_MS }],
    interval: [{}, { intervalMs: 2 * DAY_MS }],
    settings: [{}, { flags: 'b' }],
    generations: [{}, { generations: async () => ({ ...SETTLED, token: () => 'second' }) }],
  };
  for (const [name, [own, ofCache]] of Object.entries(others)) {
    assert.deepEqual((await open({ ...within, ...own }, ofCache)).shares, ['none'], name);
  }
});

/** A front end that splits by interval and caches, over a querier of which it is told what it was asked for. */
function cachingFrontend(querier: QueryRunner, options: ResultsCacheOptions, ageMs = HOUR_MS) {
  const asked: [startMs: number, endMs: number][] = [];
  const results = new ResultsCache(options);
  const frontend = new Frontend({
    ...frontendOptions(),
    querier: {
      instant: querier.instant?.bind(querier),
      partial: querier.partial?.bind(querier),
      range(tenant, request, context) {
        asked.push([request.startMs, request.endMs]);
        return querier.range(tenant, request, context);
      },
    },
    splitIntervalMs: options.intervalMs,
    cache: results,
    cacheLimits: { ageMs, retentionMs: 0, ttlMs: 0 },
    retriesMax: 2,
    clock: options.clock,
  });
  /** The answer once it is kept, and the ranges that were evaluated for it. */
  const ask = async (request: RangeRequest) => {
    asked.length = 0;
    const answer = await answersOf(frontend, request);
    await new Promise(setImmediate);
    return { answer, ranges: asked.toSorted(([a], [b]) => a - b) };
  };
  return { ask, results };
}

/** One series that has the time of each step for its value. */
const clockwork = {
  async range(_tenant: string, { startMs, endMs, stepMs }: RangeRequest) {
    const steps = testSteps(0, 0);
    const times = Float64Array.from({ length: (endMs - startMs) / stepMs + 1 }, (_, i) => startMs + i * stepMs);
    const series = [{ pairs: ['a', '1'], times, values: times, histograms: undefined }];
    return { ...steps, value: { type: 'matrix' as const, series } };
  },
} as unknown as QueryRunner;

test('a minute later only the steps are evaluated that were too young to be kept, and the new one', async () => {
  const options = optionsOf({ intervalMs: 2 * HOUR_MS });
  const { clock } = options;
  await clock.advance(90 * MINUTE_MS);
  const { ask } = cachingFrontend(clockwork, options);
  const request = (): RangeRequest => ({
    expr: 'x',
    startMs: clock.nowMs() - 6 * HOUR_MS,
    endMs: clock.nowMs(),
    stepMs: MINUTE_MS,
  });
  const at = (...minutes: number[]) => minutes.map((minute) => NOW_MS + minute * MINUTE_MS);
  // the last part is cut at the age, an hour, from which answers are kept
  assert.deepEqual((await ask(request())).ranges, [at(-270, -240), at(-239, -120), at(-119, 0), at(1, 30), at(31, 90)]);
  for (let minute = 1; minute <= 3; minute++) {
    await clock.advance(MINUTE_MS);
    const { answer, ranges } = await ask(request());
    assert.deepEqual(ranges, [at(30 + minute, 90 + minute)]);
    const plain = await answersOf(clockwork, request());
    assert.deepEqual(comparableAnswer(answer), comparableAnswer(plain));
  }
});

test('a front end that cannot read generations evaluates everything, keeps nothing, and counts it', async () => {
  let isAway = false;
  let reads = 0;
  const generations = async () => {
    reads++;
    if (isAway) throw storeErrors.storeUnavailable({ backend: 's3', operation: 'get', reason: 'away', tries: 1 });
    return SETTLED;
  };
  const { ask, results } = cachingFrontend(clockwork, optionsOf({ generations }));
  const days = (first: number, last: number): RangeRequest => ({
    expr: 'x',
    startMs: first * DAY_MS,
    endMs: last * DAY_MS - HOUR_MS,
    stepMs: HOUR_MS,
  });
  const { answer } = await ask(days(1, 3));
  assert.deepEqual((await ask(days(1, 3))).ranges, []);
  assert.equal(reads, 2, 'once a query, for all its days');
  assert.deepEqual(results.takeStats(), { whole: 2, part: 0, none: 2, failures: 0 });
  isAway = true;
  const away = await ask(days(1, 3));
  assert.equal(away.ranges.length, 2);
  assert.deepEqual(comparableAnswer(away.answer), comparableAnswer(answer));
  await ask(days(3, 5));
  assert.deepEqual(results.takeStats(), { whole: 0, part: 0, none: 0, failures: 2 });
  isAway = false;
  assert.deepEqual((await ask(days(1, 3))).ranges, []);
  assert.equal((await ask(days(3, 5))).ranges.length, 2);
});

/** Samples of one series; nothing while it is away. */
function sourceOf(source: { readonly isAway: boolean }): SampleSource {
  return {
    async select() {
      if (source.isAway)
        throw storeErrors.storeUnavailable({ backend: 's3', operation: 'get', reason: 'away', tries: 1 });
      const close = () => {};
      return {
        labels: [Labels.of({ __name__: 'x' })],
        warnings: [],
        read(_, out) {
          out.clear();
          for (let timeMs = 0; timeMs < 10 * DAY_MS; timeMs += HOUR_MS) out.pushFloat(timeMs, timeMs);
        },
        close,
      };
    },
    labelNames: async () => ({ values: [], warnings: [] }),
    labelValues: async () => ({ values: [], warnings: [] }),
  };
}

test('an answer that lacks what a source has is never kept, nor where it comes from another process', async () => {
  for (const isElsewhere of [false, true]) {
    const options = optionsOf();
    const source = { isAway: true };
    const nothing: SampleSource = {
      ...sourceOf(source),
      select: async () => ({ labels: [], warnings: [], read: (_, out) => out.clear(), close() {} }),
    };
    const { clock } = options;
    const queryable = mergedQueryable('t', { recent: nothing, stored: sourceOf(source), overlapMs: 1e15, clock });
    const runner = new EngineRunner({
      engine: new Engine(),
      queryable: () => queryable,
      limits: () => DEFAULT_LIMITS,
      turns: new QueryTurns(clock),
      timeoutMs: 60_000,
      clock,
    });
    const byJobs = new JobRunner(
      async (tenant, payload, signal) => {
        const request = decodeRequest(payload);
        if (request.kind !== 'query') throw new Error('bug: a job of another kind');
        return { head: { workedMs: 1 }, bytes: await runQuery(runner, tenant, request, { signal }) };
      },
      { lookbackMs: 5 * MINUTE_MS, language: {}, oldestMs: ANY_TIME_MS },
    );
    const { ask } = cachingFrontend(isElsewhere ? byJobs : runner, options);
    const stepMs = HOUR_MS;
    const request: RangeRequest = { expr: 'x', startMs: DAY_MS, endMs: 4 * DAY_MS, stepMs, allowPartial: true };
    for (let turn = 0; turn < 2; turn++) {
      const { answer, ranges } = await ask(request);
      assert.equal(ranges.length, 3);
      assert.ok('result' in answer && answer.result.missing?.length === 3, JSON.stringify(answer));
    }
    source.isAway = false;
    const { answer, ranges } = await ask(request);
    assert.equal(ranges.length, 3);
    assert.ok('result' in answer && answer.result.missing === undefined);
    const again = await ask(request);
    assert.deepEqual(again.ranges, []);
    assert.deepEqual(comparableAnswer(again.answer), comparableAnswer(answer));
  }
});
