import type { Cache } from '../cache/client.ts';
import type { Clock } from '../lib/clock.ts';
import type { Turns } from '../lib/turns.ts';
import { type JoinedLimits, smallestLimit } from '../limits/query-limits.ts';
import { coverageOf, type Piece } from './coverage.ts';
import { cutSteps, decodeExtents, type Extent, encodeExtents, LabelLists } from './extents.ts';
import { type Grid, isNoted, joinSteps } from './merge-steps.ts';
import type { Reach } from './reach.ts';
import type { StepRange } from './split.ts';
import { pointsOf, type Steps, seriesCountOf } from './step-columns.ts';

/** Generations of a tenant's days as they were when they were asked for: those of `chunkstore/generations.ts`. */
export interface DaysView {
  token(fromMs: number, toMs: number): string;
  isSettled(fromMs: number, toMs: number, nowMs: number): boolean;
}

export interface ResultsCacheOptions {
  readonly cache: Cache;
  /** @throws where they cannot be read: nothing is taken from the cache then */
  readonly generations: (tenant: string, signal: AbortSignal) => Promise<DaysView>;
  /** Settings by which an expression has another answer, as text. */
  readonly flags: string;
  readonly intervalMs: number;
  readonly clock: Clock;
}

/** A tenant's limits that concern what is cached. */
export interface CacheLimits {
  /** Steps that see younger samples are not cached; infinite: none are. */
  readonly ageMs: number;
  /** Samples older than this are gone, or not seen; 0: they are kept for ever. */
  readonly retentionMs: number;
  /** 0: as long as the cache keeps them. */
  readonly ttlMs: number;
}

/** @param usualAgeMs age from which answers are cached, but for limits of tenants */
export function cacheLimitsOf(limits: JoinedLimits, usualAgeMs: number): CacheLimits {
  const { maxCacheFreshnessMs, outOfOrderTimeWindowMs, retentionsMs, resultsCacheTtlMs } = limits;
  // a late sample that ingesters are not asked for is seen with its flush, which moves no generation
  const isAllSeen = limits.queryIngestersWithinMs === 0;
  const ageMs = Math.max(maxCacheFreshnessMs, outOfOrderTimeWindowMs + usualAgeMs);
  return {
    ageMs: isAllSeen ? ageMs : Number.POSITIVE_INFINITY,
    retentionMs: smallestLimit([retentionsMs[0] ?? 0, limits.maxQueryLookbackMs]),
    ttlMs: resultsCacheTtlMs,
  };
}

/** A query that may be answered from the cache. */
export interface CacheableQuery extends Grid {
  readonly tenant: string;
  readonly expr: string;
  /** The expression in its normal form. */
  readonly normal: string;
  readonly reach: Reach;
  readonly lookbackMs: number;
  readonly limits: CacheLimits;
}

const VERSION = 3;
export const TTL_MS_DEFAULT = 7 * 86_400_000;
/** Samples at the end of retention are let go of from time to time, and by clocks that differ. */
export const RETENTION_MARGIN_MS = 3_600_000;
/** A query of which less than this share is old enough is evaluated as it is. */
const SHARE_MIN = 0.5;
/** Values that are had from the cache before they are counted: each may be large. */
const KEYS_AT_ONCE = 16;

/** Days of queries, by how much of each the cache had, and queries that could not ask it. */
export interface ResultsCacheStats {
  whole: number;
  part: number;
  none: number;
  failures: number;
}

const noStats = (): ResultsCacheStats => ({ whole: 0, part: 0, none: 0, failures: 0 });

/** Answers of the past, by expression and day. */
export class ResultsCache {
  readonly #options: ResultsCacheOptions;
  #stats = noStats();

  constructor(options: ResultsCacheOptions) {
    this.#options = options;
  }

  /** Whether enough of a query is old enough: told before anything is read. */
  isWorth({ startMs, endMs }: StepRange, { ageMs }: CacheLimits): boolean {
    const horizonMs = this.#options.clock.nowMs() - ageMs;
    return horizonMs - startMs > (endMs - startMs) * SHARE_MIN;
  }

  /** Counts a day that was asked for elsewhere. */
  note(had: keyof ResultsCacheStats): void {
    this.#stats[had]++;
  }

  /** How it did since it was asked last. */
  takeStats(): ResultsCacheStats {
    const stats = this.#stats;
    this.#stats = noStats();
    return stats;
  }

  /** Reads what holds of a tenant's days, before anything is evaluated; undefined where it cannot be known. */
  async days(tenant: string, signal: AbortSignal): Promise<DaysView | undefined> {
    // before anything is evaluated: what comes in between makes other generations
    const days = await this.#options.generations(tenant, signal).catch(() => undefined);
    signal.throwIfAborted();
    if (days === undefined) this.#stats.failures++;
    return days;
  }

  /**
   * The parts as far as the cache has them; undefined where it cannot be known whether that still holds.
   *
   * @param hold told how many bytes are held, before more of them come; ends it by throwing
   * @param known what held of the days when the query began, where it asks several times
   */
  async open(
    query: CacheableQuery,
    parts: readonly StepRange[],
    signal: AbortSignal,
    hold: (bytes: number) => void = () => {},
    known: Promise<DaysView | undefined> = this.days(query.tenant, signal),
  ): Promise<CachedParts | undefined> {
    const { cache, flags, intervalMs, clock } = this.#options;
    const days = await known;
    signal.throwIfAborted();
    if (days === undefined) return undefined;
    const nowMs = clock.nowMs();
    const phase = ((query.startMs % query.stepMs) + query.stepMs) % query.stepMs;
    const common = [VERSION, query.tenant, flags, query.lookbackMs, query.stepMs, phase, intervalMs, query.normal];
    const keys = parts.map(({ startMs }) => JSON.stringify([...common, Math.floor(startMs / intervalMs)]));
    const values: (Uint8Array | undefined)[] = [];
    while (values.length < keys.length) {
      const some = await cache.get(keys.slice(values.length, values.length + KEYS_AT_ONCE), signal);
      hold(some.reduce((sum, value) => sum + (value?.length ?? 0), 0));
      values.push(...some);
    }
    const lists = new LabelLists();
    const entries = parts.map((part, i) => ({
      part,
      key: keys[i]!,
      extents: values[i] === undefined ? [] : decodeExtents(values[i], lists),
    }));
    const cached = new CachedParts(cache, query, days, nowMs, entries);
    for (const had of cached.shares) this.#stats[had]++;
    return cached;
  }
}

interface Entry {
  readonly part: StepRange;
  readonly key: string;
  readonly extents: readonly Extent[];
}

/** Steps that are to be evaluated. */
export interface Task extends StepRange {
  readonly entry: number;
}

/** The parts of one query, as far as the cache has them. */
export class CachedParts {
  readonly #cache: Cache;
  readonly #query: CacheableQuery;
  readonly #days: DaysView;
  readonly #nowMs: number;
  readonly #entries: readonly (Entry & { readonly pieces: readonly Piece[]; readonly valid: readonly Extent[] })[];
  /** Steps that the cache has not, ascending. */
  readonly tasks: readonly Task[];
  /** Steps that it has. */
  readonly #held: readonly { readonly startMs: number; readonly steps: Steps }[];

  constructor(cache: Cache, query: CacheableQuery, days: DaysView, nowMs: number, entries: readonly Entry[]) {
    this.#cache = cache;
    this.#query = query;
    this.#days = days;
    this.#nowMs = nowMs;
    const tasks: Task[] = [];
    this.#entries = entries.map((entry, i) => {
      const valid = entry.extents.filter((extent) => this.#isKept(extent) && extent.token === this.#token(extent));
      const { pieces, gaps } = coverageOf(entry.part, query.stepMs, valid, query.expr);
      for (const gap of gaps) for (const range of this.#atHorizon(gap)) tasks.push({ ...range, entry: i });
      return { ...entry, pieces, valid };
    });
    this.tasks = tasks;
    this.#held = this.#entries.flatMap(({ pieces }) =>
      pieces.map((piece) => {
        const { steps, startMs, endMs } = piece.extent;
        const isWhole = piece.startMs === startMs && piece.endMs === endMs;
        return { startMs: piece.startMs, steps: isWhole ? steps : cutSteps(steps, piece) };
      }),
    );
  }

  /** Points of the answer that the cache has. */
  get points(): number {
    return this.#held.reduce((sum, { steps }) => sum + pointsOf(steps), 0);
  }

  /** Series of the piece that has the most. */
  get series(): number {
    return this.#held.reduce((most, { steps }) => Math.max(most, seriesCountOf(steps)), 0);
  }

  /** How much of each part the cache had. */
  get shares(): ('whole' | 'part' | 'none')[] {
    const open = new Set(this.tasks.map(({ entry }) => entry));
    return this.#entries.map(({ pieces }, i) => (open.has(i) ? (pieces.length > 0 ? 'part' : 'none') : 'whole'));
  }

  /** Steps that the cache had the answer of. */
  get cachedSteps(): number {
    const { stepMs } = this.#query;
    const count = (pieces: readonly Piece[]) =>
      pieces.reduce((sum, { startMs, endMs }) => sum + (endMs - startMs) / stepMs + 1, 0);
    return this.#entries.reduce((sum, { pieces }) => sum + count(pieces), 0);
  }

  /** The whole query. @param answers of the tasks, in their order */
  join(answers: readonly Steps[], turns: Turns): Promise<Steps> {
    const evaluated = this.tasks.map(({ startMs }, i) => ({ startMs, steps: answers[i]! }));
    const all = [...evaluated, ...this.#held];
    const ordered = all.sort((a, b) => a.startMs - b.startMs).map(({ steps }) => steps);
    return joinSteps(this.#query, ordered, turns);
  }

  /** Gives the cache what was evaluated and is complete. @param answers of the tasks, in their order */
  async keep(answers: readonly Steps[], turns: Turns): Promise<void> {
    const { ttlMs } = this.#query.limits;
    const kept = [];
    for (const [i, { key, valid }] of this.#entries.entries()) {
      const news = this.tasks.flatMap((task, t) => (task.entry === i ? this.#extentsOf(task, answers[t]!) : []));
      if (news.length === 0) continue;
      const olds = valid.filter((old) =>
        news.every(({ startMs, endMs }) => old.endMs < startMs || old.startMs > endMs),
      );
      const value = encodeExtents(await this.#joined([...olds, ...news], turns));
      if (value !== undefined) kept.push({ key, value, ttlMs: ttlMs > 0 ? ttlMs : TTL_MS_DEFAULT });
      if (turns.due) await turns.pause();
    }
    if (kept.length > 0) await this.#cache.set(kept);
  }

  /** The part of a task that may be kept. */
  #extentsOf({ startMs, endMs }: StepRange, steps: Steps): Extent[] {
    if (steps.notes.storage.length > 0) return [];
    const { stepMs, expr } = this.#query;
    const lastMs = startMs + Math.floor((Math.min(endMs, this.#horizonMs) - startMs) / stepMs) * stepMs;
    const firstMs = startMs + Math.max(0, Math.ceil((this.#floorMs - startMs) / stepMs)) * stepMs;
    if (lastMs < firstMs) return [];
    const isWhole = firstMs === startMs && lastMs === endMs;
    const isWithNotes = isNoted(steps);
    if (isWithNotes && !isWhole) return [];
    const range = { startMs: firstMs, endMs: lastMs };
    const [fromMs, toMs] = this.#samplesOf(range);
    if (!this.#days.isSettled(fromMs, toMs, this.#nowMs)) return [];
    const own = isWhole ? steps : cutSteps(steps, range);
    return [{ ...range, token: this.#token(range), steps: own, expr: isWithNotes ? expr : undefined }];
  }

  /** Extents that follow on each other become one. */
  async #joined(extents: readonly Extent[], turns: Turns): Promise<Extent[]> {
    const { stepMs } = this.#query;
    const out: Extent[] = [];
    for (const extent of extents.toSorted((a, b) => a.startMs - b.startMs)) {
      const before = out.at(-1);
      const follows = before !== undefined && before.endMs + stepMs === extent.startMs;
      if (!follows || isNoted(before.steps) || isNoted(extent.steps)) {
        out.push(extent);
        continue;
      }
      const range = { startMs: before.startMs, endMs: extent.endMs };
      const steps = await joinSteps({ ...range, stepMs }, [before.steps, extent.steps], turns);
      // both hold for the same generations: those that the query began with
      out[out.length - 1] = { ...range, token: this.#token(range), steps, expr: undefined };
    }
    return out;
  }

  /** A gap in two where its end is too young to be kept, and both have two steps. */
  #atHorizon(gap: StepRange): StepRange[] {
    const { stepMs } = this.#query;
    const lastMs = gap.startMs + Math.floor((this.#horizonMs - gap.startMs) / stepMs) * stepMs;
    if (lastMs <= gap.startMs || gap.endMs - lastMs < 2 * stepMs) return [gap];
    return [
      { startMs: gap.startMs, endMs: lastMs },
      { startMs: lastMs + stepMs, endMs: gap.endMs },
    ];
  }

  /** Whether all that the steps see is old enough, and not past retention. */
  #isKept({ startMs, endMs }: StepRange): boolean {
    return startMs >= this.#floorMs && endMs <= this.#horizonMs;
  }

  get #horizonMs(): number {
    const { limits, reach } = this.#query;
    return this.#nowMs - limits.ageMs - reach.aheadMs;
  }

  get #floorMs(): number {
    const { limits, reach } = this.#query;
    if (limits.retentionMs === 0) return Number.NEGATIVE_INFINITY;
    return this.#nowMs - limits.retentionMs + reach.backMs + RETENTION_MARGIN_MS;
  }

  #token(range: StepRange): string {
    return this.#days.token(...this.#samplesOf(range));
  }

  #samplesOf({ startMs, endMs }: StepRange): [fromMs: number, toMs: number] {
    const { backMs, aheadMs } = this.#query.reach;
    return [startMs - backMs, endMs + aheadMs];
  }
}
