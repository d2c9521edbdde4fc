import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Schema, TABLE_MS_DEFAULT } from '../chunkstore/schema.ts';
import type { IngesterClient } from '../contract/ingester.ts';
import { defaultsOf } from '../kit/config/section.ts';
import { systemClock } from '../lib/clock.ts';
import { seededRandom } from '../lib/random.ts';
import { DEFAULT_LIMITS, type TenantLimits } from '../limits/limits.ts';
import { joinedLimits } from '../limits/query-limits.ts';
import { storeErrors } from '../model/errors-store.ts';
import { MemoryObjectClient } from '../object/memory.ts';
import { MemoryTableStore } from '../table/memory.ts';
import { purgerConfig, querierConfig } from './config.ts';
import { Querier, querierEngine } from './querier.ts';

const fail = async (): Promise<never> => {
  throw storeErrors.storeUnavailable({ backend: 'ingesters', operation: 'select', reason: 'away', tries: 1 });
};
const AWAY: IngesterClient = {
  // biome-ignore lint/correctness/useYield: it fails before its first
  async *select() {
    await fail();
  },
  labels: fail,
  metadata: fail,
  headStats: fail,
  exemplars: fail,
};

function querier(): Querier {
  const config = defaultsOf(querierConfig);
  const objects = new MemoryObjectClient(systemClock);
  const period = { fromMs: Number.NEGATIVE_INFINITY, tables: new MemoryTableStore(), objects };
  return new Querier({
    config,
    purger: defaultsOf(purgerConfig),
    engine: querierEngine(config),
    ingester: AWAY,
    schema: new Schema([{ ...period, tablePrefix: 't_', tableMs: TABLE_MS_DEFAULT }]),
    blockCache: undefined,
    rowCacheBytesMax: 0,
    windowMs: 1_800_000,
    keepFlushedMs: 900_000,
    clock: systemClock,
    random: seededRandom(1),
  });
}

test('rules fail where ingesters are away, unless the tenant lets rules, and not only queries, do without', async () => {
  const own = querier();
  const outcomeOf = async (limits: Partial<TenantLimits>) => {
    const joined = joinedLimits('t', () => ({ ...DEFAULT_LIMITS, ...limits }));
    // an alert that would be sent for what nobody could see
    const requests = [{ expr: 'absent(up)', timeMs: Date.now() }];
    const [outcome] = await own.instants('t', requests, joined, { signal: AbortSignal.timeout(30_000) });
    return outcome!;
  };
  for (const limits of [{}, { queryPartialData: true }]) {
    const outcome = await outcomeOf(limits);
    assert.ok('failure' in outcome, JSON.stringify(outcome));
    assert.equal(outcome.failure.http, 503);
    assert.match(outcome.failure.text, /away/);
  }
  assert.ok('result' in (await outcomeOf({ rulesPartialData: true })));
});
