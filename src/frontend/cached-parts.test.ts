import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cache } from '../cache/client.ts';
import { MemoryCache } from '../cache/memory.ts';
import type { QueryRunner } from '../contract/query.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { LimitedBudget } from '../limits/query-budget.ts';
import { Frontend, type FrontendOptions } from './frontend.ts';
import { ResultsCache } from './results-cache.ts';
import { frontendOptions, testSteps } from './test-answers.ts';

const DAY_MS = 86_400_000;
const SIGNAL = new AbortController().signal;
const SERIES = 100;
const DAYS = 40;
const MONTH = { expr: 'x', startMs: 0, endMs: DAYS * DAY_MS - 1, stepMs: DAY_MS / 24 };

/** A front end whose cache has the answer of `MONTH`, and counts the keys that it is asked for at a time. */
async function warmFrontend() {
  const clock = new ManualClock(100 * DAY_MS);
  const memory = new MemoryCache({ bytesMax: 1 << 26, clock });
  const asked: number[] = [];
  let parts = 0;
  const cache: Cache = {
    get(keys) {
      asked.push(keys.length);
      return memory.get(keys);
    },
    set: (entries) => memory.set(entries),
    close: () => memory.close(),
  };
  const results = new ResultsCache({
    cache,
    generations: async () => ({ token: () => 'one', isSettled: () => true }),
    flags: '',
    intervalMs: DAY_MS,
    clock,
  });
  const querier: QueryRunner = {
    instant: () => assert.fail('nobody asks for an instant'),
    partial: () => assert.fail('nobody asks for shards'),
    async range(_, { startMs, endMs, stepMs }) {
      parts++;
      const steps = testSteps(SERIES, (endMs - startMs) / stepMs + 1);
      if (steps.value.type !== 'matrix') throw new Error('bug: not the answer of some steps');
      const series = steps.value.series.map((each) => ({
        ...each,
        times: each.times.map((_, i) => startMs + i * stepMs),
      }));
      return { ...steps, value: { type: 'matrix', series } };
    },
  };
  const ask = async (more: Partial<FrontendOptions> = {}) => {
    const frontend = new Frontend({
      ...frontendOptions(),
      querier,
      cache: results,
      memory: () => new LimitedBudget({ ...DEFAULT_LIMITS, maxQueryMemoryBytes: 0 }),
      samplesMax: 50_000_000,
      timeoutMs: 1000,
      clock,
      ...more,
    });
    return frontend.range('t', MONTH, { signal: SIGNAL });
  };
  await ask();
  assert.equal(parts, DAYS);
  // what is kept is kept when the answer is out
  for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate);
  asked.length = 0;
  return { ask, asked, parts: () => parts };
}

test('answers of the past are held against the memory of the query before more of them are loaded', async () => {
  const { ask, asked, parts } = await warmFrontend();
  const budget = new LimitedBudget({ ...DEFAULT_LIMITS, maxQueryMemoryBytes: 0 });
  await ask({ memory: () => budget });
  assert.deepEqual(asked, [16, 16, 8]);
  // values as they are kept, and the points of the answer
  assert.ok(budget.peakMemoryBytes > SERIES * DAYS * 24 * (8 + 16), `${budget.peakMemoryBytes} bytes`);
  assert.equal(budget.memoryBytes, 0);

  asked.length = 0;
  const tight = new LimitedBudget({ ...DEFAULT_LIMITS, maxQueryMemoryBytes: 200_000 });
  await assert.rejects(ask({ memory: () => tight }), /max_query_memory_bytes/);
  assert.deepEqual(asked, [16]);
  assert.equal(tight.memoryBytes, 0);
  assert.equal(parts(), DAYS);
});

test('points of the past are counted with those that are evaluated', async () => {
  const { ask, parts } = await warmFrontend();
  const points = SERIES * DAYS * 24;
  await ask({ samplesMax: points });
  await assert.rejects(ask({ samplesMax: points - 1 }), /querier.max-samples/);
  const limits = { ...DEFAULT_LIMITS, maxQueryResponseSize: points * 17 - 1 };
  await assert.rejects(ask({ need: { sizesOf: async () => {}, limits } }), /max_query_response_size/);
  assert.equal(parts(), DAYS);
});
