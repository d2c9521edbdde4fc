/**
 * Objects `key → bytes`. Keys are paths of ASCII letters, digits and `-_.=/`, no part of a path starts with a dot, and no
 * object's key is the folder of another's. An object is never changed once put.
 */
export interface ObjectClient {
  /** Whole or not at all. Putting the same key again replaces it. */
  put(key: string, body: Uint8Array, signal?: AbortSignal): Promise<void>;
  /** @throws errors.objectNotFound */
  get(key: string, signal?: AbortSignal): Promise<Uint8Array>;
  /** Whether objects are files of this machine: its system caches them. */
  readonly isLocal?: boolean;
  /**
   * Bytes [offset, offset + length); fewer where the object ends first.
   * @param room where the bytes may go, of so many as there are; who has them already gives others
   * @throws errors.objectNotFound
   */
  getRange(
    key: string,
    offset: number,
    length: number,
    signal?: AbortSignal,
    room?: (bytes: number) => Uint8Array,
  ): Promise<Uint8Array>;
  /** Every object whose key starts with `prefix`, ascending, page by page. */
  list(prefix: string, signal?: AbortSignal): AsyncIterable<readonly ObjectInfo[]>;
  /** Deletes one object; that it is not there does not count as an error. */
  delete(key: string, signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export interface ObjectInfo {
  readonly key: string;
  readonly bytes: number;
  readonly modifiedMs: number;
}
