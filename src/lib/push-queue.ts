/** Items that are pushed on one side and taken on the other; whoever pushes bounds their number. */
export class PushQueue<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  #changed = Promise.withResolvers<void>();
  #isEnded = false;
  #error: { readonly error: unknown } | undefined;
  readonly #left: () => void;

  /** @param left is told when nobody takes them any more */
  constructor(left: () => void = () => {}) {
    this.#left = left;
  }

  push(item: T): void {
    if (this.#isEnded) return;
    this.#items.push(item);
    this.#change();
  }

  /** Those that were pushed are still taken. */
  end(): void {
    this.#isEnded = true;
    this.#change();
  }

  /** Those that were pushed are taken no more. */
  fail(error: unknown): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#error = { error };
    this.#items.length = 0;
    this.#change();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void> {
    try {
      for (;;) {
        const item = this.#items.shift();
        if (item !== undefined) yield item;
        else if (this.#error !== undefined) throw this.#error.error;
        else if (this.#isEnded) return;
        else await this.#changed.promise;
      }
    } finally {
      this.#isEnded = true;
      this.#left();
    }
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
