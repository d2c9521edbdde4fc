import type { MessagePort } from 'node:worker_threads';
import { movable } from './movable.ts';

// Bytes from one thread to another, part by part, each made when the one before was taken. The taker asks; the maker answers with a part,
// or ends.

type FromMaker = { readonly part: Uint8Array } | { readonly end: true };

/** Sends the parts as they are asked for, until the end or until nobody takes them any more. @throws what making them throws */
export async function sendParts(
  port: MessagePort,
  parts: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const asked = new Asked(port, signal);
  const from = parts[Symbol.asyncIterator]();
  try {
    for (;;) {
      await asked.next();
      const { done, value } = await from.next();
      if (done === true) break;
      const part = movable(value);
      port.postMessage({ part } satisfies FromMaker, [part.buffer]);
    }
    port.postMessage({ end: true } satisfies FromMaker);
  } finally {
    await from.return?.();
    port.close();
  }
}

/** Counts the parts that the taker asks for. */
class Asked {
  #wake: (() => void) | undefined;
  #count = 0;
  #left = false;
  readonly #signal: AbortSignal;

  constructor(port: MessagePort, signal: AbortSignal) {
    this.#signal = signal;
    port.on('message', () => {
      this.#count++;
      this.#wake?.();
    });
    port.on('close', () => {
      this.#left = true;
      this.#wake?.();
    });
    signal.addEventListener('abort', () => this.#wake?.(), { once: true });
  }

  /** @throws the signal's reason; an error when the taker is gone */
  async next(): Promise<void> {
    while (this.#count === 0) {
      this.#signal.throwIfAborted();
      if (this.#left) throw new Error('nobody takes the rest');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#signal.throwIfAborted();
    this.#count--;
  }
}

/**
 * The parts that `sendParts` sends to the other end of a port.
 * @param failed rejects when there will be no more
 */
export async function* takenParts(port: MessagePort, failed: Promise<never>): AsyncGenerator<Uint8Array, void> {
  // a race with `failed` for each part would keep them all: what waits for a promise is held until that is settled
  let waiting: PromiseWithResolvers<FromMaker> | undefined;
  let failure: { readonly error: unknown } | undefined;
  port.on('message', (message: FromMaker) => waiting?.resolve(message));
  failed.catch((error) => {
    failure = { error };
    waiting?.reject(error);
  });
  try {
    for (;;) {
      if (failure !== undefined) throw failure.error;
      waiting = Promise.withResolvers();
      port.postMessage('next');
      const message = await waiting.promise;
      waiting = undefined;
      if ('end' in message) return;
      yield message.part;
    }
  } finally {
    port.close();
  }
}

/** For `takenParts`: rejects when the call fails of whose answer the parts are; whoever takes them hears of it. */
export function failing(call: Promise<unknown>): Promise<never> {
  const failed = call.then(() => new Promise<never>(() => {}));
  failed.catch(() => {});
  return failed;
}
