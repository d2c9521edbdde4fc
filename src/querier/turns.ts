import type { Priority } from '../kit/thread/thread-priority.ts';
import { after, type Clock } from '../lib/clock.ts';
import { Semaphore } from '../lib/semaphore.ts';
import { LargePlace } from './large-place.ts';

/** Work up to which a query is a short one. */
const SHORT_MS = 50;
/** Longest that a long query waits for short ones at a time: it goes on at a tenth of its speed even when they never end. */
const WAIT_MS_MAX = 90;
/** Work from which a query is for nobody who looks at a screen: what else the machine has to do comes first. */
const BACKGROUND_MS = 300;
const BACKGROUND_STEPS = 10;

interface Runner {
  workedMs: number;
  /** When it last got its turn. */
  sinceMs: number;
}

/** Large queries that are evaluated at once. */
const LARGE_AT_ONCE = 2;

/** The turns of the queries of one thread: one that has worked for long waits for those that have not. */
export class QueryTurns {
  readonly #runners = new Set<Runner>();
  readonly #clock: Clock;
  readonly #priority: Priority | undefined;
  readonly #large = new Semaphore(LARGE_AT_ONCE);
  #isBackground = false;
  #waiting: (() => void)[] = [];

  /** @param priority of the thread: lower while it has nothing but queries that have worked for very long */
  constructor(clock: Clock, priority?: Priority) {
    this.#clock = clock;
    this.#priority = priority;
  }

  /**
   * `turn` for a query's context; `end` when it is through.
   *
   * @param heldBytes memory of the query, and `signal` its end; absent: it is never large
   */
  begin(query?: { heldBytes(): number; readonly signal: AbortSignal }): { turn(): Promise<void>; end(): void } {
    const place = new LargePlace(this.#large);
    const runner: Runner = { workedMs: 0, sinceMs: this.#clock.monotonicMs() };
    this.#runners.add(runner);
    this.#settlePriority();
    return {
      turn: async () => {
        if (query !== undefined) await place.take(query.heldBytes(), query.signal);
        await this.#turn(runner);
      },
      end: () => {
        place.leave();
        this.#runners.delete(runner);
        this.#settlePriority();
        this.#wake();
      },
    };
  }

  async #turn(runner: Runner): Promise<void> {
    runner.workedMs += this.#clock.monotonicMs() - runner.sinceMs;
    if (runner.workedMs >= SHORT_MS) this.#wake(); // it may have been waited for
    if (runner.workedMs >= BACKGROUND_MS) this.#settlePriority();
    await this.#clock.turn();
    const untilMs = this.#clock.monotonicMs() + WAIT_MS_MAX;
    while (runner.workedMs >= SHORT_MS && this.#anyShort() && this.#clock.monotonicMs() < untilMs) {
      await this.#change(untilMs - this.#clock.monotonicMs());
    }
    runner.sinceMs = this.#clock.monotonicMs();
  }

  #settlePriority(): void {
    if (this.#priority === undefined) return;
    let isBackground = this.#runners.size > 0;
    for (const { workedMs } of this.#runners) if (workedMs < BACKGROUND_MS) isBackground = false;
    if (isBackground === this.#isBackground) return;
    if (this.#priority.lower(isBackground ? BACKGROUND_STEPS : 0)) this.#isBackground = isBackground;
  }

  #anyShort(): boolean {
    for (const { workedMs } of this.#runners) if (workedMs < SHORT_MS) return true;
    return false;
  }

  /** Until a query ends or is no longer short, or the time is up. */
  #change(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = after(this.#clock, ms, resolve);
      this.#waiting.push(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
