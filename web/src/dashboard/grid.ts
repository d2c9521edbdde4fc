import type { GridItem } from '../../../src/contract/dashboard.ts';

export const COLUMNS = 24;

/** Items in reading order, pushed down where they would lie upon each other, and up where nothing is above them. */
export function settled(items: readonly GridItem[]): GridItem[] {
  const order = items.map((item, i) => ({ item, i })).sort((a, b) => a.item.y - b.item.y || a.item.x - b.item.x);
  /** The first free row of each column. */
  const free = new Array<number>(COLUMNS).fill(0);
  const placed = new Array<GridItem>(items.length);
  for (const { item, i } of order) {
    const width = Math.min(COLUMNS, Math.max(1, Math.round(item.width)));
    const x = Math.min(COLUMNS - width, Math.max(0, Math.round(item.x)));
    const height = Math.max(1, Math.round(item.height));
    const y = Math.max(...free.slice(x, x + width));
    free.fill(y + height, x, x + width);
    placed[i] = { ...item, x, y, width, height };
  }
  return placed;
}

/** An item moved and sized, with the others making room; `at` is its place in the list. */
export function withMoved(
  items: readonly GridItem[],
  at: number,
  change: Partial<Pick<GridItem, 'x' | 'y' | 'width' | 'height'>>,
): GridItem[] {
  const before = items[at]!;
  const next = { ...before, ...change };
  const width = Math.min(COLUMNS, Math.max(2, next.width));
  const moved = {
    ...next,
    width,
    x: Math.min(COLUMNS - width, Math.max(0, next.x)),
    height: Math.max(2, Math.min(100, next.height)),
  };
  // the one that moves comes first where it and another begin in one row
  const others = items.map((item, i) => (i === at ? { ...moved, y: moved.y - 0.5 } : item));
  return settled(others);
}

/** The place below all others, for one more. */
export function placeBelow(items: readonly GridItem[], size = { width: 12, height: 8 }): Omit<GridItem, 'content'> {
  const y = Math.max(0, ...items.map((item) => item.y + item.height));
  const last = items.filter((item) => item.y + item.height === y).sort((a, b) => b.x - a.x)[0];
  const beside = last !== undefined && last.x + last.width + size.width <= COLUMNS;
  return beside ? { ...size, x: last.x + last.width, y: last.y } : { ...size, x: 0, y };
}
