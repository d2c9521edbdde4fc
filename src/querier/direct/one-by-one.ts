import type { Clock } from '../../lib/clock.ts';

/** Work after which what else waits in this thread comes first. */
const HELD_MS_MAX = 5;

/** A place that one query at a time has. */
export interface Place {
  /** CPU time of the thread since it was taken, ms. */
  leave(): number;
}

/** Lets small queries evaluate one after another, and other work of the thread in between: together they hold it no longer than one. */
export class OneByOne {
  readonly #clock: Pick<Clock, 'turn'>;
  readonly #cpuMs: () => number;
  readonly #waiting: (() => void)[] = [];
  #isTaken = false;
  #heldMs = 0;

  /** @param cpuMs CPU time of the thread */
  constructor(clock: Pick<Clock, 'turn'>, cpuMs: () => number) {
    this.#clock = clock;
    this.#cpuMs = cpuMs;
  }

  async enter(): Promise<Place> {
    if (this.#isTaken) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#isTaken = true;
    const fromMs = this.#cpuMs();
    let usedMs: number | undefined;
    return {
      leave: () => {
        if (usedMs !== undefined) return usedMs;
        usedMs = this.#cpuMs() - fromMs;
        this.#heldMs += usedMs;
        this.#next();
        return usedMs;
      },
    };
  }

  #next(): void {
    const next = this.#waiting.shift();
    if (next === undefined) {
      this.#isTaken = false;
      this.#heldMs = 0;
    } else if (this.#heldMs < HELD_MS_MAX) next();
    else {
      this.#heldMs = 0;
      void this.#clock.turn().then(next);
    }
  }
}
