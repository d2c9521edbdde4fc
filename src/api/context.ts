import { timeout } from '../lib/clock.ts';
import { Pacer } from '../lib/pacer.ts';
import { LimitedBudget } from '../limits/query-budget.ts';
import { quoteGoCut } from '../model/labels.ts';
import { MissingParts } from '../storage/missing.ts';
import type { QueryContext } from '../storage/queryable.ts';
import type { Call } from './call.ts';
import { ApiError } from './error.ts';

/**
 * For what reads labels and metadata only: the tenant's limits, and the server's time-out.
 *
 * @param missing set where the answer says what it lacks
 */
export function lookupContext({ limits, signal, sources, ended }: Call, missing?: MissingParts): QueryContext {
  const budget = new LimitedBudget(limits, sources.memory);
  const outOfTime = timeout(sources.clock, sources.timeoutMs);
  ended.push(() => {
    outOfTime.cancel();
    budget.close();
  });
  return { signal: AbortSignal.any([signal, outOfTime.signal]), budget, missing };
}

/** Collects what an answer lacks that may be incomplete; undefined: it may not. */
export function missingOf(call: Call): MissingParts | undefined {
  return mayBePartial(call) ? new MissingParts() : undefined;
}

/** Whether the answer may be incomplete: as the request says, else as its tenants do. */
export function mayBePartial({ params, limits }: Call): boolean {
  const asked = params.get('partial_response');
  if (asked === '') return limits.queryPartialData;
  if (asked === 'true' || asked === '1') return true;
  if (asked === 'false' || asked === '0') return false;
  throw ApiError.invalidParam('partial_response', `cannot parse ${quoteGoCut(asked)} to a boolean`);
}

/** The thread is held up for at most about so long at a time. */
const SLICE_MS = 20;

/** For what is read of a request, before its limits are known: ends where nobody waits any more. */
export function turnsOf({ sources, signal }: Call): Pacer {
  return new Pacer(sources.clock, { sliceMs: SLICE_MS, signal });
}

/** For loops that may take long: gives the thread's other work its turn, and ends where nobody waits any more. */
export function pacerFor({ sources }: Call, { signal }: QueryContext): Pacer {
  return new Pacer(sources.clock, { sliceMs: SLICE_MS, signal });
}
