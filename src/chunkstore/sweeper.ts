import type { Clock } from '../lib/clock.ts';
import { DAY_MS } from '../lib/day.ts';
import { getOrMake } from '../lib/map.ts';
import { AppError } from '../model/errors.ts';
import type { ObjectInfo } from '../object/client.ts';
import type { Row, RowKey } from '../table/client.ts';
import { decodeGroupRow, type GroupRow, hexOf } from './group-row.ts';
import { kindOf, ROW_GROUP } from './keys.ts';
import { repack } from './repack.ts';
import type { Schema, StorePeriod } from './schema.ts';

export interface SweeperOptions {
  /** Rows that a merge has replaced go so long after they were first seen so: longer than any query runs or rows are cached. */
  readonly rowGraceMs: number;
  /**
   * Objects that no row names go when they are so old: longer than any flush takes from its objects to its rows. At least a day: an
   * object's key has the day on which it was put, so that by then nobody puts the same key again.
   */
  readonly objectGraceMs: number;
}

const OPTIONS: SweeperOptions = { rowGraceMs: 3_600_000, objectGraceMs: DAY_MS };

export interface SweepResult {
  rows: number;
  objects: number;
  /** Groups that were moved out of objects that held others too, which are gone. */
  moved: number;
  /** Rows that do not decode, by name: what they name cannot be known, so that no object of their table goes. */
  readonly damaged: string[];
}

/** An object as rows name it: those rows, and the bytes that they name. */
interface NamedObject {
  bytes: number;
  readonly rows: RowKey[];
}

interface SlotRows {
  readonly standing: Map<string, RowKey>;
  readonly replaced: Set<string>;
}

/**
 * Removes what merges, deletes and flushes that were cut short have left, also where it shares an object with what stays. What it knows
 * of the past is lost with it, which only delays it.
 */
export class Sweeper {
  readonly #schema: Schema;
  readonly #clock: Clock;
  readonly #options: SweeperOptions;
  /** When a row was first seen replaced, an object without a row. */
  #firstSeenMs: ReadonlyMap<string, number> = new Map();

  constructor(schema: Schema, clock: Clock, options: Partial<SweeperOptions> = {}) {
    this.#schema = schema;
    this.#clock = clock;
    this.#options = { ...OPTIONS, ...options };
  }

  /** Unix ms at which it first saw a row replaced, or an object without a row, by name; to be handed to another one. */
  get firstSeen(): ReadonlyMap<string, number> {
    return this.#firstSeenMs;
  }

  set firstSeen(firstSeenMs: ReadonlyMap<string, number>) {
    this.#firstSeenMs = firstSeenMs;
  }

  /** Walks all tables and their objects once. */
  async run(signal?: AbortSignal): Promise<SweepResult> {
    const result: SweepResult = { rows: 0, objects: 0, moved: 0, damaged: [] };
    const seen = new Map<string, number>();
    for (const period of this.#schema.periods) {
      for (const table of await period.tables.admin.list()) {
        if (this.#schema.tableEndMs(period, table) === undefined) continue;
        await this.#table(period, table, seen, result, signal);
      }
    }
    this.#firstSeenMs = seen;
    return result;
  }

  async #table(
    period: StorePeriod,
    table: string,
    seen: Map<string, number>,
    result: SweepResult,
    signal?: AbortSignal,
  ): Promise<void> {
    // Objects are listed before rows are read: one that is written meanwhile is not in the list, or its row is among those read.
    const objects = new Map<string, ObjectInfo>();
    if (period.objects !== undefined) {
      for await (const page of period.objects.list(this.#schema.objectPrefix(table), signal)) {
        for (const info of page) objects.set(info.key, info);
      }
    }
    const slots = new Map<string, SlotRows>();
    const placeOf = new Map<string, { key: string; bytes: number }>();
    for await (const page of period.tables.admin.scan(table, signal)) {
      for (const row of page) {
        if (kindOf(row.hash) !== ROW_GROUP) continue;
        const hash = hexOf(row.hash);
        const decoded = this.#decode(table, row, result);
        if (decoded === undefined) {
          objects.clear();
          continue;
        }
        const { id, header, place, replaces } = decoded;
        let slot = slots.get(hash);
        if (slot === undefined) {
          slot = { standing: new Map(), replaced: new Set() };
          slots.set(hash, slot);
        }
        slot.standing.set(`${id} ${hexOf(row.range)}`, { hash: row.hash, range: row.range });
        for (const other of replaces) slot.replaced.add(other);
        if (place.kind === 'object') {
          const bytes = place.bodyOffset - place.offset + header.bodyBytes;
          placeOf.set(`${hash} ${hexOf(row.range)}`, { key: place.key, bytes });
        }
      }
    }
    const gone: RowKey[] = [];
    const named = new Map<string, NamedObject>();
    for (const [hash, { standing, replaced }] of slots) {
      for (const [idAndRange, key] of standing) {
        const name = `${hash} ${hexOf(key.range)}`;
        const isReplaced = replaced.has(idAndRange.slice(0, idAndRange.indexOf(' ')));
        if (isReplaced && this.#isDue(`row ${table} ${name}`, this.#options.rowGraceMs, seen)) gone.push(key);
        else {
          const place = placeOf.get(name);
          if (place === undefined) continue;
          const object = getOrMake(named, place.key, () => ({ bytes: 0, rows: [] }));
          object.bytes += place.bytes;
          object.rows.push(key);
        }
      }
    }
    if (gone.length > 0) await period.tables.client.delete(table, gone, signal);
    result.rows += gone.length;
    const isOld = ({ modifiedMs }: ObjectInfo) => modifiedMs + this.#options.objectGraceMs <= this.#clock.nowMs();
    const moving: RowKey[] = [];
    for (const [key, { bytes, rows }] of named) {
      const info = objects.get(key);
      objects.delete(key);
      if (info === undefined || info.bytes <= bytes) continue;
      // the rest may still be about to go, or rows to come
      if (this.#isDue(`part ${key}`, this.#options.rowGraceMs, seen) && isOld(info)) moving.push(...rows);
    }
    if (moving.length > 0) {
      const {
        groups,
        objects: moved,
        damaged,
      } = await repack(this.#schema, period, table, moving, this.#clock, signal);
      // one that no row named when they were read has rows now, where an earlier try had put it
      for (const key of moved) objects.delete(key);
      result.moved += groups;
      result.damaged.push(...damaged);
    }
    for (const [key, info] of objects) {
      signal?.throwIfAborted();
      // Also so long after its last row went: a query may still read from it.
      if (!this.#isDue(`object ${key}`, this.#options.rowGraceMs, seen) || !isOld(info)) continue;
      await period.objects!.delete(key, signal);
      result.objects++;
    }
  }

  /** Undefined where the row is damaged. */
  #decode(table: string, row: Row, result: SweepResult): GroupRow | undefined {
    const name = `${table}/${hexOf(row.hash)}/${hexOf(row.range)}`;
    try {
      return decodeGroupRow(row.range, row.value, name);
    } catch (error) {
      if (!(error instanceof AppError && error.facts.id === 'group-corrupt')) throw error;
      result.damaged.push(name);
      return undefined;
    }
  }

  #isDue(name: string, graceMs: number, seen: Map<string, number>): boolean {
    const nowMs = this.#clock.nowMs();
    const firstMs = this.#firstSeenMs.get(name) ?? nowMs;
    seen.set(name, firstMs);
    return firstMs + graceMs <= nowMs;
  }
}
