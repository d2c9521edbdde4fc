import type { Cache } from '../cache/client.ts';
import type { DayRange, KeptDay, KeptDays } from '../contract/kept-day.ts';
import type { Clock } from '../lib/clock.ts';
import { type CacheLimits, RETENTION_MARGIN_MS, type ResultsCacheOptions, TTL_MS_DEFAULT } from './results-cache.ts';

const VERSION = 1;
/** Larger values are not kept. */
const BYTES_MAX = 8 * 1024 * 1024;

export interface FinishedDaysOptions extends Omit<ResultsCacheOptions, 'intervalMs'> {
  /** Told how the cache did. */
  readonly note: (had: 'whole' | 'none' | 'failures') => void;
}

/** Finds about days that are over, by tenant and question, kept until anything of the day changes. */
export class FinishedDays {
  readonly #cache: Cache;
  readonly #generations: ResultsCacheOptions['generations'];
  readonly #flags: string;
  readonly #clock: Clock;
  readonly #note: FinishedDaysOptions['note'];

  constructor({ cache, generations, flags, clock, note }: FinishedDaysOptions) {
    this.#note = note;
    this.#cache = cache;
    this.#generations = generations;
    this.#flags = flags;
    this.#clock = clock;
  }

  ofTenant(tenant: string, limits: CacheLimits): KeptDays {
    return (question, day, signal) => this.#open(tenant, limits, question, day, signal);
  }

  async #open(
    tenant: string,
    { ageMs, retentionMs, ttlMs }: CacheLimits,
    question: string,
    { startMs, endMs }: DayRange,
    signal: AbortSignal,
  ): Promise<KeptDay | undefined> {
    const nowMs = this.#clock.nowMs();
    if (endMs > nowMs - ageMs) return undefined;
    if (retentionMs > 0 && startMs < nowMs - retentionMs + RETENTION_MARGIN_MS) return undefined;
    const days = await this.#generations(tenant, signal).catch(() => undefined);
    signal.throwIfAborted();
    if (days === undefined) this.#note('failures');
    if (days === undefined || !days.isSettled(startMs, endMs, nowMs)) return undefined;
    const token = days.token(startMs, endMs);
    const key = JSON.stringify(['day', VERSION, tenant, this.#flags, startMs, endMs, token, question]);
    const cache = this.#cache;
    const [value] = await cache.get([key], signal);
    this.#note(value === undefined ? 'none' : 'whole');
    return {
      value,
      async keep(found) {
        if (found.length <= BYTES_MAX) {
          await cache.set([{ key, value: found, ttlMs: ttlMs > 0 ? ttlMs : TTL_MS_DEFAULT }]);
        }
      },
    };
  }
}
