import type { QueryResult } from '../contract/query.ts';
import { isAway } from '../model/away.ts';
import { NO_STATISTICS } from '../promql/no-statistics.ts';
import { type MissingPart, missingText } from '../storage/missing.ts';
import type { StepRange } from './split.ts';

const NONE = { notes: [], omitted: 0 };

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
