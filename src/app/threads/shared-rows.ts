import type { Clock } from '../../lib/clock.ts';
import { IdleTimer } from '../../lib/idle-timer.ts';
import { TenantLru } from '../../lib/tenant-lru.ts';

/** Memory of rows, and for how long they are kept after the last ones came. */
const BYTES_MAX = 32 * 2 ** 20;
const IDLE_MS = 60_000;
/** Key and places in maps. */
const ENTRY_BYTES = 256;

/** Rows of stored series, of all query workers: panels that look at the same series need them made once. */
export class SharedRows {
  readonly #kept: TenantLru<Uint8Array>;
  readonly #used: IdleTimer;

  constructor(clock: Clock, bytesMax = BYTES_MAX) {
    this.#kept = new TenantLru(bytesMax);
    this.#used = new IdleTimer(clock, IDLE_MS, () => this.#kept.clear());
  }

  get(key: string): Uint8Array | undefined {
    return this.#kept.get(key);
  }

  keep(tenant: string, key: string, rows: Uint8Array): void {
    this.#used.used();
    this.#kept.set(tenant, key, rows, rows.length + ENTRY_BYTES);
  }

  close(): void {
    this.#used.cancel();
  }
}
