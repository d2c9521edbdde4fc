import { getOrMake } from '../lib/map.ts';
import type { MetricMetadata } from '../model/metric-metadata.ts';

/** At most so many metrics of a tenant have metadata; more is left out. */
const METRICS_MAX = 100_000;

/** Type, help and unit of the metrics of each tenant, as senders last gave them. */
export class MetadataBook {
  readonly #byTenant = new Map<string, Map<string, MetricMetadata>>();

  /** Takes entries and returns those that say something new. */
  set(tenant: string, entries: readonly MetricMetadata[]): MetricMetadata[] {
    const known = getOrMake(this.#byTenant, tenant, () => new Map<string, MetricMetadata>());
    const news: MetricMetadata[] = [];
    for (const entry of entries) {
      const old = known.get(entry.metric);
      if (old !== undefined && old.type === entry.type && old.help === entry.help && old.unit === entry.unit) continue;
      if (old === undefined && known.size >= METRICS_MAX) continue;
      known.set(entry.metric, entry);
      news.push(entry);
    }
    return news;
  }

  forget(tenant: string): void {
    this.#byTenant.delete(tenant);
  }

  of(tenant: string): MetricMetadata[] {
    return [...(this.#byTenant.get(tenant)?.values() ?? [])];
  }

  all(): (readonly [tenant: string, entries: readonly MetricMetadata[]])[] {
    return [...this.#byTenant].map(([tenant, entries]) => [tenant, [...entries.values()]] as const);
  }
}
