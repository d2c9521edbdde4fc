/**
 * Small values that change by compare-and-set: the ring's versions and its members' rows. No request of a user waits for it;
 * when it is away, the ring stands still.
 */
export interface KvClient {
  /** The value as of some moment within the call: it sees every write that was answered before. */
  get(key: string, signal?: AbortSignal): Promise<KvEntry | undefined>;
  /** Puts the value, whatever was there. For keys of one writer. */
  put(key: string, value: Uint8Array, signal?: AbortSignal): Promise<void>;
  /**
   * Puts the value if the key's revision is still `expected` (undefined: the key is not there). Says whether it did; an
   * error says neither.
   */
  compareAndSet(
    key: string,
    expected: KvEntry['revision'] | undefined,
    next: Uint8Array,
    signal?: AbortSignal,
  ): Promise<boolean>;
  /** Removes the key if its revision is still `expected`. Says whether it did; an error says neither. Watchers are not told. */
  remove(key: string, expected: KvEntry['revision'], signal?: AbortSignal): Promise<boolean>;
  /**
   * Entries under a prefix: those that are there, then each that changes, until it is aborted (it ends then, without error). A
   * key that changes faster than it is taken is given in its newest state only. Backends whose reads are not all strong may give
   * a state once more that had another one after it; the newest comes within a poll or two.
   */
  watch(prefix: string, signal: AbortSignal): AsyncIterable<KvEntry>;
}

export interface KvEntry {
  readonly key: string;
  readonly value: Uint8Array;
  /** Another one after each write, and never the same again: the backend's own, compared only for equality. */
  readonly revision: string;
}

/** Bytes of a value that every backend must hold (etcd: 1.5 MiB a request). */
export const KV_VALUE_BYTES_MAX = 1 << 20;
/** Bytes of a key. */
export const KV_KEY_BYTES_MAX = 512;
