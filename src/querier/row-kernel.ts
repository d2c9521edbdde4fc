import { Kernel } from '../chunk/kernel.ts';
import type { RowKernel, RowLoops } from '../promql/row/row-memory.ts';

const PAGE_BYTES = 64 * 1024;
/** Address space; what no query has used takes no memory. */
const MEMORY_BYTES = 32 * 2 ** 20;

/** An instance of the kernel for the rows of running queries. Its memory has one size for good, divided in pages. */
export class KernelRows implements RowKernel {
  readonly buffer: ArrayBufferLike;
  readonly loops: RowLoops;
  readonly #start: number;
  readonly #used: Uint8Array;
  /** Pages that were taken together, by where they start. */
  readonly #pages = new Map<number, number>();

  constructor(bytes = MEMORY_BYTES) {
    const kernel = Kernel.create();
    this.#start = kernel.reserve(bytes);
    this.buffer = kernel.u8.buffer;
    this.loops = kernel.exports;
    this.#used = new Uint8Array(Math.floor(bytes / PAGE_BYTES));
  }

  /** The first gap that is large enough. */
  take(bytes: number): number | undefined {
    const pages = Math.max(1, Math.ceil(bytes / PAGE_BYTES));
    const used = this.#used;
    for (let from = used.indexOf(0); from >= 0 && from + pages <= used.length; ) {
      const taken = used.indexOf(1, from);
      if (taken < 0 || taken >= from + pages) {
        used.fill(1, from, from + pages);
        const at = this.#start + from * PAGE_BYTES;
        this.#pages.set(at, pages);
        return at;
      }
      from = used.indexOf(0, taken);
    }
    return undefined;
  }

  giveBack(at: number): void {
    const from = (at - this.#start) / PAGE_BYTES;
    this.#used.fill(0, from, from + this.#pages.get(at)!);
    this.#pages.delete(at);
  }
}
