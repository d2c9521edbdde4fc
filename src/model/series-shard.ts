/**
 * Some of a tenant's series, by a hash of their labels: those whose low half of XXH64 of the canonical label bytes is `index` modulo
 * `count`. By the same hash the parts of a split metric lie on the ring and in the store, so that a shard has parts of its own
 * where there are enough of them.
 */
export interface SeriesShard {
  /** From 0 to below `count`. */
  readonly index: number;
  /** A power of two, at most SERIES_SHARDS_MAX. */
  readonly count: number;
}

export const SERIES_SHARDS_MAX = 256;

export function isSeriesShard({ index, count }: SeriesShard): boolean {
  const isCount = Number.isInteger(count) && count >= 1 && count <= SERIES_SHARDS_MAX && (count & (count - 1)) === 0;
  return isCount && Number.isInteger(index) && index >= 0 && index < count;
}

/** @param labelsHash low half of XXH64 of the canonical label bytes */
export function shardHas({ index, count }: SeriesShard, labelsHash: number): boolean {
  return (labelsHash & (count - 1)) === index;
}

/** Whether a part of a split metric may have series of the shard. */
export function shardTouches({ index, count }: SeriesShard, part: number, parts: number): boolean {
  // placements of other versions may have other numbers of parts
  if ((parts & (parts - 1)) !== 0) return true;
  const both = Math.min(parts, count) - 1;
  return (part & both) === (index & both);
}
