import type { Semaphore } from '../lib/semaphore.ts';

/** Memory from which a query is a large one. */
const LARGE_BYTES = 16 * 1024 * 1024;

/**
 * The place of one query among the large ones of a thread. What a large query holds it holds until its end: where many are evaluated in
 * turns, all of them hold it at once, and none is through sooner.
 */
export class LargePlace {
  readonly #places: Semaphore;
  #over: (() => void) | undefined;

  constructor(places: Semaphore) {
    this.#places = places;
  }

  /** Waits for a place when the query has become large. @param signal its reason ends the wait */
  async take(heldBytes: number, signal: AbortSignal): Promise<void> {
    if (heldBytes < LARGE_BYTES || this.#over !== undefined) return;
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    await new Promise<void>((resolve, reject) => {
      const hold = () => {
        this.#over = end;
        resolve();
        return over;
      };
      this.#places.run(hold, signal).catch(reject);
    });
  }

  leave(): void {
    this.#over?.();
    this.#over = undefined;
  }
}
