import type { Loop } from '../../kit/service/loops.ts';
import type { Clock } from '../../lib/clock.ts';

/** Others that are asked side by side. */
const MEETINGS_MAX = 16;
/** Time that one who does not answer holds up the next; what it says later counts all the same. */
const PATIENCE_MS = 100;
/** Time between two rounds, however much there is to tell. */
const GAP_MS = 50;
/** Periods without an answer after which a process counts as away. */
const MISSED_MAX = 3;

const WOKEN = new Error('there is something to tell');

export interface MeetingsOptions {
  readonly clock: Clock;
  readonly periodMs: number;
  /** Who is to be met now; others are forgotten. */
  whom(): Iterable<string>;
  /** Told of each round. */
  readonly loop?: Loop;
  /** Resolves when it has answered. */
  meet(id: string): Promise<unknown>;
}

/**
 * Meets all others once a period, and knows who answers. One that does not answer holds up nobody: it is not asked again before its
 * meeting has ended, and the rest goes on.
 */
export class Meetings {
  readonly #options: MeetingsOptions;
  /** Monotonic time when each last answered. */
  readonly #answeredMs = new Map<string, number>();
  readonly #underWay = new Map<string, Promise<void>>();
  #hasNews = false;
  #wake = () => {};
  /** Settles with the round that has not begun. */
  #next = Promise.withResolvers<void>();

  constructor(options: MeetingsOptions) {
    this.#options = options;
  }

  /** Whether it answers; undefined: it never did. */
  isReached(id: string): boolean | undefined {
    const { clock, periodMs } = this.#options;
    const atMs = this.#answeredMs.get(id);
    return atMs === undefined ? undefined : clock.monotonicMs() - atMs <= MISSED_MAX * periodMs;
  }

  /** Whether any of them ever answered. */
  get anyAnswered(): boolean {
    return this.#answeredMs.size > 0;
  }

  /** There is something to tell: the next round does not wait for its time. */
  soon(): void {
    this.#hasNews = true;
    this.#wake();
  }

  /** Meets all now. Resolves when they have been, or keep it waiting. */
  nextRound(): Promise<void> {
    this.soon();
    return this.#next.promise;
  }

  /** Meets them until the signal is aborted, and ends when all meetings have. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, periodMs } = this.#options;
    while (!signal.aborted) {
      this.#hasNews = false;
      const { resolve } = this.#next;
      this.#next = Promise.withResolvers();
      const round = () => this.#round(signal);
      await (this.#options.loop?.run(round) ?? round());
      resolve();
      await clock.sleep(Math.min(GAP_MS, periodMs), signal).catch(() => {});
      if (this.#hasNews || signal.aborted) continue;
      const woken = new AbortController();
      this.#wake = () => woken.abort(WOKEN);
      await clock.sleep(periodMs - GAP_MS, AbortSignal.any([signal, woken.signal])).catch(() => {});
    }
    this.#next.resolve();
    await Promise.all(this.#underWay.values());
  }

  async #round(signal: AbortSignal): Promise<void> {
    const { clock, whom } = this.#options;
    const ids = new Set(whom());
    for (const id of this.#answeredMs.keys()) if (!ids.has(id)) this.#answeredMs.delete(id);
    const next = [...ids].filter((id) => !this.#underWay.has(id)).values();
    const work = async () => {
      for (const id of next) {
        const ended = new AbortController();
        const meeting = this.#meet(id).finally(() => ended.abort());
        await Promise.race([
          meeting,
          clock.sleep(PATIENCE_MS, AbortSignal.any([signal, ended.signal])).catch(() => {}),
        ]);
      }
    };
    await Promise.all(Array.from({ length: MEETINGS_MAX }, work));
  }

  async #meet(id: string): Promise<void> {
    const { clock, meet } = this.#options;
    const meeting = meet(id)
      .then(
        () => void this.#answeredMs.set(id, clock.monotonicMs()),
        // away: the store, or the next meeting, tells what it would have told
        () => {},
      )
      .finally(() => this.#underWay.delete(id));
    this.#underWay.set(id, meeting);
    await meeting;
  }
}
