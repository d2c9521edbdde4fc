import { getOrMake } from '../lib/map.ts';
import { tenantsOf } from '../model/tenants.ts';
import type { TenantLimits } from './limits.ts';

/** Limits of which the smallest holds, and 0 is none. */
const SMALLEST = [
  'maxFetchedSeriesPerQuery',
  'maxFetchedChunksPerQuery',
  'maxFetchedChunkBytesPerQuery',
  'maxFetchedDataBytesPerQuery',
  'maxQueryMemoryBytes',
  'maxQueryLookbackMs',
  'maxQueryLengthMs',
  'maxQueryResponseSize',
  'maxOutstandingRequestsPerTenant',
  'maxQueryParallelism',
  'retentionPeriodMs',
] as const satisfies readonly (keyof TenantLimits)[];

/** Those of which the largest holds. */
const LARGEST = [
  'creationGracePeriodMs',
  'maxCacheFreshnessMs',
  'outOfOrderTimeWindowMs',
  'resultsCacheTtlMs',
] as const satisfies readonly (keyof TenantLimits)[];

/** Those that all tenants have to allow. */
const EACH = ['queryPartialData', 'rulesPartialData'] as const satisfies readonly (keyof TenantLimits)[];

/** All that a query asks of limits. */
export type QueryLimits = Pick<
  TenantLimits,
  (typeof SMALLEST)[number] | (typeof LARGEST)[number] | (typeof EACH)[number] | 'queryIngestersWithinMs'
>;

/** Limits of a query whose tenant's name may stand for several. */
export interface JoinedLimits extends QueryLimits {
  /** The retention of each tenant, in the order of the name: it says what a tenant's own data are. */
  readonly retentionsMs: readonly number[];
}

/** Those of one tenant, whose limits are the same object until they are read again. */
const ofOne = new WeakMap<TenantLimits, JoinedLimits>();

/** The strictest limits of the tenants that `name` stands for. */
export function joinedLimits(name: string, limitsOf: (tenant: string) => TenantLimits): JoinedLimits {
  const all = tenantsOf(name).map(limitsOf);
  return all.length === 1 ? getOrMake(ofOne, all[0]!, () => joined(all)) : joined(all);
}

function joined(all: readonly TenantLimits[]): JoinedLimits {
  const smallest = Object.fromEntries(SMALLEST.map((key) => [key, smallestLimit(all.map((limits) => limits[key]))]));
  const largest = Object.fromEntries(LARGEST.map((key) => [key, Math.max(...all.map((limits) => limits[key]))]));
  const each = Object.fromEntries(EACH.map((key) => [key, all.every((limits) => limits[key])]));
  const within = all.map(({ queryIngestersWithinMs }) => queryIngestersWithinMs);
  return {
    ...(smallest as Pick<QueryLimits, (typeof SMALLEST)[number]>),
    // these two hide nothing that is a tenant's
    queryIngestersWithinMs: within.includes(0) ? 0 : Math.max(...within),
    ...(largest as Pick<QueryLimits, (typeof LARGEST)[number]>),
    ...(each as Pick<QueryLimits, (typeof EACH)[number]>),
    retentionsMs: all.map(({ retentionPeriodMs }) => retentionPeriodMs),
  };
}

/** The smallest of some limits, of which 0 is none. */
export function smallestLimit(limits: readonly number[]): number {
  const set = limits.filter((limit) => limit > 0);
  return set.length === 0 ? 0 : Math.min(...set);
}
