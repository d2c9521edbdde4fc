import { isClustered } from './cluster/clustered.ts';
import type { Config } from './config.ts';

/** Age from which answers are cached, but for tenants' own limits; undefined: they are not. */
export function cacheAgeMs(config: Config): number | undefined {
  const { queryRange, ingester } = config;
  // nobody moves the days of samples that come late to ingesters elsewhere
  if (isClustered(config)) return undefined;
  if (!queryRange.cacheResults || queryRange.splitQueriesByIntervalMs === 0) return undefined;
  return ingester.windowMs + ingester.flushDelayMs + ingester.flushSpreadMs;
}

/** Age from which samples are late: half of the other, so that clocks and queries under way may differ by as much. Undefined: none is. */
export function lateAfterMs(config: Config): number | undefined {
  const ageMs = cacheAgeMs(config);
  return ageMs === undefined ? undefined : ageMs / 2;
}
