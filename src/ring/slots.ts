import xxhash from 'xxhash-wasm';
import { type SeriesShard, shardTouches } from '../model/series-shard.ts';
import { grownSizes, type SlotSizes, sameSizes, type TenantSize } from '../model/slot-sizes.ts';
import { NO_OWNER, type RingVersion } from './version.ts';

const { h32, h64 } = await xxhash();

/** Series of a metric that stay together on the ring; one that has more gets parts of its own. */
export const SPLIT_SERIES = 20_000;

/** Seeds of XXH32 of the tenant: buckets begin at one place of the ring, parts of a split metric at another. */
const SEED_BUCKETS = 0;

/**
 * Slots of a version: what of a tenant's series sits together, and where. A tenant's slots of one kind lie evenly around the
 * ring, from a place on that is a hash of it: members own stretches, so a tenant that is everywhere is everywhere alike.
 */
export class RingSlots {
  readonly #arcBits: number;
  readonly #replicas: number;
  readonly #owners: Uint16Array;
  readonly #tenants = new Map<string, { readonly buckets: number; readonly splits: ReadonlyMap<number, number> }>();

  constructor({ arcs, replicas, owners, tenants }: RingVersion) {
    this.#arcBits = Math.log2(arcs);
    this.#replicas = replicas;
    this.#owners = owners;
    for (const [tenant, { buckets, splits }] of tenants) {
      const byHash = new Map([...splits].map(([metric, parts]) => [metricHashOf(metric), parts]));
      this.#tenants.set(tenant, { buckets, splits: byHash });
    }
  }

  /**
   * The arc of a series.
   * @param metricHash low half of XXH64 of the metric's name, as frames carry it
   * @param labelsHash low half of XXH64 of the canonical label bytes
   */
  arcOf(tenant: string, metricHash: number, labelsHash: number): number {
    const sizes = this.#tenants.get(tenant);
    if (sizes === undefined) return this.#arcAt(tenant, SEED_BUCKETS, 0, 1);
    const parts = sizes.splits.get(metricHash);
    // counts are powers of two: these are the buckets and parts that the store has
    if (parts !== undefined) return this.#arcAt(tenant, metricHash, labelsHash & (parts - 1), parts);
    return this.#arcAt(tenant, SEED_BUCKETS, metricHash & (sizes.buckets - 1), sizes.buckets);
  }

  /** Arcs that the series of a metric may be on, ascending, each once: those of a shard where one is given. */
  arcsOfMetric(tenant: string, metricHash: number, shard?: SeriesShard): number[] {
    const parts = this.#tenants.get(tenant)?.splits.get(metricHash) ?? 1;
    const arcs: number[] = [];
    for (let part = 0; part < parts; part++) {
      if (shard === undefined || shardTouches(shard, part, parts)) arcs.push(this.arcOf(tenant, metricHash, part));
    }
    return distinct(arcs);
  }

  /** Arcs that series of a tenant may be on, ascending, each once: those of a shard where one is given. */
  arcsOfTenant(tenant: string, shard?: SeriesShard): number[] {
    const { buckets, splits } = this.#tenants.get(tenant) ?? { buckets: 1, splits: new Map<number, number>() };
    const arcs = Array.from({ length: buckets }, (_, bucket) => this.#arcAt(tenant, SEED_BUCKETS, bucket, buckets));
    for (const metricHash of splits.keys()) arcs.push(...this.arcsOfMetric(tenant, metricHash, shard));
    return distinct(arcs);
  }

  /** Puts an arc's owners, indexes of members, at the beginning of `into`. Says how many there are. */
  owners(arc: number, into: Uint16Array): number {
    let count = 0;
    for (let at = arc * this.#replicas; count < this.#replicas && this.#owners[at] !== NO_OWNER; at++) {
      into[count++] = this.#owners[at]!;
    }
    return count;
  }

  #arcAt(tenant: string, seed: number, index: number, count: number): number {
    // on 32 bits, so that a ring of more arcs has those of one of fewer, each in pieces
    return pointOf(tenant, seed, index, count) >>> (32 - this.#arcBits);
  }
}

function pointOf(tenant: string, seed: number, index: number, count: number): number {
  return (h32(tenant, seed) + Math.floor((index * 2 ** 32) / count)) >>> 0;
}

/** The arc of a bucket of a tenant, of so many arcs. */
export function arcOfBucket(arcs: number, tenant: string, bucket: number, buckets: number): number {
  return pointOf(tenant, SEED_BUCKETS, bucket, buckets) >>> (32 - Math.log2(arcs));
}

/** The arc of a part of a split metric. @param metricHash as `metricHashOf` has it */
export function arcOfPart(arcs: number, tenant: string, metricHash: number, part: number, parts: number): number {
  return pointOf(tenant, metricHash, part, parts) >>> (32 - Math.log2(arcs));
}

/** Arcs by which a process without a ring tells its shards apart: 4,096. */
const LOCAL_ARC_BITS = 12;

/** The arc of a metric where there is no ring. */
export function localArcOf(tenant: string, metricHash: number, buckets: number): number {
  return pointOf(tenant, SEED_BUCKETS, metricHash & (buckets - 1), buckets) >>> (32 - LOCAL_ARC_BITS);
}

/** Which of a process' shards has an arc. Arcs that lie evenly, and stretches of them, fall on shards evenly. */
export function shardOfArc(arc: number, shards: number): number {
  // Fibonacci hashing (Knuth, volume 3, 6.4)
  return Math.floor(((Math.imul(arc + 1, 0x9e3779b1) >>> 0) * shards) / 2 ** 32);
}

/** The low half of XXH64. */
export function metricHashOf(metric: string): number {
  return Number(h64(metric) & 0xffff_ffffn);
}

/**
 * A tenant's sizes in the next version: they only grow, until a new day begins. `undefined`: they stay.
 * @param slotSeries series of a slot: of a tenant that has one bucket, of a metric that is not split
 */
export function nextSizes(
  held: SlotSizes | undefined,
  size: TenantSize,
  slotSeries = SPLIT_SERIES,
): SlotSizes | undefined {
  const before = held ?? { buckets: 1, splits: new Map() };
  const next = grownSizes([before], size, slotSeries, slotSeries);
  return sameSizes(before, next) ? undefined : next;
}

function distinct(arcs: readonly number[]): number[] {
  return [...new Set(arcs)].sort((a, b) => a - b);
}
