import type { QueryBudget, QueryContext } from './queryable.ts';

const NO_BUDGET: QueryBudget = {
  addSeries() {},
  addChunks() {},
  addFetchedBytes() {},
  addMemory() {},
  addFetches() {},
  addCacheHits() {},
  addGroups() {},
};

/** The context of a query that may use whatever it needs: of a tool, or a test. */
export function unlimited(signal = new AbortController().signal): QueryContext {
  return { signal, budget: NO_BUDGET };
}
