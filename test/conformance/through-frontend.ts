import assert from 'node:assert/strict';
import type { Cache } from '../../src/cache/client.ts';
import { MemoryCache } from '../../src/cache/memory.ts';
import type { InstantRequest, QueryRunner, RangeRequest } from '../../src/contract/query.ts';
import { Frontend } from '../../src/frontend/frontend.ts';
import { ResultsCache } from '../../src/frontend/results-cache.ts';
import { answersOf, comparableAnswer } from '../../src/frontend/test-answers.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { type Random, seededRandom } from '../../src/lib/random.ts';
import { DEFAULT_LIMITS } from '../../src/limits/limits.ts';
import type { Engine } from '../../src/promql/engine.ts';
import type { ParserOptions } from '../../src/promql/parser/cursor.ts';
import { ParsedExprs } from '../../src/promql/parser/parsed.ts';
import { EngineRunner } from '../../src/querier/engine-runner.ts';
import { QueryTurns } from '../../src/querier/turns.ts';
import type { Queryable } from '../../src/storage/queryable.ts';
import { sharded } from './promqltest/sharded.ts';

export const SPLIT_MS = 7 * 60_000;

export interface ThroughFrontendOptions {
  readonly parser: ParserOptions;
  readonly delayedNameRemoval: boolean;
}

/** Asks the same of an engine and through a front end that splits, asks in three shards, and caches. */
export class ThroughFrontend {
  readonly #options: ThroughFrontendOptions;
  readonly counts = { asked: 0, parts: 0, partials: 0, hits: 0 };

  constructor(options: ThroughFrontendOptions) {
    this.#options = options;
  }

  /** Fails unless both answer the same, to the last bit and note: with the cache cold, warm, and with some of it gone. */
  async check(engine: Engine, storage: Queryable, request: InstantRequest | RangeRequest): Promise<void> {
    const { counts } = this;
    const { parser, delayedNameRemoval } = this.#options;
    const runner: QueryRunner = new EngineRunner({
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
        counts.partials++;
        return runner.partial(tenant, part, context);
      },
      range: (tenant, part, context) => {
        if (part.whole !== undefined) counts.parts++;
        return runner.range(tenant, part, context);
      },
    };
    const plain = comparableAnswer(await answersOf(runner, request));
    const cache = new MemoryCache({ bytesMax: 1 << 20, clock: systemClock });
    const random = seededRandom(1);
    for (const state of ['cold', 'warm', 'partly warm']) {
      counts.asked++;
      const frontend = new Frontend({
        querier: counted,
        parsed: new ParsedExprs(parser),
        rules: { delayedNameRemoval },
        splitIntervalMs: SPLIT_MS,
        shards: 3,
        cache: new ResultsCache({
          cache: state === 'partly warm' ? forgetful(cache, random, 0.5) : cache,
          generations: async () => ({ token: () => 'one', isSettled: () => true }),
          flags: '',
          intervalMs: SPLIT_MS,
          clock: systemClock,
        }),
        cacheLimits: { ageMs: 0, retentionMs: 0, ttlMs: 0 },
        lookbackMs: 300_000,
        alignToStep: false,
        parallelMax: 3,
        memory: () => ({ addMemory() {}, close() {} }),
        over: (queryable) => overOf(engine, queryable),
        samplesMax: 50_000_000,
        retriesMax: 2,
        random,
        orderOfParts: random,
        timeoutMs: 120_000,
        clock: systemClock,
      });
      const answer = comparableAnswer(await answersOf(frontend, request));
      assert.deepEqual(answer, plain, `${request.expr}, cache ${state}`);
      // what is kept is kept when the answer is out
      await new Promise(setImmediate);
    }
    counts.hits += cache.stats.hits;
  }
}

function overOf(engine: Engine, queryable: Queryable): QueryRunner {
  return new EngineRunner({
    engine,
    queryable: () => queryable,
    limits: () => DEFAULT_LIMITS,
    turns: new QueryTurns(systemClock),
    timeoutMs: 120_000,
    clock: systemClock,
  });
}

/** A cache that forgets what it likes. */
export function forgetful(cache: MemoryCache, random: Random, share: number): Cache {
  return {
    get: async (keys) => (await cache.get(keys)).map((value) => (random() < share ? undefined : value)),
    set: (entries) => cache.set(entries),
    close: () => cache.close(),
  };
}
