import type { QueryStatistics } from '../contract/query.ts';

/** Statistics of what was not evaluated. */
export const NO_STATISTICS: QueryStatistics = {
  evaluatedMs: 0,
  totalQueryableSamples: 0,
  samplesRead: 0,
  peakSamples: 0,
  totalQueryableSamplesPerStep: undefined,
  fetchedBytes: 0,
  fetchedChunks: 0,
  fetchedChunkBytes: 0,
  fetchedRows: 0,
  fetchedObjects: 0,
  cachedBlocks: 0,
  readSlots: 0,
  readGroups: 0,
};
