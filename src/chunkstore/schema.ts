import { assert } from '../lib/assert.ts';
import { DAY_MS, dayOf } from '../lib/day.ts';
import type { ObjectClient } from '../object/client.ts';
import type { TableStore } from '../table/client.ts';
import { hexOf } from './group-row.ts';
import { contentId } from './keys.ts';

/** Where the days from `fromMs` on are kept, until the next period begins: so a store can be changed without moving data. */
export interface StorePeriod {
  /** Start of a UTC day; −Infinity for the first. */
  readonly fromMs: number;
  readonly tables: TableStore;
  /** Absent: all groups lie in rows. */
  readonly objects?: ObjectClient;
  /** Lower-case letters, digits and `_`, beginning with a letter. */
  readonly tablePrefix: string;
  /** How long one table is for; whole days. */
  readonly tableMs: number;
}

export const TABLE_MS_DEFAULT = 7 * DAY_MS;
/** An object is closed when it has so many bytes. */
export const OBJECT_BYTES_AIMED = 16 * 2 ** 20;
/** The table of what is kept per tenant and has no day; never dropped. */
const TENANTS_TABLE = 'tenants';
/** Tables of what tenants configure, and of what services remember for them; never dropped. */
const CONFIG_TABLE = 'config';
const STATE_TABLE = 'state';

export interface TableOfPeriod {
  readonly period: StorePeriod;
  readonly table: string;
}

/** Which table of which store a day's rows are in. */
export class Schema {
  /** Ascending by `fromMs`. */
  readonly periods: readonly StorePeriod[];

  constructor(periods: readonly StorePeriod[]) {
    assert(periods.length > 0, 'a schema without periods');
    for (const { fromMs, tableMs } of periods) {
      assert(tableMs >= DAY_MS && tableMs % DAY_MS === 0, `tables of ${tableMs} ms`);
      assert(!Number.isFinite(fromMs) || fromMs % DAY_MS === 0, `a period from ${fromMs}, which begins no day`);
    }
    this.periods = [...periods].sort((a, b) => a.fromMs - b.fromMs);
  }

  periodOf(day: number): StorePeriod {
    const timeMs = day * DAY_MS;
    return this.periods.findLast((period) => period.fromMs <= timeMs) ?? this.periods[0]!;
  }

  tableOf(day: number): TableOfPeriod {
    const period = this.periodOf(day);
    return { period, table: tableName(period, Math.floor((day * DAY_MS) / period.tableMs)) };
  }

  /** Names of all tables for the days from `startMs` to `endMs`, both included, in order, whether there or not: for short ranges. */
  tablesBetween(startMs: number, endMs: number): TableOfPeriod[] {
    const tables: TableOfPeriod[] = [];
    this.periods.forEach((period, i) => {
      const from = i === 0 ? startMs : Math.max(startMs, period.fromMs);
      const to = Math.min(endMs, (this.periods[i + 1]?.fromMs ?? Number.POSITIVE_INFINITY) - 1);
      const last = Math.floor((dayOf(to) * DAY_MS) / period.tableMs);
      for (let n = Math.floor((dayOf(from) * DAY_MS) / period.tableMs); from <= to && n <= last; n++) {
        tables.push({ period, table: tableName(period, n) });
      }
    });
    return tables;
  }

  /** A period's existing tables that may hold rows of the days from `startMs` to `endMs`, both inclusive. */
  tablesWithin(period: StorePeriod, there: readonly string[], startMs: number, endMs: number): string[] {
    const i = this.periods.indexOf(period);
    const from = i === 0 ? startMs : Math.max(startMs, period.fromMs);
    const to = Math.min(endMs, (this.periods[i + 1]?.fromMs ?? Number.POSITIVE_INFINITY) - 1);
    return there.filter((table) => {
      const tableEndMs = this.tableEndMs(period, table);
      return tableEndMs !== undefined && from < tableEndMs && to >= tableEndMs - period.tableMs;
    });
  }

  /** A period's tables that are there. */
  async existingTables(period: StorePeriod): Promise<string[]> {
    return (await period.tables.admin.list()).filter((table) => this.isTable(period, table));
  }

  /**
   * Whether a table is one of a period's. Others may begin with its prefix as well: the ring's, which lies beside the first period's, and
   * those of another cluster with a longer one.
   */
  isTable(period: StorePeriod, table: string): boolean {
    const named = [this.tenantsTable(period), this.configTable(period), this.stateTable(period)];
    return named.includes(table) || this.tableEndMs(period, table) !== undefined;
  }

  tenantsTable(period: StorePeriod): string {
    return `${period.tablePrefix}${TENANTS_TABLE}`;
  }

  configTable(period: StorePeriod): string {
    return `${period.tablePrefix}${CONFIG_TABLE}`;
  }

  stateTable(period: StorePeriod): string {
    return `${period.tablePrefix}${STATE_TABLE}`;
  }

  /** The time after which no row of a table is about, or undefined where the name is not one of the period's tables. */
  tableEndMs(period: StorePeriod, table: string): number | undefined {
    if (!table.startsWith(period.tablePrefix)) return undefined;
    const match = /^(n?)(\d+)$/.exec(table.slice(period.tablePrefix.length));
    if (match === null) return undefined;
    return ((match[1] === 'n' ? -1 : 1) * Number(match[2]) + 1) * period.tableMs;
  }

  /** Prefix of all keys of a table's objects. */
  objectPrefix(table: string): string {
    return `groups/${table}/`;
  }

  /** @param today with the day on which it is put, so that what the sweeper finds to be old is not put again meanwhile */
  objectKey(table: string, today: number, groupIds: readonly Uint8Array[]): string {
    return `${this.objectPrefix(table)}${today}-${hexOf(contentId(...groupIds))}`;
  }
}

function tableName(period: StorePeriod, n: number): string {
  return `${period.tablePrefix}${n < 0 ? 'n' : ''}${Math.abs(n)}`;
}
