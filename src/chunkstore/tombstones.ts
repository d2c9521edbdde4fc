import { ageMsOf, type Clock, type Moment, momentOf } from '../lib/clock.ts';
import { dayOf } from '../lib/day.ts';
import { getOrMake } from '../lib/map.ts';
import type { Random } from '../lib/random.ts';
import { queryErrors } from '../model/errors-query.ts';
import type { LabelMatcher } from '../model/matcher.ts';
import { kindOf, parseHash, ROW_TOMBSTONE, tombstoneHash } from './keys.ts';
import type { Schema } from './schema.ts';
import { decodeTombstone, encodeTombstone, type Tombstone } from './tombstone-row.ts';

/** The latest time, in Unix ms, that a date can have. */
const MAX_TIME_MS = 8.64e15;

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
    await this.#set(tenant, undefined, tombstone, signal);
    return tombstone;
  }

  /**
   * All that the tenant has until now is to go; it cannot be cancelled. Queries leave it out from when this returns. A request that is
   * not through yet is moved on to now.
   */
  async deleteTenant(tenant: string, signal?: AbortSignal): Promise<Tombstone> {
    const known = await this.tenantDeletion(tenant, signal);
    const endMs = this.#clock.nowMs();
    if (known?.state !== 'pending') return this.create(tenant, [], -MAX_TIME_MS, endMs, signal);
    const moved = { ...known, endMs };
    // what is through by now says nothing of what came since
    if (!(await this.change(tenant, known, moved, signal))) return this.create(tenant, [], -MAX_TIME_MS, endMs, signal);
    return moved;
  }

  /** The newest request to delete the whole tenant. `processed`: nothing is left of it in the store. */
  async tenantDeletion(tenant: string, signal?: AbortSignal): Promise<Tombstone | undefined> {
    const all = await listTombstones(this.#schema, tenant, signal);
    return all.filter(isOfTenant).sort((a, b) => b.createdMs - a.createdMs)[0];
  }

  /** Writes a tombstone in the place of what was read of it. @returns false where it has changed since */
  change(tenant: string, from: Tombstone, to: Tombstone, signal?: AbortSignal): Promise<boolean> {
    return this.#set(tenant, encodeTombstone(from), to, signal);
  }

  async #set(tenant: string, expected: Uint8Array | undefined, to: Tombstone, signal?: AbortSignal): Promise<boolean> {
    const period = this.#schema.periodOf(dayOf(to.createdMs));
    const table = this.#schema.tenantsTable(period);
    await period.tables.admin.create(table);
    const key = { hash: tombstoneHash(tenant), range: Buffer.from(to.id, 'hex') };
    return period.tables.client.compareAndSet(table, key, expected, encodeTombstone(to), signal);
  }

  /** Requests to delete series of a tenant. */
  async list(tenant: string, signal?: AbortSignal): Promise<Tombstone[]> {
    return (await listTombstones(this.#schema, tenant, signal)).filter((each) => !isOfTenant(each));
  }

  tenants(signal?: AbortSignal): Promise<string[]> {
    return tombstoneTenants(this.#schema, signal);
  }

  /** Whether the storage may go after what it deletes. */
  isDue(tombstone: Tombstone): boolean {
    return tombstone.state === 'pending' && dueMsOf(tombstone, this.#cancelPeriodMs) <= this.#clock.nowMs();
  }

  /** @throws queryErrors.deleteRequestNotFound, queryErrors.deleteRequestTooLate */
  async cancel(tenant: string, id: string, signal?: AbortSignal): Promise<void> {
    const tombstone = (await this.list(tenant, signal)).find((each) => each.id === id);
    if (tombstone === undefined) throw queryErrors.deleteRequestNotFound({ id });
    if (tombstone.state !== 'pending' || this.isDue(tombstone)) {
      throw queryErrors.deleteRequestTooLate({ id, cancelPeriodMs: this.#cancelPeriodMs });
    }
    await this.remove(tenant, tombstone, signal);
  }

  async remove(tenant: string, { id, createdMs }: Tombstone, signal?: AbortSignal): Promise<void> {
    const period = this.#schema.periodOf(dayOf(createdMs));
    const key = { hash: tombstoneHash(tenant), range: Buffer.from(id, 'hex') };
    await period.tables.client.delete(this.#schema.tenantsTable(period), [key], signal);
  }
}

/** Tenants that have requests, as far as a scan tells. What they ask for is read for each of them (`listTombstones`), strongly. */
export async function tombstoneTenants(schema: Schema, signal?: AbortSignal): Promise<string[]> {
  const found = new Set<string>();
  for (const period of schema.periods) {
    for await (const page of period.tables.admin.scan(schema.tenantsTable(period), signal)) {
      for (const row of page) {
        if (kindOf(row.hash) !== ROW_TOMBSTONE) continue;
        const tenant = parseHash(row.hash)?.tenant;
        if (tenant !== undefined) found.add(tenant);
      }
    }
  }
  return [...found];
}

/** From when it can not be cancelled any more, Unix ms. One that was asked for again counts from then. */
export function dueMsOf(tombstone: Tombstone, cancelPeriodMs: number): number {
  const { createdMs, endMs } = tombstone;
  return isOfTenant(tombstone) ? Math.max(createdMs, endMs) : createdMs + cancelPeriodMs;
}

/** Requests are listed for so long at least after they could not be cancelled any more. */
const KEPT_MS_MIN = 7 * 86_400_000;
/** So much longer than logs are accepted: clocks of ingesters and of compactors differ. */
const CLOCKS_MS = 3_600_000;

/** Until when it is kept at least, Unix ms: no log that is accepted has samples from before it then. */
export function forgottenMsOf(tombstone: Tombstone, cancelPeriodMs: number, walAgeMaxMs: number): number {
  return dueMsOf(tombstone, cancelPeriodMs) + Math.max(KEPT_MS_MIN, walAgeMaxMs + CLOCKS_MS);
}

/** Whether it is about everything that a tenant has. */
export function isOfTenant({ matchers }: Tombstone): boolean {
  return matchers.length === 0;
}

/** Until when everything is deleted, Unix ms; −Infinity: the tenant never was. */
export function deletedUntil(tombstones: readonly Tombstone[]): number {
  return Math.max(Number.NEGATIVE_INFINITY, ...tombstones.filter(isOfTenant).map(({ endMs }) => endMs));
}

/** Tenants without tombstones that are known. */
const NONE_KNOWN_MAX = 1024;
/** How long it is believed, by both clocks, that a tenant has none: changes by another process, as of tools that restore a backup, are not counted. */
const NONE_KNOWN_MS = 1_000;
const NONE: Promise<readonly Tombstone[]> = Promise.resolve([]);

/**
 * Tombstones as queries read them: once for all that one query asks, and not again for a tenant that had none as long as its tables have
 * not changed. While a change is under way they are read: a query that caches has seen by `Generations.of` what it is an answer to, and
 * might have seen that change there.
 */
export class QueryTombstones {
  readonly #schema: Schema;
  readonly #clock: Pick<Clock, 'nowMs' | 'monotonicMs'>;
  readonly #list: typeof listTombstones;
  readonly #ofQueries = new WeakMap<AbortSignal, Map<string, Promise<readonly Tombstone[]>>>();
  /** Tenant → when it had none, and what `#changes` said before that was read. */
  readonly #none = new Map<string, { readonly changes: number; readonly readAt: Moment }>();

  /** @param list reads those of a tenant */
  constructor(schema: Schema, clock: Pick<Clock, 'nowMs' | 'monotonicMs'>, list = listTombstones) {
    this.#schema = schema;
    this.#clock = clock;
    this.#list = list;
  }

  /** @param signal the query's own */
  of(tenant: string, signal: AbortSignal): Promise<readonly Tombstone[]> {
    const tenants = getOrMake(this.#ofQueries, signal, () => new Map<string, Promise<readonly Tombstone[]>>());
    return getOrMake(tenants, tenant, () => this.#read(tenant, signal));
  }

  #read(tenant: string, signal: AbortSignal): Promise<readonly Tombstone[]> {
    const changes = this.#changes();
    if (changes === undefined) return this.#list(this.#schema, tenant, signal);
    const readAt = momentOf(this.#clock);
    const known = this.#none.get(tenant);
    if (known?.changes === changes && ageMsOf(this.#clock, known.readAt) < NONE_KNOWN_MS) return NONE;
    return this.#readAnew(tenant, { changes, readAt }, signal);
  }

  async #readAnew(
    tenant: string,
    state: { readonly changes: number; readonly readAt: Moment },
    signal: AbortSignal,
  ): Promise<readonly Tombstone[]> {
    this.#none.delete(tenant);
    const found = await this.#list(this.#schema, tenant, signal);
    if (found.length === 0) {
      if (this.#none.size === NONE_KNOWN_MAX) this.#none.delete(this.#none.keys().next().value!);
      this.#none.set(tenant, state);
    }
    return found;
  }

  /** Changes of the tables that have tombstones, all counted together; undefined where they are not known, or some are under way. */
  #changes(): number | undefined {
    let sum = 0;
    for (const period of this.#schema.periods) {
      const changes = period.tables.client.changes?.(this.#schema.tenantsTable(period));
      if (changes === undefined) return undefined;
      sum += changes;
    }
    return sum;
  }
}

/**
 * Tombstones of all periods; a tenant has few. They are read strongly and never from a cache: no query that begins
 * after a delete may see what was deleted, whichever process answers it. `QueryTombstones` leaves out reads that would find none.
 */
export async function listTombstones(
  schema: Schema,
  tenant: string,
  signal?: AbortSignal,
  decode: (value: Uint8Array) => Tombstone = decodeTombstone,
): Promise<Tombstone[]> {
  const lists = await Promise.all(
    schema.periods.map(async (period) => {
      const found: Tombstone[] = [];
      const query = { table: schema.tenantsTable(period), hash: tombstoneHash(tenant), strong: true };
      for await (const page of period.tables.client.query(query, signal)) {
        for (const row of page) found.push(decode(row.value));
      }
      return found;
    }),
  );
  return lists.flat();
}
