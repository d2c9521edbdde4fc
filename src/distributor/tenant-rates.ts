import type { Clock } from '../lib/clock.ts';

const TICK_MS = 15_000;
/** Weight of the newest tick. */
const WEIGHT = 0.2;
/** Below it a tenant that sends nothing is forgotten. */
const RATE_MIN = 0.001;

interface Rate {
  /** Samples since the last tick. */
  pending: number;
  perSecond: number;
  /** The first tick stands for itself. */
  ticks: number;
}

/** How many samples a second tenants send: averages that follow over about a minute. */
export class TenantRates {
  readonly #clock: Clock;
  readonly #rates = new Map<string, Rate>();
  #tickedMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#tickedMs = clock.monotonicMs();
  }

  add(tenant: string, samples: number): void {
    this.#tick();
    const rate = this.#rates.get(tenant);
    if (rate === undefined) this.#rates.set(tenant, { pending: samples, perSecond: 0, ticks: 0 });
    else rate.pending += samples;
  }

  of(tenant: string): number {
    this.#tick();
    return this.#rates.get(tenant)?.perSecond ?? 0;
  }

  get tenants(): string[] {
    return [...this.#rates.keys()];
  }

  #tick(): void {
    const elapsedMs = this.#clock.monotonicMs() - this.#tickedMs;
    if (elapsedMs < TICK_MS) return;
    this.#tickedMs += elapsedMs;
    const ticks = elapsedMs / TICK_MS;
    for (const [tenant, rate] of this.#rates) {
      const now = rate.pending / (elapsedMs / 1e3);
      rate.perSecond = rate.ticks === 0 ? now : now + (rate.perSecond - now) * (1 - WEIGHT) ** ticks;
      if (rate.pending === 0 && rate.perSecond < RATE_MIN) this.#rates.delete(tenant);
      rate.pending = 0;
      rate.ticks++;
    }
  }
}
