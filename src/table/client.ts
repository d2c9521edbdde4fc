/** Rows `(table, hash, range) → value`, ordered by range within a hash. Keys and values are bytes. */
export interface TableClient {
  /**
   * Puts all rows; where (hash, range) is already there, the value is replaced. All or an error: a part may then be
   * written, writing again is harmless. Rows that are over a limit are refused before any is written.
   * @throws errors.storeTableMissing where the table was not made, or is dropped
   */
  write(table: string, rows: readonly Row[], signal?: AbortSignal): Promise<void>;
  /** Rows of one hash in ascending order of range, page by page. */
  query(request: TableQuery, signal?: AbortSignal): AsyncIterable<readonly Row[]>;
  /** Deletes rows; those that are not there do not count as an error. */
  delete(table: string, keys: readonly RowKey[], signal?: AbortSignal): Promise<void>;
  /**
   * Puts `next` (undefined: removes the row) if the row's value equals `expected` (undefined: the row is not there; not both). Says
   * whether it did.
   */
  compareAndSet(
    table: string,
    key: RowKey,
    expected: Uint8Array | undefined,
    next: Uint8Array | undefined,
    signal?: AbortSignal,
  ): Promise<boolean>;
  /**
   * A count that is another one from before anything of a change can be seen, in any thread of this process. Absent or undefined: it is not
   * known, as while a change is under way. Changes that another process makes, as tools do, are not counted.
   */
  changes?(table: string): number | undefined;
  close(): Promise<void>;
}

export interface RowKey {
  readonly hash: Uint8Array;
  readonly range: Uint8Array;
}

export interface Row extends RowKey {
  readonly value: Uint8Array;
}

export interface TableQuery {
  readonly table: string;
  readonly hash: Uint8Array;
  /** Only ranges that start with these bytes. */
  readonly prefix?: Uint8Array;
  /** Only ranges at or after. */
  readonly from?: Uint8Array;
  /** Only ranges before. */
  readonly before?: Uint8Array;
  /** At most so many rows in all. */
  readonly limit?: number;
  /** A read that sees every write confirmed before it began, wherever it was made. */
  readonly strong?: boolean;
}

/**
 * Makes and drops tables, named by at most 48 small letters, digits and underscores. A table that is asked for but
 * missing reads as empty. That a table is there already when made, or gone when dropped, does not count as an error.
 */
export interface TableAdmin {
  create(table: string): Promise<void>;
  drop(table: string): Promise<void>;
  /** Ascending. */
  list(): Promise<readonly string[]>;
  /** Every row of a table, for `verify`, export and tests; order by hash is the backend's own, by range ascending within a hash. */
  scan(table: string, signal?: AbortSignal): AsyncIterable<readonly Row[]>;
  /** The table's time is over, it will hardly be written: lowers what was set aside for it, where a backend does that. */
  retire?(table: string): Promise<void>;
}

/** Limits of what a backend can hold, inclusive, so that the schema stays within them. */
export interface TableLimits {
  readonly valueBytesMax: number;
  /** Bytes of `hash` and of `range`, each. */
  readonly keyBytesMax: number;
}

export interface TableStore {
  /** One process has all of it, so that nobody else changes what this one is about to change. */
  readonly oneProcess?: boolean;
  readonly client: TableClient;
  readonly admin: TableAdmin;
  readonly limits: TableLimits;
}
