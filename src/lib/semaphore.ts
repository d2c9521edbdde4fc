import { assert } from './assert.ts';

/** At most so many at once; the rest wait in line. */
export class Semaphore {
  #free: number;
  readonly #waiting: Waiter[] = [];

  constructor(places: number) {
    assert(places > 0);
    this.#free = places;
  }

  /** Runs `body` once there is a place. Rejects with the signal's reason when aborted in line. */
  async run<T>(body: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#acquire(signal);
    try {
      return await body();
    } finally {
      this.#release();
    }
  }

  async #acquire(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const onAbort = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(signal?.reason);
      };
      const waiter: Waiter = {
        resolve: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(waiter);
    });
  }

  #release(): void {
    const next = this.#waiting.shift();
    if (next) next.resolve();
    else this.#free++;
  }
}

interface Waiter {
  readonly resolve: () => void;
}

/** Runs `body` for each item, at most `places` at once; the first failure stops the rest from starting, and is thrown. */
export async function forEachAtOnce<T>(
  items: readonly T[],
  places: number,
  body: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failed = false;
  const lane = async () => {
    while (next < items.length && !failed) {
      const item = items[next++]!;
      try {
        await body(item);
      } catch (thrown) {
        failed = true;
        throw thrown;
      }
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(places, items.length) }, lane));
  for (const result of lanes) if (result.status === 'rejected') throw result.reason;
}
