import { grownSizes, sameSizes, type TenantSize } from '../model/slot-sizes.ts';
import { PLACEMENT_DEFAULT, type Placement } from './placement.ts';

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
