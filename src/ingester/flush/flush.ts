import { GroupDecoder } from '../../chunk/group/decode.ts';
import { type GroupSeries, labelParts, metricOf } from '../../chunk/group/series.ts';
import { ChunkDecoder, type HeadChunk } from '../../chunk/head-chunk.ts';
import type { Kernel } from '../../chunk/kernel.ts';
import { canonicalSeries } from '../../chunkstore/canonical-series.ts';
import { bucketSlot, PLACEMENT_DEFAULT, type Placement, type Slot, slotOf } from '../../chunkstore/placement.ts';
import { placementOfDay, placementOfRing, SPLIT_SERIES_MIN } from '../../chunkstore/placement-size.ts';
import { StoredSamples } from '../../chunkstore/stored-samples.ts';
import type { Tombstone } from '../../chunkstore/tombstone-row.ts';
import type { ChunkStoreWriter, WriteGroup } from '../../chunkstore/writer.ts';
import type { Channel } from '../../kit/thread/channel.ts';
import { ageMsOf, type Clock, momentOf } from '../../lib/clock.ts';
import { dayOf } from '../../lib/day.ts';
import { fencedSignal } from '../../lib/fenced-signal.ts';
import { AppError } from '../../model/errors.ts';
import { ringErrors } from '../../model/errors-ring.ts';
import type { TenantSize } from '../../model/slot-sizes.ts';
import { SampleColumns } from '../../storage/columns.ts';
import { SliceView } from '../../wire/slices.ts';
import { type FlushSpread, type FlushTurns, slotTurn } from '../flush-turn.ts';
import {
  type ArenaTenant,
  allTenants,
  type ShardExport,
  type ShardRole,
  TENANTS_AT_ONCE_MAX,
  type UnflushedWindow,
} from '../shard/shard-messages.ts';
import type {
  DeletionsRequest,
  FlushProgress,
  FlushReport,
  FlushRequest,
  ReadBackReport,
  ReadBackRequest,
} from './flush-contract.ts';
import { FlushDeletions, UndeletedSamples } from './flush-deletions.ts';
import { resumedEnd, shareDue, spreadOf, turnsEndMs } from './flush-plan.ts';
import { owedSlots } from './stored-slots.ts';

// Series of a metric are decoded together, as many as these allow; their shard gives them in order.
const RUN_SERIES_MAX = 4096;
const RUN_BYTES_MAX = 8 * 2 ** 20;

const WAL_AGE_MAX_MS = 7 * 86_400_000;

/** Windows of one flush and shard: what others wait for must end. A process that is well has a few, a backfill many. */
const WINDOWS_MAX = 128;

/** Times that samples are written again which the store lacks when they are read back. */
const READ_BACK_PASSES_MAX = 3;

/** Moves sealed windows from shards to the store. */
export class Flusher {
  readonly #shards: readonly Channel<ShardRole>[];
  readonly #writer: ChunkStoreWriter;
  readonly #decoder: ChunkDecoder;
  readonly #windowMs: number;
  readonly #splitSeries: number;
  readonly #clock: Clock;
  /** That of all flushes: what it inflates to in the kernel is never given back. */
  readonly #groupDecoder: GroupDecoder;
  readonly #columns = new SampleColumns();
  readonly #walAgeMaxMs: number;
  readonly #deletions: FlushDeletions;
  /** Samples that were decoded since reading back began. */
  #decodedSamples = 0;
  /** By day and tenant, during one flush. */
  readonly #heldOfDays = new Map<string, Placement[]>();

  constructor(options: {
    shards: readonly Channel<ShardRole>[];
    writer: ChunkStoreWriter;
    kernel: Kernel;
    windowMs: number;
    clock: Clock;
    /** Series of a metric that stay together. */
    splitSeries?: number;
    /** How long a delete request can be cancelled; absent: never. */
    deleteRequestCancelPeriodMs?: number;
    /** Where others hold the samples too: older ones are not written before an operator has said so. Absent: the default. */
    walAgeMaxMs?: number;
  }) {
    this.#shards = options.shards;
    this.#writer = options.writer;
    this.#groupDecoder = new GroupDecoder(options.kernel);
    this.#decoder = new ChunkDecoder(options.kernel);
    this.#windowMs = options.windowMs;
    this.#splitSeries = options.splitSeries ?? SPLIT_SERIES_MIN;
    this.#clock = options.clock;
    this.#walAgeMaxMs = options.walAgeMaxMs ?? WAL_AGE_MAX_MS;
    this.#deletions = new FlushDeletions({
      schema: options.writer.schema,
      shards: options.shards,
      clock: options.clock,
      cancelPeriodMs: options.deleteRequestCancelPeriodMs ?? 0,
      walAgeMaxMs: this.#walAgeMaxMs,
    });
  }

  readDeletions(request: DeletionsRequest): Promise<void> {
    return this.#deletions.readAll(request);
  }

  /**
   * Shards of which nothing may be written: requests that delete their samples may be forgotten by now.
   * @returns time in ms until that comes to be so of the others
   */
  async #tooOld(failures: string[]): Promise<{ readonly shards: ReadonlySet<number>; readonly leftMs: number }> {
    const shards = new Set<number>();
    const limitMs = this.#walAgeMaxMs;
    let leftMs = Number.POSITIVE_INFINITY;
    for (const [index, shard] of this.#shards.entries()) {
      const ageMs = this.#clock.nowMs() - (await shard.call('deletionsReadMs', {}));
      if (ageMs <= limitMs) {
        leftMs = Math.min(leftMs, limitMs - ageMs);
        continue;
      }
      shards.add(index);
      failures.push(ringErrors.ringDeletionsUnread({ shard: index, ageMs, limitMs }).message);
    }
    return { shards, leftMs };
  }

  /** Everything due goes in one write, so that windows, tenants and slots share objects. The newest of many windows go first. */
  async flush(request: FlushRequest): Promise<FlushReport> {
    const { sealBeforeMs, keepOpen, tenant, pace, progress, turns } = request;
    const counts = { windows: 0, groups: 0, series: 0, samples: 0, bytes: 0 };
    const failures: string[] = [];
    this.#heldOfDays.clear();
    this.#deletions.begin();
    const begunAt = momentOf(this.#clock);
    const { shards: tooOld, leftMs } = turns === undefined ? NONE_TOO_OLD : await this.#tooOld(failures);
    const due: DueWindow[] = [];
    const begun = new Map<string, FlushProgress>();
    const keyOf = (shard: number, sealLsn: number) => `${shard} ${sealLsn}`;
    for (const [index, shard] of this.#shards.entries()) {
      if (tooOld.has(index)) continue;
      const held =
        tenant === undefined
          ? await shard.call('seal', { beforeMs: sealBeforeMs, except: keepOpen[index] ?? [] })
          : await shard.call('unflushed', {});
      for (const sealed of held) {
        const known = progress.find((each) => each.shard === index && each.sealLsn === sealed.sealLsn);
        if (known !== undefined) begun.set(keyOf(index, sealed.sealLsn), known);
        // what of one tenant was written before is written again: the same rows
        const from = tenant === undefined ? (known?.share ?? 0) : 0;
        const lateMs = sealed.sealLsn === 0 ? undefined : request.late?.[index]?.get(sealed.window);
        const endMs = known?.endMs ?? lateMs ?? (sealed.window + 1) * this.#windowMs;
        // of what the store took nothing of, all is settled anew
        const settled = known !== undefined && known.share > 0 ? known : undefined;
        const spread = settled?.spread ?? spreadOf(pace, turns);
        const turnsEnd = pace === undefined || known === undefined ? endMs : turnsEndMs(pace, known);
        const to = pace === undefined ? 1 : shareDue(pace, turnsEnd, spread);
        if (to <= from) continue;
        const placements = new Map(settled?.placements);
        const resumed = known?.resumedEndMs === undefined ? {} : { resumedEndMs: known.resumedEndMs };
        due.push({ shard, index, sealed, phases: [from, to], endMs, ...resumed, spread, placements, failed: false });
      }
    }
    const windowsMax = tenant === undefined ? WINDOWS_MAX * this.#shards.length : due.length;
    const windows = due.sort((a, b) => b.sealed.window - a.sealed.window).splice(0, windowsMax);
    const left = due.length > 0 ? { left: due.length } : {};
    // what was read of deletions at the beginning does not hold for ever, and a machine may sleep
    const signal = fencedSignal(() =>
      ageMsOf(this.#clock, begunAt) > leftMs ? new Error('the flush took too long, it begins anew') : undefined,
    );
    try {
      const groups = this.#groups(windows, tenant, turns, failures);
      for (const { seriesCount, sampleCount, bytes } of await this.#writer.write(groups, signal)) {
        counts.groups++;
        counts.series += seriesCount;
        counts.samples += sampleCount;
        counts.bytes += bytes;
      }
    } catch (error) {
      failures.push((error as Error).message);
      if (turns !== undefined && pace !== undefined) {
        for (const { index, sealed, phases, endMs, spread, placements } of [...windows, ...due]) {
          const { sealLsn } = sealed;
          const reached = { shard: index, sealLsn, share: phases[0], endMs, spread, placements };
          const resumed = resumedEnd(pace, this.#clock.nowMs(), reached);
          begun.set(keyOf(index, sealLsn), { ...reached, resumedEndMs: resumed });
        }
      }
      return { ...counts, failures, progress: [...begun.values()] };
    }
    if (tenant !== undefined) return { ...counts, failures, progress };
    for (const { shard, index, sealed, phases, endMs, resumedEndMs, spread, placements, failed } of windows) {
      if (failed) continue;
      const { sealLsn } = sealed;
      if (phases[1] < 1) {
        const resumed = resumedEndMs === undefined ? {} : { resumedEndMs };
        const reached = { shard: index, sealLsn, share: phases[1], endMs, ...resumed, spread, placements };
        begun.set(keyOf(index, sealLsn), reached);
        continue;
      }
      await shard.call('confirmFlushed', { sealLsn });
      begun.delete(keyOf(index, sealLsn));
      counts.windows++;
    }
    return { ...counts, failures, progress: [...begun.values()], ...left };
  }

  /** Reads back from the store all that the shards hold, and writes again what it lacks, until it lacks nothing. @throws where it is aborted */
  async readBack({ turns }: ReadBackRequest, signal: AbortSignal): Promise<ReadBackReport> {
    let again = 0;
    for (let pass = 1; ; pass++) {
      const failures: string[] = [];
      const { samples, written } = await this.#readBackOnce(turns, failures, signal);
      signal.throwIfAborted();
      again += written;
      if (written > 0 && pass === READ_BACK_PASSES_MAX && failures.length === 0) {
        failures.push(`the store lacks ${written} samples of ${samples} after they were written ${pass} times`);
      }
      if (written === 0 || failures.length > 0) return { samples, again, failures };
    }
  }

  async #readBackOnce(
    turns: FlushTurns,
    failures: string[],
    signal: AbortSignal,
  ): Promise<{ samples: number; written: number }> {
    this.#heldOfDays.clear();
    this.#deletions.begin();
    this.#decodedSamples = 0;
    const begunAt = momentOf(this.#clock);
    const { shards: tooOld, leftMs } = await this.#tooOld(failures);
    const windows: DueWindow[] = [];
    for (const [index, shard] of this.#shards.entries()) {
      if (tooOld.has(index)) continue;
      for (const sealed of await shard.call('held', {})) {
        const endMs = (sealed.window + 1) * this.#windowMs;
        const spread = spreadOf(undefined, turns);
        windows.push({ shard, index, sealed, phases: [0, 1], endMs, spread, placements: new Map(), failed: false });
      }
    }
    const fenced = fencedSignal(() =>
      ageMsOf(this.#clock, begunAt) > leftMs ? new Error('reading back took too long, it begins anew') : undefined,
    );
    const groups = untilAborted(this.#groups(windows, undefined, turns, failures, true), signal);
    let written = 0;
    try {
      for (const { sampleCount } of await this.#writer.write(groups, fenced)) written += sampleCount;
    } catch (error) {
      failures.push((error as Error).message);
    }
    return { samples: this.#decodedSamples, written };
  }

  /** The groups of all windows; what fails of one leaves the others alone. */
  async *#groups(
    windows: readonly DueWindow[],
    only: string | undefined,
    turns: FlushTurns | undefined,
    failures: string[],
    readsBack = false,
  ): AsyncGenerator<WriteGroup> {
    const begins = windows.some(({ phases }) => phases[0] === 0);
    // where there is a ring, it says how tenants are spread
    const sizes = begins && turns === undefined ? await this.#seriesOfTenants(only) : new Map();
    const own = { windowMs: this.#windowMs, clock: this.#clock, readsBack };
    const stored = turns && new StoredSamples(this.#writer.schema, this.#groupDecoder, own);
    for (const each of windows) {
      const fail = (error: unknown) => {
        each.failed = true;
        failures.push((error as Error).message);
      };
      try {
        for await (const group of this.#window(each, only, { sizes, turns, stored }, fail)) {
          yield stored === undefined ? group : { ...group, stored };
        }
      } catch (error) {
        // with the store away every other window would wait for it in vain as long
        if (error instanceof StoreUnreadable) throw error.cause;
        fail(error);
      }
    }
  }

  /** Over all shards. @param only undefined: all tenants */
  async #seriesOfTenants(only: string | undefined): Promise<Map<string, number>> {
    const series = new Map<string, number>();
    for (const shard of this.#shards) {
      const found = only === undefined ? allTenants(shard) : (await shard.call('tenants', { tenant: only })).tenants;
      for await (const { tenant, series: count } of found) {
        series.set(tenant, (series.get(tenant) ?? 0) + count);
      }
    }
    return series;
  }

  async *#window(
    due: DueWindow,
    only: string | undefined,
    { sizes, turns, stored }: TenantSizes,
    fail: (error: unknown) => void,
  ): AsyncGenerator<WriteGroup> {
    const { shard, sealed, phases, spread } = due;
    const windowStartMs = sealed.window * this.#windowMs;
    for (const arena of sealed.arenas) {
      for await (const { tenant, metrics, series } of this.#tenantsOf(shard, arena, only)) {
        const size = { series: sizes.get(tenant) ?? 0, metrics };
        const placement = await this.#placement(due, tenant, size, turns, windowStartMs);
        if (phases[0] === 0) {
          const metadata = await shard.call('metadata', { tenant });
          if (metadata.length > 0) await this.#writer.writeMetadata(tenant, windowStartMs, metadata);
        }
        const isWhole = placement === PLACEMENT_DEFAULT;
        if (isWhole && !isDue(phases, spread, tenant)) continue;
        const slots = isWhole ? { phases: ALL_PHASES } : { phases, spread };
        const deleted = await this.#deleted(tenant);
        const kept = new UndeletedSamples(deleted, windowStartMs, windowStartMs + this.#windowMs);
        const wanted: ShardExport = { arena, tenant, placement, ...slots };
        // where all is read back, nothing counts as stored by its row
        const isTold = stored !== undefined && !stored.readsBack && kept.areAll;
        const owed = isTold ? await this.#owed(shard, wanted, stored, windowStartMs, series) : undefined;
        if (owed?.size === 0) continue;
        const runs = this.#runs(shard, { ...wanted, only: owed }, kept, fail);
        for await (const { slot, series } of bySlot(runs, fail)) {
          yield { tenant, placement, slot, windowStartMs, windowMs: this.#windowMs, series };
        }
      }
    }
  }

  /** As `owedSlots`. */
  async #owed(
    shard: Channel<ShardRole>,
    wanted: ShardExport,
    stored: StoredSamples,
    windowStartMs: number,
    tenantSeries: number,
  ): Promise<ReadonlySet<string> | undefined> {
    try {
      return await owedSlots(shard, wanted, stored, windowStartMs, tenantSeries);
    } catch (cause) {
      if (!(cause instanceof AppError && cause.facts.retry)) throw cause;
      throw new StoreUnreadable('groups', { cause });
    }
  }

  /** Requests whose samples are left out. */
  async #deleted(tenant: string): Promise<readonly Tombstone[]> {
    try {
      return await this.#deletions.of(tenant);
    } catch (cause) {
      if (!(cause instanceof AppError && cause.facts.retry)) throw cause;
      throw new StoreUnreadable('delete requests', { cause });
    }
  }

  /** The tenants that have chunks in an arena. */
  async *#tenantsOf(shard: Channel<ShardRole>, arena: number, only: string | undefined): AsyncGenerator<ArenaTenant> {
    const all = await shard.call('tenantsOf', only === undefined ? { arena } : { arena, only });
    for (let at = 0; at < all.length; at += TENANTS_AT_ONCE_MAX) {
      const indexes = all.slice(at, at + TENANTS_AT_ONCE_MAX);
      yield* await shard.call('arenaTenants', { indexes, metricSeriesMin: this.#splitSeries });
    }
  }

  /** How a tenant's series are spread in a window: settled when its flush begins, by what the store has of the day and by their number. */
  async #placement(
    due: DueWindow,
    tenant: string,
    size: TenantSize,
    turns: FlushTurns | undefined,
    windowStartMs: number,
  ): Promise<Placement> {
    const known = due.placements.get(tenant);
    if (known !== undefined) return known;
    // of a flush that was begun all are known but those of tenants with one slot
    if (due.phases[0] > 0) return PLACEMENT_DEFAULT;
    const held = await this.#held(tenant, windowStartMs);
    const placement =
      turns === undefined
        ? placementOfDay(held, size, this.#clock.nowMs(), this.#splitSeries)
        : placementOfRing(held, turns.sizes.get(tenant));
    if (placement.buckets === 1 && placement.splits.size === 0) return PLACEMENT_DEFAULT;
    due.placements.set(tenant, placement);
    held.push(placement);
    return placement;
  }

  /** The placements of a tenant's day, those of this flush too: read once. */
  async #held(tenant: string, windowStartMs: number): Promise<Placement[]> {
    const key = `${dayOf(windowStartMs)} ${tenant}`;
    let held = this.#heldOfDays.get(key);
    if (held === undefined) {
      try {
        held = [...(await this.#writer.heldPlacements(tenant, windowStartMs))];
      } catch (cause) {
        // what is damaged concerns its tenant alone
        if (!(cause instanceof AppError && cause.facts.retry)) throw cause;
        throw new StoreUnreadable('placements', { cause });
      }
      this.#heldOfDays.set(key, held);
    }
    return held;
  }

  /** A tenant's series as they are exported, in runs of one metric and slot. */
  async *#runs(
    shard: Channel<ShardRole>,
    request: ShardExport,
    kept: UndeletedSamples,
    fail: (error: unknown) => void,
  ): AsyncGenerator<Run> {
    const runOf = (exported: Exported[]): Run => {
      return { slot: exported[0]!.slot, series: this.#decoded(exported, kept, fail) };
    };
    const slots = new SlotFinder(request.placement);
    let run: Exported[] = [];
    let bytes = 0;
    for (let slice = await shard.call('export', request); ; ) {
      const next = slice.cursor === 0 ? undefined : shard.call('selectNext', { cursor: slice.cursor });
      next?.catch(() => {});
      for (const series = new SliceView(slice.bytes); series.next(); ) {
        const { labels, chunks } = series;
        if (chunks.length === 0) continue;
        const parts = labelParts(labels);
        const metric = metricOf(parts);
        const slot = slots.of(labels, metric);
        const isFull = run.length >= RUN_SERIES_MAX || bytes >= RUN_BYTES_MAX;
        if (run.length > 0 && (isFull || slot !== run[0]!.slot || metric !== run[0]!.metric)) {
          yield runOf(run);
          run = [];
          bytes = 0;
        }
        run.push({ labels, parts, metric, slot, chunks });
        bytes += chunks.reduce((sum, chunk) => sum + chunk.bytes.length, 0);
      }
      if (next === undefined) break;
      slice = await next;
    }
    if (run.length > 0) yield runOf(run);
  }

  /** The samples of a run's series, one after another in the same columns. */
  *#decoded(run: readonly Exported[], kept: UndeletedSamples, fail: (error: unknown) => void): Generator<GroupSeries> {
    for (const { labels, parts, chunks } of run) {
      let columns = this.#columns;
      try {
        this.#decoder.read(chunks, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, columns);
        columns = kept.of(labels, columns);
      } catch (error) {
        fail(error);
        continue;
      }
      this.#decodedSamples += columns.count;
      if (columns.count > 0) yield canonicalSeries(labels, columns, parts);
    }
  }
}

/** The store's contents cannot be told: the whole flush fails, to be tried again. */
class StoreUnreadable extends Error {}

const NONE_TOO_OLD = { shards: new Set<number>(), leftMs: Number.POSITIVE_INFINITY };

/** The only slot of a tenant that is not spread. */
const WHOLE = bucketSlot(1, 0);

const ALL_PHASES: ShardExport['phases'] = [0, 1];

/** Whether a tenant of one slot has its turn. */
function isDue(phases: ShardExport['phases'], spread: FlushSpread, tenant: string): boolean {
  const turn = slotTurn(spread, tenant, WHOLE);
  return phases[0] <= turn && turn < phases[1];
}

/** By what a tenant's series are spread: how many series tenants have here, or where there is a ring its sizes. */
interface TenantSizes {
  /** Absent: nobody else has the samples. */
  readonly stored: StoredSamples | undefined;
  readonly sizes: ReadonlyMap<string, number>;
  readonly turns: FlushTurns | undefined;
}

/** A window of which slots are due. */
interface DueWindow {
  readonly shard: Channel<ShardRole>;
  readonly index: number;
  readonly sealed: UnflushedWindow;
  /** Turns of the slots, the first inclusive, the second exclusive. */
  readonly phases: ShardExport['phases'];
  readonly endMs: number;
  readonly resumedEndMs?: number;
  readonly spread: FlushSpread;
  /** By tenant; those without have one slot. */
  readonly placements: Map<string, Placement>;
  /** It could not be exported: it stays in the head, to be flushed again. */
  failed: boolean;
}

/** A series as the shard gives it. */
interface Exported {
  readonly labels: Uint8Array;
  readonly parts: string[];
  readonly metric: string;
  readonly slot: Slot;
  readonly chunks: readonly HeadChunk[];
}

/** Series of one metric and slot. */
interface Run {
  readonly slot: Slot;
  readonly series: Iterable<GroupSeries>;
}

/** Slots of series that come by slot and metric: the same object as long as it is the same slot. */
class SlotFinder {
  readonly #placement: Placement;
  #metric: string | undefined;
  #last: Slot = WHOLE;

  constructor(placement: Placement) {
    this.#placement = placement;
  }

  /** @param metric of the series, one character a byte */
  of(labels: Uint8Array, metric: string): Slot {
    if (metric === this.#metric && this.#placement.splits.size === 0) return this.#last;
    const slot = slotOf(this.#placement, labels);
    this.#metric = metric;
    if (Buffer.compare(slot, this.#last) !== 0) this.#last = slot;
    return this.#last;
  }
}

/** Runs of the same slot together, without holding more than one. What breaks within a slot ends it early and is told to `fail`. */
async function* bySlot(
  runs: AsyncGenerator<Run>,
  fail: (error: unknown) => void,
): AsyncGenerator<{ slot: Slot; series: AsyncIterable<Iterable<GroupSeries>> }> {
  let next = await runs.next();
  while (next.done !== true) {
    const { slot } = next.value;
    const ofSlot = async function* () {
      try {
        while (next.done !== true && slot === next.value.slot) {
          yield next.value.series;
          next = await runs.next();
        }
      } catch (error) {
        next = { done: true, value: undefined };
        fail(error);
      }
    };
    yield { slot, series: ofSlot() };
  }
}

async function* untilAborted(groups: AsyncIterable<WriteGroup>, signal: AbortSignal): AsyncGenerator<WriteGroup> {
  for await (const group of groups) {
    signal.throwIfAborted();
    yield group;
  }
}
