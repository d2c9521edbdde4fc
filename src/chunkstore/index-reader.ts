import { BytesError } from '../lib/bytes.ts';
import { type Clock, type Moment, momentOf } from '../lib/clock.ts';
import { DAY_MS, dayOf } from '../lib/day.ts';
import { forEachAtOnce } from '../lib/semaphore.ts';
import { storeErrors } from '../model/errors-store.ts';
import type { MetricMetadata } from '../model/metric-metadata.ts';
import type { QueryContext } from '../storage/queryable.ts';
import type { Row, RowKey, TableQuery } from '../table/client.ts';
import { type CompactedDay, decodeCompacted } from './compacted-row.ts';
import { isDamage } from './damage.ts';
import { decodeGroupRow, decodeReplaces, type GroupRow, hexOf } from './group-row.ts';
import {
  compactedHash,
  dayOfRange,
  daysHash,
  groupHash,
  labelHash,
  mergedRange,
  metadataHash,
  placementHash,
  tenantsHash,
  windowRange,
} from './keys.ts';
import { decodeLabelRow, type LabelValues } from './label-row.ts';
import { decodeMetadata } from './metadata-row.ts';
import { decodePlacement, type Placement, type Slot } from './placement.ts';
import { RowCache } from './row-cache.ts';
import type { Schema, StorePeriod, TableOfPeriod } from './schema.ts';

/** How long a list of tables may be used again. */
const TABLES_TTL_MS = 60_000;
/** Most that a decoded row takes besides its bytes. Small ones take as much again; bodies of groups stay bytes. */
const DECODED_BYTES_MAX = 16 * 1024;

export interface IndexReaderOptions {
  /** The length of windows as they are flushed now. Others that divide the grid made of it are found too: see `gridOf`. */
  readonly windowMs: number;
  readonly readsAtOnce: number;
  readonly rowCacheTtlMs: number;
  readonly rowCacheBytesMax: number;
  /**
   * Monotonic time when a member of the ring was last heard to say that the store has all it held: who need not ask that member any
   * more uses no list that was read before, and reads strongly for as long as lists are kept.
   */
  readonly rowsSinceMs?: (() => number) | undefined;
  /** Every read sees what was confirmed before it began: for who removes what it does not find. */
  readonly strong?: boolean;
  /** Damaged placements and groups are left out; without it they fail the read. */
  readonly skipsDamaged?: boolean;
}

/** A group row and the period that its object is in. */
export interface FoundGroup extends GroupRow {
  readonly period: StorePeriod;
  readonly table: string;
  readonly key: RowKey;
  /** Name of the row, for errors. */
  readonly name: string;
}

/** The context that row reads need: how a query is ended, what it may use. */
export type ReadContext = QueryContext;

/** Lists that were read of where one metric may have groups, as long as they say that it has none. */
export class NoGroups {
  readonly metric: string;
  isSo = true;
  slots = 0;
  /** When the oldest of the lists was read, by each clock. */
  readAt: Moment = { wallMs: Number.POSITIVE_INFINITY, monotonicMs: Number.POSITIVE_INFINITY };

  constructor(metric: string) {
    this.metric = metric;
  }

  see(count: number, { wallMs, monotonicMs }: Moment): void {
    if (count > 0) this.isSo = false;
    this.readAt = {
      wallMs: Math.min(this.readAt.wallMs, wallMs),
      monotonicMs: Math.min(this.readAt.monotonicMs, monotonicMs),
    };
  }
}

/** Times in which a metric has no group, both ends included, and the slots that it could have some in. */
interface EmptyTimes {
  readonly startMs: number;
  readonly endMs: number;
  readonly slots: number;
}

/** A part of the grid of windows, and the key of its list. */
interface Cell {
  readonly key: string;
  readonly startMs: number;
}

/** Hears of each list: how many rows it has, and when it was read. */
type Seen = (count: number, readAt: Moment) => void;

/** For work in the background: nothing is cached. */
export function uncachedIndex(schema: Schema, clock: Clock): IndexReader {
  return new IndexReader(schema, clock, {
    windowMs: DAY_MS,
    readsAtOnce: 4,
    rowCacheTtlMs: 0,
    rowCacheBytesMax: 0,
    strong: true,
  });
}

/** Reads the index rows: one method a kind of row, each with its cache. Rows are counted as the clients hand them over. */
export class IndexReader {
  readonly #schema: Schema;
  readonly #clock: Clock;
  readonly #options: IndexReaderOptions;
  readonly #cache: RowCache;
  readonly #gridMs: number;

  constructor(schema: Schema, clock: Clock, options: IndexReaderOptions) {
    this.#schema = schema;
    this.#clock = clock;
    this.#options = options;
    this.#gridMs = gridOf(options.windowMs);
    this.#cache = new RowCache(clock, options.rowCacheTtlMs, options.rowCacheBytesMax, options.rowsSinceMs);
  }

  /** Forgets cached rows, so that what was written since is seen. */
  forget(): void {
    this.#cache.clear();
  }

  /** Days from `startMs` to `endMs` on which the tenant may have data, ascending. */
  async days(tenant: string, startMs: number, endMs: number, context: ReadContext): Promise<number[]> {
    const found = new Set<number>();
    const first = dayOf(startMs);
    const last = dayOf(endMs);
    await forEachAtOnce(await this.#tables(startMs, endMs), this.#options.readsAtOnce, async ({ period, table }) => {
      const key = `d ${table} ${tenant}`;
      const query = () => ({ table, hash: daysHash(tenant) });
      for (const day of await this.#cached(period, key, query, context, (row) => dayOfRange(row.range))) {
        if (day >= first && day <= last) found.add(day);
      }
    });
    return [...found].sort((a, b) => a - b);
  }

  /** Tables for the range that are there: a range may be as long as time, tables are few. */
  async #tables(startMs: number, endMs: number): Promise<TableOfPeriod[]> {
    const tables = await Promise.all(
      this.#schema.periods.map(async (period, i) => {
        const key = `${i} tables`;
        let there = this.#cache.get<readonly string[]>(key);
        if (there === undefined) {
          const readAt = momentOf(this.#clock);
          there = await period.tables.admin.list();
          this.#cache.set(key, there, 100 * there.length, readAt, TABLES_TTL_MS);
        }
        return this.#schema.tablesWithin(period, there, startMs, endMs).map((table) => ({ period, table }));
      }),
    );
    return tables.flat();
  }

  /** Every placement that groups of the day were written by. */
  async placements(tenant: string, day: number, context: ReadContext, none?: NoGroups): Promise<Placement[]> {
    const { period, table } = this.#schema.tableOf(day);
    const query = () => ({ table, hash: placementHash(tenant, day) });
    const decode = (row: Row) => decodePlacement(row.value);
    return this.#cached(period, `p ${table} ${day} ${tenant}`, query, context, decode, (_, readAt) =>
      none?.see(0, readAt),
    );
  }

  /** Groups of the day and slot with windows that overlap the range; those that a merge has replaced are left out. */
  async groups(
    tenant: string,
    day: number,
    slot: Slot,
    startMs: number,
    endMs: number,
    context: ReadContext,
    none?: NoGroups,
  ): Promise<FoundGroup[]> {
    const { period, table } = this.#schema.tableOf(day);
    const hash = () => groupHash(tenant, day, slot);
    const seen = (count: number, readAt: Moment) => none?.see(count, readAt);
    const decode = (row: Row) => foundGroup(period, table, row);
    const keyOf = (part: string | number) => `g ${table} ${day} ${hexOf(slot)} ${part} ${tenant}`;
    const merged = () => ({ table, hash: hash(), from: mergedRange(), before: windowRange(-(2 ** 53)) });
    // On the grid of windows, so that queries that move with the clock find what others have cached.
    const gridMs = this.#gridMs;
    const cells: Cell[] = [];
    const beforeMs = Math.min(endMs + 1, (day + 1) * DAY_MS);
    for (let ms = Math.max(Math.floor(startMs / gridMs) * gridMs, day * DAY_MS); ms < beforeMs; ms += gridMs) {
      cells.push({ key: keyOf(ms), startMs: ms });
    }
    const lists = await Promise.all([
      this.#cached(period, keyOf('merged'), merged, context, decode, seen),
      this.#cells(period, () => ({ table, hash: hash() }), cells, context, decode, seen),
    ]);
    return standing(lists.flat()).filter(({ header }) => header.firstMs <= endMs && header.lastMs >= startMs);
  }

  /** Keeps, for as long as the lists behind it, that a metric has no group in the grid's cells that a range touches. */
  keepNone(tenant: string, { metric, slots, readAt }: NoGroups, startMs: number, endMs: number): void {
    const gridMs = this.#gridMs;
    const times: EmptyTimes = {
      startMs: Math.floor(startMs / gridMs) * gridMs,
      endMs: (Math.floor(endMs / gridMs) + 1) * gridMs - 1,
      slots,
    };
    const key = noneKey(tenant, metric);
    this.#cache.set(key, times, 200 + 2 * key.length, readAt);
  }

  /** The slots that a metric could have groups in, where lists that may still be used say that it has none in the range; else undefined. */
  slotsOfNone(tenant: string, metric: string, startMs: number, endMs: number): number | undefined {
    const times = this.#cache.get<EmptyTimes>(noneKey(tenant, metric));
    return times !== undefined && times.startMs <= startMs && endMs <= times.endMs ? times.slots : undefined;
  }

  /** Every group row of a day and slot, also those that a merge has replaced; read strongly and past the cache. */
  async allGroups(tenant: string, day: number, slot: Slot, context: ReadContext): Promise<FoundGroup[]> {
    const { period, table } = this.#schema.tableOf(day);
    const rows = await this.#read(period, { table, hash: groupHash(tenant, day, slot), strong: true }, context);
    return rows.map((row) => foundGroup(period, table, row));
  }

  /**
   * Ids, in hex, that groups of a day and slot list as replaced, whether those have rows or not; read strongly and past the cache. Of
   * damaged rows it has what can be read.
   */
  async replaced(tenant: string, day: number, slot: Slot, context: ReadContext): Promise<Set<string>> {
    const { period, table } = this.#schema.tableOf(day);
    const hash = groupHash(tenant, day, slot);
    const ids = new Set<string>();
    // rows of a merged day may have its samples, so no more than a page of them is held
    for await (const page of this.#pages(period, { table, hash, prefix: mergedRange(), strong: true }, context)) {
      for (const { value } of page) {
        try {
          for (const id of decodeReplaces(value)) ids.add(id);
        } catch (error) {
          if (!isDamage(error)) throw error;
        }
      }
    }
    return ids;
  }

  /** Label names in the day's overview rows with their values; a name may have several entries. */
  labelOverview(tenant: string, day: number, context: ReadContext): Promise<LabelValues[]> {
    return this.#labelRows(tenant, day, '', context);
  }

  /** Values of a label name on a day and the slots that have them, in several lists. */
  async labelValues(tenant: string, day: number, name: string, context: ReadContext): Promise<LabelValues[]> {
    const overview = (await this.labelOverview(tenant, day, context)).filter((each) => each.name === name);
    if (!overview.some((each) => each.elsewhere)) return overview;
    const own = await this.#labelRows(tenant, day, name, context);
    // long names are hashed in the key
    return [...overview, ...own.filter((each) => each.name === name)];
  }

  async #labelRows(tenant: string, day: number, name: string, context: ReadContext): Promise<LabelValues[]> {
    const { period, table } = this.#schema.tableOf(day);
    const query = () => ({ table, hash: labelHash(tenant, day, name) });
    const key = `l ${table} ${day} ${tenant.length} ${tenant}${name}`;
    return (await this.#cached(period, key, query, context, (row) => decodeLabelRow(row.value))).flat();
  }

  /** Tenants that wrote on a day. */
  async tenants(day: number, context: ReadContext): Promise<string[]> {
    const { period, table } = this.#schema.tableOf(day);
    const query = { table, hash: tenantsHash(day) };
    const rows = await this.#read(period, query, context);
    return rows.map((row) => Buffer.from(row.value).toString());
  }

  /** Tenants whose day the compactor has been through, each with its record of that. */
  async compacted(day: number, context: ReadContext): Promise<Map<string, CompactedDay>> {
    const { period, table } = this.#schema.tableOf(day);
    const rows = await this.#read(period, { table, hash: compactedHash(day) }, context);
    return new Map(rows.map((row) => decodeCompacted(row.value)).map((each) => [each.tenant, each]));
  }

  async metadata(tenant: string, day: number, context: ReadContext): Promise<MetricMetadata[]> {
    const { period, table } = this.#schema.tableOf(day);
    const query = () => ({ table, hash: metadataHash(tenant, day) });
    const key = `m ${table} ${day} ${tenant}`;
    return (await this.#cached(period, key, query, context, (row) => decodeMetadata(row.value))).flat();
  }

  /** @param query made where the rows are not there: keys of rows cost more than to find them */
  async #cached<T>(
    period: StorePeriod,
    key: string,
    query: () => TableQuery,
    context: ReadContext,
    decode: (row: Row) => T,
    seen?: Seen,
  ): Promise<T[]> {
    const cacheKey = this.#cacheKey(period, key);
    const known = this.#known<T>(cacheKey, seen);
    if (known !== undefined) return known;
    const readAt = momentOf(this.#clock);
    const asked = query();
    return this.#keep(cacheKey, asked.table, await this.#read(period, asked, context), readAt, decode, seen);
  }

  /**
   * Rows of cells that follow each other, in order. Each cell's list is kept by itself, so that queries of other lengths share them,
   * and what is much for one cache entry is so for a cell only; missing ones that follow each other are read in one go.
   * @param rows those of all cells; made where some are not there
   */
  async #cells<T>(
    period: StorePeriod,
    rows: () => TableQuery,
    cells: readonly Cell[],
    context: ReadContext,
    decode: (row: Row) => T,
    seen: Seen,
  ): Promise<T[]> {
    const lists = cells.map(({ key }) => this.#known<T>(this.#cacheKey(period, key), seen));
    const readRun = async (first: number, end: number) => {
      const readAt = momentOf(this.#clock);
      const beforeOf = (cell: number) => windowRange(cells[cell]!.startMs + this.#gridMs);
      const asked = { ...rows(), from: windowRange(cells[first]!.startMs), before: beforeOf(end - 1) };
      const found = await this.#read(period, asked, context);
      let next = 0;
      for (let i = first; i < end; i++) {
        const before = beforeOf(i);
        const from = next;
        while (next < found.length && Buffer.compare(found[next]!.range, before) < 0) next++;
        const own = found.slice(from, next);
        lists[i] = this.#keep(this.#cacheKey(period, cells[i]!.key), asked.table, own, readAt, decode, seen);
      }
    };
    const reads: Promise<void>[] = [];
    for (let first = 0; first < cells.length; first++) {
      let end = first;
      while (end < cells.length && lists[end] === undefined) end++;
      if (end > first) reads.push(readRun(first, end));
      first = end;
    }
    await Promise.all(reads);
    return lists.flatMap((list) => list!);
  }

  #cacheKey(period: StorePeriod, key: string): string {
    return `${this.#schema.periods.indexOf(period)} ${key}`;
  }

  /** A list that was read before and may still be used. */
  #known<T>(cacheKey: string, seen: Seen | undefined): T[] | undefined {
    const known = this.#cache.get<T[]>(cacheKey);
    if (known !== undefined) seen?.(known.length, this.#cache.readAt(cacheKey)!);
    return known;
  }

  /** @returns what rows that were read are decoded to, which is kept */
  #keep<T>(
    cacheKey: string,
    table: string,
    rows: readonly Row[],
    readAt: Moment,
    decode: (row: Row) => T,
    seen: Seen | undefined,
  ): T[] {
    let bytes = 200 + 2 * cacheKey.length;
    const values: T[] = [];
    for (const row of rows) {
      bytes += 200 + row.value.length + Math.min(row.value.length, DECODED_BYTES_MAX);
      try {
        values.push(named(`${table}/${hexOf(row.hash)}/${hexOf(row.range)}`, () => decode(row)));
      } catch (error) {
        if (!(this.#options.skipsDamaged && isDamage(error))) throw error;
      }
    }
    this.#cache.set(cacheKey, values, bytes, readAt);
    seen?.(values.length, readAt);
    return values;
  }

  #isStrong(): boolean {
    const { strong = false, rowsSinceMs, rowCacheTtlMs } = this.#options;
    return strong || (rowsSinceMs !== undefined && this.#clock.monotonicMs() - rowsSinceMs() <= rowCacheTtlMs);
  }

  async #read(period: StorePeriod, query: TableQuery, context: ReadContext): Promise<Row[]> {
    const rows: Row[] = [];
    for await (const page of this.#pages(period, query, context)) rows.push(...page);
    return rows;
  }

  async *#pages(period: StorePeriod, asked: TableQuery, context: ReadContext): AsyncGenerator<readonly Row[]> {
    const query = this.#isStrong() ? { ...asked, strong: true } : asked;
    for await (const page of period.tables.client.query(query, context.signal)) {
      context.signal.throwIfAborted();
      context.budget.addFetches(page.length, 0);
      context.budget.addFetchedBytes(page.reduce((sum, row) => sum + row.value.length, 0));
      yield page;
    }
  }
}

function noneKey(tenant: string, metric: string): string {
  return `n ${tenant.length} ${tenant}${metric}`;
}

const WINDOW_MS_USUAL = 7_200_000;

/**
 * Windows never cross a multiple of it, so those that touch a range begin in the range's grid cells. It also holds for windows of the
 * usual length and its parts, so that the length can be changed; a whole day holds for all.
 */
export function gridOf(windowMs: number): number {
  for (let grid = WINDOW_MS_USUAL; grid < DAY_MS; grid += WINDOW_MS_USUAL) {
    if (grid % windowMs === 0 && DAY_MS % grid === 0) return grid;
  }
  return DAY_MS;
}

function foundGroup(period: StorePeriod, table: string, row: Row): FoundGroup {
  const name = `${table}/${hexOf(row.hash)}/${hexOf(row.range)}`;
  const key = { hash: row.hash, range: row.range };
  return { ...decodeGroupRow(row.range, row.value, name), period, table, key, name };
}

/** Ids in hex. */
export function replacedBy(groups: readonly FoundGroup[]): Set<string> {
  return new Set(groups.flatMap((group) => group.replaces));
}

/** The groups that no other one replaces. */
export function standing(groups: readonly FoundGroup[]): FoundGroup[] {
  const replaced = replacedBy(groups);
  return groups.filter(({ id }) => !replaced.has(id));
}

/** Names the row whose bytes were refused. */
function named<T>(name: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof BytesError) throw storeErrors.rowCorrupt({ name, reason: error.message });
    throw error;
  }
}
