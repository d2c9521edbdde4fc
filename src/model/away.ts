import { AppError } from './errors.ts';

/** Errors that say that somebody is away who would have had an answer, or part of one. */
const AWAY: ReadonlySet<string> = new Set([
  'worker-gone',
  'querier-gone',
  'scheduler-away',
  'store-unavailable',
  'store-throttled',
  'no-read-quorum',
  'ring-unknown',
  'ring-behind',
  'replaying',
  'peer-away',
  'peer-gone',
  'peer-slow',
]);

/** Whether an answer without it is one that is incomplete: nothing is wrong with what was asked for. */
export function isAway(thrown: unknown): thrown is AppError {
  return thrown instanceof AppError && AWAY.has(thrown.facts.id);
}
