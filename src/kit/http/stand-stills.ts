import type { Clock, Timer } from '../../lib/clock.ts';

const LOOK_MS = 1000;
/** Lateness of a look from which on the process counts as having stood still. */
const LATE_MS = 2000;

/**
 * Times in which the whole process stood still: a machine that was paused, or one that had no CPU for it. What was due meanwhile is late
 * by its fault, and not by that of whoever sent something.
 */
export class StandStills {
  readonly #clock: Clock;
  #lookedMs: number;
  #endedMs = Number.NEGATIVE_INFINITY;
  #looks: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#lookedMs = clock.monotonicMs();
  }

  start(): void {
    this.#lookedMs = this.#clock.monotonicMs();
    this.#looks = this.#clock.every(LOOK_MS, () => this.#look());
  }

  stop(): void {
    this.#looks?.cancel();
  }

  /** Whether it stood still within this time until now. */
  within(ms: number): boolean {
    this.#look();
    return this.#clock.monotonicMs() - this.#endedMs <= ms;
  }

  #look(): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#lookedMs > LOOK_MS + LATE_MS) this.#endedMs = nowMs;
    this.#lookedMs = nowMs;
  }
}
