import { INTEGER_MAX } from './cold-codec';

// Looks at columns before they are encoded and after they were decoded: stale markers, distances of times.

const STALE_NAN: u64 = 0x7ff0000000000002;

/** Writes for each of `n` values whether it is the stale marker; returns how many are. */
export function findStale(values: usize, n: u32, out: usize): u32 {
  let count: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const stale: u32 = load<u64>(values + ((<usize>i) << 3)) == STALE_NAN ? 1 : 0;
    store<u8>(out + i, <u8>stale);
    count += stale;
  }
  return count;
}

/** Largest distance between neighbours of `n` ascending times, 0 for one; −1 where they do not ascend or are no whole milliseconds. */
export function largestGap(times: usize, n: u32): f64 {
  let gap: f64 = 0;
  let before = load<f64>(times);
  if (!(Math.abs(before) <= INTEGER_MAX) || nearest<f64>(before) != before) return -1;
  for (let i: u32 = 1; i < n; i++) {
    const time = load<f64>(times + ((<usize>i) << 3));
    if (!(time > before) || !(time <= INTEGER_MAX) || nearest<f64>(time) != time) return -1;
    if (time - before > gap) gap = time - before;
    before = time;
  }
  return gap;
}
