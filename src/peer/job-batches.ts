import type { BatchRunner, InstantOutcome, InstantRequest, QueryRunContext } from '../contract/query.ts';
import { after, type Clock } from '../lib/clock.ts';
import { queryErrors } from '../model/errors-query.ts';
import { checkPairs, decodeOutcomes } from './batch-wire.ts';
import { encodeRequest } from './job-shapes.ts';

/** Asks for a batch as a job. @param avoid queriers that others are to be preferred to */
export type AskBatch = (
  tenant: string,
  payload: Uint8Array,
  avoid: readonly string[],
  signal: AbortSignal,
) => Promise<{ readonly querier: string; readonly bytes: Uint8Array }>;

/** Characters of texts that are known to be labels. */
const KNOWN_CHARS_MAX = 8 * 1024 * 1024;

export interface JobBatchesOptions {
  readonly ask: AskBatch;
  /** Time for a batch, all that is asked for it together. */
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/** Batches of rules, asked of queriers of other processes: one job each, or some more where a querier fails. */
export class JobBatches implements BatchRunner {
  readonly #options: JobBatchesOptions;
  readonly #known = new KnownPairs();

  constructor(options: JobBatchesOptions) {
    this.#options = options;
  }

  /**
   * Expressions that a querier could not answer, by no fault of their own, are asked once more of another; where that is no better, it stays.
   * Where all of them failed it is likely the store that is away, so that one of them goes first: the others follow if that does better.
   */
  async instants(
    tenant: string,
    requests: readonly InstantRequest[],
    { signal }: QueryRunContext,
  ): Promise<readonly InstantOutcome[]> {
    const { timeoutMs, clock } = this.#options;
    const timeUp = new AbortController();
    const timer = after(clock, timeoutMs, () => timeUp.abort(queryErrors.queryTimedOut({ limitMs: timeoutMs })));
    const ends = AbortSignal.any([signal, timeUp.signal]);
    try {
      const { querier, outcomes } = await this.#once(tenant, requests, [], ends);
      const failed = [...outcomes.keys()].filter((i) => mayDoBetter(outcomes[i]!));
      const all = [...outcomes];
      let some = failed.length === requests.length ? failed.splice(0, 1) : failed.splice(0);
      for (; some.length > 0; some = failed.splice(0)) {
        const again = some.map((i) => requests[i]!);
        const better = await this.#once(tenant, again, [querier], ends).catch(() => undefined);
        signal.throwIfAborted();
        if (better === undefined) break;
        for (const [k, i] of some.entries()) all[i] = better.outcomes[k]!;
        if (mayDoBetter(better.outcomes[0]!)) break;
      }
      return all;
    } finally {
      timer.cancel();
    }
  }

  async #once(tenant: string, requests: readonly InstantRequest[], avoid: readonly string[], signal: AbortSignal) {
    const { querier, bytes } = await this.#options.ask(
      tenant,
      encodeRequest({ kind: 'rules', requests }),
      avoid,
      signal,
    );
    const outcomes = decodeOutcomes(bytes, requests.length, (i, pairs, series) =>
      this.#known.check(`${tenant}/${requests[i]!.expr}`, pairs, series),
    );
    return { querier, outcomes };
  }
}

/** Whether another querier may have the answer. */
function mayDoBetter(outcome: InstantOutcome): boolean {
  return 'failure' in outcome && outcome.failure.http >= 500 && outcome.failure.isTimeout !== true;
}

/** Texts that were found to be labels: a rule mostly has the series of the time before. */
class KnownPairs {
  /** By tenant and expression; the one used last is last. */
  readonly #known = new Map<string, { readonly pairs: string; readonly series: number }>();
  #chars = 0;

  /** @throws peerMessageInvalid */
  check(key: string, pairs: string, series: number): void {
    const known = this.#known.get(key);
    if (known !== undefined) this.#drop(key, known.pairs);
    if (known?.series !== series || known.pairs !== pairs) checkPairs(pairs, series);
    this.#known.set(key, { pairs, series });
    this.#chars += key.length + pairs.length;
    for (const [oldest, old] of this.#known) {
      if (this.#chars <= KNOWN_CHARS_MAX) break;
      this.#drop(oldest, old.pairs);
    }
  }

  #drop(key: string, pairs: string): void {
    this.#known.delete(key);
    this.#chars -= key.length + pairs.length;
  }
}
