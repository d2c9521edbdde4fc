import { BytesError, ByteWriter } from '../../lib/bytes.ts';
import { storeErrors } from '../../model/errors-store.ts';
import type { Row, RowKey, TableClient } from '../../table/client.ts';
import { copiedHash, kindOf, parseHash, ROW_COPIED, ROW_KNOWN } from '../keys.ts';
import { openRow, putText, sealRow, takeText } from '../row-value.ts';
import type { Schema, StorePeriod } from '../schema.ts';

const ROW_VERSION = 1;
const EMPTY = new Uint8Array(0);
const DELETED_AT_ONCE_MAX = 256;

/**
 * The two tables of what has no day: configuration and state. They lie in the store of the newest period and are never
 * dropped. Both are made when they are first written to.
 */
export class TenantTables {
  readonly config: TenantTable;
  readonly state: TenantTable;

  private constructor(config: TenantTable, state: TenantTable) {
    this.config = config;
    this.state = state;
  }

  /** Where the newest period lies elsewhere than the one before, what that has is copied first, once. */
  static async open(schema: Schema, signal?: AbortSignal): Promise<TenantTables> {
    await copyOnce(schema, signal);
    const newest = schema.periods.at(-1)!;
    return new TenantTables(
      new TenantTable(newest, schema.configTable(newest)),
      new TenantTable(newest, schema.stateTable(newest)),
    );
  }
}

/** One of the two tables. Reads see every write that was confirmed before. */
export class TenantTable {
  readonly #client: TableClient;
  readonly #period: StorePeriod;
  readonly #name: string;
  #made: Promise<void> | undefined;

  constructor(period: StorePeriod, name: string) {
    this.#period = period;
    this.#client = period.tables.client;
    this.#name = name;
  }

  async write(rows: readonly Row[], signal?: AbortSignal): Promise<void> {
    await this.#make();
    await this.#client.write(this.#name, rows, signal);
  }

  async compareAndSet(
    key: RowKey,
    expected: Uint8Array | undefined,
    next: Uint8Array,
    signal?: AbortSignal,
  ): Promise<boolean> {
    await this.#make();
    return this.#client.compareAndSet(this.#name, key, expected, next, signal);
  }

  query(
    query: { readonly hash: Uint8Array; readonly before?: Uint8Array; readonly limit?: number },
    signal?: AbortSignal,
  ): AsyncIterable<readonly Row[]> {
    return this.#client.query({ table: this.#name, ...query, strong: true }, signal);
  }

  /** The value of one row. */
  async get(key: RowKey, signal?: AbortSignal): Promise<Uint8Array | undefined> {
    const query = { table: this.#name, hash: key.hash, prefix: key.range, limit: 1, strong: true };
    for await (const [row] of this.#client.query(query, signal)) {
      if (row !== undefined && Buffer.compare(row.range, key.range) === 0) return row.value;
    }
    return undefined;
  }

  async delete(keys: readonly RowKey[], signal?: AbortSignal): Promise<void> {
    if (keys.length > 0) await this.#client.delete(this.#name, keys, signal);
  }

  #make(): Promise<void> {
    this.#made ??= this.#period.tables.admin.create(this.#name).catch((thrown) => {
      this.#made = undefined;
      throw thrown;
    });
    return this.#made;
  }
}

/** Names of the tables of a period that this is about. */
export function tenantTableNames(schema: Schema, period: StorePeriod): readonly string[] {
  return [schema.configTable(period), schema.stateTable(period)];
}

/** Removes everything that a tenant has in these tables, of all periods. @returns how many rows went */
export async function removeTenantRows(schema: Schema, tenant: string, signal?: AbortSignal): Promise<number> {
  let count = 0;
  for (const period of schema.periods) {
    const { admin, client } = period.tables;
    for (const table of tenantTableNames(schema, period)) {
      let gone: RowKey[] = [];
      for await (const page of admin.scan(table, signal)) {
        for (const { hash, range, value } of page) {
          if (ownerOf(hash, value) === tenant) gone.push({ hash, range });
        }
        if (gone.length < DELETED_AT_ONCE_MAX) continue;
        await client.delete(table, gone, signal);
        count += gone.length;
        gone = [];
      }
      if (gone.length > 0) await client.delete(table, gone, signal);
      count += gone.length;
    }
  }
  return count;
}

function ownerOf(hash: Uint8Array, value: Uint8Array): string | undefined {
  const parsed = parseHash(hash);
  return parsed?.kind === ROW_KNOWN ? decodeKnown(value).tenant : parsed?.tenant;
}

/** @throws storeErrors.rowCorrupt where what was read is damaged */
export function guardedRow<T>(tenant: string, kind: string, name: string, read: () => T): T {
  try {
    return read();
  } catch (thrown) {
    if (!(thrown instanceof BytesError)) throw thrown;
    throw storeErrors.rowCorrupt({ name: `${kind} ${JSON.stringify(name)} of ${tenant}`, reason: thrown.message });
  }
}

/** A tenant that has something of a kind. */
export interface KnownRow {
  readonly tenant: string;
  /** Drawn anew with each change. */
  readonly mark: string;
}

export function encodeKnown({ tenant, mark }: KnownRow): Uint8Array {
  const out = new ByteWriter();
  putText(out, tenant);
  putText(out, mark);
  return sealRow(ROW_VERSION, out.done());
}

/** @throws BytesError */
export function decodeKnown(value: Uint8Array): KnownRow {
  const from = openRow(ROW_VERSION, value);
  const tenant = takeText(from);
  const mark = takeText(from);
  from.end();
  return { tenant, mark };
}

/** @throws BytesError */
export function checkCopied(value: Uint8Array): void {
  const from = openRow(ROW_VERSION, value);
  takeText(from);
  from.end();
}

/** The mark is set last: to be cut short is harmless, the next one begins again. What is there already stays as it is. */
async function copyOnce(schema: Schema, signal: AbortSignal | undefined): Promise<void> {
  const newest = schema.periods.at(-1)!;
  const others = schema.periods
    .slice(0, -1)
    .filter(({ tables, tablePrefix }) => tables !== newest.tables || tablePrefix !== newest.tablePrefix);
  if (others.length === 0) return;
  const mark = { hash: copiedHash(), range: EMPTY };
  const config = new TenantTable(newest, schema.configTable(newest));
  if ((await config.get(mark, signal)) !== undefined) return;
  const from = await newestWithTables(schema, others);
  if (from === undefined) return;
  for (const [source, target] of [
    [schema.configTable(from), config],
    [schema.stateTable(from), new TenantTable(newest, schema.stateTable(newest))],
  ] as const) {
    for await (const page of from.tables.admin.scan(source, signal)) {
      for (const { hash, range, value } of page) {
        if (kindOf(hash) !== ROW_COPIED) await target.compareAndSet({ hash, range }, undefined, value, signal);
      }
    }
  }
  const out = new ByteWriter();
  putText(out, from.tablePrefix);
  await config.write([{ ...mark, value: sealRow(ROW_VERSION, out.done()) }], signal);
}

async function newestWithTables(schema: Schema, periods: readonly StorePeriod[]): Promise<StorePeriod | undefined> {
  for (const period of periods.toReversed()) {
    const there = await period.tables.admin.list();
    if (tenantTableNames(schema, period).some((table) => there.includes(table))) return period;
  }
  return undefined;
}
