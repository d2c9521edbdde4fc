import { reserveAhead } from './memory';

// Pages of 64 KiB, given out and taken back. All that holds samples or series is made of them, so that a head's size is a
// number of pages and what a window leaves can be used by the next.

export const PAGE_BYTES: u32 = 65536;
/** Memory grows by an eighth of the pages in use at the least, a small one by much more than it needs now. */
const AHEAD_SHIFT: u64 = 3;
const AHEAD_BYTES_MIN: u64 = 16 * 1024 * 1024;

let free: usize = 0; // first free page; its first word is the next one
let used: u32 = 0;
let batchAt: usize = 0;
let batchEnd: usize = 0;

/** A page, not cleared; 0 when the instance is full. */
export function takePage(): usize {
  if (free != 0) {
    const page = free;
    free = load<u32>(page);
    used++;
    return page;
  }
  if (batchAt == batchEnd) {
    const aheadBytes = max<u64>(AHEAD_BYTES_MIN, (<u64>used * PAGE_BYTES) >> AHEAD_SHIFT);
    batchAt = reserveAhead(8 * PAGE_BYTES, <u32>aheadBytes);
    if (batchAt == 0) {
      batchEnd = 0;
      return 0;
    }
    batchEnd = batchAt + 8 * PAGE_BYTES;
  }
  const page = batchAt;
  batchAt += PAGE_BYTES;
  used++;
  return page;
}

export function givePage(page: usize): void {
  store<u32>(page, <u32>free);
  free = page;
  used--;
}

export function pagesUsed(): u32 {
  return used;
}
