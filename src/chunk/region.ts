import type { Kernel } from './kernel.ts';

/** A piece of an instance's memory that grows to what is asked of it. What it held is gone when it grows. */
export class Region {
  readonly #kernel: Kernel;
  /** Where it starts. Ask anew after `ensure`. */
  at = 0;
  bytes = 0;

  constructor(kernel: Kernel, bytes = 0) {
    this.#kernel = kernel;
    if (bytes > 0) this.ensure(bytes);
  }

  /** Room for `bytes`, and 64 more that wide loads and stores may touch. Returns where it starts. */
  ensure(bytes: number): number {
    if (bytes > this.bytes) {
      const size = Math.max(bytes, Math.min(this.bytes * 2, 256 * 1024 * 1024));
      this.at = this.#kernel.reserve(size + 64);
      this.bytes = size;
    }
    return this.at;
  }

  /** Copies `source` to its start and returns where that is. */
  put(source: Uint8Array): number {
    const at = this.ensure(source.length);
    this.#kernel.u8.set(source, at);
    return at;
  }
}
