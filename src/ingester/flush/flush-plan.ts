import { type FlushSpread, type FlushTurns, spanOf, TURN_WAIT_MS } from '../flush-turn.ts';
import type { SavedArena } from '../log/checkpoint.ts';
import { FLUSH_ALL, type FlushPace, type FlushProgress, type FlushRequest } from './flush-contract.ts';

/** A window's slots are written in so many steps: each fills objects and asks the shard once, however many slots there are. */
const STEPS = 9;
/** How much later each owner looks than the one before it where windows lost something, and readers wait for what is left of them. */
const LOSS_WAIT_MS = 60_000;
/** The waiting of owners for each other in all takes at most this share of a window, where windows are short. */
const WAITS_PER_WINDOW = 12;

export interface FlushTimes {
  readonly windowMs: number;
  /** From the end of a window to its first slots. */
  readonly delayMs: number;
  /** From its first slots to its last. */
  readonly spreadMs: number;
}

export interface FlushStatus {
  /** How long the slot that waits longest has been due. */
  readonly lagSeconds: number;
  /** Windows that are due in part or in whole, and not yet all in the store. */
  readonly windows: number;
  /** The share of their slots that is written; 1 where there are none. */
  readonly share: number;
}

/** The spread of a window that is begun now. */
export function spreadOf(pace: FlushPace | undefined, turns: FlushTurns | undefined): FlushSpread {
  const { spreadMs = 0, waitMs = 0 } = pace ?? {};
  return { spreadMs, waitMs, turns: turns && { orders: turns.orders, orderMax: turns.orderMax } };
}

/** The share of a window's slots, in order of their turns, that is to be in the store by now. */
export function shareDue(pace: FlushPace, windowEndMs: number, spread = spreadOf(pace, undefined)): number {
  const sinceMs = pace.nowMs - windowEndMs - pace.delayMs;
  if (sinceMs < 0) return 0;
  const spanMs = spanOf(spread);
  if (pace.hurry === true || sinceMs >= spanMs) return 1;
  const steps = Math.ceil((STEPS * spanMs) / Math.max(spread.spreadMs, spanMs / 2));
  return Math.min(steps, Math.floor((sinceMs / spanMs) * steps) + 1) / steps;
}

/** The end from which turns of a begun window's slots are counted now. */
export function turnsEndMs({ nowMs, delayMs }: FlushPace, { endMs, resumedEndMs = endMs }: FlushProgress): number {
  // a clock that was set back since does not make it wait for as long
  return resumedEndMs + delayMs <= nowMs ? resumedEndMs : endMs;
}

/** The end from which turns go on of slots that the store failed to take: as if it had ended later by as long as they have waited. */
export function resumedEnd(
  { delayMs }: FlushPace,
  nowMs: number,
  { share, endMs, spread }: Pick<FlushProgress, 'share' | 'endMs' | 'spread'>,
): number {
  return Math.max(endMs, nowMs - delayMs - share * spanOf(spread));
}

/**
 * When windows are sealed and written: slot by slot over the time after their end, so that the store and this process never have all
 * of it at once. Knows how far each window is.
 */
export class FlushPlan {
  readonly #times: FlushTimes;
  #progress: readonly FlushProgress[] = [];
  /** By shard: windows that are long over and open again, with when that was seen. */
  readonly #lateSinceMs: Map<number, number>[] = [];
  readonly #waitMs: number;

  constructor(times: FlushTimes) {
    this.#times = times;
    this.#waitMs = Math.min(TURN_WAIT_MS, times.windowMs / WAITS_PER_WINDOW);
  }

  /** Late windows, from a new look at what each shard holds: those long over and open are kept with when that was first seen. */
  #seeLate(shards: readonly (readonly SavedArena[])[], nowMs: number): void {
    const { delayMs, spreadMs } = this.#times;
    for (const [shard, arenas] of shards.entries()) {
      this.#lateSinceMs[shard] ??= new Map();
      const known = this.#lateSinceMs[shard];
      const late = new Set<number>();
      for (const { window, sealLsn } of arenas) {
        if (sealLsn === 0 && this.#endMs(window) + delayMs + spreadMs <= nowMs) late.add(window);
      }
      for (const window of known.keys()) if (!late.has(window)) known.delete(window);
      for (const window of late) if (!known.has(window)) known.set(window, nowMs);
    }
  }

  /**
   * The flush that is due now; undefined: nothing is.
   * @param shards what each holds
   * @param hurry memory is short: what is over is written at once
   * @param turns where others hold the same samples
   */
  due(
    shards: readonly (readonly SavedArena[])[],
    nowMs: number,
    hurry: boolean,
    turns?: FlushTurns,
  ): FlushRequest | undefined {
    this.#seeLate(shards, nowMs);
    const { delayMs, spreadMs } = this.#times;
    const pace = { nowMs, delayMs, spreadMs, waitMs: this.#waitMs, hurry };
    const spread = spreadOf(pace, turns);
    // Late samples come in trickles: what a while brings goes together.
    const keepOpen = this.#lateSinceMs.map((since) =>
      [...since].filter(([, sinceMs]) => !hurry && sinceMs + delayMs > nowMs).map(([window]) => window),
    );
    const work = shards.some((arenas, shard) =>
      arenas.some(({ window, sealLsn, flushedMs }) => {
        if (flushedMs > 0 || (sealLsn === 0 && keepOpen[shard]!.includes(window))) return false;
        const begun = this.#progressOf(shard, sealLsn);
        if (begun !== undefined) return shareDue(pace, turnsEndMs(pace, begun), begun.spread) > begun.share;
        const lateMs = turns && sealLsn === 0 ? this.#lateSinceMs[shard]!.get(window) : undefined;
        return shareDue(pace, lateMs ?? this.#endMs(window), spread) > 0;
      }),
    );
    if (!work) return undefined;
    const more = turns === undefined ? {} : { turns, late: this.#lateSinceMs.map((since) => new Map(since)) };
    return { sealBeforeMs: nowMs - delayMs, keepOpen, pace, progress: this.#progress, ...more };
  }

  /**
   * The flush that is due now of all that there is, open windows too, as some of it was lost; undefined: nothing is. Owners take turns, for
   * those that failed together begin together.
   * @param since when that began, Unix ms, and windows that there were then, by shard
   */
  losses(
    shards: readonly (readonly SavedArena[])[],
    nowMs: number,
    since: { readonly atMs: number; readonly windows: readonly ReadonlySet<number>[]; readonly isFirst: boolean },
    turns: FlushTurns,
  ): FlushRequest | undefined {
    const { delayMs } = this.#times;
    const pace = { nowMs, delayMs, spreadMs: 0, waitMs: Math.min(LOSS_WAIT_MS, this.#waitMs) };
    // as if windows had ended so long ago
    const endMs = since.atMs - delayMs;
    const work = shards.some((arenas, shard) =>
      arenas.some(({ window, sealLsn, flushedMs }) => {
        if (flushedMs > 0 || !since.windows[shard]!.has(window) || (sealLsn === 0 && !since.isFirst)) return false;
        const begun = this.#progressOf(shard, sealLsn);
        return begun === undefined || shareDue(pace, turnsEndMs(pace, begun), begun.spread) > begun.share;
      }),
    );
    if (!work) return undefined;
    return {
      sealBeforeMs: since.isFirst ? Number.MAX_SAFE_INTEGER : Number.MIN_SAFE_INTEGER,
      keepOpen: [],
      pace,
      progress: this.#progress,
      turns,
      late: since.windows.map((windows) => new Map([...windows].map((window) => [window, endMs]))),
    };
  }

  /** For everything that is in memory, or all that one tenant has there, at once; undefined: there is nothing. */
  all(shards: readonly (readonly SavedArena[])[], tenant?: string, turns?: FlushTurns): FlushRequest | undefined {
    const work = shards.some((arenas) => arenas.some(({ flushedMs }) => flushedMs === 0));
    if (!work) return undefined;
    const more = { ...(tenant === undefined ? {} : { tenant }), ...(turns === undefined ? {} : { turns }) };
    return { ...FLUSH_ALL, ...more, progress: this.#progress };
  }

  /** How far windows are, after a flush. */
  reached(progress: readonly FlushProgress[]): void {
    this.#progress = progress;
  }

  status(shards: readonly (readonly SavedArena[])[], nowMs: number): FlushStatus {
    this.#seeLate(shards, nowMs);
    let lagMs = 0;
    const shares: number[] = [];
    for (const [shard, arenas] of shards.entries()) {
      const counted = new Set<number>();
      for (const { window, sealLsn, flushedMs } of arenas) {
        if (flushedMs > 0 || (sealLsn > 0 && counted.has(sealLsn))) continue;
        counted.add(sealLsn);
        const begun = this.#progressOf(shard, sealLsn);
        const share = begun?.share ?? 0;
        const lateMs = sealLsn === 0 ? this.#lateSinceMs[shard]!.get(window) : undefined;
        const endMs = begun?.endMs ?? lateMs ?? this.#endMs(window);
        // slots behind this share become due then
        const dueMs = endMs + this.#times.delayMs + share * (begun === undefined ? 0 : spanOf(begun.spread));
        if (dueMs > nowMs && share === 0) continue;
        shares.push(share);
        lagMs = Math.max(lagMs, nowMs - dueMs);
      }
    }
    const share = shares.length === 0 ? 1 : shares.reduce((sum, each) => sum + each, 0) / shares.length;
    return { lagSeconds: lagMs / 1000, windows: shares.length, share };
  }

  #endMs(window: number): number {
    return (window + 1) * this.#times.windowMs;
  }

  #progressOf(shard: number, sealLsn: number): FlushProgress | undefined {
    if (sealLsn === 0) return undefined;
    return this.#progress.find((each) => each.shard === shard && each.sealLsn === sealLsn);
  }
}
