import { getOrMake } from '../../lib/map.ts';
import type { FrameExemplar } from '../../wire/frame-exemplars.ts';

/** Memory of all exemplars of a shard, roughly: what is oldest goes when there is more. */
const BYTES_MAX = 32 * 1024 * 1024;
const OVERHEAD_BYTES = 160;

export interface ExemplarSeries {
  /** Canonical. */
  readonly labels: Uint8Array;
  /** Ascending by time, value and labels. */
  readonly exemplars: readonly FrameExemplar[];
}

/** A series of the store, or one that is about to be: what `open` gives to `addTo`. */
export interface StoredSeries extends ExemplarSeries {
  readonly tenant: number;
  readonly key: string;
  readonly exemplars: FrameExemplar[];
}

interface TenantExemplars {
  readonly series: Map<string, StoredSeries>;
  /** The series of each exemplar, in the order they came; the first `from` are gone. */
  order: StoredSeries[];
  from: number;
}

/** The newest exemplars of each tenant, in the order they came: a new one takes the place of the oldest. */
export class ExemplarStore {
  readonly #tenants = new Map<number, TenantExemplars>();
  readonly #bytesMax: number;
  bytes = 0;
  count = 0;

  constructor(bytesMax = BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  /** The series with these labels, for any number of exemplars: labels are copied and looked up once. */
  open(tenant: number, labels: Uint8Array): StoredSeries {
    const key = Buffer.from(labels.buffer, labels.byteOffset, labels.length).toString('latin1');
    return this.#tenants.get(tenant)?.series.get(key) ?? { tenant, key, labels: labels.slice(), exemplars: [] };
  }

  /** As `addTo`, for one. */
  add(tenant: number, labels: Uint8Array, exemplar: FrameExemplar, max: number): { kept: boolean; isNew: boolean } {
    return this.addTo(this.open(tenant, labels), exemplar, max);
  }

  /**
   * Takes an exemplar unless it is older than the series' newest; that is there already is success, too.
   * @param series of `open`, with no other call between them but those for it
   * @param max exemplars of the tenant
   * @returns whether it is new
   */
  addTo(series: StoredSeries, exemplar: FrameExemplar, max: number): { kept: boolean; isNew: boolean } {
    const { tenant, key, labels } = series;
    const own = getOrMake(this.#tenants, tenant, () => ({ series: new Map(), order: [], from: 0 }) as TenantExemplars);
    const newest = series.exemplars.at(-1);
    const order = newest === undefined ? 1 : compare(exemplar, newest);
    if (order <= 0) return { kept: order === 0, isNew: false };
    if (series.exemplars.length === 0) {
      own.series.set(key, series);
      this.bytes += OVERHEAD_BYTES + 2 * labels.length;
    }
    series.exemplars.push(exemplar);
    own.order.push(series);
    this.bytes += OVERHEAD_BYTES + exemplar.labels.length;
    this.count++;
    while (own.order.length - own.from > max) this.#dropOldest(own);
    while (this.bytes > this.#bytesMax) this.#dropOldest(this.#largest());
    return { kept: true, isNew: true };
  }

  #largest(): TenantExemplars {
    let largest: TenantExemplars | undefined;
    for (const each of this.#tenants.values()) {
      if (largest === undefined || each.order.length - each.from > largest.order.length - largest.from) largest = each;
    }
    return largest!;
  }

  #dropOldest(own: TenantExemplars): void {
    const series = own.order[own.from++]!;
    const gone = series.exemplars.shift()!;
    this.bytes -= OVERHEAD_BYTES + gone.labels.length;
    this.count--;
    if (series.exemplars.length === 0) {
      own.series.delete(series.key);
      this.bytes -= OVERHEAD_BYTES + 2 * series.labels.length;
    }
    if (own.from >= 1024 && own.from * 2 > own.order.length) {
      own.order = own.order.slice(own.from);
      own.from = 0;
    }
  }

  /** Drops all that a tenant has. */
  forget(tenant: number): void {
    const own = this.#tenants.get(tenant);
    if (own === undefined) return;
    while (own.order.length > own.from) this.#dropOldest(own);
    this.#tenants.delete(tenant);
  }

  of(tenant: number): Iterable<ExemplarSeries> {
    return this.#tenants.get(tenant)?.series.values() ?? [];
  }

  /** Every series, for a checkpoint. */
  *series(): Iterable<StoredSeries> {
    for (const { series } of this.#tenants.values()) yield* series.values();
  }

  /** Every exemplar, a tenant's in the order they came. */
  *all(): Iterable<{ readonly series: StoredSeries; readonly exemplar: FrameExemplar }> {
    for (const { order, from } of this.#tenants.values()) {
      const next = new Map<StoredSeries, number>();
      for (let i = from; i < order.length; i++) {
        const series = order[i]!;
        const at = next.get(series) ?? 0;
        next.set(series, at + 1);
        yield { series, exemplar: series.exemplars[at]! };
      }
    }
  }
}

/** Those of one time may be of different buckets. */
function compare(a: FrameExemplar, b: FrameExemplar): number {
  return (
    a.timeMs - b.timeMs || (Object.is(a.value, b.value) ? 0 : a.value - b.value) || Buffer.compare(a.labels, b.labels)
  );
}
