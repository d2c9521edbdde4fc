import type { BatchRunner, InstantOutcome, InstantRequest, QueryRunContext } from '../contract/query.ts';
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

/** Batches of rules, asked of queriers of other processes: one job each. */
export class JobBatches implements BatchRunner {
  readonly #ask: AskBatch;
  readonly #known = new KnownPairs();

  constructor(ask: AskBatch) {
    this.#ask = ask;
  }

  /** Expressions that a querier could not answer, by no fault of their own, are asked once more of another; where that is no better, it stays. */
  async instants(
    tenant: string,
    requests: readonly InstantRequest[],
    { signal }: QueryRunContext,
  ): Promise<readonly InstantOutcome[]> {
    const { querier, outcomes } = await this.#once(tenant, requests, [], signal);
    const failed = [...outcomes.keys()].filter((i) => mayDoBetter(outcomes[i]!));
    if (failed.length === 0) return outcomes;
    try {
      const again = failed.map((i) => requests[i]!);
      const better = await this.#once(tenant, again, [querier], signal);
      const all = [...outcomes];
      for (const [k, i] of failed.entries()) all[i] = better.outcomes[k]!;
      return all;
    } catch {
      signal.throwIfAborted();
      return outcomes;
    }
  }

  async #once(tenant: string, requests: readonly InstantRequest[], avoid: readonly string[], signal: AbortSignal) {
    const { querier, bytes } = await this.#ask(tenant, encodeRequest({ kind: 'rules', requests }), avoid, signal);
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
