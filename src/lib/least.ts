/** The item that weighs least, the first of equal ones. @param items at least one */
export function leastOf<T>(items: readonly T[], weigh: (item: T) => number): T {
  let least = items[0] as T;
  if (items.length === 1) return least;
  let weight = Number.POSITIVE_INFINITY;
  for (const item of items) {
    const its = weigh(item);
    if (its >= weight) continue;
    least = item;
    weight = its;
  }
  return least;
}
