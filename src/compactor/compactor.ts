import type { Kernel } from '../chunk/kernel.ts';
import { backgroundContext } from '../chunkstore/background.ts';
import { encodeCompacted } from '../chunkstore/compacted-row.ts';
import { type DayLease, DayLeases } from '../chunkstore/day-lease.ts';
import { DayMerger, type MergeTenant } from '../chunkstore/day-merge.ts';
import { type IndexReader, type ReadContext, uncachedIndex } from '../chunkstore/index-reader.ts';
import { compactedHash, tenantsRange } from '../chunkstore/keys.ts';
import { removeDay } from '../chunkstore/remove-day.ts';
import type { Schema } from '../chunkstore/schema.ts';
import { Sweeper } from '../chunkstore/sweeper.ts';
import { TableManager } from '../chunkstore/table-manager.ts';
import type { Tombstone } from '../chunkstore/tombstone-row.ts';
import { dueMsOf, forgottenMsOf, isOfTenant, listTombstones, Tombstones } from '../chunkstore/tombstones.ts';
import { ChunkStoreWriter } from '../chunkstore/writer.ts';
import type { CompactionReport } from '../contract/control.ts';
import type { Clock } from '../lib/clock.ts';
import { DAY_MS, dayOf } from '../lib/day.ts';
import type { Random } from '../lib/random.ts';
import type { CompactorConfig } from './config.ts';
import { emptyReport } from './report.ts';
import { dropForSize, type TableSizes } from './size-retention.ts';

/** How long samples are kept, in ms; 0: for ever. */
export interface Retention {
  readonly defaultMs: number;
  readonly tenants: ReadonlyMap<string, number>;
}

export interface CompactionRequest {
  readonly retention: Retention;
  /** `force`: everything that is replaced or unnamed goes now. Only where nobody flushes or queries meanwhile. */
  readonly sweep: 'none' | 'due' | 'force';
  /** Earlier looks at the time that retention counts from; absent: the clock is right, this run alone decides. */
  readonly looks?: RetentionLooks;
  /** Earlier looks at the clock, that requests to delete are forgotten by; absent: it is right. */
  readonly clockLooks?: RetentionLooks;
  /**
   * Unix ms: requests that were through by then are left out of all that the ingester of this process has yet to flush. Absent: there
   * is none, and logs of others are bounded by their age.
   */
  readonly deletionsReadMs?: number;
  readonly signal: AbortSignal;
}

/**
 * A clock may be wrong for a while. So retention counts from the newest data where that is older than the clock, as in Prometheus, and,
 * since data of wrong times may come too, from what several looks in a row agree on: the earliest of them.
 */
export interface RetentionLooks {
  /** Times that earlier looks found, Unix ms. */
  readonly past: readonly number[];
  /** Looks that are wanted, this one included; with fewer nothing is past retention. */
  readonly wanted: number;
}

export interface CompactorOptions {
  readonly schema: Schema;
  /** To decode and encode with; nothing else may use them while a run lasts. */
  readonly kernels: { readonly read: Kernel; readonly write: Kernel };
  readonly clock: Clock;
  readonly random: Random;
  readonly config: CompactorConfig;
  readonly deleteRequestCancelPeriodMs: number;
  /** Age up to which logs of ingesters are accepted: as long a delete request is kept that their samples may be covered by. */
  readonly walAgeMaxMs: number;
  /** Table sizes of the store in the data folder, where there is one. */
  readonly sizes?: TableSizes;
}

/** Tenants whose day is merged in one go, so that small ones share objects. */
const TENANTS_AT_ONCE_MAX = 1000;
/** Tables that a run drops for retention, and days of which it removes tenants: a mistake is seen before all is gone. */
const TABLES_DROPPED_MAX = 2;
const DAYS_REMOVED_MAX = 14;
/** For so long after its end a day is looked at again, in case that windows came late, … */
const LATE_MS = 3 * DAY_MS;
/** … each time when so much has passed. */
const LATE_CHECK_MS = DAY_MS / 4;

/**
 * The compactor works on the store when days are over: it merges them, removes what was deleted or is past retention, sweeps what
 * merges left, makes tables ahead and drops them behind. Killing it at any point is harmless. Several may run at once: what changes a
 * tenant's day holds the lease on it (docs/decisions/leases-on-days.md), and leaves a day that another holds to the next run.
 */
export class Compactor {
  readonly #options: CompactorOptions;
  readonly #index: IndexReader;
  readonly #merger: DayMerger;
  readonly #tombstones: Tombstones;
  readonly #tables: TableManager;
  readonly #leases: DayLeases;
  readonly sweeper: Sweeper;

  constructor(options: CompactorOptions) {
    const { schema, kernels, clock, random, config, deleteRequestCancelPeriodMs } = options;
    this.#options = options;
    this.#index = uncachedIndex(schema, clock);
    const writer = new ChunkStoreWriter(schema, kernels.write, { clock });
    this.#merger = new DayMerger(schema, writer, kernels.read, clock);
    this.#tombstones = new Tombstones(schema, clock, random, deleteRequestCancelPeriodMs);
    this.#leases = new DayLeases(schema, clock, random);
    this.#tables = new TableManager(schema, clock, { aheadMs: config.createAheadMs });
    this.sweeper = new Sweeper(schema, clock, { rowGraceMs: config.sweepGraceMs });
  }

  /** Does what is due. What fails is in the report, and does not keep the rest from being done. */
  async run(request: CompactionRequest): Promise<CompactionReport> {
    const report = emptyReport();
    const { signal } = request;
    const { config } = this.#options;
    const context = backgroundContext(signal);
    await this.#try(report, signal, async () => {
      const nowMs = this.#options.clock.nowMs();
      report.retentionNowMs = request.looks === undefined ? nowMs : Math.min(nowMs, await this.#newestMs(context));
    });
    const nowMs = settledNow(report.retentionNowMs, request.looks);
    await this.#try(report, signal, () => this.#keepTables(request, nowMs, report));
    if (config.enabled) {
      await this.#try(report, signal, () => this.#applyDeletes(request, report, context));
      await this.#try(report, signal, () => this.#mergeDays(request, nowMs, report, context));
      if (request.sweep !== 'none') await this.#try(report, signal, () => this.#sweep(request, report));
    }
    return report;
  }

  async #try(report: CompactionReport, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    try {
      signal.throwIfAborted();
      await work();
    } catch (error) {
      signal.throwIfAborted();
      report.failures.push((error as Error).message);
    }
  }

  /** End of the newest table that has anything, Unix ms; Infinity: none has, so that no clock can lose anything. */
  async #newestMs(context: ReadContext): Promise<number> {
    const { schema } = this.#options;
    const tables: { endMs: number; tableMs: number }[] = [];
    for (const period of schema.periods) {
      for (const table of await period.tables.admin.list()) {
        const endMs = schema.tableEndMs(period, table);
        if (endMs !== undefined) tables.push({ endMs, tableMs: period.tableMs });
      }
    }
    for (const { endMs, tableMs } of tables.sort((a, b) => b.endMs - a.endMs)) {
      for (let day = dayOf(endMs) - 1; day >= dayOf(endMs - tableMs); day--) {
        if ((await this.#merger.tenants(day, context)).length > 0) return endMs;
      }
    }
    return Number.POSITIVE_INFINITY;
  }

  async #keepTables({ retention, signal }: CompactionRequest, nowMs: number, report: CompactionReport): Promise<void> {
    const { schema, clock, config, sizes } = this.#options;
    const { created, dropped, due } = await this.#tables.run(longest(retention), signal, {
      nowMs,
      dueNowMs: report.retentionNowMs,
      dropsMax: TABLES_DROPPED_MAX,
    });
    report.tablesDue.push(...due);
    report.tablesCreated.push(...created);
    report.tablesDropped.push(...dropped);
    if (sizes === undefined || config.retentionSize === 0) return;
    report.tablesDropped.push(...(await dropForSize(schema, sizes, config.retentionSize, clock, signal)));
  }

  /** Whether no window of the day is still to be flushed. */
  #isOver(day: number): boolean {
    return (day + 1) * DAY_MS + this.#options.config.dayDelayMs <= this.#options.clock.nowMs();
  }

  async #applyDeletes(request: CompactionRequest, report: CompactionReport, context: ReadContext): Promise<void> {
    for (const tenant of await this.#tombstones.tenants(context.signal)) {
      await this.#try(report, context.signal, () => this.#applyDeletesOf(tenant, request, report, context));
    }
  }

  async #applyDeletesOf(tenant: string, request: CompactionRequest, report: CompactionReport, context: ReadContext) {
    const tombstones = await listTombstones(this.#options.schema, tenant, context.signal);
    const due = tombstones.filter((each) => this.#tombstones.isDue(each));
    for (const each of due.filter(isOfTenant)) await this.#removeTenant(tenant, each, report, context);
    const series = due.filter((each) => !isOfTenant(each) && this.#isOver(dayOf(each.endMs)));
    await this.#removeSeries(tenant, series, report, context);
    for (const each of tombstones) {
      if (this.#isForgettable(each, request)) await this.#forget(tenant, each, report, context);
    }
  }

  /** Whether no log that is accepted can have samples from before the request, and so bring them to the store. */
  #isForgettable(tombstone: Tombstone, request: CompactionRequest): boolean {
    const { deletionsReadMs = Number.POSITIVE_INFINITY, clockLooks } = request;
    const { clock, deleteRequestCancelPeriodMs, walAgeMaxMs } = this.#options;
    const untilMs = forgottenMsOf(tombstone, deleteRequestCancelPeriodMs, walAgeMaxMs);
    const isRead = dueMsOf(tombstone, deleteRequestCancelPeriodMs) < deletionsReadMs;
    return tombstone.state === 'processed' && untilMs <= settledNow(clock.nowMs(), clockLooks) && isRead;
  }

  /**
   * A request is forgotten when a last look under the lease on each of its days has found nothing that it deletes: who wrote without
   * having heard of it has done so by now. What is found goes first.
   */
  async #forget(tenant: string, tombstone: Tombstone, report: CompactionReport, context: ReadContext): Promise<void> {
    const { startMs, endMs } = tombstone;
    for (const day of await this.#index.days(tenant, startMs, endMs, context)) {
      const isGone = await this.#leased(tenant, day, context, async (fence) => {
        if (!(await this.#merger.holds(tenant, day, [tombstone], context))) return true;
        return isOfTenant(tombstone)
          ? this.#clearDay(tenant, day, tombstone, report, context, fence)
          : this.#mergeWithout(tenant, day, [tombstone], report, context, fence);
      });
      // the next run looks again
      if (isGone !== true) return;
    }
    await this.#tombstones.remove(tenant, tombstone, context.signal);
  }

  /** Runs `work` with the lease on a tenant's day; undefined where another compactor has it. */
  async #leased<T>(
    tenant: string,
    day: number,
    context: ReadContext,
    work: (fence: () => Promise<void>) => Promise<T>,
  ): Promise<T | undefined> {
    const lease = await this.#leases.take(tenant, day, context.signal);
    if (lease === undefined) return undefined;
    try {
      return await work(() => lease.keep(context.signal));
    } finally {
      // one that is not given back runs out
      await lease.release().catch(() => {});
    }
  }

  /**
   * The tenant's days that are over go now. The request is through when what the tenant had in heads has been flushed, and has gone
   * too. The day on which it was asked for keeps what came afterwards.
   */
  async #removeTenant(tenant: string, tombstone: Tombstone, report: CompactionReport, context: ReadContext) {
    const lastDay = dayOf(tombstone.endMs);
    let isThrough = true;
    for (const day of await this.#index.days(tenant, tombstone.startMs, tombstone.endMs, context)) {
      if (!this.#isOver(day)) continue;
      const gone = await this.#leased(tenant, day, context, (fence) =>
        this.#clearDay(tenant, day, tombstone, report, context, fence),
      );
      isThrough &&= gone ?? false;
    }
    if (!isThrough || !this.#isOver(lastDay)) return;
    // one that was moved on meanwhile is not
    const processed = { ...tombstone, state: 'processed' } as const;
    if (await this.#tombstones.change(tenant, tombstone, processed, context.signal)) report.deletes++;
  }

  /** Removes what a tenant had of a day until it was deleted. @returns whether all of it is gone */
  async #clearDay(
    tenant: string,
    day: number,
    tombstone: Tombstone,
    report: CompactionReport,
    context: ReadContext,
    fence: () => Promise<void>,
  ): Promise<boolean> {
    if (day === dayOf(tombstone.endMs)) {
      const removal = { tombstones: [tombstone], keepFromMs: Number.NEGATIVE_INFINITY };
      const merged = await this.#merger.merge(tenant, day, removal, context, fence);
      this.#add(report, merged);
      // what is damaged still has it
      if (merged.damaged.length > 0) return false;
      // Rows are deleted by name here, and what leads to them stays: windows of after the deletion may come at any moment.
      return !(await this.#merger.holds(tenant, day, [tombstone], context));
    }
    await fence();
    await removeDay(this.#options.schema, this.#index, tenant, day, context);
    report.daysRemoved++;
    return true;
  }

  /** A request is through when a look under the lease on each of its days has found nothing that it deletes. */
  async #removeSeries(tenant: string, due: readonly Tombstone[], report: CompactionReport, context: ReadContext) {
    if (due.length === 0) return;
    const days = new Set<number>();
    for (const { startMs, endMs } of due) {
      for (const day of await this.#index.days(tenant, startMs, endMs, context)) days.add(day);
    }
    let isThrough = true;
    for (const day of days) {
      const gone = await this.#leased(tenant, day, context, (fence) =>
        this.#mergeWithout(tenant, day, due, report, context, fence),
      );
      isThrough &&= gone ?? false;
    }
    if (!isThrough) return;
    for (const each of due) {
      const processed = { ...each, state: 'processed' } as const;
      if (await this.#tombstones.change(tenant, each, processed, context.signal)) report.deletes++;
    }
  }

  /** Merges a tenant's day without what is to go. @returns whether all of it is gone */
  async #mergeWithout(
    tenant: string,
    day: number,
    tombstones: readonly Tombstone[],
    report: CompactionReport,
    context: ReadContext,
    fence: () => Promise<void>,
  ): Promise<boolean> {
    const removal = { tombstones, keepFromMs: Number.NEGATIVE_INFINITY };
    const merged = await this.#merger.merge(tenant, day, removal, context, fence);
    this.#add(report, merged);
    // what is damaged still has it
    return merged.damaged.length === 0 && !(await this.#merger.holds(tenant, day, tombstones, context));
  }

  async #mergeDays(request: CompactionRequest, nowMs: number, report: CompactionReport, context: ReadContext) {
    const removing = new Set<number>();
    for (const day of await this.#days(context)) {
      // a table that cannot be read keeps no other day from being merged
      await this.#try(report, request.signal, () => this.#mergeDay(day, request, nowMs, removing, report, context));
    }
  }

  /** @param removing days of which this run removes something */
  async #mergeDay(
    day: number,
    request: CompactionRequest,
    nowMs: number,
    removing: Set<number>,
    report: CompactionReport,
    context: ReadContext,
  ): Promise<void> {
    const tenants = await this.#merger.tenants(day, context);
    const done = await this.#index.compacted(day, context);
    const open: MergeTenant[] = [];
    for (const tenant of tenants) {
      const keepFromMs = keepFrom(tenant, request.retention, nowMs);
      const removed = (day + 1) * DAY_MS <= keepFromMs;
      const last = done.get(tenant);
      if (removed && last?.removed !== true) {
        if (!removing.has(day) && removing.size >= DAYS_REMOVED_MAX) continue;
        removing.add(day);
        await this.#try(report, request.signal, () => this.#removeExpired(tenant, day, report, context));
      } else if (!removed && this.#isOpen(day, last?.atMs)) {
        open.push({ tenant, removal: { tombstones: [], keepFromMs } });
      }
    }
    for (let from = 0; from < open.length; from += TENANTS_AT_ONCE_MAX) {
      await this.#mergeTenants(open.slice(from, from + TENANTS_AT_ONCE_MAX), day, report, context);
    }
  }

  async #removeExpired(tenant: string, day: number, report: CompactionReport, context: ReadContext): Promise<void> {
    await this.#leased(tenant, day, context, async (fence) => {
      await fence();
      await removeDay(this.#options.schema, this.#index, tenant, day, context);
      await this.#mark([tenant], day, true, context);
      report.daysRemoved++;
    });
  }

  #isOpen(day: number, mergedMs: number | undefined): boolean {
    if (mergedMs === undefined) return true;
    const nowMs = this.#options.clock.nowMs();
    return (day + 1) * DAY_MS + LATE_MS > nowMs && mergedMs + LATE_CHECK_MS <= nowMs;
  }

  /** All together, so that they share objects; where that fails, each alone, so that one does not keep others from it. */
  async #mergeTenants(all: readonly MergeTenant[], day: number, report: CompactionReport, context: ReadContext) {
    const leases: DayLease[] = [];
    const tenants: MergeTenant[] = [];
    try {
      for (const each of all) {
        const lease = await this.#leases.take(each.tenant, day, context.signal);
        if (lease === undefined) continue;
        leases.push(lease);
        tenants.push(each);
      }
      const fence = async () => {
        for (const lease of leases) await lease.keep(context.signal);
      };
      await this.#mergeLeased(tenants, day, fence, report, context);
    } finally {
      for (const lease of leases) await lease.release().catch(() => {});
    }
  }

  async #mergeLeased(
    tenants: readonly MergeTenant[],
    day: number,
    fence: () => Promise<void>,
    report: CompactionReport,
    context: ReadContext,
  ): Promise<void> {
    if (tenants.length === 0) return;
    try {
      this.#add(report, await this.#merger.mergeAll(tenants, day, context, fence));
      await this.#mark(
        tenants.map(({ tenant }) => tenant),
        day,
        false,
        context,
      );
      report.days += tenants.length;
    } catch (error) {
      context.signal.throwIfAborted();
      if (tenants.length === 1) {
        report.failures.push(`tenant ${tenants[0]!.tenant}, day ${day}: ${(error as Error).message}`);
        report.oldestOpenMs ||= (day + 1) * DAY_MS;
        return;
      }
      for (const each of tenants) await this.#mergeLeased([each], day, fence, report, context);
    }
  }

  #add(report: CompactionReport, merged: Awaited<ReturnType<DayMerger['merge']>>): void {
    report.sources += merged.sources;
    report.groups += merged.groups;
    report.samples += merged.samples;
    report.bytes += merged.bytes;
    report.damaged.push(...merged.damaged);
  }

  async #mark(tenants: readonly string[], day: number, removed: boolean, context: ReadContext): Promise<void> {
    const { schema, clock } = this.#options;
    const { period, table } = schema.tableOf(day);
    const atMs = clock.nowMs();
    const rows = tenants.map((tenant) => ({
      hash: compactedHash(day),
      range: tenantsRange(tenant),
      value: encodeCompacted({ tenant, atMs, removed }),
    }));
    await period.tables.client.write(table, rows, context.signal);
  }

  /** Days that are over and that there is a table for, the oldest first. */
  async #days(context: ReadContext): Promise<number[]> {
    const { schema } = this.#options;
    const days = new Set<number>();
    for (const period of schema.periods) {
      for (const table of await period.tables.admin.list()) {
        context.signal.throwIfAborted();
        const endMs = schema.tableEndMs(period, table);
        if (endMs === undefined) continue;
        for (let day = dayOf(endMs - period.tableMs); day < dayOf(endMs); day++) {
          // at a change of periods both may have a table for the day, and only one is asked
          if (this.#isOver(day) && schema.periodOf(day) === period) days.add(day);
        }
      }
    }
    return [...days].sort((a, b) => a - b);
  }

  async #sweep({ sweep, signal }: CompactionRequest, report: CompactionReport): Promise<void> {
    const { schema, clock } = this.#options;
    const sweeper = sweep === 'force' ? new Sweeper(schema, clock, { rowGraceMs: 0, objectGraceMs: 0 }) : this.sweeper;
    const swept = await sweeper.run(signal);
    report.swept = { rows: swept.rows, objects: swept.objects, moved: swept.moved };
    report.damaged.push(...swept.damaged);
    // what was moved has left objects that no row names
    if (sweep === 'force' && swept.moved > 0) report.swept.objects += (await sweeper.run(signal)).objects;
  }
}

/** The time that several looks agree on, the earliest of theirs, Unix ms; −Infinity while there are too few. */
function settledNow(nowMs: number, looks: RetentionLooks | undefined): number {
  if (looks === undefined) return nowMs;
  return looks.past.length + 1 < looks.wanted ? Number.NEGATIVE_INFINITY : Math.min(nowMs, ...looks.past);
}

function keepFrom(tenant: string, retention: Retention, nowMs: number): number {
  const keepMs = retention.tenants.get(tenant) ?? retention.defaultMs;
  return keepMs > 0 ? nowMs - keepMs : Number.NEGATIVE_INFINITY;
}

/** The longest that anybody keeps samples; 0 where somebody keeps them for ever. */
function longest({ defaultMs, tenants }: Retention): number {
  const all = [defaultMs, ...tenants.values()];
  return all.includes(0) ? 0 : Math.max(...all);
}
