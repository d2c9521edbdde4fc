import { ANY_TIME_MS } from '../lib/day.ts';
import { queryErrors } from '../model/errors-query.ts';
import type { QueryLimits } from './query-limits.ts';

// How far back queries see (`max_query_lookback`), and how long they may be (`max_query_length`), as Cortex has them: what is too old is left
// out, what is too long is refused. Reads of labels have no length.

export type PastLimits = Pick<QueryLimits, 'maxQueryLookbackMs' | 'maxQueryLengthMs'>;

/** The oldest time that may be read, Unix ms; -∞: any. */
export function oldestOf({ maxQueryLookbackMs }: Pick<PastLimits, 'maxQueryLookbackMs'>, nowMs: number): number {
  return maxQueryLookbackMs > 0 ? nowMs - maxQueryLookbackMs : Number.NEGATIVE_INFINITY;
}

const MINUTE_MS = 60_000;

/**
 * The oldest time that a request and all of its parts may read, Unix ms; ANY_TIME_MS: any. It is by the minute: those that ask again a
 * little later see the same.
 */
export function oldestOfRequest(limits: Pick<PastLimits, 'maxQueryLookbackMs'>, nowMs: number): number {
  return Math.max(ANY_TIME_MS, Math.floor(oldestOf(limits, nowMs) / MINUTE_MS) * MINUTE_MS);
}

/** @throws queryTooLong */
export function checkLength({ maxQueryLengthMs }: Pick<PastLimits, 'maxQueryLengthMs'>, lengthMs: number): void {
  if (maxQueryLengthMs > 0 && lengthMs > maxQueryLengthMs)
    throw queryErrors.queryTooLong({ lengthMs, limitMs: maxQueryLengthMs });
}
