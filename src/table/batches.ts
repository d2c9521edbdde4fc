/** How much goes into one request. */
export interface BatchLimits<T> {
  readonly itemsMax: number;
  /** A single item may be larger. */
  readonly bytesMax: number;
  bytesOf(item: T): number;
}

/** The items in order, cut into batches that keep to the limits. */
export function batchesOf<T>(items: Iterable<T>, { itemsMax, bytesMax, bytesOf }: BatchLimits<T>): T[][] {
  const batches: T[][] = [];
  let batch: T[] = [];
  let bytes = 0;
  for (const item of items) {
    const size = bytesOf(item);
    if (batch.length === itemsMax || (batch.length > 0 && bytes + size > bytesMax)) {
      batches.push(batch);
      batch = [];
      bytes = 0;
    }
    batch.push(item);
    bytes += size;
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}
