// How many slots a tenant's series are spread over, by their number (design, section 4): in the store and on the ring alike.

/** A tenant's bucket count and the parts of its split metrics. */
export interface SlotSizes {
  /** 1, 16, 256 or 4096. */
  readonly buckets: number;
  /** Metrics that are spread over parts of their own, by hash of all labels: 16, 256 or 4096 each. */
  readonly splits: ReadonlyMap<string, number>;
}

/** The counts of a tenant's series by which sizes are chosen. */
export interface TenantSize {
  readonly series: number;
  /** Series of metrics by name; those that are far from being split may be left out. */
  readonly metrics: ReadonlyMap<string, number>;
}

const PARTS = [16, 256, 4096];

/** The sizes that there are: a tenant's buckets, and with the exception of 1 a metric's parts. */
export const SLOT_COUNTS: readonly number[] = [1, ...PARTS];

/** Series that one slot holds, where nothing else is said. */
export const SLOT_SERIES = 20_000;

/**
 * Buckets of a tenant with so many series.
 * @param slotSeries series of a tenant with one bucket; those of more buckets are as many times more as they are by default
 */
export function bucketsFor(series: number, slotSeries = SLOT_SERIES): number {
  const scaled = (series * SLOT_SERIES) / slotSeries;
  return SLOT_COUNTS.find((buckets) => scaled <= bucketCapacity(buckets)) ?? SLOT_COUNTS.at(-1)!;
}

/** Series that a tenant with so many buckets may have. */
export function bucketCapacity(buckets: number): number {
  return CAPACITIES[SLOT_COUNTS.indexOf(buckets)]!;
}

const CAPACITIES: readonly number[] = [SLOT_SERIES, 300_000, 5_000_000, Number.POSITIVE_INFINITY];

/** Slots of its own for a metric; undefined: it stays with the others. */
function partsFor(series: number, splitSeries: number): number | undefined {
  if (series <= splitSeries) return undefined;
  return PARTS.find((parts) => series <= parts * splitSeries) ?? PARTS.at(-1)!;
}

/**
 * Sizes that hold so many series and are nowhere below those before.
 * @param splitSeries series of a metric that stay together; one that has more gets parts of its own
 * @param slotSeries series of a tenant that has one bucket
 */
export function grownSizes(
  before: readonly SlotSizes[],
  size: TenantSize,
  splitSeries: number,
  slotSeries = SLOT_SERIES,
): SlotSizes {
  const buckets = Math.max(bucketsFor(size.series, slotSeries), ...before.map((each) => each.buckets));
  const splits = new Map<string, number>();
  const grow = (metric: string, parts: number) => splits.set(metric, Math.max(parts, splits.get(metric) ?? 0));
  for (const each of before) for (const [metric, parts] of each.splits) grow(metric, parts);
  for (const [metric, series] of size.metrics) {
    const parts = partsFor(series, splitSeries);
    if (parts !== undefined) grow(metric, parts);
  }
  return { buckets, splits };
}

export function sameSizes(a: SlotSizes, b: SlotSizes): boolean {
  return (
    a.buckets === b.buckets &&
    a.splits.size === b.splits.size &&
    [...a.splits].every(([metric, parts]) => b.splits.get(metric) === parts)
  );
}
