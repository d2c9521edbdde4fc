import type { ReadContext } from './index-reader.ts';

/** Context of work in the background, which has no budget but that it holds one slot at a time. */
export function backgroundContext(signal: AbortSignal): ReadContext {
  const nothing = () => {};
  return {
    signal,
    budget: {
      addSeries: nothing,
      addChunks: nothing,
      addFetchedBytes: nothing,
      addMemory: nothing,
      addFetches: nothing,
      addCacheHits: nothing,
      addGroups: nothing,
    },
  };
}
