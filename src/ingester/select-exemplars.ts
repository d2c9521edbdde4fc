import type { HeadExemplarRequest, HeadExemplars } from '../contract/ingester.ts';
import { decodeLabels } from '../model/canonical.ts';
import { LabelMatcher } from '../model/matcher.ts';
import type { Head } from './head.ts';

/** Exemplars in the range of the tenant's series that any of the lists matches. */
export function findExemplars(
  head: Head,
  { tenant: id, matchers, startMs, endMs }: HeadExemplarRequest,
): HeadExemplars[] {
  const tenant = head.tenant(id);
  if (tenant === undefined) return [];
  const lists = matchers.map((list) => list.map(({ name, op, value }) => LabelMatcher.of(name, op, value)));
  const found: HeadExemplars[] = [];
  for (const { labels: bytes, exemplars } of head.exemplars.of(tenant.index)) {
    const inRange = exemplars.filter(({ timeMs }) => timeMs >= startMs && timeMs <= endMs);
    if (inRange.length === 0) continue;
    const labels = decodeLabels(bytes, 0, bytes.length);
    if (!lists.some((list) => list.every((matcher) => matcher.matches(labels.get(matcher.name))))) continue;
    found.push({
      pairs: labels.pairs,
      exemplars: inRange.map(({ timeMs, value, labels: own }) => ({
        timeMs,
        value,
        pairs: decodeLabels(own, 0, own.length).pairs,
      })),
    });
  }
  return found;
}
