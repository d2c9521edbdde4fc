import { ageMsOf, type Clock, type Moment } from '../lib/clock.ts';

/**
 * Lists of rows, as what they were read to, for a while. Windows leave the head 15 minutes after they are stored, so it has to be less;
 * by both clocks: a wall clock jumps, and members go on while this machine sleeps.
 */
export class RowCache {
  readonly #clock: Pick<Clock, 'nowMs' | 'monotonicMs'>;
  readonly #ttlMs: number;
  readonly #bytesMax: number;
  readonly #sinceMs: () => number;
  readonly #entries = new Map<string, { value: unknown; bytes: number; readAt: Moment; ttlMs: number }>();
  #bytes = 0;

  /** @param sinceMs monotonic time up to which no list may have been read, however long it is to be kept */
  constructor(
    clock: Pick<Clock, 'nowMs' | 'monotonicMs'>,
    ttlMs: number,
    bytesMax: number,
    sinceMs = () => Number.NEGATIVE_INFINITY,
  ) {
    this.#clock = clock;
    this.#sinceMs = sinceMs;
    this.#ttlMs = ttlMs;
    this.#bytesMax = bytesMax;
  }

  get<T>(key: string): T | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (ageMsOf(this.#clock, entry.readAt) >= entry.ttlMs || entry.readAt.monotonicMs <= this.#sinceMs()) {
      this.#drop(key, entry.bytes);
      return undefined;
    }
    // last used, last out
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value as T;
  }

  /** When the rows of a list that may be used were read. */
  readAt(key: string): Moment | undefined {
    return this.#entries.get(key)?.readAt;
  }

  /**
   * @param readAt when the rows were read: before they were, not after, so that nothing is kept too long
   * @param ttlMs where it is to be kept shorter than the rest
   */
  set(key: string, value: unknown, bytes: number, readAt: Moment, ttlMs = this.#ttlMs): void {
    const before = this.#entries.get(key);
    if (before !== undefined) this.#drop(key, before.bytes);
    if (bytes > this.#bytesMax / 4) return;
    this.#entries.set(key, { value, bytes, readAt, ttlMs: Math.min(ttlMs, this.#ttlMs) });
    this.#bytes += bytes;
    for (const [oldest, entry] of this.#entries) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#drop(oldest, entry.bytes);
    }
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }

  #drop(key: string, bytes: number): void {
    this.#entries.delete(key);
    this.#bytes -= bytes;
  }
}
