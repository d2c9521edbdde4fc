/**
 * Some of a tenant's series, by a hash of their labels: those whose low 16 bits of XXH64 of the canonical label bytes are `index` modulo
 * `count`. By the same hash the parts of a split metric lie on the ring and in the store, so that a shard of a count that is a power of two
 * has parts of its own where there are enough of them. Shards of other counts share theirs.
 */
export interface SeriesShard {
  /** From 0 to below `count`. */
  readonly index: number;
  /** From 1 to SERIES_SHARDS_MAX. */
  readonly count: number;
}

export const SERIES_SHARDS_MAX = 256;

/** Hashes that shards tell apart. */
export const SHARD_HASHES = 65_536;

export function isSeriesShard({ index, count }: SeriesShard): boolean {
  const isCount = Number.isInteger(count) && count >= 1 && count <= SERIES_SHARDS_MAX;
  return isCount && Number.isInteger(index) && index >= 0 && index < count;
}

/** @param labelsHash XXH64 of the canonical label bytes: its low 16 bits at the least, 32 at most */
export function shardHas({ index, count }: SeriesShard, labelsHash: number): boolean {
  return (labelsHash & (SHARD_HASHES - 1)) % count === index;
}

/** Whether a part of a split metric may have series of the shard. */
export function shardTouches({ index, count }: SeriesShard, part: number, parts: number): boolean {
  // placements of other versions may have other numbers of parts
  if ((parts & (parts - 1)) !== 0) return true;
  // the largest power of two in the count: of an odd one each shard may have series of any part
  const both = Math.min(parts, count & -count) - 1;
  return (part & both) === (index & both);
}
