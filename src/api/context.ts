import { LimitedBudget } from '../limits/query-budget.ts';
import type { QueryContext } from '../storage/queryable.ts';
import type { Call } from './call.ts';

/** For what reads labels and metadata only: the tenant's limits, and the server's time-out. */
export function lookupContext({ limits, signal, sources }: Call): QueryContext {
  return {
    signal: AbortSignal.any([signal, AbortSignal.timeout(sources.timeoutMs)]),
    budget: new LimitedBudget(limits),
  };
}
