import type { HeadExemplarRequest, HeadExemplars } from '../../contract/ingester.ts';
import { decodeLabels } from '../../model/canonical.ts';
import type { Labels } from '../../model/labels.ts';
import { type MatchTurn, matchesInTurns } from '../../model/match-turn.ts';
import type { LabelMatcher } from '../../model/matcher.ts';
import type { Head } from './head.ts';
import { compiledMatcher } from './head-matching.ts';

/** Steps that looking at an exemplar counts. */
const EXEMPLAR_STEPS = 50;

/** Exemplars in the range of the tenant's series that any of the lists matches. */
export async function findExemplars(
  head: Head,
  { tenant: id, matchers, startMs, endMs }: HeadExemplarRequest,
  turn: MatchTurn,
): Promise<HeadExemplars[]> {
  const tenant = head.tenant(id);
  if (tenant === undefined) return [];
  const lists = matchers.map((list) => list.map(compiledMatcher));
  const found: HeadExemplars[] = [];
  for (const { labels: bytes, exemplars } of head.exemplars.of(tenant.index)) {
    turn.steps -= EXEMPLAR_STEPS * exemplars.length;
    if (turn.isDue()) await turn.pause();
    const inRange = exemplars.filter(({ timeMs }) => timeMs >= startMs && timeMs <= endMs);
    if (inRange.length === 0) continue;
    const labels = decodeLabels(bytes, 0, bytes.length);
    if (!(await matchesAny(lists, labels, turn))) continue;
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

async function matchesAny(
  lists: readonly (readonly LabelMatcher[])[],
  labels: Labels,
  turn: MatchTurn,
): Promise<boolean> {
  for (const list of lists) {
    let all = true;
    for (const matcher of list) all &&= await matchesInTurns(matcher, labels.get(matcher.name), turn);
    if (all) return true;
  }
  return false;
}
