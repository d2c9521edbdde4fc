import { fitsShare, SharedRoom } from '../../lib/shared-room.ts';

const PERIOD_MS = 1_000;

/** Work of this thread within a second, by tenant: each has three times what all leave free. */
export class WorkShares {
  readonly #workMsMax: number;
  readonly #nowMs: () => number;
  #spent: SharedRoom;
  /** Work of queries that are under way, as it is estimated. */
  readonly #reserved: SharedRoom;
  #sinceMs: number;

  /** @param workMsMax within a second @param nowMs a monotonic clock */
  constructor(workMsMax: number, nowMs: () => number) {
    this.#workMsMax = workMsMax;
    this.#nowMs = nowMs;
    this.#spent = new SharedRoom(workMsMax);
    this.#reserved = new SharedRoom(workMsMax);
    this.#sinceMs = nowMs();
  }

  /** Keeps some of a tenant's share for a query, until `settle`; false where it has not so much left. */
  reserve(tenant: string, ms: number): boolean {
    this.#begin();
    const own = this.#spent.heldBy(tenant) + this.#reserved.heldBy(tenant);
    if (!fitsShare(own, ms, this.#workMsMax - this.#spent.held - this.#reserved.held)) return false;
    this.#reserved.force(tenant, ms);
    return true;
  }

  /** Whether what a tenant used leaves something of its share: queries that were let in may have taken more than was thought. */
  mayWork(tenant: string): boolean {
    this.#begin();
    return fitsShare(this.#spent.heldBy(tenant), 0, this.#workMsMax - this.#spent.held);
  }

  /** A query is over for which `reservedMs` were kept. */
  settle(tenant: string, reservedMs: number, usedMs: number): void {
    this.#reserved.give(tenant, reservedMs);
    this.#begin();
    this.#spent.force(tenant, usedMs);
  }

  #begin(): void {
    const nowMs = this.#nowMs();
    if (nowMs - this.#sinceMs < PERIOD_MS) return;
    this.#sinceMs = nowMs;
    this.#spent = new SharedRoom(this.#workMsMax);
  }
}
