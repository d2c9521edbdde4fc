import { fitsShare, SharedRoom } from '../../lib/shared-room.ts';

const PERIOD_MS = 1_000;
/** Work that a query is counted with before it is known. */
const LEAST_MS = 1;

/** Work of this thread within a second, by tenant: each has three times what all leave free. */
export class WorkShares {
  readonly #workMsMax: number;
  readonly #nowMs: () => number;
  #spent: SharedRoom;
  #sinceMs: number;

  /** @param workMsMax within a second @param nowMs a monotonic clock */
  constructor(workMsMax: number, nowMs: () => number) {
    this.#workMsMax = workMsMax;
    this.#nowMs = nowMs;
    this.#spent = new SharedRoom(workMsMax);
    this.#sinceMs = nowMs();
  }

  /** Whether a tenant has something left. */
  mayWork(tenant: string): boolean {
    const nowMs = this.#nowMs();
    if (nowMs - this.#sinceMs >= PERIOD_MS) {
      this.#sinceMs = nowMs;
      this.#spent = new SharedRoom(this.#workMsMax);
    }
    return fitsShare(this.#spent.heldBy(tenant), LEAST_MS, this.#workMsMax - this.#spent.held);
  }

  worked(tenant: string, ms: number): void {
    this.#spent.force(tenant, ms);
  }
}
