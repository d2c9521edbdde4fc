import { after, type Clock } from '../../lib/clock.ts';
import { IdleTimer } from '../../lib/idle-timer.ts';
import { TenantLru } from '../../lib/tenant-lru.ts';

/** Memory of rows, and for how long they are kept after the last ones came. */
const BYTES_MAX = 32 * 2 ** 20;
const IDLE_MS = 60_000;
/** Key and places in maps. */
const ENTRY_BYTES = 256;

/** Longest wait for rows that another query makes; then whoever waits makes them, too. */
const WAIT_MS_MAX = 1000;
/** Rows that are known to be made. */
const MAKING_MAX = 1024;

type Rows = Uint8Array;

interface Making {
  readonly sinceMs: number;
  readonly waiting: Set<(rows: Rows | undefined) => void>;
}

/** Rows of stored series, of all query workers: panels that look at the same series at once have them made by one of them. */
export class SharedRows {
  readonly #clock: Clock;
  readonly #kept: TenantLru<Rows>;
  readonly #used: IdleTimer;
  /** In the order in which they were begun. */
  readonly #making = new Map<string, Making>();

  constructor(clock: Clock, bytesMax = BYTES_MAX) {
    this.#clock = clock;
    this.#kept = new TenantLru(bytesMax);
    this.#used = new IdleTimer(clock, IDLE_MS, () => this.#kept.clear());
  }

  /** As `RowCache.get`. */
  async get(key: string, mayWait: boolean, signal: AbortSignal): Promise<Rows | undefined> {
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept;
    const making = this.#making.get(key);
    const leftMs = making === undefined || !mayWait ? 0 : making.sinceMs + WAIT_MS_MAX - this.#clock.monotonicMs();
    const rows = making !== undefined && leftMs > 0 ? await this.#waitFor(making, leftMs, signal) : undefined;
    if (rows === undefined && !signal.aborted && (mayWait || making === undefined)) this.#begin(key);
    return rows;
  }

  keep(tenant: string, key: string, rows: Rows): void {
    this.#used.used();
    this.#kept.set(tenant, key, rows, rows.length + ENTRY_BYTES);
    this.#end(key, rows);
  }

  /** Whoever waits makes them. */
  giveUp(key: string): void {
    this.#end(key, undefined);
  }

  close(): void {
    this.#used.cancel();
    for (const key of this.#making.keys()) this.giveUp(key);
  }

  #waitFor({ waiting }: Making, leftMs: number, signal: AbortSignal): Promise<Rows | undefined> {
    return new Promise((resolve) => {
      const answer = (rows: Rows | undefined) => {
        timer.cancel();
        signal.removeEventListener('abort', leave);
        waiting.delete(answer);
        resolve(rows);
      };
      const leave = () => answer(undefined);
      const timer = after(this.#clock, leftMs, leave);
      signal.addEventListener('abort', leave, { once: true });
      waiting.add(answer);
    });
  }

  #begin(key: string): void {
    const sinceMs = this.#clock.monotonicMs();
    // of workers that died nobody hears
    for (const [oldest, making] of this.#making) {
      if (this.#making.size < MAKING_MAX || sinceMs - making.sinceMs < WAIT_MS_MAX) break;
      this.#making.delete(oldest);
    }
    if (this.#making.size >= MAKING_MAX) return;
    this.#making.delete(key);
    this.#making.set(key, { sinceMs, waiting: new Set() });
  }

  #end(key: string, rows: Rows | undefined): void {
    const making = this.#making.get(key);
    this.#making.delete(key);
    for (const answer of making?.waiting ?? []) answer(rows);
  }
}
