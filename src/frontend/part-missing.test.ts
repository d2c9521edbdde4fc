import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CacheEntry } from '../cache/client.ts';
import type { QueryRunner } from '../contract/query.ts';
import { DAY_MS } from '../lib/day.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { queryErrors } from '../model/errors-query.ts';
import { storeErrors } from '../model/errors-store.ts';
import { Frontend } from './frontend.ts';
import { ResultsCache } from './results-cache.ts';
import { afterPauses, frontendOptions, testSteps } from './test-answers.ts';

const STEP_MS = 3_600_000;
const AWAY_DAY = 3;
/** The first step of the part that is away: the one on the border goes with those before it. */
const AWAY_FROM_MS = AWAY_DAY * DAY_MS + STEP_MS;

test('a part that cannot be had is left out of an answer that may be incomplete, told of, and never cached', async () => {
  let error: Error = storeErrors.storeUnavailable({ backend: 's3', operation: 'get', reason: 'away', tries: 1 });
  const asked: number[] = [];
  const querier: Pick<QueryRunner, 'range'> = {
    async range(_, { startMs, endMs }) {
      asked.push(startMs);
      if (startMs === AWAY_FROM_MS) throw error;
      return testSteps(1, (endMs - startMs) / STEP_MS + 1);
    },
  };
  const kept: CacheEntry[] = [];
  const clock = new ManualClock(100 * DAY_MS);
  const cache = new ResultsCache({
    cache: {
      get: async (keys) => keys.map(() => undefined),
      set: async (entries) => void kept.push(...entries),
      close: async () => {},
    },
    generations: async () => ({ token: () => 'x', isSettled: () => true }),
    flags: '',
    intervalMs: DAY_MS,
    clock,
  });
  const frontend = new Frontend({
    ...frontendOptions(),
    querier: querier as QueryRunner,
    cache,
    retriesMax: 2,
    clock,
  });
  const request = { expr: 'x', startMs: DAY_MS, endMs: 6 * DAY_MS - STEP_MS, stepMs: STEP_MS };
  const { signal } = new AbortController();
  await assert.rejects(afterPauses(clock, frontend.range('t', request, { signal })), /away/);
  assert.deepEqual(kept, []);

  asked.length = 0;
  const { missing, warnings } = await afterPauses(
    clock,
    frontend.range('t', { ...request, allowPartial: true }, { signal }),
  );
  const endMs = (AWAY_DAY + 1) * DAY_MS;
  assert.deepEqual(missing, [{ what: 'part of the query', startMs: AWAY_FROM_MS, endMs, reason: error.message }]);
  assert.ok(
    warnings
      .join()
      .includes(`the answer is incomplete: part of the query from ${new Date(AWAY_FROM_MS).toISOString()} to `),
  );
  assert.match(warnings.join(), /away/);
  // as often as any part
  assert.equal(asked.filter((fromMs) => fromMs === AWAY_FROM_MS).length, 3);
  await new Promise(setImmediate);
  const days = kept.map(({ key }) => JSON.parse(key).at(-1));
  assert.deepEqual(days, [1, 2, 4, 5]);

  error = queryErrors.queryTooManySeries({ series: 2, limit: 1 });
  await assert.rejects(frontend.range('t', { ...request, allowPartial: true }, { signal }), /max_fetched_series/);
});
