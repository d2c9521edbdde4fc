import type { MetricMetadata } from '../model/metric-metadata.ts';
import type { QueryContext } from './queryable.ts';

/** One of the things that senders say of a metric. */
export type MetadataEntry = Omit<MetricMetadata, 'metric'>;

export interface MetadataSource {
  /** By metric, ascending; each metric's entries differ. */
  metadata(
    tenant: string,
    request: { readonly metric: string; readonly limit: number; readonly limitPerMetric: number },
    context: QueryContext,
  ): Promise<ReadonlyMap<string, readonly MetadataEntry[]>>;
}
