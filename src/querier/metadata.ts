import type { IngesterClient } from '../contract/ingester.ts';
import { getOrMake } from '../lib/map.ts';
import { compareUtf8 } from '../model/labels.ts';
import type { MetadataEntry, MetadataSource } from '../storage/metadata.ts';

/** Metadata as ingesters have it. */
export function recentMetadata(ingester: IngesterClient): MetadataSource {
  return {
    async metadata(tenant, { metric, limit, limitPerMetric }, { signal }) {
      const byMetric = new Map<string, MetadataEntry[]>();
      const entries = [...(await ingester.metadata(tenant, signal))];
      entries.sort((a, b) => compareUtf8(a.metric, b.metric));
      for (const { metric: name, type, help, unit } of entries) {
        if (metric !== '' && name !== metric) continue;
        if (limit > 0 && byMetric.size >= limit && !byMetric.has(name)) break;
        const known = getOrMake(byMetric, name, () => [] as MetadataEntry[]);
        if (limitPerMetric > 0 && known.length >= limitPerMetric) continue;
        if (known.some((k) => k.type === type && k.help === help && k.unit === unit)) continue;
        known.push({ type, help, unit });
      }
      return byMetric;
    },
  };
}
