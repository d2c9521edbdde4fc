import type { MarkReads } from '../../distributor/late-samples.ts';
import { textHash } from '../../lib/text-hash.ts';

/** Tenants that share a place are told apart by nothing: one's reads count as the other's, which only marks more. */
const PLACES = 256;

/**
 * Reads of generations in the query workers of this process, counted in memory that they share: those that began and those that ended,
 * by tenant. One worker's counts are an `Int32Array` of `2 * PLACES`, began and ended side by side.
 */
export class GenerationReads implements MarkReads {
  readonly #byWorker = new Map<number, Int32Array>();
  #workers = 0;

  /** Counts for a worker that starts; those of the one before it count no more, and what was unread by then is not. */
  ofWorker(index: number): SharedArrayBuffer {
    const counts = new SharedArrayBuffer(2 * PLACES * Int32Array.BYTES_PER_ELEMENT);
    this.#byWorker.set(index, new Int32Array(counts));
    this.#workers++;
    return counts;
  }

  unread(tenant: string): string | undefined {
    const at = placeOf(tenant);
    let reads = 0;
    for (const counts of this.#byWorker.values()) {
      // in this order: equal numbers mean that none was under way when the second one was read
      const ended = Atomics.load(counts, at + 1);
      const began = Atomics.load(counts, at);
      if (began !== ended) return undefined;
      reads += began >>> 0;
    }
    return `${this.#workers} ${reads}`;
  }
}

/** Counts a read in a worker. */
export async function countedRead<T>(counts: Int32Array, tenant: string, read: () => Promise<T>): Promise<T> {
  const at = placeOf(tenant);
  Atomics.add(counts, at, 1);
  try {
    return await read();
  } finally {
    Atomics.add(counts, at + 1, 1);
  }
}

function placeOf(tenant: string): number {
  return 2 * (textHash(tenant) % PLACES);
}
