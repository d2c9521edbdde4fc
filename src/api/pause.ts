import { setImmediate as nextTurn } from 'node:timers/promises';

/** A thread is held up for at most about so long at a time. */
const SLICE_MS = 20;

/** For loops that may take long: gives the thread's other work its turn, and ends where nobody waits any more. */
export class Pacer {
  readonly #signal: AbortSignal;
  #sliceEndMs = performance.now() + SLICE_MS;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** Whether it is time for `pause`: cheap enough to be asked in every round. */
  get due(): boolean {
    return performance.now() >= this.#sliceEndMs;
  }

  /** @throws the signal's reason */
  async pause(): Promise<void> {
    await nextTurn();
    this.#signal.throwIfAborted();
    this.#sliceEndMs = performance.now() + SLICE_MS;
  }
}
