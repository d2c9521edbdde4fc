import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { MemoryCache } from '../../src/cache/memory.ts';
import type { QueryRunner, RangeRequest } from '../../src/contract/query.ts';
import { Frontend } from '../../src/frontend/frontend.ts';
import { ResultsCache } from '../../src/frontend/results-cache.ts';
import { answersOf, comparableAnswer } from '../../src/frontend/test-answers.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { DEFAULT_LIMITS } from '../../src/limits/limits.ts';
import { ParsedExprs } from '../../src/promql/parser/parsed.ts';
import { EngineRunner } from '../../src/querier/engine-runner.ts';
import { QueryTurns } from '../../src/querier/turns.ts';
import { LoadedStorage } from './promqltest/loaded-storage.ts';
import { PROMQLTEST_PARSER, runScript, type Watch } from './promqltest/runner.ts';
import { sharded } from './promqltest/sharded.ts';

// Every query of the scripts, through a front end that splits it: the plain engine's answer, notes included.

const folder = resolve(import.meta.dirname, '../../../shared/conformance/promqltest-3.16');
const INTERVAL_MS = 7 * 60_000;

/** Range queries as they are; instants with what lies around them, for most scripts have only few of the others. */
function rangeOf(request: Parameters<Watch>[2]): RangeRequest | undefined {
  if ('stepMs' in request) return request.endMs - request.startMs < INTERVAL_MS ? undefined : request;
  const { expr, timeMs } = request;
  return { expr, startMs: timeMs - 8 * 60_000, endMs: timeMs + 8 * 60_000, stepMs: 160_000 };
}

if (!existsSync(folder)) {
  test('promqltest scripts through a front end', { skip: `${folder} is missing` });
} else {
  let asked = 0;
  let parts = 0;
  let partials = 0;
  let hits = 0;
  for (const name of readdirSync(folder).filter((each) => each.endsWith('.test'))) {
    test(`promqltest ${name} through a front end`, async () => {
      const make = () => new LoadedStorage();
      const { evals, failures } = await runScript(readFileSync(join(folder, name), 'utf8'), make, watch);
      assert.deepEqual(failures, []);
      assert.ok(evals > 0, 'no evals');
    });
  }
  const watch: Watch = async (engine, storage, query) => {
    const request = rangeOf(query);
    if (request === undefined) return;
    const runner = new EngineRunner({
      engine,
      queryable: () => sharded(storage),
      limits: () => DEFAULT_LIMITS,
      turns: new QueryTurns(systemClock),
      timeoutMs: 120_000,
      clock: systemClock,
    });
    const counted: QueryRunner = {
      instant: runner.instant.bind(runner),
      partial: (tenant, part, context) => {
        partials++;
        return runner.partial(tenant, part, context);
      },
      range: (tenant, part, context) => {
        if (part.whole !== undefined) parts++;
        return runner.range(tenant, part, context);
      },
    };
    const plain = await answersOf(runner, request);
    const cache = new MemoryCache({ bytesMax: 1 << 20, clock: systemClock });
    const frontend = new Frontend({
      querier: counted,
      parsed: new ParsedExprs(PROMQLTEST_PARSER),
      rules: { delayedNameRemoval: true },
      splitIntervalMs: INTERVAL_MS,
      shards: 4,
      cache: new ResultsCache({
        cache,
        generations: async () => ({ token: () => 'one', isSettled: () => true }),
        flags: '',
        intervalMs: INTERVAL_MS,
        clock: systemClock,
      }),
      cacheLimits: { ageMs: 0, retentionMs: 0, ttlMs: 0 },
      lookbackMs: 300_000,
      alignToStep: false,
      parallelMax: 3,
      memory: () => ({ addMemory() {}, close() {} }),
      samplesMax: 50_000_000,
      retriesMax: 2,
      timeoutMs: 120_000,
      clock: systemClock,
    });
    for (const state of ['cold', 'warm']) {
      asked++;
      const answer = await answersOf(frontend, request);
      assert.deepEqual(comparableAnswer(answer), comparableAnswer(plain), `${request.expr}, cache ${state}`);
      await new Promise(setImmediate); // what is kept is kept when the answer is out
    }
    hits += cache.stats.hits;
  };
  after(() => {
    console.log(`${parts} parts and ${partials} partial ones, ${hits} cached, of ${asked} queries`);
    assert.ok(parts > 1000 && partials > 500 && hits > 1000);
  });
}
