import { createHash } from 'node:crypto';
import type { Clock } from '../lib/clock.ts';
import { Semaphore } from '../lib/semaphore.ts';
import type { Cache, CacheEntry, CacheStats } from './client.ts';

/** A server that keeps bytes: may fail, may hang. */
export interface RemoteStore {
  get(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]>;
  set(entries: readonly CacheEntry[]): Promise<void>;
  close(): Promise<void>;
}

export interface RemoteCacheOptions {
  /** Set before each key, for those who share a server. */
  readonly keyPrefix: string;
  /** A call that takes longer is a miss. */
  readonly timeoutMs: number;
  /** Larger values are not sent. */
  readonly valueBytesMax: number;
  /** Calls under way at once; more wait in line, as long as their time allows. */
  readonly parallelMax: number;
  readonly clock: Clock;
}

/** Calls in line beyond which further ones are misses at once. */
const WAITING_MAX = 1000;
/** Failures in a row after which the server is left alone for a while, or each query would wait for it in vain. */
const FAILURES_MAX = 10;
const REST_MS = 5000;
const TTL_MS_MIN = 1000;

/** Makes of a server a cache: whatever goes wrong is a miss, within bounded time and memory. */
export class RemoteCache implements Cache {
  readonly stats: CacheStats = { hits: 0, misses: 0, failures: 0 };
  readonly #store: RemoteStore;
  readonly #options: RemoteCacheOptions;
  readonly #clock: Clock;
  readonly #places: Semaphore;
  #waiting = 0;
  #failuresInARow = 0;
  #restUntilMs = 0;

  constructor(store: RemoteStore, options: RemoteCacheOptions) {
    this.#store = store;
    this.#options = options;
    this.#clock = options.clock;
    this.#places = new Semaphore(options.parallelMax);
  }

  async get(keys: readonly string[], signal?: AbortSignal): Promise<readonly (Uint8Array | undefined)[]> {
    signal?.throwIfAborted();
    const hashed = keys.map((key) => this.#keyOf(key));
    const values = keys.length === 0 ? [] : await this.#call(() => this.#store.get(hashed), signal);
    const found = keys.map((_, i) => values?.[i]);
    for (const value of found) {
      if (value === undefined) this.stats.misses++;
      else this.stats.hits++;
    }
    return found;
  }

  async set(entries: readonly CacheEntry[], signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const some = entries
      .filter(({ value, ttlMs }) => value.length <= this.#options.valueBytesMax && ttlMs >= TTL_MS_MIN)
      .map((entry) => ({ ...entry, key: this.#keyOf(entry.key) }));
    if (some.length > 0) await this.#call(() => this.#store.set(some), signal);
  }

  async close(): Promise<void> {
    await this.#store.close().catch(() => {});
  }

  /** Undefined where it failed, took too long, or was not tried. @throws only the signal's reason */
  async #call<T>(body: () => Promise<T>, signal: AbortSignal | undefined): Promise<T | undefined> {
    if (this.#waiting >= WAITING_MAX || this.#clock.monotonicMs() < this.#restUntilMs) {
      this.stats.failures++;
      return undefined;
    }
    this.#waiting++;
    const timer = new AbortController();
    try {
      const late = this.#clock.sleep(this.#options.timeoutMs, timer.signal).then(() => {
        throw new Error('too late');
      });
      late.catch(() => {});
      const answer = this.#places.run(body, timer.signal);
      answer.catch(() => {});
      const value = await Promise.race([answer, late, aborted(signal, timer.signal)]);
      this.#failuresInARow = 0;
      return value;
    } catch {
      signal?.throwIfAborted();
      this.stats.failures++;
      if (++this.#failuresInARow >= FAILURES_MAX) {
        this.#failuresInARow = 0;
        this.#restUntilMs = this.#clock.monotonicMs() + REST_MS;
      }
      return undefined;
    } finally {
      this.#waiting--;
      timer.abort();
    }
  }

  /** Servers bound the length of keys and the bytes in them. */
  #keyOf(key: string): string {
    return this.#options.keyPrefix + createHash('sha256').update(key).digest('base64url');
  }
}

/** Rejects when the signal fires; forgotten once `done` does. */
function aborted(signal: AbortSignal | undefined, done: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true, signal: done });
  });
}
