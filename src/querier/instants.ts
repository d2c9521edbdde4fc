import type {
  InstantOutcome,
  InstantRequest,
  PackedValue,
  QueryRunContext,
  QueryRunner,
  QueryValue,
} from '../contract/query.ts';
import { forEachAtOnce } from '../lib/semaphore.ts';
import { AppError } from '../model/errors.ts';
import { memoryError } from '../model/memory-error.ts';
import type { KeptTexts } from './kept-texts.ts';

/** Requests of a batch that are evaluated side by side: what they ask of shards goes together. */
const AT_ONCE = 16;

/**
 * Evaluates requests some at a time: one that fails does not keep the others from being answered.
 * @param texts of the answers before
 */
export async function instantsBy(
  queries: Pick<QueryRunner, 'instant'>,
  tenant: string,
  requests: readonly InstantRequest[],
  context: QueryRunContext,
  texts: KeptTexts,
): Promise<readonly InstantOutcome[]> {
  const outcomes = new Array<InstantOutcome>(requests.length);
  await forEachAtOnce([...requests.entries()], AT_ONCE, async ([i, request]) => {
    context.signal.throwIfAborted();
    try {
      const { value } = await queries.instant(tenant, request, context);
      outcomes[i] = { result: packed(value, request.expr, texts) };
    } catch (thrown) {
      context.signal.throwIfAborted();
      const { facts, message } = AppError.from(memoryError(thrown) ?? thrown);
      outcomes[i] = { failure: { text: message, http: facts.http } };
    }
  });
  return outcomes;
}

function packed(value: QueryValue, expr: string, texts: KeptTexts): PackedValue {
  if (value.type === 'vector') return { ...value, pairs: texts.of(expr, value.pairs) };
  return value.type === 'matrix' ? { type: 'matrix' } : value;
}
