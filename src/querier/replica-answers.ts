import type { HeadExemplars, HeadTenantStats } from '../contract/ingester.ts';
import { getOrMake } from '../lib/map.ts';
import type { MetricMetadata } from '../model/metric-metadata.ts';

// Answers of replicas as one, where they are not streams of series.

/** Each entry once. */
export function metadataTogether(answers: readonly (readonly MetricMetadata[])[]): readonly MetricMetadata[] {
  const entries = new Map<string, MetricMetadata>();
  for (const entry of answers.flat()) {
    entries.set(JSON.stringify([entry.metric, entry.type, entry.help, entry.unit]), entry);
  }
  return [...entries.values()];
}

/** Each exemplar of a series once, ascending by time. */
export function exemplarsTogether(answers: readonly (readonly HeadExemplars[])[]): readonly HeadExemplars[] {
  type Exemplar = HeadExemplars['exemplars'][number];
  const series = new Map<string, { readonly pairs: readonly string[]; readonly found: Map<string, Exemplar> }>();
  for (const { pairs, exemplars } of answers.flat()) {
    const { found } = getOrMake(series, JSON.stringify(pairs), () => ({ pairs, found: new Map<string, Exemplar>() }));
    for (const each of exemplars) found.set(`${each.timeMs} ${each.value} ${JSON.stringify(each.pairs)}`, each);
  }
  return [...series.values()].map(({ pairs, found }) => ({
    pairs,
    exemplars: [...found.values()].sort((a, b) => a.timeMs - b.timeMs),
  }));
}

/**
 * Counts of all replicas, divided by how many of them counted each series: exact where these hold the same. Values of a label count once
 * only where one member has them all.
 * @param copies members that answered for a series, on average
 */
export function statsTogether(
  answers: readonly HeadTenantStats[],
  copies: number,
  limit: number,
): HeadTenantStats | undefined {
  if (answers.length === 0) return undefined;
  const sum = (count: (part: HeadTenantStats) => number) =>
    Math.round(answers.reduce((total, part) => total + count(part), 0) / copies);
  const lists = (list: (part: HeadTenantStats) => HeadTenantStats['seriesByPair']) => {
    const counts = new Map<string, number>();
    for (const [name, count] of answers.flatMap(list)) counts.set(name, (counts.get(name) ?? 0) + count);
    return [...counts]
      .map(([name, count]) => [name, Math.max(1, Math.round(count / copies))] as const)
      .sort((a, b) => b[1] - a[1])
      .slice(0, limit);
  };
  const held = answers.filter(({ chunks }) => chunks > 0);
  return {
    series: sum(({ series }) => series),
    labelPairs: sum(({ labelPairs }) => labelPairs),
    chunks: sum(({ chunks }) => chunks),
    minTimeMs: held.length === 0 ? 0 : Math.min(...held.map(({ minTimeMs }) => minTimeMs)),
    maxTimeMs: held.length === 0 ? 0 : Math.max(...held.map(({ maxTimeMs }) => maxTimeMs)),
    seriesByMetric: lists(({ seriesByMetric }) => seriesByMetric),
    valuesByLabel: lists(({ valuesByLabel }) => valuesByLabel),
    bytesByLabel: lists(({ bytesByLabel }) => bytesByLabel),
    seriesByPair: lists(({ seriesByPair }) => seriesByPair),
  };
}
