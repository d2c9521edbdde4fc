import type { Row, RowKey, TableClient, TableQuery } from './client.ts';

/** Traffic that went through a client. Rows are counted as they come, not as they were planned. */
export class TableCounts {
  queries = 0;
  rowsRead = 0;
  bytesRead = 0;
  rowsWritten = 0;
  bytesWritten = 0;
  rowsDeleted = 0;
}

/** Counts for whoever makes it, one query for instance, and leaves the rest to a client that many share. */
export class CountingTableClient implements TableClient {
  readonly counts: TableCounts;
  readonly #client: TableClient;

  constructor(client: TableClient, counts: TableCounts = new TableCounts()) {
    this.#client = client;
    this.counts = counts;
  }

  async write(table: string, rows: readonly Row[], signal?: AbortSignal): Promise<void> {
    await this.#client.write(table, rows, signal);
    this.counts.rowsWritten += rows.length;
    for (const row of rows) this.counts.bytesWritten += bytesOf(row);
  }

  async *query(query: TableQuery, signal?: AbortSignal): AsyncGenerator<readonly Row[]> {
    this.counts.queries++;
    for await (const page of this.#client.query(query, signal)) {
      this.counts.rowsRead += page.length;
      for (const row of page) this.counts.bytesRead += bytesOf(row);
      yield page;
    }
  }

  async delete(table: string, keys: readonly RowKey[], signal?: AbortSignal): Promise<void> {
    await this.#client.delete(table, keys, signal);
    this.counts.rowsDeleted += keys.length;
  }

  async compareAndSet(
    table: string,
    key: RowKey,
    expected: Uint8Array | undefined,
    next: Uint8Array | undefined,
    signal?: AbortSignal,
  ): Promise<boolean> {
    const done = await this.#client.compareAndSet(table, key, expected, next, signal);
    if (done && next === undefined) this.counts.rowsDeleted++;
    else if (done) {
      this.counts.rowsWritten++;
      this.counts.bytesWritten += bytesOf({ ...key, value: next! });
    }
    return done;
  }

  /** The client is not ours to close. */
  async close(): Promise<void> {}
}

function bytesOf({ hash, range, value }: Row): number {
  return hash.length + range.length + value.length;
}
