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

/**
 * Runs `body` for each item, at most `places` at once; the first failure stops the rest from starting, and is thrown.
 * @param places a function where their number changes: it is asked whenever one has ended
 */
export async function forEachAtOnce<T>(
  items: readonly T[],
  places: number | (() => number),
  body: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  let running = 0;
  let failure: { readonly reason: unknown } | undefined;
  const run = async (item: T) => body(item);
  await new Promise<void>((resolve) => {
    const ended = () => {
      running--;
      begin();
    };
    const failed = (reason: unknown) => {
      failure ??= { reason };
      ended();
    };
    const begin = () => {
      const most = typeof places === 'number' ? places : places();
      while (next < items.length && running < most && failure === undefined) {
        running++;
        run(items[next++]!).then(ended, failed);
      }
      if (running === 0) resolve();
    };
    begin();
  });
  if (failure !== undefined) throw (failure as { readonly reason: unknown }).reason;
}
