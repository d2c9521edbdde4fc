import { boundsOf, type RangeBounds } from './bounds.ts';
import type { Row, RowKey, TableClient, TableLimits, TableQuery } from './client.ts';
import { distinct } from './distinct.ts';
import { checkRows } from './limits.ts';
import { emptyIfMissing, ignoreMissing } from './missing.ts';
import { assertTableName } from './name.ts';

/**
 * Rows in a service elsewhere. What it is asked has been judged: names are well-formed, rows keep to the limits, and no key is there
 * twice. A table that is missing is errors.storeTableMissing.
 */
export interface RowService {
  readonly name: string;
  readonly limits: TableLimits;
  put(table: string, rows: readonly Row[], signal: AbortSignal | undefined): Promise<void>;
  read(query: TableQuery, bounds: RangeBounds, signal: AbortSignal | undefined): AsyncIterable<readonly Row[]>;
  remove(table: string, keys: readonly RowKey[], signal: AbortSignal | undefined): Promise<void>;
  compareAndSet(
    table: string,
    key: RowKey,
    expected: Uint8Array | undefined,
    next: Uint8Array | undefined,
    signal: AbortSignal | undefined,
  ): Promise<boolean>;
  close(): Promise<void>;
}

const EMPTY = new Uint8Array(0);

/** A client with all that services have in common: rows are judged before any is sent, and what is missing reads as empty. */
export class RemoteTableClient implements TableClient {
  readonly #service: RowService;

  constructor(service: RowService) {
    this.#service = service;
  }

  async write(table: string, rows: readonly Row[], signal?: AbortSignal): Promise<void> {
    this.#judge(table, rows, signal);
    await this.#service.put(table, distinct(rows), signal);
  }

  query(query: TableQuery, signal?: AbortSignal): AsyncIterable<readonly Row[]> {
    return emptyIfMissing(this.#query(query, signal));
  }

  async *#query(query: TableQuery, signal?: AbortSignal): AsyncGenerator<readonly Row[]> {
    this.#judge(query.table, [], signal);
    const bounds = boundsOf(query);
    if (bounds !== undefined && query.limit !== 0) yield* this.#service.read(query, bounds, signal);
  }

  async delete(table: string, keys: readonly RowKey[], signal?: AbortSignal): Promise<void> {
    this.#judge(table, [], signal);
    try {
      await this.#service.remove(table, distinct(keys), signal);
    } catch (thrown) {
      ignoreMissing(thrown);
    }
  }

  async compareAndSet(
    table: string,
    key: RowKey,
    expected: Uint8Array | undefined,
    next: Uint8Array | undefined,
    signal?: AbortSignal,
  ): Promise<boolean> {
    this.#judge(table, [{ ...key, value: next ?? EMPTY }], signal);
    return this.#service.compareAndSet(table, key, expected, next, signal);
  }

  #judge(table: string, rows: readonly Row[], signal: AbortSignal | undefined): void {
    signal?.throwIfAborted();
    assertTableName(table);
    checkRows(this.#service.name, table, rows, this.#service.limits);
  }

  async close(): Promise<void> {
    await this.#service.close();
  }
}
