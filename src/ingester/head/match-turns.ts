import type { Clock } from '../../lib/clock.ts';
import { type MatchTurn, STEPS_BETWEEN } from '../../model/match-turn.ts';

/** A reader works so long before others have their turn. */
const SLICE_MS = 4;

/**
 * The turns of those who look for series in a shard. One of them works between two rounds of the event loop, tenants one after
 * another: what else the shard has to do waits for one slice at most, whoever many wait here.
 */
export class MatchTurns {
  readonly #waiting = new Map<string, (() => void)[]>();
  readonly #clock: Clock;
  #scheduled = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  begin(tenant: string, signal?: AbortSignal): MatchTurn {
    return new ReaderTurn(this.#clock, () => this.#next(tenant), signal);
  }

  #next(tenant: string): Promise<void> {
    return new Promise((resolve) => {
      const own = this.#waiting.get(tenant);
      if (own === undefined) this.#waiting.set(tenant, [resolve]);
      else own.push(resolve);
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    void this.#clock.turn().then(() => {
      this.#scheduled = false;
      const [tenant, own] = this.#waiting.entries().next().value!;
      this.#waiting.delete(tenant);
      const first = own.shift()!;
      // the tenant comes again when the others have been
      if (own.length > 0) this.#waiting.set(tenant, own);
      if (this.#waiting.size > 0) this.#schedule();
      first();
    });
  }
}

/** One reader's turn: the work it may do before it has to wait. */
class ReaderTurn implements MatchTurn {
  steps = STEPS_BETWEEN;
  readonly #next: () => Promise<void>;
  readonly #signal: AbortSignal | undefined;
  readonly #clock: Clock;
  #sliceEndMs: number;

  constructor(clock: Clock, next: () => Promise<void>, signal: AbortSignal | undefined) {
    this.#clock = clock;
    this.#next = next;
    this.#signal = signal;
    this.#sliceEndMs = clock.monotonicMs() + SLICE_MS;
  }

  isDue(): boolean {
    if (this.steps > 0) return false;
    this.steps = STEPS_BETWEEN;
    return this.#clock.monotonicMs() >= this.#sliceEndMs;
  }

  /** @throws the signal's reason */
  async pause(): Promise<void> {
    this.#signal?.throwIfAborted();
    await this.#next();
    this.#signal?.throwIfAborted();
    this.steps = STEPS_BETWEEN;
    this.#sliceEndMs = this.#clock.monotonicMs() + SLICE_MS;
  }
}
