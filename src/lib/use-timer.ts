import { after, type Clock, type Timer } from './clock.ts';

/** Tells when something that several may use at a time has not been used for a while. */
export class UseTimer {
  readonly #clock: Clock;
  readonly #idleMs: number;
  readonly #onIdle: () => void;
  #users = 0;
  #timer: Timer | undefined;

  /** @param onIdle called once nobody has used it for `idleMs` since the last user was through */
  constructor(clock: Clock, idleMs: number, onIdle: () => void) {
    this.#clock = clock;
    this.#idleMs = idleMs;
    this.#onIdle = onIdle;
  }

  begin(): void {
    this.#users++;
    this.cancel();
  }

  end(): void {
    this.#users--;
    if (this.#users === 0) this.#timer = after(this.#clock, this.#idleMs, this.#onIdle);
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
