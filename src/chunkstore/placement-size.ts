import { grownSizes, type SlotSizes, sameSizes, type TenantSize } from '../model/slot-sizes.ts';
import { contentId } from './keys.ts';
import { encodePlacement, PLACEMENT_DEFAULT, type Placement } from './placement.ts';

/** Series of a metric that stay together; one that has more gets slots of its own. */
export const SPLIT_SERIES_MIN = 200_000;

/** The placement of a tenant without metrics that are split. */
export function placementFor(activeSeries: number): Placement {
  return placementOfDay([], { series: activeSeries, metrics: new Map() }, 0);
}

/**
 * The placement by which a day's groups are written from now on. Sizes only grow within a day: what the day's rows have stays.
 * @param held the placements that the store has of the day
 */
export function placementOfDay(
  held: readonly Placement[],
  size: TenantSize,
  nowMs: number,
  splitSeries = SPLIT_SERIES_MIN,
): Placement {
  const { buckets, splits } = grownSizes(held, size, splitSeries);
  const same = held.find((each) => sameSizes(each, { buckets, splits }));
  if (same !== undefined) return same;
  // Without splits the size says all, so that whoever writes it writes the same row.
  if (splits.size === 0) return buckets === 1 ? PLACEMENT_DEFAULT : { version: buckets, buckets, splits };
  return { version: Math.max(nowMs, ...held.map(({ version }) => version + 1)), buckets, splits };
}

/**
 * The same where all holders of a tenant's series take its sizes from the ring: equal sizes are an equal row, whoever writes it.
 * @param sizes those of the ring's version; undefined: the tenant has one slot
 */
export function placementOfRing(held: readonly Placement[], sizes: SlotSizes | undefined): Placement {
  const before = sizes === undefined ? held : [...held, sizes];
  const { buckets, splits } = grownSizes(before, NO_SERIES, Number.MAX_SAFE_INTEGER);
  const same = held.find((each) => sameSizes(each, { buckets, splits }));
  if (same !== undefined) return same;
  if (splits.size === 0) return buckets === 1 ? PLACEMENT_DEFAULT : { version: buckets, buckets, splits };
  const id = contentId(encodePlacement({ version: 0, buckets, splits }));
  return { version: new DataView(id.buffer, id.byteOffset).getUint32(0), buckets, splits };
}

const NO_SERIES: TenantSize = { series: 0, metrics: new Map() };
