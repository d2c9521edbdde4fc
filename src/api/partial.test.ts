import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../lib/clock.ts';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { queryErrors } from '../model/errors-query.ts';
import { storeErrors } from '../model/errors-store.ts';
import { Labels } from '../model/labels.ts';
import { Engine } from '../promql/engine.ts';
import { EngineRunner } from '../querier/engine-runner.ts';
import { QueryTurns } from '../querier/turns.ts';
import { mergedQueryable } from '../storage/merge.ts';
import type { SampleSource } from '../storage/source.ts';
import { ask, testSources } from './test-sources.ts';

const NOW_MS = 1767231000000;
const stored: SampleSource = {
  select: async () => ({
    labels: [Labels.of({ __name__: 'up', job: 'a' })],
    warnings: [],
    read(_, out) {
      out.clear();
      out.pushFloat(NOW_MS - 60_000, 1);
    },
    close() {},
  }),
  labelNames: async () => ({ values: ['__name__', 'job'], warnings: [] }),
  labelValues: async () => ({ values: ['up'], warnings: [] }),
};

function failing(error: Error): SampleSource {
  const fail = async () => {
    throw error;
  };
  return { select: fail, labelNames: fail, labelValues: fail };
}

const AWAY = storeErrors.storeUnavailable({ backend: 's3', operation: 'get', reason: 'away', tries: 1 });

/** An API over a store that answers and holders of recent samples that fail. */
function api(error: Error = AWAY, queryPartialData = false) {
  const queryable = mergedQueryable('t', { recent: failing(error), stored, overlapMs: 1e9, clock: systemClock });
  const limits = () => ({ ...DEFAULT_LIMITS, queryPartialData });
  const queries = new EngineRunner({
    engine: new Engine(),
    queryable: () => queryable,
    limits,
    turns: new QueryTurns(systemClock),
    timeoutMs: 60_000,
    clock: systemClock,
  });
  return testSources([], { queries, queryable: () => queryable, limits });
}

const TIME = `time=${NOW_MS / 1000}`;
const URLS = [
  `/api/v1/query?query=up&${TIME}`,
  `/api/v1/query_range?query=up&start=${NOW_MS / 1000 - 60}&end=${NOW_MS / 1000}&step=30`,
  `/api/v1/series?match[]=up`,
  '/api/v1/labels?start=1&end=2',
  '/api/v1/label/__name__/values?start=1&end=2',
];

test('who is away makes an error, unless tenant or request take an answer without it, which says so', async () => {
  for (const url of URLS) {
    const refused = await ask(api(), url);
    assert.equal(refused.status, 503, url);
    for (const { status, json } of [
      await ask(api(), `${url}&partial_response=true`),
      await ask(api(AWAY, true), url),
    ]) {
      const { data, warnings, missing } = json as {
        data: unknown;
        warnings: string[];
        missing: Record<string, unknown>[];
      };
      assert.equal(status, 200, url);
      assert.match(JSON.stringify(data), /up|job/);
      assert.match(warnings.join(), /the answer is incomplete: recent samples from .* to .*: .*away/);
      assert.equal(missing.length, 1);
      assert.equal(missing[0]!.what, 'recent samples');
      assert.match(missing[0]!.reason as string, /away/);
      assert.ok('start' in missing[0]! && 'end' in missing[0]!);
    }
    const own = await ask(api(AWAY, true), `${url}&partial_response=false`);
    assert.equal(own.status, 503, url);
  }
});

test('an error of the query is none of who is away', async () => {
  const tooMany = queryErrors.queryTooManySeries({ series: 5, limit: 4 });
  for (const url of URLS) assert.equal((await ask(api(tooMany), `${url}&partial_response=true`)).status, 422, url);
});

test('a complete answer says nothing, and what is no boolean is refused', async () => {
  const sources = testSources([]);
  const { text } = await ask(sources, `${URLS[0]}&partial_response=true`);
  assert.equal(text, '{"status":"success","data":{"resultType":"vector","result":[]}}');
  assert.equal((await ask(sources, `${URLS[0]}&partial_response=perhaps`)).status, 400);
});
