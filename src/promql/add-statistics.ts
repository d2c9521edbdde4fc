import type { QueryStatistics } from '../contract/query.ts';

type Added =
  | 'totalQueryableSamples'
  | 'samplesRead'
  | 'fetchedBytes'
  | 'fetchedChunks'
  | 'fetchedChunkBytes'
  | 'fetchedRows'
  | 'fetchedObjects'
  | 'cachedBlocks'
  | 'readSlots'
  | 'readGroups';

/** Sums of the samples and bytes that parts of a query looked at and fetched, whichever way they are parts of it. */
export function addedCounts(parts: readonly QueryStatistics[]): Pick<QueryStatistics, Added> {
  const sum = (of: Added) => parts.reduce((total, part) => total + part[of], 0);
  return {
    totalQueryableSamples: sum('totalQueryableSamples'),
    samplesRead: sum('samplesRead'),
    fetchedBytes: sum('fetchedBytes'),
    fetchedChunks: sum('fetchedChunks'),
    fetchedChunkBytes: sum('fetchedChunkBytes'),
    fetchedRows: sum('fetchedRows'),
    fetchedObjects: sum('fetchedObjects'),
    cachedBlocks: sum('cachedBlocks'),
    readSlots: sum('readSlots'),
    readGroups: sum('readGroups'),
  };
}
