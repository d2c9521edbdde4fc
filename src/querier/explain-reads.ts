import type { QueryExplanation, QueryStatistics } from '../contract/query.ts';
import type { AskedMembers } from '../storage/asked-members.ts';

/**
 * A plan below what it read: members that were asked for recent samples, rows and objects of the store. It is told in the text of one more
 * part, so that a front end of any version shows it.
 */
export function explainReads(
  plan: QueryExplanation,
  statistics: QueryStatistics,
  members: AskedMembers | undefined,
): QueryExplanation {
  const texts = [members?.text, storeText(statistics)].filter((text) => text !== undefined);
  if (texts.length === 0) return plan;
  const what = `read: ${[...texts, `bytes ${statistics.fetchedBytes}`].join('; ')}`;
  return { ...plan, what, points: 0, children: [plan] };
}

function storeText({ readSlots, readGroups, fetchedRows, fetchedObjects, cachedBlocks }: QueryStatistics) {
  if (readSlots + fetchedRows + fetchedObjects + cachedBlocks === 0) return undefined;
  const found = `slots ${readSlots}, groups ${readGroups}`;
  return `store: ${found}, rows ${fetchedRows}, objects ${fetchedObjects}, cached blocks ${cachedBlocks}`;
}
