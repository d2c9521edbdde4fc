import type { Client } from 'cassandra-driver';
import { copyBytes } from '../../lib/copy.ts';
import { escapeEmpty, unescapeEmpty } from '../../lib/escape.ts';
import { forEachAtOnce } from '../../lib/semaphore.ts';
import { batchesOf } from '../batches.ts';
import type { RangeBounds } from '../bounds.ts';
import type { Row, RowKey, TableLimits, TableQuery } from '../client.ts';
import { PageSize } from '../page-size.ts';
import type { RowService } from '../remote.ts';
import { isSame } from '../same.ts';
import { BACKEND, type CassandraSession } from './session.ts';

/** Cassandra would take more, at a price: a coordinator holds whole rows and pages of them in memory. */
export const CASSANDRA_LIMITS: TableLimits = { valueBytesMax: 1 << 20, keyBytesMax: 1024 };

const BATCH_ROWS_MAX = 100;
const WRITES_AT_ONCE = 16;

/** Bytes that a row takes of a batch beyond its own. */
const ROW_OVERHEAD_BYTES = 64;

/**
 * Rows as (hash, range) → value, one partition per hash. A partition key must not be empty, hence `escapeEmpty`.
 *
 * The later time stamp wins where a row is written twice, as the clocks of the writing processes have it; rows
 * that are changed, rather than added, should change by `compareAndSet`.
 */
export class CassandraRows implements RowService {
  readonly name = BACKEND;
  readonly limits = CASSANDRA_LIMITS;
  readonly #session: CassandraSession;

  constructor(session: CassandraSession) {
    this.#session = session;
  }

  async put(table: string, rows: readonly Row[], signal: AbortSignal | undefined): Promise<void> {
    const insert = `INSERT INTO ${this.#session.nameOf(table)} (hash, range, value) VALUES (?, ?, ?)`;
    await forEachAtOnce(partitioned(rows, this.#session.config.batchBytesMax), WRITES_AT_ONCE, (batch) =>
      this.#change(
        'write',
        table,
        batch.map((row) => ({ query: insert, params: [...keyOf(row), Buffer.from(row.value)] })),
        signal,
      ),
    );
  }

  async *read(query: TableQuery, bounds: RangeBounds, signal: AbortSignal | undefined): AsyncGenerator<readonly Row[]> {
    const { hash } = query;
    let cql = `SELECT range, value FROM ${this.#session.nameOf(query.table)} WHERE hash = ?`;
    const params: unknown[] = [Buffer.from(escapeEmpty(hash))];
    if (bounds.from.length > 0) {
      cql += ' AND range >= ?';
      params.push(Buffer.from(bounds.from));
    }
    if (bounds.before !== undefined) {
      cql += ' AND range < ?';
      params.push(Buffer.from(bounds.before));
    }
    let left = query.limit ?? Number.POSITIVE_INFINITY;
    for await (const all of this.pages('query', query.table, cql, params, left, signal, query.strong)) {
      const page = all.slice(0, left);
      left -= page.length;
      yield page.map((row) => ({ hash: copyBytes(hash), range: copyBytes(row.range), value: copyBytes(row.value) }));
    }
  }

  async remove(table: string, keys: readonly RowKey[], signal: AbortSignal | undefined): Promise<void> {
    const remove = `DELETE FROM ${this.#session.nameOf(table)} WHERE hash = ? AND range = ?`;
    const rows = keys.map((key) => ({ ...key, value: EMPTY }));
    await forEachAtOnce(partitioned(rows, this.#session.config.batchBytesMax), WRITES_AT_ONCE, (batch) =>
      this.#change(
        'delete',
        table,
        batch.map((row) => ({ query: remove, params: keyOf(row) })),
        signal,
      ),
    );
  }

  async compareAndSet(
    table: string,
    key: RowKey,
    expected: Uint8Array | undefined,
    next: Uint8Array | undefined,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const name = this.#session.nameOf(table);
    const before = expected && Buffer.from(expected);
    const value = next && Buffer.from(next);
    const [cql, params] =
      before === undefined
        ? [`INSERT INTO ${name} (hash, range, value) VALUES (?, ?, ?) IF NOT EXISTS`, [...keyOf(key), value]]
        : value === undefined
          ? [`DELETE FROM ${name} WHERE hash = ? AND range = ? IF value = ?`, [...keyOf(key), before]]
          : [`UPDATE ${name} SET value = ? WHERE hash = ? AND range = ? IF value = ?`, [value, ...keyOf(key), before]];
    const answer = await this.#session.call({ operation: 'compare-and-set', table }, signal, (client, failedTries) =>
      client
        .execute(cql, params, { ...this.#session.writeOptions, isIdempotent: false })
        .then((result) => ({ row: result.first(), failedTries })),
    );
    if (answer.row['[applied]'] === true) return true;
    // a try that seemed to fail may have been applied, and this one then met our own value, or no row
    const held = (answer.row.value as Buffer | null | undefined) ?? undefined;
    return answer.failedTries > 0 && isSame(held, next);
  }

  async close(): Promise<void> {
    await this.#session.close();
  }

  /**
   * Pages of a statement's rows, at least until there are `limit`. How many a page may have is learnt from how large they
   * are. The limit is not part of the statement: where it is within a page's size, Cassandra begins again at the first row.
   */
  async *pages(
    operation: string,
    table: string,
    cql: string,
    params: readonly unknown[],
    limit: number,
    signal: AbortSignal | undefined,
    strong = false,
  ): AsyncGenerator<readonly StoredRow[]> {
    let left = limit;
    let pageState: string | undefined;
    const size = new PageSize();
    do {
      signal?.throwIfAborted();
      const { readOptions, strongReadOptions } = this.#session;
      const level = strong ? strongReadOptions : readOptions;
      const options = { ...level, fetchSize: Math.min(size.rows, left), pageState };
      const page = await this.#session.call({ operation, table }, signal, (client) =>
        client.execute(cql, params as unknown[], options),
      );
      pageState = page.pageState;
      const rows = page.rows as unknown as StoredRow[];
      if (rows.length === 0) continue;
      let bytes = 0;
      for (const row of rows) bytes += row.range.length + row.value.length;
      size.learn(rows.length, bytes);
      left -= rows.length;
      yield rows;
    } while (pageState != null && left > 0);
  }

  async #change(
    operation: string,
    table: string,
    statements: { query: string; params: Buffer[] }[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { writeOptions } = this.#session;
    const [first] = statements;
    await this.#session.call({ operation, table }, signal, async (client: Client) => {
      // one statement alone is no batch: those have a limit of their own
      if (statements.length === 1) await client.execute(first!.query, first!.params, writeOptions);
      else await client.batch(statements, { ...writeOptions, logged: false });
    });
  }
}

export interface StoredRow {
  readonly hash?: Buffer;
  readonly range: Buffer;
  readonly value: Buffer;
}

const EMPTY = new Uint8Array(0);

function keyOf(key: RowKey): Buffer[] {
  return [Buffer.from(escapeEmpty(key.hash)), Buffer.from(key.range)];
}

export function hashOf(stored: Uint8Array): Uint8Array {
  return unescapeEmpty(stored);
}

/** Rows of one partition each, few enough for a batch. */
function partitioned(rows: readonly Row[], bytesMax: number): Row[][] {
  const partitions = Map.groupBy(rows, (row) => Buffer.from(row.hash).toString('latin1'));
  const bytesOf = ({ hash, range, value }: Row) => hash.length + range.length + value.length + ROW_OVERHEAD_BYTES;
  return [...partitions.values()].flatMap((own) => batchesOf(own, { itemsMax: BATCH_ROWS_MAX, bytesMax, bytesOf }));
}
