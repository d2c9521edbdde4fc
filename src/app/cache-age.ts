import { isClustered } from './cluster/clustered.ts';
import type { Config } from './config.ts';

/**
 * Ages of a cluster, whose processes may have other settings than each other for a while: no ingester tells of late samples later than this,
 * and nobody caches answers that are younger than twice of it.
 */
const CLUSTER_LATE_MS_MAX = 3_600_000;

/** Age from which answers are cached, but for tenants' own limits; undefined: they are not. */
export function cacheAgeMs(config: Config): number | undefined {
  const { cacheResults, splitQueriesByIntervalMs } = config.queryRange;
  if (!cacheResults || splitQueriesByIntervalMs === 0) return undefined;
  return isClustered(config) ? Math.max(flushedAfterMs(config), 2 * CLUSTER_LATE_MS_MAX) : flushedAfterMs(config);
}

/**
 * Age from which samples are late: half of the other, so that clocks and queries under way may differ by as much. Undefined: none is. In a
 * cluster others may cache, whatever this process does.
 */
export function lateAfterMs(config: Config): number | undefined {
  if (isClustered(config)) return Math.min(flushedAfterMs(config) / 2, CLUSTER_LATE_MS_MAX);
  const ageMs = cacheAgeMs(config);
  return ageMs === undefined ? undefined : ageMs / 2;
}

function flushedAfterMs({ ingester }: Config): number {
  return ingester.windowMs + ingester.flushDelayMs + ingester.flushSpreadMs;
}
