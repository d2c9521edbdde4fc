import { copyBytes } from '../../lib/copy.ts';
import { Semaphore } from '../../lib/semaphore.ts';
import type { Row, TableAdmin } from '../client.ts';
import { emptyIfMissing } from '../missing.ts';
import { assertTableName, isTableName } from '../name.ts';
import { type CassandraRows, hashOf } from './client.ts';
import type { CassandraSession } from './session.ts';

export class CassandraTableAdmin implements TableAdmin {
  readonly #session: CassandraSession;
  readonly #rows: CassandraRows;
  /** Cassandra does not like changes of the schema side by side. */
  readonly #oneAtATime = new Semaphore(1);

  constructor(session: CassandraSession, rows: CassandraRows) {
    this.#session = session;
    this.#rows = rows;
  }

  async create(table: string): Promise<void> {
    assertTableName(table);
    const { tableOptions } = this.#session.config;
    const columns = '(hash blob, range blob, value blob, PRIMARY KEY (hash, range))';
    const options = tableOptions === '' ? '' : ` WITH ${tableOptions}`;
    await this.#change(
      'create',
      table,
      `CREATE TABLE IF NOT EXISTS ${this.#session.nameOf(table)} ${columns}${options}`,
    );
  }

  async drop(table: string): Promise<void> {
    assertTableName(table);
    await this.#change('drop', table, `DROP TABLE IF EXISTS ${this.#session.nameOf(table)}`);
  }

  async list(): Promise<readonly string[]> {
    const cql = 'SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?';
    const { keyspace } = this.#session.config;
    const { rows } = await this.#session.call({ operation: 'list' }, undefined, (client) =>
      client.execute(cql, [keyspace], { ...this.#session.readOptions, consistency: undefined, fetchSize: 100_000 }),
    );
    return rows
      .map((row) => String(row.table_name))
      .filter(isTableName)
      .sort();
  }

  scan(table: string, signal?: AbortSignal): AsyncIterable<readonly Row[]> {
    return emptyIfMissing(this.#scan(table, signal));
  }

  async *#scan(table: string, signal?: AbortSignal): AsyncGenerator<readonly Row[]> {
    assertTableName(table);
    const cql = `SELECT hash, range, value FROM ${this.#session.nameOf(table)}`;
    for await (const page of this.#rows.pages('scan', table, cql, [], Number.POSITIVE_INFINITY, signal)) {
      yield page.map((row) => ({ hash: hashOf(row.hash!), range: copyBytes(row.range), value: copyBytes(row.value) }));
    }
  }

  async #change(operation: string, table: string, cql: string): Promise<void> {
    await this.#oneAtATime.run(() =>
      this.#session.call({ operation, table }, undefined, (client) => client.execute(cql, [], { prepare: false })),
    );
  }
}
