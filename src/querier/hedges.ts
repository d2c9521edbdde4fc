import { getOrMake } from '../lib/map.ts';

/** Reads of which one more member may be asked before the first is late for good. */
const SHARE = 0.05;
/** Such reads that may come at once after many that needed none. */
const SAVED_MAX = 10;
/** No member is late before that: asking another one costs as much. */
const DELAY_MS_MIN = 20;
/** Time of a tenant's first answers as long as nothing is known of them. */
const FIRST_MS = 200;
/** How far one answer moves what is known. */
const STEP = 0.1;
const QUANTILE = 0.95;
const TENANTS_MAX = 10_000;

/**
 * When to ask another member beside one that is late with the beginning of its answer: after the 95th percentile of the tenant's
 * first answers, in at most one of twenty reads, so that a cluster that is slow as a whole is not asked for more. Each thread that
 * asks has its own.
 */
export class Hedges {
  /** Tenant → estimate of the percentile, ms. */
  readonly #percentiles = new Map<string, { ms: number }>();
  #saved = SAVED_MAX;

  /** A read begins. */
  read(): void {
    this.#saved = Math.min(SAVED_MAX, this.#saved + SHARE);
  }

  /** How long a member may take before `take` is asked. */
  delayMs(tenant: string): number {
    return Math.max(DELAY_MS_MIN, this.#percentiles.get(tenant)?.ms ?? FIRST_MS);
  }

  /** Whether another member may be asked now. */
  take(): boolean {
    if (this.#saved < 1) return false;
    this.#saved--;
    return true;
  }

  /** A member's answer has begun after so long, or has not by then. */
  note(tenant: string, ms: number): void {
    if (this.#percentiles.size >= TENANTS_MAX) this.#percentiles.clear();
    const known = getOrMake(this.#percentiles, tenant, () => ({ ms: FIRST_MS }));
    // up by 19 where it is exceeded, down by 1 where it is not: in balance at one of twenty
    known.ms *= ms >= known.ms ? 1 + STEP * QUANTILE : 1 - STEP * (1 - QUANTILE);
    known.ms = Math.max(1, known.ms);
  }
}
