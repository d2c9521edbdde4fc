import { getOrMake } from '../../lib/map.ts';
import { forEachAtOnce } from '../../lib/semaphore.ts';
import { Labels } from '../../model/labels.ts';
import { tenantsOf } from '../../model/tenants.ts';
import type { ExemplarSeries, ExemplarSource } from '../../storage/exemplars.ts';
import { askedOf, TENANTS_AT_ONCE, withTenant } from './tenant-label.ts';

/** Exemplars of all tenants that a name stands for, each series with its tenant. */
export function federatedExemplars(source: ExemplarSource): ExemplarSource {
  return {
    async exemplars(name, request, context) {
      const tenants = tenantsOf(name);
      if (tenants.length === 1) return source.exemplars(name, request, context);
      const found = new Map<string, { labels: Labels; parts: ExemplarSeries['exemplars'][] }>();
      if (request.matchers.length === 0) return [];
      await forEachAtOnce(askedOf(request.matchers, tenants), TENANTS_AT_ONCE, async ({ tenant, lists }) => {
        // no list is no series here
        const matchers = lists.length === 0 ? [[]] : lists;
        for (const series of await source.exemplars(tenant, { ...request, matchers }, context)) {
          const labels = withTenant(series.labels, tenant);
          getOrMake(found, labels.key, () => ({ labels, parts: [] as ExemplarSeries['exemplars'][] })).parts.push(
            series.exemplars,
          );
        }
      });
      return [...found.values()]
        .sort((a, b) => Labels.compare(a.labels, b.labels))
        .map(({ labels, parts }) => ({ labels, exemplars: parts.flat().sort((a, b) => a.timeMs - b.timeMs) }));
    },
  };
}
