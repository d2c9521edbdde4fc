import { assert } from '../lib/assert.ts';
import type { Kernel } from './kernel.ts';

interface Held {
  readonly at: number;
  readonly lost: () => void;
}

/**
 * A piece of an instance's memory that is given out round and round: who has had his part for longest loses it. Reserved at the first
 * part, for good: rings are made once for an instance, not once for a use.
 */
export class Ring {
  readonly #kernel: Kernel;
  readonly bytesMax: number;
  #start = 0;
  /** Where the next part begins, from the start. */
  #next = 0;
  /** In the order in which they were given out: first those from `#next` on. */
  readonly #held = new Set<Held>();

  constructor(kernel: Kernel, bytesMax: number) {
    this.#kernel = kernel;
    this.bytesMax = bytesMax;
  }

  /**
   * Room for `bytes`, aligned to 16.
   * @param lost called before it is given to somebody else
   */
  take(bytes: number, lost: () => void): number {
    const size = (bytes + 15) & ~15;
    assert(size <= this.bytesMax, 'a part larger than the ring');
    if (this.#start === 0) this.#start = this.#kernel.reserve(this.bytesMax);
    if (this.#next + size > this.bytesMax) {
      this.#drop(this.#next, this.bytesMax);
      this.#next = 0;
    }
    const at = this.#next;
    this.#drop(at, at + size);
    this.#next = at + size;
    this.#held.add({ at, lost });
    return this.#start + at;
  }

  #drop(from: number, to: number): void {
    for (const oldest of this.#held) {
      if (oldest.at < from || oldest.at >= to) return;
      this.#held.delete(oldest);
      oldest.lost();
    }
  }
}
