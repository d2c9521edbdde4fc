import { timeout } from '../lib/clock.ts';
import { Pacer } from '../lib/pacer.ts';
import { LimitedBudget } from '../limits/query-budget.ts';
import type { QueryContext } from '../storage/queryable.ts';
import type { Call } from './call.ts';

/** For what reads labels and metadata only: the tenant's limits, and the server's time-out. */
export function lookupContext({ limits, signal, sources, ended }: Call): QueryContext {
  const budget = new LimitedBudget(limits, sources.memory);
  const outOfTime = timeout(sources.clock, sources.timeoutMs);
  ended.push(() => {
    outOfTime.cancel();
    budget.close();
  });
  return { signal: AbortSignal.any([signal, outOfTime.signal]), budget };
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
