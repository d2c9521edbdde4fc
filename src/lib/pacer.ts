import type { Clock } from './clock.ts';

export interface PacerOptions {
  /** For how long at a time the thread may be held up. */
  readonly sliceMs: number;
  /** Aborted where nobody waits for the work any more. */
  readonly signal?: AbortSignal | undefined;
}

/** For work that takes long in a thread that others need: gives them their turn whenever a slice of time has gone by. */
export class Pacer {
  readonly #clock: Pick<Clock, 'monotonicMs' | 'turn'>;
  readonly #sliceMs: number;
  readonly #signal: AbortSignal | undefined;
  #sliceEndMs: number;

  constructor(clock: Pick<Clock, 'monotonicMs' | 'turn'>, { sliceMs, signal }: PacerOptions) {
    this.#clock = clock;
    this.#sliceMs = sliceMs;
    this.#signal = signal;
    this.#sliceEndMs = clock.monotonicMs() + sliceMs;
  }

  /** Aborted where nobody waits for the work any more. */
  get signal(): AbortSignal | undefined {
    return this.#signal;
  }

  /** Whether it is time for `pause`: cheap enough to be asked in every round. */
  get due(): boolean {
    return this.#clock.monotonicMs() >= this.#sliceEndMs;
  }

  /** @throws the signal's reason */
  async pause(): Promise<void> {
    await this.#clock.turn();
    this.#signal?.throwIfAborted();
    this.#sliceEndMs = this.#clock.monotonicMs() + this.#sliceMs;
  }

  /** Pauses where it is time to. @throws the signal's reason */
  async step(): Promise<void> {
    if (this.due) await this.pause();
  }
}
