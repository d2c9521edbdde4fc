import { compareIds } from './version.ts';

/** A member's last heartbeat, as it came here. */
interface Seen {
  readonly aliveMs: number;
  /** Whether no other came before it: its row may be years old. */
  readonly isFirst: boolean;
}

/**
 * Heartbeats of members. Their ages count only while the own ones are written: a pause, or a store that was away, is no time in
 * which others could have been seen.
 */
export class Heartbeats {
  /** Time for which own heartbeats were written. */
  aliveMs = 0;
  readonly #ownId: string;
  readonly #intervalMs: number;
  readonly #unhealthyMs: number;
  readonly #seen = new Map<string, Seen>();
  #writtenMs: number | undefined;

  constructor(ownId: string, intervalMs: number, unhealthyMs: number) {
    this.#ownId = ownId;
    this.#intervalMs = intervalMs;
    this.#unhealthyMs = unhealthyMs;
  }

  /** Takes note of an own one. */
  written(nowMs: number): void {
    if (this.#writtenMs !== undefined && nowMs - this.#writtenMs <= 3 * this.#intervalMs) {
      this.aliveMs += nowMs - this.#writtenMs;
    }
    this.#writtenMs = nowMs;
  }

  /** Whether the next own one is due; timers of the same length come a little early. */
  isDue(nowMs: number): boolean {
    return this.#writtenMs === undefined || nowMs - this.#writtenMs >= this.#intervalMs * 0.9;
  }

  /** Takes note of another's. @returns whether it is the first of it */
  see(id: string): boolean {
    const isFirst = !this.#seen.has(id);
    this.#seen.set(id, { aliveMs: this.aliveMs, isFirst });
    return isFirst;
  }

  forget(id: string): void {
    this.#seen.delete(id);
  }

  /** Time since a member's last one. */
  ageMs(id: string): number {
    if (id === this.#ownId) return 0;
    const seen = this.#seen.get(id);
    return seen === undefined ? this.aliveMs : this.aliveMs - seen.aliveMs;
  }

  /** The same for whoever judges health: a row that was seen once only shows life when it changes. */
  healthAgeMs(id: string): number {
    const seen = this.#seen.get(id);
    const isUnsure = id !== this.#ownId && (seen === undefined || seen.isFirst);
    return isUnsure ? Math.max(this.ageMs(id), this.#unhealthyMs + 1) : this.ageMs(id);
  }

  isHealthy(id: string): boolean {
    return this.healthAgeMs(id) <= this.#unhealthyMs;
  }

  /** Whether it may live: a first sign counts. */
  mayLive(id: string): boolean {
    return this.ageMs(id) <= this.#unhealthyMs;
  }

  /** The first of these by id that is healthy. */
  firstOf(ids: readonly string[]): string | undefined {
    return ids.filter((id) => this.isHealthy(id)).sort(compareIds)[0];
  }
}
