import { AppError } from '../model/errors.ts';

/** Failures of who evaluates, or of what it reads: another time, or another one, may do better. */
const RETRIED: ReadonlySet<string> = new Set(['worker-gone', 'store-unavailable', 'store-throttled']);

/**
 * Runs something again when it fails for no fault of its own. What is wrong with a query is wrong every time, and who is overloaded is not
 * helped by being asked more.
 *
 * @param signal nothing is tried again when it is aborted
 */
export async function withRetries<T>(retriesMax: number, signal: AbortSignal, run: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await run();
    } catch (thrown) {
      if (signal.aborted || tries >= retriesMax || !isRetried(thrown)) throw thrown;
    }
  }
}

function isRetried(thrown: unknown): boolean {
  return thrown instanceof AppError && RETRIED.has(thrown.facts.id);
}
