import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import { errors } from '../model/errors.ts';
import type { LabelMatcher } from '../model/matcher.ts';
import type { TableQuery } from '../table/client.ts';
import { dayOf, tombstoneHash } from './keys.ts';
import type { Schema } from './schema.ts';
import { decodeTombstone, encodeTombstone, type Tombstone } from './tombstone-row.ts';

/** Requests to delete series of tenants. */
export class Tombstones {
  readonly #schema: Schema;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #cancelPeriodMs: number;

  constructor(schema: Schema, clock: Clock, random: Random, cancelPeriodMs: number) {
    this.#schema = schema;
    this.#clock = clock;
    this.#random = random;
    this.#cancelPeriodMs = cancelPeriodMs;
  }

  /** From when this returns, queries leave out what it deletes. */
  async create(
    tenant: string,
    matchers: readonly LabelMatcher[],
    startMs: number,
    endMs: number,
    signal?: AbortSignal,
  ): Promise<Tombstone> {
    const createdMs = this.#clock.nowMs();
    const id = Array.from({ length: 16 }, () =>
      Math.floor(this.#random() * 256)
        .toString(16)
        .padStart(2, '0'),
    ).join('');
    const tombstone: Tombstone = { id, matchers, startMs, endMs, createdMs, state: 'pending' };
    await this.put(tenant, tombstone, signal);
    return tombstone;
  }

  /** Writes a tombstone, in place of the one with the same id. */
  async put(tenant: string, tombstone: Tombstone, signal?: AbortSignal): Promise<void> {
    const period = this.#schema.periodOf(dayOf(tombstone.createdMs));
    const table = this.#schema.tenantsTable(period);
    await period.tables.admin.create(table);
    const range = Buffer.from(tombstone.id, 'hex');
    const row = { hash: tombstoneHash(tenant), range, value: encodeTombstone(tombstone) };
    await period.tables.client.write(table, [row], signal);
  }

  list(tenant: string, signal?: AbortSignal): Promise<Tombstone[]> {
    return listTombstones(this.#schema, tenant, { strong: true }, signal);
  }

  /** Whether the storage may go after what it deletes. */
  isDue(tombstone: Tombstone): boolean {
    return tombstone.state === 'pending' && tombstone.createdMs + this.#cancelPeriodMs <= this.#clock.nowMs();
  }

  /** @throws errors.deleteRequestNotFound, errors.deleteRequestTooLate */
  async cancel(tenant: string, id: string, signal?: AbortSignal): Promise<void> {
    const tombstone = (await this.list(tenant, signal)).find((each) => each.id === id);
    if (tombstone === undefined) throw errors.deleteRequestNotFound({ id });
    if (tombstone.state !== 'pending' || this.isDue(tombstone)) {
      throw errors.deleteRequestTooLate({ id, cancelPeriodMs: this.#cancelPeriodMs });
    }
    const period = this.#schema.periodOf(dayOf(tombstone.createdMs));
    const key = { hash: tombstoneHash(tenant), range: Buffer.from(id, 'hex') };
    await period.tables.client.delete(this.#schema.tenantsTable(period), [key], signal);
  }
}

/** Of all periods; a tenant has few. */
export async function listTombstones(
  schema: Schema,
  tenant: string,
  options: Pick<TableQuery, 'strong'> = {},
  signal?: AbortSignal,
): Promise<Tombstone[]> {
  const lists = await Promise.all(
    schema.periods.map(async (period) => {
      const found: Tombstone[] = [];
      const query = { table: schema.tenantsTable(period), hash: tombstoneHash(tenant), ...options };
      for await (const page of period.tables.client.query(query, signal)) {
        for (const row of page) found.push(decodeTombstone(row.value));
      }
      return found;
    }),
  );
  return lists.flat();
}
