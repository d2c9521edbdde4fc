import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_LIMITS, type TenantLimits } from '../limits/limits.ts';
import { joinedLimits } from '../limits/query-limits.ts';
import { cacheLimitsOf } from './results-cache.ts';

test('answers of steps that see samples at the end of max_query_lookback are not cached, as at that of retention', () => {
  const retentionOf = (limits: Partial<TenantLimits>) =>
    cacheLimitsOf(
      joinedLimits('t', () => ({ ...DEFAULT_LIMITS, ...limits })),
      0,
    ).retentionMs;
  assert.equal(retentionOf({}), 0);
  assert.equal(retentionOf({ maxQueryLookbackMs: 5 }), 5);
  assert.equal(retentionOf({ maxQueryLookbackMs: 5, retentionPeriodMs: 3 }), 3);
  assert.equal(retentionOf({ maxQueryLookbackMs: 5, retentionPeriodMs: 9 }), 5);
});
