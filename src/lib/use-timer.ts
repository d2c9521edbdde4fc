import type { Clock } from './clock.ts';
import { IdleTimer } from './idle-timer.ts';

/** Says when something that several may use at a time was used by nobody for a while. */
export class UseTimer {
  readonly #idle: IdleTimer;
  #users = 0;

  /** @param onIdle called once nobody has used it for `idleMs` since the last user was through */
  constructor(clock: Clock, idleMs: number, onIdle: () => void) {
    this.#idle = new IdleTimer(clock, idleMs, () => {
      if (!this.isUsed) onIdle();
    });
  }

  get isUsed(): boolean {
    return this.#users > 0;
  }

  begin(): void {
    this.#users++;
  }

  end(): void {
    this.#users--;
    if (!this.isUsed) this.#idle.used();
  }

  cancel(): void {
    this.#idle.cancel();
  }
}
