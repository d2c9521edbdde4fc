import type { Clock } from '../lib/clock.ts';
import { DAY_MS } from '../lib/day.ts';
import type { Schema, StorePeriod } from './schema.ts';

export interface TableManagerOptions {
  /** Tables are made so long before their first day begins. */
  readonly aheadMs: number;
  /** And for so long into the past, for samples that come late. */
  readonly behindMs: number;
  /** A table's time is over so long after its last day: what comes late is there, and its days are merged. */
  readonly retireMs: number;
}

const OPTIONS: TableManagerOptions = { aheadMs: 2 * DAY_MS, behindMs: DAY_MS, retireMs: 4 * DAY_MS };

export interface TableManagerResult {
  readonly created: readonly string[];
  readonly dropped: readonly string[];
  /** Behind retention, and left for the next time. */
  readonly due: readonly string[];
}

/** Bounds of a drop: which tables behind retention go or are named, and how many go. */
export interface DropBounds {
  /** The time that retention counts from, Unix ms. */
  readonly nowMs: number;
  /** The same, where it is not yet sure: what lies behind it is only named. */
  readonly dueNowMs: number;
  readonly dropsMax: number;
}

/**
 * Makes tables ahead of time, lowers what is set aside for those whose time is over, and drops those behind every tenant's retention,
 * objects first.
 */
export class TableManager {
  readonly #schema: Schema;
  readonly #clock: Clock;
  readonly #options: TableManagerOptions;

  constructor(schema: Schema, clock: Clock, options: Partial<TableManagerOptions> = {}) {
    this.#schema = schema;
    this.#clock = clock;
    this.#options = { ...OPTIONS, ...options };
  }

  /**
   * Brings the tables up to date. May be run by several at once, at any time.
   * @param retentionMs the longest of all tenants; 0: nothing is dropped
   * @param bounds default: all that lies behind retention now
   */
  async run(retentionMs: number, signal?: AbortSignal, bounds?: DropBounds): Promise<TableManagerResult> {
    const created = await this.#create(signal);
    const nowMs = this.#clock.nowMs();
    const all = { nowMs, dueNowMs: nowMs, dropsMax: Number.POSITIVE_INFINITY };
    const { dropped, due } = await this.#drop(retentionMs, bounds ?? all, signal);
    await this.#retire(signal);
    return { created, dropped, due };
  }

  async #create(signal?: AbortSignal): Promise<string[]> {
    const nowMs = this.#clock.nowMs();
    const created: string[] = [];
    const wanted = this.#schema.tablesBetween(nowMs - this.#options.behindMs, nowMs + this.#options.aheadMs);
    for (const period of this.#schema.periods) {
      signal?.throwIfAborted();
      const there = new Set(await period.tables.admin.list());
      const names = wanted.filter((each) => each.period === period).map(({ table }) => table);
      for (const table of [...names, this.#schema.tenantsTable(period)]) {
        if (there.has(table)) continue;
        await period.tables.admin.create(table);
        created.push(table);
      }
    }
    return created;
  }

  async #drop(retentionMs: number, { nowMs, dueNowMs, dropsMax }: DropBounds, signal?: AbortSignal) {
    const dropped: string[] = [];
    const due: string[] = [];
    if (retentionMs <= 0) return { dropped, due };
    const behind: { period: StorePeriod; table: string; endMs: number }[] = [];
    for (const period of this.#schema.periods) {
      for (const table of await period.tables.admin.list()) {
        const endMs = this.#schema.tableEndMs(period, table);
        if (endMs !== undefined && endMs <= dueNowMs - retentionMs) behind.push({ period, table, endMs });
      }
    }
    // the oldest first
    for (const { period, table, endMs } of behind.sort((a, b) => a.endMs - b.endMs)) {
      if (endMs > nowMs - retentionMs || dropped.length >= dropsMax) {
        due.push(table);
        continue;
      }
      signal?.throwIfAborted();
      await deleteObjects(this.#schema, period, table, signal);
      await period.tables.admin.drop(table);
      dropped.push(table);
    }
    return { dropped, due };
  }

  async #retire(signal?: AbortSignal): Promise<void> {
    const beforeMs = this.#clock.nowMs() - this.#options.retireMs;
    for (const period of this.#schema.periods) {
      const { admin } = period.tables;
      if (admin.retire === undefined) continue;
      for (const table of await admin.list()) {
        const endMs = this.#schema.tableEndMs(period, table);
        if (endMs === undefined || endMs > beforeMs) continue;
        signal?.throwIfAborted();
        await admin.retire(table);
      }
    }
  }
}

/** All objects of a table. The table goes after them: while it is there, a run that was cut short is found again. */
export async function deleteObjects(
  schema: Schema,
  period: StorePeriod,
  table: string,
  signal?: AbortSignal,
): Promise<void> {
  if (period.objects === undefined) return;
  for await (const page of period.objects.list(schema.objectPrefix(table), signal)) {
    for (const { key } of page) await period.objects.delete(key, signal);
  }
}
