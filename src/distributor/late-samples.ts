import type { Clock } from '../lib/clock.ts';
import { dayOf } from '../lib/day.ts';
import { writeErrors } from '../model/errors-write.ts';

/** Marks a tenant's days as changed, both ends inclusive, Unix ms, for those who cache answers. */
export type MoveDays = (tenant: string, fromMs: number, toMs: number) => Promise<void>;

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
  readonly #running = new Map<string, Promise<void>>();
  readonly #next = new Map<string, Next>();
  /** In order of last use. */
  readonly #marked = new Map<string, Marked>();

  /**
   * @param lateAfterMs age from which samples are late
   * @param reads absent: days are marked for every write. A backfill comes in many, and where nobody has asked since the last mark, no answer
   * can have been cached by it.
   */
  constructor(move: MoveDays, lateAfterMs: number, clock: Clock, reads?: MarkReads) {
    this.#reads = reads;
    this.#move = move;
    this.#lateAfterMs = lateAfterMs;
    this.#clock = clock;
  }

  /** Resolves when the days of late samples are marked that could be seen before the call. @throws lateSamplesUnmarked */
  note(tenant: string, fromMs: number): Promise<void> {
    if (this.#isMarked(tenant, fromMs)) return Promise.resolve();
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
    const running = this.#move(tenant, fromMs, toMs).then(
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

  #toMs(fromMs: number): number {
    return Math.max(fromMs, this.#clock.nowMs() - this.#lateAfterMs);
  }

  #isMarked(tenant: string, fromMs: number): boolean {
    const marked = this.#marked.get(tenant);
    if (marked === undefined) return false;
    const { firstDay, lastDay, unread } = marked;
    return dayOf(fromMs) >= firstDay && dayOf(this.#toMs(fromMs)) <= lastDay && this.#reads?.unread(tenant) === unread;
  }

  #keep(tenant: string, fromMs: number, toMs: number, unread: string | undefined): void {
    this.#marked.delete(tenant);
    if (unread === undefined) return;
    this.#marked.set(tenant, { firstDay: dayOf(fromMs), lastDay: dayOf(toMs), unread });
    if (this.#marked.size <= MARKED_MAX) return;
    for (const oldest of this.#marked.keys()) {
      this.#marked.delete(oldest);
      break;
    }
  }
}
