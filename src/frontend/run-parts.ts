import { type Random, shuffled } from '../lib/random.ts';
import { AppError } from '../model/errors.ts';

/**
 * The answers of `parts`, in their order. Some are under way at a time. Where one fails, those after it end, and the error is that of the
 * first one that failed: the same whichever is quicker or was begun sooner. Where it says nothing about the query itself (a store is away),
 * parts that are not under way yet are left.
 *
 * @param parallelMax at least 1
 * @param signal its reason ends all
 * @param order in which they are begun, each once. Absent: as they are
 */
export async function runParts<Part, Answer>(
  parts: readonly Part[],
  parallelMax: number,
  signal: AbortSignal,
  run: (part: Part, signal: AbortSignal) => Promise<Answer>,
  order: readonly number[] = [...parts.keys()],
): Promise<Answer[]> {
  const answers: Answer[] = [];
  const ends = new Map<number, AbortController>();
  let failed: { readonly at: number; readonly error: unknown } | undefined;
  let waiting = order.toReversed();
  const fail = (at: number, error: unknown): void => {
    if (failed !== undefined && failed.at < at) return;
    failed = { at, error };
    const isOfQuery = error instanceof AppError && error.facts.http < 500 && !signal.aborted;
    // the first in time comes next: where all fail nothing else is begun
    waiting = isOfQuery ? waiting.filter((other) => other < at).sort((a, b) => b - a) : [];
    for (const [other, end] of ends) if (other > at) end.abort(error);
  };
  const work = async (): Promise<void> => {
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      const end = new AbortController();
      ends.set(at, end);
      try {
        signal.throwIfAborted();
        answers[at] = await run(parts[at]!, AbortSignal.any([signal, end.signal]));
      } catch (error) {
        fail(at, error);
      } finally {
        ends.delete(at);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(parallelMax, parts.length) }, work));
  if (failed !== undefined) throw failed.error;
  return answers;
}

/** Numbers below `count` in an order that is drawn. */
export function drawnOrder(count: number, random: Random): number[] {
  return shuffled([...Array(count).keys()], random);
}
