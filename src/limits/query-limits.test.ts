import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_LIMITS, type TenantLimits } from './limits.ts';
import { joinedLimits } from './query-limits.ts';

const LIMITS: Readonly<Record<string, Partial<TenantLimits>>> = {
  a: { maxFetchedSeriesPerQuery: 100, maxQueryLookbackMs: 0, queryIngestersWithinMs: 5, retentionPeriodMs: 7 },
  b: { maxFetchedSeriesPerQuery: 0, maxQueryLookbackMs: 60_000, queryIngestersWithinMs: 9, retentionPeriodMs: 0 },
  c: { maxFetchedSeriesPerQuery: 200, maxQueryMemoryBytes: 1, queryIngestersWithinMs: 0, creationGracePeriodMs: 1e9 },
};
const of = (name: string) => joinedLimits(name, (tenant) => ({ ...DEFAULT_LIMITS, ...LIMITS[tenant] }));

test('the smallest limit of several tenants holds, and 0 is none', () => {
  const { maxFetchedSeriesPerQuery, maxQueryLookbackMs, maxQueryMemoryBytes, maxQueryLengthMs } = of('a|b|c');
  assert.deepEqual(
    [maxFetchedSeriesPerQuery, maxQueryLookbackMs, maxQueryMemoryBytes, maxQueryLengthMs],
    [100, 60_000, 1, 0],
  );
});

test('what says where a tenant has data is no stricter with others beside it', () => {
  assert.equal(of('a|b').queryIngestersWithinMs, 9);
  assert.equal(of('a|b|c').queryIngestersWithinMs, 0);
  assert.equal(of('a|c').creationGracePeriodMs, 1e9);
  assert.deepEqual(of('a|b').retentionsMs, [7, 0]);
});

test('the limits of one tenant are its own', () => {
  const { retentionsMs, ...limits } = of('b');
  const own: TenantLimits = { ...DEFAULT_LIMITS, ...LIMITS.b };
  for (const [key, value] of Object.entries(limits)) assert.equal(value, own[key as keyof TenantLimits], key);
  assert.deepEqual(retentionsMs, [0]);
});
