import { periodsOf } from '../../chunkstore/config.ts';
import type { ClusterSettings } from '../../ring/settings.ts';
import type { Config } from '../config.ts';

/** This process' settings of those that a cluster has in common. */
export function ownSettings(config: Config): ClusterSettings {
  const { ingester, distributor, ring, schema } = config;
  return {
    windowMs: ingester.windowMs,
    replicas: distributor.replicationFactor,
    arcs: ring.arcs,
    keepFlushedMs: ingester.keepFlushedMs,
    splitMetricSeries: ingester.splitMetricSeries,
    periods: periodsOf(schema).map(({ fromMs, store, objectStore, prefix, periodMs }) => ({
      fromMs: Number.isFinite(fromMs) ? fromMs : null,
      place: `${store}, ${objectStore}, prefix ${prefix}, tables of ${periodMs / 86_400_000}d`,
    })),
  };
}
