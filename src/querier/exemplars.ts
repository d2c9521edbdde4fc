import type { HeadExemplars, IngesterClient } from '../contract/ingester.ts';
import { getOrMake } from '../lib/map.ts';
import { Labels } from '../model/labels.ts';
import type { ExemplarSource } from '../storage/exemplars.ts';
import { headMatcher } from './head-matcher.ts';

/** Exemplars as ingesters have them. */
export function recentExemplars(ingester: IngesterClient): ExemplarSource {
  return {
    async exemplars(tenant, { matchers, startMs, endMs }, { signal }) {
      const lists = matchers.map((list) => list.map(headMatcher));
      const found = await ingester.exemplars({ tenant, matchers: lists, startMs, endMs }, signal);
      const series = new Map<string, { labels: Labels; parts: HeadExemplars['exemplars'][] }>();
      for (const { pairs, exemplars } of found) {
        const labels = Labels.fromSortedPairs(pairs);
        getOrMake(series, labels.key, () => ({ labels, parts: [] as HeadExemplars['exemplars'][] })).parts.push(
          exemplars,
        );
      }
      return [...series.values()]
        .sort((a, b) => Labels.compare(a.labels, b.labels))
        .map(({ labels, parts }) => ({
          labels,
          exemplars: parts
            .flat()
            .sort((a, b) => a.timeMs - b.timeMs)
            .map(({ timeMs, value, pairs }) => ({ timeMs, value, labels: Labels.fromSortedPairs(pairs) })),
        }));
    },
  };
}
