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
  const first = load<f64>(times);
  if (!(Math.abs(first) <= INTEGER_MAX) || nearest<f64>(first) != first) return -1;
  if (n < 2) return 0;
  const largest = f64x2.splat(INTEGER_MAX);
  let gaps = f64x2.splat(0);
  let good = i64x2.splat(-1);
  const last = times + ((<usize>(n - 1)) << 3);
  let at = times;
  // two at a time; of an odd one the same neighbours are looked at twice
  for (; at < last; at += 16) {
    if (at + 16 > last) at = n > 2 ? last - 16 : at;
    const before = n > 2 ? v128.load(at) : f64x2.splat(first);
    const time = n > 2 ? v128.load(at, 8) : f64x2.splat(load<f64>(last));
    good = v128.and(good, f64x2.gt(time, before));
    good = v128.and(good, f64x2.le(time, largest));
    good = v128.and(good, f64x2.eq(f64x2.nearest(time), time));
    gaps = f64x2.max(gaps, f64x2.sub(time, before));
  }
  if (!i64x2.all_true(good)) return -1;
  return Math.max(f64x2.extract_lane(gaps, 0), f64x2.extract_lane(gaps, 1));
}
