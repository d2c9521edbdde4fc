import { BytesError } from '../lib/bytes.ts';
import { AppError } from '../model/errors.ts';

const DAMAGE = new Set(['group-corrupt', 'row-corrupt', 'object-not-found']);

/** Whether an error says that bytes are damaged or gone, rather than that a store cannot be reached. */
export function isDamage(error: unknown): error is Error {
  return error instanceof BytesError || (error instanceof AppError && DAMAGE.has(error.facts.id));
}
