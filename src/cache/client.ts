/**
 * Bytes by key, kept as long as there is room: a thing that may forget at any moment. Failures are misses, told to
 * metrics and never to the caller; values are not to be changed by who puts or gets them.
 */
export interface Cache {
  /** Values of these keys, in the order of the keys; undefined for a key that is not there. */
  get(keys: readonly string[], signal?: AbortSignal): Promise<readonly (Uint8Array | undefined)[]>;
  /** Keeps these for a while. Resolves when that is done or has failed. */
  set(entries: readonly CacheEntry[], signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export interface CacheEntry {
  readonly key: string;
  readonly value: Uint8Array;
  /** Not served any more after so long; less where the cache has a bound of its own. */
  readonly ttlMs: number;
}

/** How a cache did. */
export interface CacheStats {
  hits: number;
  misses: number;
  /** Calls that failed or took too long. */
  failures: number;
}
