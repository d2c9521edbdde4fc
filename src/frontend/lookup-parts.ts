/** Times in Unix ms, both ends inclusive. */
export interface TimeRange {
  readonly startMs: number;
  readonly endMs: number;
}

/** Parts of a look-up. */
const PARTS_MAX = 32;

/**
 * The range of a look-up by intervals of the clock, as the store keeps series by UTC day. Where that would be more parts than a look-up may
 * have, each has several intervals; beyond as many intervals again for each part, the oldest part has all that is left: open ranges begin
 * in 1970.
 *
 * @param intervalMs 0: one part
 * @returns ascending; together they are the range
 */
export function lookupParts({ startMs, endMs }: TimeRange, intervalMs: number): TimeRange[] {
  const spanMs = endMs - startMs;
  // both parts of a short one would have nearly the same series
  if (intervalMs === 0 || !(spanMs > intervalMs) || endMs === Number.POSITIVE_INFINITY) return [{ startMs, endMs }];
  const intervals = Math.min(PARTS_MAX, Math.ceil(spanMs / intervalMs / (PARTS_MAX - 1)));
  const partMs = intervals * intervalMs;
  const parts: TimeRange[] = [];
  let lastMs = endMs;
  while (parts.length < PARTS_MAX - 1) {
    const firstMs = Math.floor(lastMs / partMs) * partMs;
    if (firstMs <= startMs) break;
    parts.push({ startMs: firstMs, endMs: lastMs });
    lastMs = firstMs - 1;
  }
  parts.push({ startMs, endMs: lastMs });
  return parts.reverse();
}
