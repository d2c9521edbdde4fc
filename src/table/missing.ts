import { AppError } from '../model/errors.ts';
import type { Row } from './client.ts';

/** Swallows that a table is missing, and nothing else. */
export function ignoreMissing(thrown: unknown): void {
  if (!(thrown instanceof AppError && thrown.facts.id === 'store-table-missing')) throw thrown;
}

/** A missing table reads as empty. */
export async function* emptyIfMissing(pages: AsyncIterable<readonly Row[]>): AsyncGenerator<readonly Row[]> {
  try {
    yield* pages;
  } catch (thrown) {
    ignoreMissing(thrown);
  }
}
