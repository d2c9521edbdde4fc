import type { TenantSize } from '../model/slot-sizes.ts';
import { allTenants, type ShardCalls } from './shard/shard-messages.ts';

/**
 * Sizes of the tenants that have at least so many series in these shards, each series on one of them.
 * @param metricsMax metrics of a tenant that are told, the largest; those with less than half of `seriesMin` in a shard are none
 */
export async function tenantSizes(
  shards: readonly ShardCalls[],
  { seriesMin, metricsMax }: { readonly seriesMin: number; readonly metricsMax: number },
): Promise<Map<string, TenantSize>> {
  const counts = new Map<string, number>();
  for (const shard of shards) {
    for await (const { tenant, series } of allTenants(shard)) counts.set(tenant, (counts.get(tenant) ?? 0) + series);
  }
  const sizes = new Map<string, TenantSize>();
  for (const [tenant, series] of counts) {
    if (series < seriesMin) continue;
    const metrics = new Map<string, number>();
    for (const shard of shards) {
      const size = await shard.call('sizeOf', { tenant, metricSeriesMin: Math.floor(seriesMin / 2) });
      for (const [metric, count] of size?.metrics ?? []) metrics.set(metric, (metrics.get(metric) ?? 0) + count);
    }
    const largest = [...metrics].sort((a, b) => b[1] - a[1]).slice(0, metricsMax);
    sizes.set(tenant, { series, metrics: new Map(largest) });
  }
  return sizes;
}
