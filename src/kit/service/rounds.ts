import type { Clock, Timer } from '../../lib/clock.ts';

/** Work that is done again and again: a round that takes longer than the interval is not joined by another. */
export class Rounds {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #work: (signal: AbortSignal) => Promise<void>;
  readonly #stopping = new AbortController();
  #timer: Timer | undefined;
  #underWay: Promise<void> | undefined;

  /** @param work a round, which never rejects; its signal is aborted when the rounds end */
  constructor(clock: Clock, intervalMs: number, work: (signal: AbortSignal) => Promise<void>) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#work = work;
  }

  start(): void {
    this.#timer = this.#clock.every(this.#intervalMs, () => {
      this.#underWay ??= this.#work(this.#stopping.signal).finally(() => {
        this.#underWay = undefined;
      });
    });
  }

  /** Resolves when the round that is under way has ended. */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    this.#stopping.abort();
    await this.#underWay;
  }
}
