import type { Clock } from '../../src/lib/clock.ts';
import type { Random } from '../../src/lib/random.ts';
import type { AppError } from '../../src/model/errors.ts';
import { storeErrors } from '../../src/model/errors-store.ts';

/** How often what goes wrong, each from 0 to 1. May be changed while a test runs. */
export interface Faults {
  /** A call fails before it has done anything: the store is away. */
  unavailable?: number;
  /** A call fails before it has done anything: the store is busy. */
  throttled?: number;
  /** A call does its work, and then fails: the answer was lost. */
  lost?: number;
  /** A call is carried out twice, as by a network that resends. */
  repeated?: number;
  /** A call takes up to so much longer. */
  delayMs?: number;
}

/** Rolls the dice for each call of a faulty client. */
export class FaultSource {
  faults: Faults;
  /** How many calls went wrong. */
  injected = 0;
  readonly #backend: string;
  readonly #random: Random;
  readonly #clock: Clock;

  constructor(backend: string, faults: Faults, random: Random, clock: Clock) {
    this.#backend = backend;
    this.faults = faults;
    this.#random = random;
    this.#clock = clock;
  }

  /** Runs a call that may be carried out more than once: all calls of our seams may, but for a compare-and-set. */
  async call<T>(operation: string, table: string, body: () => Promise<T>, once = false): Promise<T> {
    await this.before(operation, table);
    if (!once && this.#happens('repeated')) await body();
    const answer = await body();
    if (this.#happens('lost')) throw this.#unavailable(operation, table, 'the answer was lost');
    return answer;
  }

  /** Faults that may come before anything is done. */
  async before(operation: string, table: string): Promise<void> {
    const { delayMs } = this.faults;
    if (delayMs) await this.#clock.sleep(this.#random() * delayMs);
    if (this.#happens('unavailable')) throw this.#unavailable(operation, table, 'ECONNREFUSED');
    if (this.#happens('throttled'))
      throw storeErrors.storeThrottled({ backend: this.#backend, operation, table, tries: 1 });
  }

  #happens(fault: 'unavailable' | 'throttled' | 'lost' | 'repeated'): boolean {
    const happens = this.#random() < (this.faults[fault] ?? 0);
    if (happens) this.injected++;
    return happens;
  }

  #unavailable(operation: string, table: string, reason: string): AppError {
    return storeErrors.storeUnavailable({ backend: this.#backend, operation, table, reason, tries: 1 });
  }
}
