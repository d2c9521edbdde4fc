import { PLACEMENT_DEFAULT, type Placement } from './placement.ts';

// How a tenant's series are spread, by their number (design, section 4).

/** Series of a metric that stay together; one that has more gets slots of its own. */
export const SPLIT_SERIES_MIN = 200_000;
const PARTS = [16, 256, 4096];

/** What a placement is chosen by. */
export interface TenantSize {
  readonly series: number;
  /** Series of metrics by name; those that are far from being split may be left out. */
  readonly metrics: ReadonlyMap<string, number>;
}

/** The placement of a tenant without metrics that are split. */
export function placementFor(activeSeries: number): Placement {
  const buckets = activeSeries <= 20_000 ? 1 : activeSeries <= 300_000 ? 16 : activeSeries <= 5_000_000 ? 256 : 4096;
  return buckets === 1 ? PLACEMENT_DEFAULT : { version: buckets, buckets, splits: new Map() };
}

/** Slots of its own for a metric; undefined: it stays with the others. */
function partsFor(series: number, splitSeries: number): number | undefined {
  if (series <= splitSeries) return undefined;
  return PARTS.find((parts) => series <= parts * splitSeries) ?? PARTS.at(-1)!;
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
  const buckets = Math.max(placementFor(size.series).buckets, ...held.map((each) => each.buckets));
  const splits = new Map<string, number>();
  const grow = (metric: string, parts: number) => splits.set(metric, Math.max(parts, splits.get(metric) ?? 0));
  for (const each of held) for (const [metric, parts] of each.splits) grow(metric, parts);
  for (const [metric, series] of size.metrics) {
    const parts = partsFor(series, splitSeries);
    if (parts !== undefined) grow(metric, parts);
  }
  const same = held.find((each) => each.buckets === buckets && sameSplits(each.splits, splits));
  if (same !== undefined) return same;
  // Without splits the size says all, so that whoever writes it writes the same row.
  if (splits.size === 0) return buckets === 1 ? PLACEMENT_DEFAULT : { version: buckets, buckets, splits };
  return { version: Math.max(nowMs, ...held.map(({ version }) => version + 1)), buckets, splits };
}

function sameSplits(a: Placement['splits'], b: Placement['splits']): boolean {
  return a.size === b.size && [...a].every(([metric, parts]) => b.get(metric) === parts);
}
