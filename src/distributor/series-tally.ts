import type { FrameTarget } from '../contract/ingest.ts';
import type { Clock } from '../lib/clock.ts';
import { getOrMake } from '../lib/map.ts';

/** Tenants with a limit whose tallies are kept; beyond, the oldest that nothing is under way for goes. */
const TENANTS_MAX = 10_000;
/** Age up to which reports of targets are taken for true while a limit is far. */
const REPORT_MS_MAX = 10_000;

/**
 * Holds a tenant to a number of series in all targets together, by what they report. A request goes to all of them at once as long as
 * it cannot pass the limit, were all its series new, with all others that are under way. Otherwise it waits for those, and goes to one
 * target after the other, with what all hold. Several edges do not know of each other's requests: at the same moment each may pass the
 * limit by its own.
 */
export class SeriesTally {
  readonly #targets: readonly FrameTarget[];
  readonly #clock: Clock;
  readonly #tenants = new Map<string, TenantTally>();

  constructor(targets: readonly FrameTarget[], clock: Clock) {
    this.#targets = targets;
    this.#clock = clock;
  }

  /**
   * Runs `send` when it is its turn.
   * @param series the most that it may add
   * @param limit of the tenant's series
   * @param moved series that may be counted twice, since they were in another target before
   */
  async run<T>(
    tenant: string,
    { series, limit, moved = 0 }: { readonly series: number; readonly limit: number; readonly moved?: number },
    send: (tally: TenantTally, oneByOne: boolean) => Promise<T>,
  ): Promise<T> {
    const tally = getOrMake(this.#tenants, tenant, () => {
      this.#makeRoom();
      return new TenantTally(this.#targets.length);
    });
    tally.moved = moved;
    await this.#ask(tenant, tally, REPORT_MS_MAX);
    if (tally.mayAdd(series, limit)) return tally.beside(series, () => send(tally, false));
    return tally.alone(async () => {
      await this.#ask(tenant, tally, 0);
      return send(tally, true);
    });
  }

  #makeRoom(): void {
    if (this.#tenants.size < TENANTS_MAX) return;
    for (const [tenant, tally] of this.#tenants) {
      if (!tally.isIdle) continue;
      this.#tenants.delete(tenant);
      return;
    }
  }

  /** Has the targets report anew, unless they have within `ageMs`. */
  async #ask(tenant: string, tally: TenantTally, ageMs: number): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - tally.askedMs >= ageMs) {
      tally.askedMs = nowMs;
      tally.asked = Promise.all(this.#targets.map((target, i) => report(target, tenant, i, tally)));
    }
    await tally.asked;
  }
}

async function report(target: FrameTarget, tenant: string, index: number, tally: TenantTally): Promise<void> {
  const limits = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0, exemplarsMax: 0 };
  try {
    tally.report(index, (await target.push({ tenant, frames: new ArrayBuffer(0), bytes: 0, limits })).tenantSeries);
  } catch {
    // who cannot say how many it has takes no more either: the request itself will fail there
  }
}

/** A tenant's series by target, as last reported, and its requests under way. */
export class TenantTally {
  readonly #held: number[];
  readonly #beside = new Set<Promise<unknown>>();
  #seriesUnderWay = 0;
  #lastAlone: Promise<unknown> | undefined;
  #alone = 0;
  asked: Promise<unknown> | undefined;
  /** Series that may be counted twice: one that goes to another target is still held by the one before, for some windows. */
  moved = 0;
  /** By the monotonic clock. */
  askedMs = Number.NEGATIVE_INFINITY;

  constructor(targets: number) {
    this.#held = Array.from({ length: targets }, () => 0);
  }

  get isIdle(): boolean {
    return this.#alone === 0 && this.#beside.size === 0;
  }

  /** @param series undefined: it does not know */
  report(target: number, series: number | undefined): void {
    if (series !== undefined) this.#held[target] = series;
  }

  /** Series that all targets but one hold, less those that it may have got from them. */
  others(target: number): number {
    return Math.max(0, this.#total - this.#held[target]! - this.moved);
  }

  get #total(): number {
    return this.#held.reduce((sum, series) => sum + series, 0);
  }

  mayAdd(series: number, limit: number): boolean {
    return this.#alone === 0 && this.#total - this.moved + this.#seriesUnderWay + series <= limit;
  }

  /** Runs beside others that may add so many series in all. */
  async beside<T>(series: number, work: () => Promise<T>): Promise<T> {
    this.#seriesUnderWay += series;
    const done = work();
    this.#beside.add(done);
    try {
      return await done;
    } finally {
      this.#beside.delete(done);
      this.#seriesUnderWay -= series;
    }
  }

  /** Runs when all before it are through. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    this.#alone++;
    const done = Promise.allSettled([this.#lastAlone, ...this.#beside]).then(work);
    this.#lastAlone = done;
    try {
      return await done;
    } finally {
      this.#alone--;
    }
  }
}
