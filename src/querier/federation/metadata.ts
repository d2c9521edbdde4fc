import { forEachAtOnce } from '../../lib/semaphore.ts';
import { compareUtf8 } from '../../model/labels.ts';
import { tenantsOf } from '../../model/tenants.ts';
import type { MetadataEntry, MetadataSource } from '../../storage/metadata.ts';
import { TENANTS_AT_ONCE } from './tenant-label.ts';

/** Metadata of all tenants that a name stands for, equal entries once. */
export function federatedMetadata(source: MetadataSource): MetadataSource {
  return {
    async metadata(name, request, context) {
      const tenants = tenantsOf(name);
      if (tenants.length === 1) return source.metadata(name, request, context);
      const answers: ReadonlyMap<string, readonly MetadataEntry[]>[] = [];
      await forEachAtOnce([...tenants.entries()], TENANTS_AT_ONCE, async ([i, tenant]) => {
        answers[i] = await source.metadata(tenant, request, context);
      });
      const { limit, limitPerMetric } = request;
      const metrics = [...new Set(answers.flatMap((answer) => [...answer.keys()]))].sort(compareUtf8);
      return new Map(
        metrics.slice(0, limit === 0 ? undefined : limit).map((metric) => {
          const entries = distinct(answers.flatMap((answer) => answer.get(metric) ?? []));
          return [metric, limitPerMetric === 0 ? entries : entries.slice(0, limitPerMetric)];
        }),
      );
    },
  };
}

function distinct(entries: readonly MetadataEntry[]): MetadataEntry[] {
  const byText = new Map(entries.map((entry) => [JSON.stringify([entry.type, entry.unit, entry.help]), entry]));
  return [...byText.values()];
}
