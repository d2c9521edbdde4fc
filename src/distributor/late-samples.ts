import type { Clock } from '../lib/clock.ts';
import { writeErrors } from '../model/errors-write.ts';

/** Marks a tenant's days as changed, both ends inclusive, Unix ms, for those who cache answers. */
export type MoveDays = (tenant: string, fromMs: number, toMs: number) => Promise<void>;

interface Next {
  fromMs: number;
  readonly done: Promise<void>;
}

/** Writes with late samples, each answered once their days are marked: those that come while a tenant's are being marked share the next time. */
export class LateSamples {
  readonly #move: MoveDays;
  readonly #lateAfterMs: number;
  readonly #clock: Clock;
  readonly #running = new Map<string, Promise<void>>();
  readonly #next = new Map<string, Next>();

  /** @param lateAfterMs age from which samples are late */
  constructor(move: MoveDays, lateAfterMs: number, clock: Clock) {
    this.#move = move;
    this.#lateAfterMs = lateAfterMs;
    this.#clock = clock;
  }

  /** Resolves when the days of late samples are marked that could be seen before the call. @throws lateSamplesUnmarked */
  note(tenant: string, fromMs: number): Promise<void> {
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
    const toMs = Math.max(fromMs, this.#clock.nowMs() - this.#lateAfterMs);
    const running = this.#move(tenant, fromMs, toMs).catch((thrown: Error) => {
      throw writeErrors.lateSamplesUnmarked({ reason: thrown.message });
    });
    this.#running.set(tenant, running);
    const end = () => {
      if (this.#running.get(tenant) === running) this.#running.delete(tenant);
    };
    running.then(end, end);
    return running;
  }
}
