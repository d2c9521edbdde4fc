/** Bytes of a stream that may be on their way or unread: two slices of a mebibyte. */
const ROOM_BYTES = 2 * 1024 * 1024;
/** Counted for each part beside its bytes: empty ones are not free. */
const ITEM_BYTES = 256;

/** A part's share of the room. */
export function itemCost(bytes: number): number {
  return ITEM_BYTES + bytes;
}

interface Sender {
  /** Lets the other side send more. */
  give(bytes: number): void;
  /** Tells it that nobody reads any more. */
  leave(): void;
}

/**
 * Parts of a stream that have come and are not read yet. The other side sends as long as any of the room is left, so that it holds one
 * part more at most than fits.
 */
export class StreamInbox {
  readonly room = ROOM_BYTES;
  readonly #items: Uint8Array[] = [];
  #sender: Sender | undefined;
  #wake = () => {};
  /** Bytes that have come, or have begun to, and are not read. */
  #heldBytes = 0;
  #isEnded = false;
  #error: unknown;

  connect(sender: Sender): void {
    this.#sender = sender;
  }

  /** The other side had no leave to send more. */
  get isFull(): boolean {
    return this.#heldBytes >= this.room;
  }

  expects(bytes: number): void {
    this.#heldBytes += itemCost(bytes);
  }

  add(item: Uint8Array): void {
    this.#items.push(item);
    this.#wake();
  }

  end(): void {
    this.#isEnded = true;
    this.#wake();
  }

  /** Items that came before are still read. */
  fail(error: unknown): void {
    if (this.#isEnded) return;
    this.#error = error;
    this.#isEnded = true;
    this.#wake();
  }

  /** The reader hears of it with its next step. */
  abort(error: unknown): void {
    this.#items.length = 0;
    this.fail(error);
  }

  /** No generator: one that nobody began would not leave. */
  get items(): AsyncIterable<Uint8Array> {
    const iterator: AsyncIterator<Uint8Array> = {
      next: () => this.#next(),
      return: async () => {
        if (!this.#isEnded) {
          this.#isEnded = true;
          this.#sender?.leave();
        }
        this.#items.length = 0;
        return { done: true, value: undefined };
      },
    };
    return { [Symbol.asyncIterator]: () => iterator };
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) {
        this.#heldBytes -= itemCost(item.length);
        if (!this.#isEnded) this.#sender?.give(itemCost(item.length));
        return { done: false, value: item };
      }
      if (this.#error !== undefined) throw this.#error;
      if (this.#isEnded) return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
