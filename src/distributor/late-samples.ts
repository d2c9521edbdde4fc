import type { Clock } from '../lib/clock.ts';
import { dayOf } from '../lib/day.ts';
import { writeErrors } from '../model/errors-write.ts';

/** Marks a tenant's days as changed, both ends inclusive, Unix ms, for those who cache answers. */
export type MoveDays = (tenant: string, fromMs: number, toMs: number) => Promise<void>;

/** The same, until `settledMs`, Unix ms, so that nobody keeps an answer of these days before then. */
export type HoldDays = (tenant: string, fromMs: number, toMs: number, settledMs: number) => Promise<void>;

/** Days that are held for a while yet: late samples of them need no mark. */
export interface HeldDays {
  readonly firstDay: number;
  readonly lastDay: number;
  readonly forMs: number;
  /** Unix ms; the first of both ends it. */
  readonly untilWallMs: number;
}

/** Knows who reads the marks of days, where all who do are in this process. */
export interface MarkReads {
  /** Stands for now; undefined where somebody is reading marks of the tenant, or reads cannot be told. */
  unread(tenant: string): string | undefined;
}

/** Days that were marked, and that nobody has read as marked since. */
interface Marked {
  readonly firstDay: number;
  readonly lastDay: number;
  readonly unread: string;
}

/** Tenants of which it is known what was marked last. */
const MARKED_MAX = 10_000;

// a backfill: its days are held, where that can be
/** Marks of a tenant, less than the pause apart, before its days are held. */
const BACKFILL_MARKS = 8;
const BACKFILL_PAUSE_MS = 1_000;
/** How long days that are held are relied on. */
const HELD_MS = 10_000;
/** By so much longer nobody keeps answers of them: clocks of other processes may be ahead by that. */
const HELD_MARGIN_MS = 5 * 60_000;

/** A tenant's marks that followed on each other, and its days that are held. */
interface Backfill {
  marks: number;
  /** Monotonic time of the last mark's beginning or end, or of the last write that needed none. */
  lastMs: number;
  firstDay: number;
  lastDay: number;
  /** Monotonic time until which they are relied on. */
  untilMs: number;
  /** The same, Unix ms: the monotonic clock of a machine that is suspended stands still. */
  untilWallMs: number;
}

/** Ways to mark days less often than for every group of writes. */
export interface LateSamplesOptions {
  /** A backfill comes in many writes, and where nobody has asked since the last mark, no answer can have been cached by it. */
  readonly reads?: MarkReads | undefined;
  /** Holds the days of a backfill. */
  readonly hold?: HoldDays | undefined;
}

interface Next {
  fromMs: number;
  readonly done: Promise<void>;
}

/** Writes with late samples, each answered once their days are marked: those that come while a tenant's are being marked share the next time. */
export class LateSamples {
  readonly #move: MoveDays;
  readonly #lateAfterMs: number;
  readonly #clock: Clock;
  readonly #reads: MarkReads | undefined;
  readonly #hold: HoldDays | undefined;
  /** In order of their beginning. */
  readonly #backfills = new Map<string, Backfill>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #next = new Map<string, Next>();
  /** In order of last use. */
  readonly #marked = new Map<string, Marked>();

  /** @param lateAfterMs age from which samples are late */
  constructor(move: MoveDays, lateAfterMs: number, clock: Clock, { reads, hold }: LateSamplesOptions = {}) {
    this.#reads = reads;
    this.#hold = hold;
    this.#move = move;
    this.#lateAfterMs = lateAfterMs;
    this.#clock = clock;
  }

  /** Resolves when the days of late samples are marked that could be seen before the call. @throws lateSamplesUnmarked */
  note(tenant: string, fromMs: number): Promise<void> {
    if (this.#isMarked(tenant, fromMs) || this.#isHeld(tenant, fromMs)) return Promise.resolve();
    const next = this.#next.get(tenant);
    if (next !== undefined) {
      next.fromMs = Math.min(next.fromMs, fromMs);
      return next.done;
    }
    const running = this.#running.get(tenant);
    if (running === undefined) return this.#begin(tenant, fromMs);
    const done = running
      .catch(() => {})
      .then(() => {
        const { fromMs: leastMs } = this.#next.get(tenant)!;
        this.#next.delete(tenant);
        return this.#begin(tenant, leastMs);
      });
    this.#next.set(tenant, { fromMs, done });
    return done;
  }

  #begin(tenant: string, fromMs: number): Promise<void> {
    const toMs = this.#toMs(fromMs);
    // before it begins: who reads while it is written may have read either
    const unread = this.#reads?.unread(tenant);
    const running = this.#mark(tenant, fromMs, toMs).then(
      () => this.#keep(tenant, fromMs, toMs, unread),
      (thrown: Error) => {
        throw writeErrors.lateSamplesUnmarked({ reason: thrown.message });
      },
    );
    this.#running.set(tenant, running);
    const end = () => {
      if (this.#running.get(tenant) === running) this.#running.delete(tenant);
    };
    running.then(end, end);
    return running;
  }

  #mark(tenant: string, fromMs: number, toMs: number): Promise<void> {
    const hold = this.#hold;
    if (hold === undefined) return this.#move(tenant, fromMs, toMs);
    const nowMs = this.#clock.monotonicMs();
    const backfill = this.#backfillOf(tenant, nowMs);
    if (backfill.marks++ < BACKFILL_MARKS) {
      // a mark that takes long is no pause
      return this.#move(tenant, fromMs, toMs).finally(() => (backfill.lastMs = this.#clock.monotonicMs()));
    }
    const wallMs = this.#clock.nowMs();
    return hold(tenant, fromMs, toMs, wallMs + HELD_MS + HELD_MARGIN_MS).then(() => {
      // from before it began
      backfill.untilMs = nowMs + HELD_MS;
      backfill.untilWallMs = wallMs + HELD_MS;
      backfill.firstDay = dayOf(fromMs);
      backfill.lastDay = dayOf(toMs);
    });
  }

  #backfillOf(tenant: string, nowMs: number): Backfill {
    const known = this.#backfills.get(tenant);
    if (known !== undefined && nowMs - known.lastMs < BACKFILL_PAUSE_MS) {
      known.lastMs = nowMs;
      return known;
    }
    const never = Number.NEGATIVE_INFINITY;
    const begun = { marks: 0, lastMs: nowMs, firstDay: 0, lastDay: 0, untilMs: never, untilWallMs: never };
    this.#backfills.delete(tenant);
    this.#backfills.set(tenant, begun);
    forgetBeyond(this.#backfills);
    return begun;
  }

  /** A tenant's days that are held; undefined: none are. */
  held(tenant: string): HeldDays | undefined {
    const backfill = this.#backfills.get(tenant);
    if (backfill === undefined) return undefined;
    const { firstDay, lastDay, untilMs, untilWallMs } = backfill;
    const forMs = untilMs - this.#clock.monotonicMs();
    return forMs > 0 && this.#clock.nowMs() < untilWallMs ? { firstDay, lastDay, forMs, untilWallMs } : undefined;
  }

  #isHeld(tenant: string, fromMs: number): boolean {
    const backfill = this.#backfills.get(tenant);
    if (backfill === undefined) return false;
    const nowMs = this.#clock.monotonicMs();
    const { untilMs, untilWallMs } = backfill;
    const isRelied = nowMs < untilMs && this.#clock.nowMs() < untilWallMs;
    const isHeld = isRelied && coversDays(backfill, fromMs, this.#toMs(fromMs));
    if (isHeld) backfill.lastMs = nowMs;
    return isHeld;
  }

  #toMs(fromMs: number): number {
    return Math.max(fromMs, this.#clock.nowMs() - this.#lateAfterMs);
  }

  #isMarked(tenant: string, fromMs: number): boolean {
    const marked = this.#marked.get(tenant);
    if (marked === undefined) return false;
    return coversDays(marked, fromMs, this.#toMs(fromMs)) && this.#reads?.unread(tenant) === marked.unread;
  }

  #keep(tenant: string, fromMs: number, toMs: number, unread: string | undefined): void {
    this.#marked.delete(tenant);
    if (unread === undefined) return;
    this.#marked.set(tenant, { firstDay: dayOf(fromMs), lastDay: dayOf(toMs), unread });
    forgetBeyond(this.#marked);
  }
}

/** Whether a time, both ends inclusive, lies within some days. */
export function coversDays(
  { firstDay, lastDay }: Pick<HeldDays, 'firstDay' | 'lastDay'>,
  fromMs: number,
  toMs: number,
): boolean {
  return dayOf(fromMs) >= firstDay && dayOf(toMs) <= lastDay;
}

function forgetBeyond(byTenant: Map<string, unknown>): void {
  if (byTenant.size <= MARKED_MAX) return;
  for (const oldest of byTenant.keys()) {
    byTenant.delete(oldest);
    break;
  }
}
