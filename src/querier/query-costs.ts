import { DAY_MS } from '../lib/day.ts';
import type { QueryFacts } from '../limits/query-rules.ts';

const KNOWN_MAX = 4096;
/** Longer texts are not remembered. */
const TEXT_CHARS_MAX = 4096;
/** A query that is not known costs so much, and so much more for each day that it spans, and for each step. */
const UNKNOWN_MS = 5;
const DAY_COST_MS = 20;
const STEP_COST_MS = 0.03;
/** A query that took long once may have been held up by others: it is believed by so much at a time. */
const GROWTH = 2;

/** Estimates of queries by what the same ones took before: their turns in the queue go by them. */
export class QueryCosts {
  /** The least recently asked first. */
  readonly #known = new Map<string, number>();

  of(tenant: string, facts: QueryFacts): number {
    const lengthMs = Math.max(0, facts.endMs - facts.startMs);
    const steps = facts.stepMs > 0 ? lengthMs / facts.stepMs : 0;
    return (
      this.#known.get(keyOf(tenant, facts)) ?? UNKNOWN_MS + (lengthMs / DAY_MS) * DAY_COST_MS + steps * STEP_COST_MS
    );
  }

  /** @param ms from its start in a worker to its end */
  note(tenant: string, facts: QueryFacts, ms: number): void {
    if (facts.query.length > TEXT_CHARS_MAX) return;
    const key = keyOf(tenant, facts);
    const before = this.of(tenant, facts);
    this.#known.delete(key);
    this.#known.set(key, Math.min(ms, before * GROWTH));
    if (this.#known.size > KNOWN_MAX) this.#known.delete(this.#known.keys().next().value!);
  }
}

/** Times that move with the clock make no other query. */
function keyOf(tenant: string, { apiType, query, startMs, endMs, stepMs }: QueryFacts): string {
  return JSON.stringify([tenant, apiType, Math.round((endMs - startMs) / 60_000), stepMs, query]);
}
