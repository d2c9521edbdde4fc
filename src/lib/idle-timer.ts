import { after, type Clock, type Timer } from './clock.ts';

/** Says when something was not used for a while. A use costs one look at the clock. */
export class IdleTimer {
  readonly #clock: Clock;
  readonly #idleMs: number;
  readonly #onIdle: () => void;
  #usedMs = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock, idleMs: number, onIdle: () => void) {
    this.#clock = clock;
    this.#idleMs = idleMs;
    this.#onIdle = onIdle;
  }

  /** Between a use and the call that it brings about. */
  get running(): boolean {
    return this.#timer !== undefined;
  }

  /** It is used now: `onIdle` is called when that has been so long ago. */
  used(): void {
    this.#usedMs = this.#clock.monotonicMs();
    if (this.#timer === undefined) this.#wait(this.#idleMs);
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #wait(ms: number): void {
    this.#timer = after(this.#clock, ms, () => {
      const leftMs = this.#usedMs + this.#idleMs - this.#clock.monotonicMs();
      if (leftMs > 0) {
        this.#wait(leftMs);
        return;
      }
      this.#timer = undefined;
      this.#onIdle();
    });
  }
}
