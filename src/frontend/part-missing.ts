import type { QueryResult, QueryStatistics } from '../contract/query.ts';
import { isAway } from '../model/away.ts';
import { type MissingPart, missingText } from '../storage/missing.ts';
import type { StepRange } from './split.ts';

const NONE = { notes: [], omitted: 0 };

/** Statistics of a part that was not evaluated. */
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

/**
 * The answer of steps that could not be had, of a query that may be incomplete: nothing, and the word that they are missing. It is never
 * cached, as nothing is that the storage warns of.
 *
 * @param signal aborted: the query is over
 */
export function partMissing({ startMs, endMs }: StepRange, signal: AbortSignal): (thrown: unknown) => QueryResult {
  return (thrown) => {
    if (signal.aborted || !isAway(thrown)) throw thrown;
    const part: MissingPart = { what: 'part of the query', startMs, endMs, reason: thrown.message };
    const warnings = [missingText(part)];
    return {
      value: { type: 'matrix', series: [] },
      warnings,
      infos: [],
      statistics: NO_STATISTICS,
      explanation: undefined,
      notes: { storage: warnings, warnings: NONE, infos: NONE },
      missing: [part],
    };
  };
}
