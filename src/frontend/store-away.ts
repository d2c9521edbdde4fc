import { AppError } from '../model/errors.ts';

/**
 * A store that is away tells nothing beforehand: whoever evaluates asks it again, or does without.
 *
 * @param thrown what looking at it beforehand ended with
 * @throws all else, and when the query is over
 */
export function throwUnlessAway(thrown: unknown, signal: AbortSignal): void {
  if (signal.aborted || !(thrown instanceof AppError) || thrown.facts.http < 500) throw thrown;
}
