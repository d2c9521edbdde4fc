import type { Clock } from '../lib/clock.ts';

/** Tenants whose rates are counted at the same time. */
const PLACES = 16_384;
const NS_PER_MS = 1_000_000n;
/** Longest time that a bucket takes to fill, about 30 years. */
const FILL_NS_MAX = 1e18;

/**
 * Rates of tenants, with bursts, that several threads grant together: in shared memory, an i64 for each tenant, the moment at which its
 * bucket is full again (Unix ns; GCRA). Counted by the wall clock, since threads have none else in common; where that jumps, a bucket is
 * full at once, or at most empty.
 */
export class SharedRates {
  readonly buffer: SharedArrayBuffer;
  readonly #fullAt: BigInt64Array;

  constructor(buffer = new SharedArrayBuffer(8 * PLACES)) {
    this.buffer = buffer;
    this.#fullAt = new BigInt64Array(buffer);
  }

  /** Takes `count` of the bucket at a place, or nothing where there is not so much. Rate and burst may change from call to call. */
  take(place: number, count: number, { rate, burst, clock }: { rate: number; burst: number; clock: Clock }): boolean {
    if (count > burst) return false;
    const nowNs = BigInt(Math.round(clock.nowMs())) * NS_PER_MS;
    const latestNs = nowNs + fillNs(burst, rate);
    for (;;) {
      const before = Atomics.load(this.#fullAt, place);
      const from = before < nowNs ? nowNs : before > latestNs ? latestNs : before;
      const wanted = from + fillNs(count, rate);
      const isGranted = wanted <= latestNs;
      const after = isGranted ? wanted : from;
      if (Atomics.compareExchange(this.#fullAt, place, before, after) === before) return isGranted;
    }
  }

  /** Fills the bucket at a place. */
  fill(place: number): void {
    Atomics.store(this.#fullAt, place, 0n);
  }
}

function fillNs(count: number, rate: number): bigint {
  return BigInt(Math.min(FILL_NS_MAX, Math.ceil((count / rate) * 1e9)));
}

/** Gives tenants places in `SharedRates`: the one that has been asked for the longest time ago gives way. One thread has it. */
export class RatePlaces {
  readonly #rates: SharedRates;
  /** By tenant, the last one asked for at the end. */
  readonly #places = new Map<string, number>();
  readonly #placesMax: number;
  readonly #onReuse: () => void;

  /** @param onReuse told before a place that a tenant had is another one's */
  constructor(rates: SharedRates, placesMax = PLACES, onReuse = () => {}) {
    this.#rates = rates;
    this.#placesMax = placesMax;
    this.#onReuse = onReuse;
  }

  of(tenant: string): number {
    const place = this.#places.get(tenant) ?? this.#free();
    this.#places.delete(tenant);
    this.#places.set(tenant, place);
    return place;
  }

  #free(): number {
    if (this.#places.size < this.#placesMax) return this.#places.size;
    const [oldest, place] = this.#places.entries().next().value!;
    this.#onReuse();
    this.#places.delete(oldest);
    this.#rates.fill(place);
    return place;
  }
}
