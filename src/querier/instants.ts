import type { InstantOutcome, InstantRequest, QueryRunContext, QueryRunner } from '../contract/query.ts';
import { AppError } from '../model/errors.ts';
import { memoryError } from '../model/memory-error.ts';

/** Evaluates one request after the other: one that fails does not keep the others from being answered. */
export async function instantsBy(
  queries: Pick<QueryRunner, 'instant'>,
  tenant: string,
  requests: readonly InstantRequest[],
  context: QueryRunContext,
): Promise<readonly InstantOutcome[]> {
  const outcomes: InstantOutcome[] = [];
  for (const request of requests) {
    context.signal.throwIfAborted();
    try {
      outcomes.push({ result: await queries.instant(tenant, request, context) });
    } catch (thrown) {
      context.signal.throwIfAborted();
      const { facts, message } = AppError.from(memoryError(thrown) ?? thrown);
      outcomes.push({ failure: { text: message, http: facts.http } });
    }
  }
  return outcomes;
}
