import type { Clock } from '../lib/clock.ts';
import type { Cache, CacheEntry, CacheStats } from './client.ts';

/** Bytes that an entry takes beyond its key and value, roughly. */
const ENTRY_OVERHEAD_BYTES = 128;

/** The most recently used entries, as many as fit. */
export class MemoryCache implements Cache {
  readonly stats: CacheStats = { hits: 0, misses: 0, failures: 0 };
  readonly #bytesMax: number;
  readonly #clock: Clock;
  /** Least recently used first. */
  readonly #entries = new Map<string, Held>();
  #bytes = 0;

  constructor(options: { readonly bytesMax: number; readonly clock: Clock }) {
    this.#bytesMax = options.bytesMax;
    this.#clock = options.clock;
  }

  get bytes(): number {
    return this.#bytes;
  }

  async get(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]> {
    const nowMs = this.#clock.monotonicMs();
    return keys.map((key) => {
      const held = this.#entries.get(key);
      if (held === undefined || held.endMs <= nowMs) {
        this.#remove(key);
        this.stats.misses++;
        return undefined;
      }
      this.#entries.delete(key); // and in again: the most recently used is last
      this.#entries.set(key, held);
      this.stats.hits++;
      return held.value;
    });
  }

  async set(entries: readonly CacheEntry[]): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    for (const { key, value, ttlMs } of entries) {
      this.#remove(key);
      const bytes = sizeOf(key, value);
      if (bytes > this.#bytesMax || ttlMs <= 0) continue;
      this.#entries.set(key, { value, endMs: nowMs + ttlMs });
      this.#bytes += bytes;
      for (const oldest of this.#entries.keys()) {
        if (this.#bytes <= this.#bytesMax) break;
        this.#remove(oldest);
      }
    }
  }

  async close(): Promise<void> {
    this.#entries.clear();
    this.#bytes = 0;
  }

  #remove(key: string): void {
    const held = this.#entries.get(key);
    if (held === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= sizeOf(key, held.value);
  }
}

interface Held {
  readonly value: Uint8Array;
  readonly endMs: number;
}

function sizeOf(key: string, value: Uint8Array): number {
  // a view keeps all of its buffer alive, but what is cached is meant to be a body of its own
  return 2 * key.length + value.length + ENTRY_OVERHEAD_BYTES;
}
