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

/**
 * Requests of a batch that are evaluated side by side: what they ask of shards goes together. While they read little there may be more
 * of them.
 */
const AT_ONCE = 16;
const SMALL_AT_ONCE = 64;
/** Places that a small request leaves beside its own. */
const PLACES_MORE = 4;
/** Bytes that a small request reads. */
const SMALL_BYTES_MAX = 64 * 1024;

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
  let places = AT_ONCE;
  await forEachAtOnce(
    [...requests.entries()],
    () => places,
    async ([i, request]) => {
      context.signal.throwIfAborted();
      try {
        const { value, statistics } = await queries.instant(tenant, request, context);
        places = statistics.fetchedBytes > SMALL_BYTES_MAX ? AT_ONCE : Math.min(SMALL_AT_ONCE, places + PLACES_MORE);
        outcomes[i] = { result: packed(value, request.expr, texts) };
      } catch (thrown) {
        context.signal.throwIfAborted();
        const { facts, message } = AppError.from(memoryError(thrown) ?? thrown);
        const isTimeout = facts.promType === 'timeout';
        outcomes[i] = { failure: { text: message, http: facts.http, ...(isTimeout && { isTimeout }) } };
      }
    },
  );
  return outcomes;
}

function packed(value: QueryValue, expr: string, texts: KeptTexts): PackedValue {
  if (value.type === 'vector') return { ...value, pairs: texts.of(expr, value.pairs) };
  return value.type === 'matrix' ? { type: 'matrix' } : value;
}
