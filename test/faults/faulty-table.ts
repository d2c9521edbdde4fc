import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { type Random, seededRandom } from '../../src/lib/random.ts';
import type { Row, RowKey, TableClient, TableQuery } from '../../src/table/client.ts';
import { FaultSource, type Faults } from './faults.ts';

/**
 * A table client that fails as real ones do, above their own retrying: with errors of the catalogue, before or after the
 * work is done, also between the pages of a read.
 */
export class FaultyTableClient implements TableClient {
  readonly source: FaultSource;
  readonly #client: TableClient;
  readonly #random: Random;

  constructor(client: TableClient, faults: Faults, random: Random = seededRandom(1), clock: Clock = systemClock) {
    this.#client = client;
    this.#random = random;
    this.source = new FaultSource('faulty', faults, random, clock);
  }

  async write(table: string, rows: readonly Row[], signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await this.source.call('write', table, async () => {
      // an error may leave a part written
      if (rows.length > 1 && this.#random() < (this.source.faults.unavailable ?? 0)) {
        await this.#client.write(table, rows.slice(0, Math.ceil(this.#random() * rows.length)), signal);
        await this.source.before('write', table);
      }
      await this.#client.write(table, rows, signal);
    });
  }

  async *query(query: TableQuery, signal?: AbortSignal): AsyncGenerator<readonly Row[]> {
    await this.source.before('query', query.table);
    for await (const page of this.#client.query(query, signal)) {
      yield page;
      await this.source.before('query', query.table);
    }
  }

  async delete(table: string, keys: readonly RowKey[], signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await this.source.call('delete', table, () => this.#client.delete(table, keys, signal));
  }

  async compareAndSet(
    table: string,
    key: RowKey,
    expected: Uint8Array | undefined,
    next: Uint8Array | undefined,
    signal?: AbortSignal,
  ): Promise<boolean> {
    signal?.throwIfAborted();
    const body = () => this.#client.compareAndSet(table, key, expected, next, signal);
    return this.source.call('compare-and-set', table, body, true);
  }

  async close(): Promise<void> {
    await this.#client.close();
  }
}
