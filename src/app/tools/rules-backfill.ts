import { createHash } from 'node:crypto';
import { Kernel } from '../../chunk/kernel.ts';
import { type StateHead, type StateKey, StateRows } from '../../chunkstore/documents/state-rows.ts';
import { TenantTables } from '../../chunkstore/documents/tables.ts';
import { ChunkStoreReader } from '../../chunkstore/reader.ts';
import type { Schema } from '../../chunkstore/schema.ts';
import type { Clock } from '../../lib/clock.ts';
import { getOrMake } from '../../lib/map.ts';
import { Pacer } from '../../lib/pacer.ts';
import { systemBytes } from '../../lib/random.ts';
import { encodeLabels } from '../../model/canonical.ts';
import type { Labels } from '../../model/labels.ts';
import type { Engine } from '../../promql/engine.ts';
import type { QuerierConfig } from '../../querier/config.ts';
import { EngineRunner } from '../../querier/engine-runner.ts';
import { querierEngine } from '../../querier/querier.ts';
import { StoreSource } from '../../querier/store-source.ts';
import { QueryTurns } from '../../querier/turns.ts';
import type { RuleWrite } from '../../ruler/group-run.ts';
import { Replay, type ReplaySources, type SlotRange, slotsBetween } from '../../ruler/replay.ts';
import type { RuleGroup } from '../../ruler/rule-file.ts';
import { groupYaml } from '../../ruler/rule-yaml.ts';
import { HISTOGRAM, SampleColumns, STALE, STALE_HISTOGRAM } from '../../storage/columns.ts';
import { mergedQueryable } from '../../storage/merge.ts';
import type { Queryable } from '../../storage/queryable.ts';
import type { SampleSource } from '../../storage/source.ts';
import { unlimited } from '../../storage/unlimited.ts';
import type { Progress } from './progress.ts';
import { StoreBatch, type StoreBatchOptions } from './store-batch.ts';
import { beginStoreImport } from './store-import.ts';

export interface BackfillOptions {
  readonly groups: readonly BackfilledGroup[];
  readonly tenant: string;
  /** Evaluations, both ends inclusive. */
  readonly startMs: number;
  readonly endMs: number;
  /** Interval of groups that say none. */
  readonly evaluationIntervalMs: number;
  /** Age of the data where a group says nothing. */
  readonly queryOffsetMs: number;
  /** Begin anew, whatever an earlier run has done. */
  readonly restart: boolean;
  readonly schema: Schema;
  readonly windowMs: number;
  readonly querier: QuerierConfig;
  readonly clock: Clock;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** A group whose recording rules are evaluated. */
export interface BackfilledGroup {
  readonly namespace: string;
  readonly group: RuleGroup;
}

export interface BackfillTotals {
  samples: number;
  /** Parts of the work that an earlier run has done. */
  skipped: number;
  failures: number;
  lastError: string | undefined;
}

/** The kind of state that a backfill's progress is. */
const BACKFILL = 'backfill';
const SLICE_MS = 100;

/**
 * Evaluates recording rules over stored samples and writes what they give into the store: window by window, groups in their order, so
 * that a rule finds what others have recorded before. What is done is kept in the store until all is: the same run again goes on there.
 */
export async function backfill(options: BackfillOptions): Promise<BackfillTotals> {
  const { groups, tenant, startMs, endMs, schema, windowMs, clock, progress, signal } = options;
  const done = await Done.open(options);
  const totals: BackfillTotals = { samples: 0, skipped: 0, failures: 0, lastError: undefined };
  const begun = await beginStoreImport(schema, { tenant, windowMs, clock, signal });
  const engine = querierEngine(options.querier);
  const firstWindowMs = Math.floor((startMs - offsetMax(options)) / windowMs) * windowMs;
  const parts = (Math.floor(endMs / windowMs) - firstWindowMs / windowMs + 1) * groups.length;
  let part = 0;
  for (let windowStartMs = firstWindowMs; windowStartMs <= endMs; windowStartMs += windowMs) {
    for (const each of groups) {
      signal.throwIfAborted();
      if (++part <= done.parts) {
        totals.skipped++;
        continue;
      }
      await backfillWindow(each, windowStartMs, options, {
        sources: sourcesOf(options, engine),
        write: begun.options,
        totals,
      });
      await done.set(part);
      const at = new Date(windowStartMs).toISOString();
      progress.at(() => `${at} ${each.group.name}: ${part} of ${parts} parts, ${totals.samples} samples`);
    }
  }
  await begun.done();
  await done.remove();
  return totals;
}

async function backfillWindow(
  { namespace, group }: BackfilledGroup,
  windowStartMs: number,
  options: BackfillOptions,
  run: { readonly sources: ReplaySources; readonly write: StoreBatchOptions; readonly totals: BackfillTotals },
): Promise<void> {
  const { startMs, endMs, windowMs } = options;
  const intervalMs = group.intervalMs ?? options.evaluationIntervalMs;
  const offsetMs = group.queryOffsetMs ?? options.queryOffsetMs;
  const fromMs = Math.max(startMs, windowStartMs + offsetMs);
  const untilMs = Math.min(endMs, windowStartMs + windowMs - 1 + offsetMs);
  const slots = slotsBetween(namespace, group, intervalMs, fromMs, untilMs);
  if (slots.count === 0) return;
  // the evaluation before says which series end with the first one
  const isFirst = slots.firstMs - intervalMs < startMs;
  const range: SlotRange = isFirst ? slots : { ...slots, firstMs: slots.firstMs - intervalMs, count: slots.count + 1 };
  const recorded = new RecordedWindow(slots.firstMs - offsetMs);
  const settings = {
    queryOffsetMs: offsetMs,
    externalLabels: {},
    externalUrl: '',
    samplesMax: Number.POSITIVE_INFINITY,
  };
  await new Replay(group, run.sources, settings).run(range, {
    wrote: (timeMs, writes) => recorded.add(timeMs, writes),
    evaluated(_, { lastError }, { slotMs }) {
      if (lastError === undefined || slotMs < slots.firstMs) return;
      run.totals.failures++;
      run.totals.lastError = lastError.message;
    },
  });
  run.totals.samples += await recorded.write(run.write);
}

/** Samples that a group has recorded in a window. */
class RecordedWindow {
  readonly #fromMs: number;
  readonly #series = new Map<string, { readonly labels: Labels; readonly samples: SampleColumns }>();

  constructor(fromMs: number) {
    this.#fromMs = fromMs;
  }

  add(timeMs: number, writes: readonly RuleWrite[]): void {
    if (timeMs < this.#fromMs) return;
    for (const { samples, stale } of writes) {
      for (const { labels, value, histogram } of samples) {
        const columns = this.#of(labels);
        // of two rules that record the same series the first counts, as it does where a ruler writes them
        if (columns.count > 0 && columns.times[columns.count - 1]! >= timeMs) continue;
        if (histogram === undefined) columns.pushFloat(timeMs, value);
        else columns.pushHistogram(timeMs, histogram);
      }
      for (const labels of stale) {
        const columns = this.#of(labels);
        const last = columns.count - 1;
        if (last >= 0 && columns.times[last]! >= timeMs) continue;
        columns.pushStale(timeMs, last >= 0 && columns.kinds[last] === HISTOGRAM ? STALE_HISTOGRAM : STALE);
      }
    }
  }

  #of(labels: Labels): SampleColumns {
    return getOrMake(this.#series, labels.key, () => ({ labels, samples: new SampleColumns(16) })).samples;
  }

  /** @returns samples written */
  async write(options: StoreBatchOptions): Promise<number> {
    const batch = new StoreBatch(options);
    let count = 0;
    for (const { labels, samples } of this.#series.values()) {
      batch.add(encodeLabels(labels), samples);
      count += samples.count;
    }
    await batch.write(this.#series.size);
    return count;
  }
}

function offsetMax({ groups, queryOffsetMs }: BackfillOptions): number {
  return Math.max(0, ...groups.map(({ group }) => group.queryOffsetMs ?? queryOffsetMs));
}

/** Readers know lists of rows from before: each part of the work has its own, which sees what was written last. */
function sourcesOf({ tenant, schema, querier, clock, signal }: BackfillOptions, engine: Engine): ReplaySources {
  const stored = new StoreSource(new ChunkStoreReader(schema, Kernel.create(), clock));
  const queryable = mergedQueryable(tenant, { recent: NOTHING, stored, overlapMs: 0, clock });
  const over = (of: Queryable) =>
    new EngineRunner({
      engine,
      queryable: () => of,
      limits: () => NO_LIMITS,
      turns: new QueryTurns(clock),
      timeoutMs: querier.timeoutMs,
      clock,
    });
  const pacer = new Pacer(clock, { sliceMs: SLICE_MS, signal });
  const { budget } = unlimited(signal);
  return { tenant, queries: over(queryable), stored: queryable, over, budget, pacer, signal };
}

/** Whoever runs the tool has the machine to itself; what an engine may hold is still bounded (`-querier.max-samples`). */
const NO_LIMITS = {
  maxFetchedSeriesPerQuery: 0,
  maxFetchedChunksPerQuery: 0,
  maxFetchedChunkBytesPerQuery: 0,
  maxFetchedDataBytesPerQuery: 0,
  maxQueryMemoryBytes: 0,
};

/** Recent samples: a tool sees what is in the store only. */
const NOTHING: SampleSource = {
  select: async () => ({ labels: [], warnings: [], read() {}, close() {} }),
  labelNames: async () => ({ values: [], warnings: [] }),
  labelValues: async () => ({ values: [], warnings: [] }),
};

/** Parts of a backfill that are done, as a row of state under a name that says of which. */
class Done {
  readonly #states: StateRows;
  readonly #key: StateKey;
  readonly #signal: AbortSignal;
  #head: StateHead | undefined;

  private constructor(states: StateRows, key: StateKey, head: StateHead | undefined, signal: AbortSignal) {
    this.#states = states;
    this.#key = key;
    this.#head = head;
    this.#signal = signal;
  }

  static async open(options: BackfillOptions): Promise<Done> {
    const { groups, tenant, startMs, endMs, evaluationIntervalMs, queryOffsetMs, windowMs, signal } = options;
    const rules = groups.map(({ namespace, group }) => [namespace, groupYaml(group)]);
    const about = JSON.stringify([rules, startMs, endMs, evaluationIntervalMs, queryOffsetMs, windowMs]);
    const name = createHash('sha256').update(about).digest('hex').slice(0, 32);
    const states = new StateRows(await TenantTables.open(options.schema, signal), systemBytes);
    const key = { tenant, kind: BACKFILL, name };
    if (options.restart) await states.remove(key, signal);
    return new Done(states, key, await states.get(key, signal), signal);
  }

  get parts(): number {
    return this.#head === undefined ? 0 : Number(Buffer.from(this.#head.body).toString());
  }

  async set(parts: number): Promise<void> {
    const next = { pages: [], body: Buffer.from(String(parts)) };
    this.#head = await this.#states.compareAndSet(this.#key, this.#head, next, this.#signal);
    if (this.#head === undefined) throw new Error('the same backfill runs elsewhere: it has gone on with it');
  }

  remove(): Promise<void> {
    return this.#states.remove(this.#key, this.#signal);
  }
}
