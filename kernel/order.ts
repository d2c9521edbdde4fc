import { pairBytes, pairLen } from './pairs';
import { S_LABELS, seriesIsLive, seriesRecord } from './series';

// Refs in order of their canonical labels, byte by byte. A pair's bytes begin with its length, so the first pair that differs decides,
// and pairs with the same id need no look. What takes long is done in pieces by the caller, who merges what is in order already: a
// series that goes meanwhile is before all others, and so changes nothing about them.

/** Below, equal or above 0, as the labels of the first are before, equal to or after those of the second. */
function compare(a: u32, b: u32): i32 {
  const aLive = seriesIsLive(a);
  const bLive = seriesIsLive(b);
  if (!aLive || !bLive) return <i32>aLive - <i32>bLive;
  const x = <usize>load<u32>(seriesRecord(a), S_LABELS);
  const y = <usize>load<u32>(seriesRecord(b), S_LABELS);
  const xCount = load<u32>(x);
  const yCount = load<u32>(y);
  const end = (<usize>min(xCount, yCount)) << 2;
  for (let k: usize = 4; k <= end; k += 4) {
    const i = load<u32>(x + k);
    const j = load<u32>(y + k);
    if (i == j) continue;
    const iLen = pairLen(i);
    const jLen = pairLen(j);
    const order = memory.compare(pairBytes(i), pairBytes(j), min(iLen, jLen));
    return order != 0 ? order : <i32>iLen - <i32>jLen;
  }
  return <i32>xCount - <i32>yCount;
}

const RUN: u32 = 8;

/** Puts refs in order. `scratch` has room for as many. */
export function orderRefs(refs: usize, count: u32, scratch: usize): void {
  for (let from: u32 = 0; from < count; from += RUN) {
    const first = refs + ((<usize>from) << 2);
    const end = refs + ((<usize>min(from + RUN, count)) << 2);
    for (let p = first + 4; p < end; p += 4) {
      const ref = load<u32>(p);
      let q = p;
      for (; q > first && compare(load<u32>(q - 4), ref) > 0; q -= 4) store<u32>(q, load<u32>(q - 4));
      store<u32>(q, ref);
    }
  }
  let from = refs;
  let to = scratch;
  for (let width = RUN; width < count; width <<= 1) {
    for (let lo: u32 = 0; lo < count; lo += width << 1) {
      const mid = min(lo + width, count);
      const hi = min(lo + (width << 1), count);
      const taken = mergeRefs(
        from + ((<usize>lo) << 2),
        mid - lo,
        from + ((<usize>mid) << 2),
        hi - mid,
        to + ((<usize>lo) << 2),
      );
      const a = lo + (taken >>> 16);
      const b = mid + (taken & 0xffff);
      const out = to + ((<usize>(a + b - mid)) << 2);
      memory.copy(out, from + ((<usize>a) << 2), (<usize>(mid - a)) << 2);
      memory.copy(out + ((<usize>(mid - a)) << 2), from + ((<usize>b) << 2), (<usize>(hi - b)) << 2);
    }
    const other = from;
    from = to;
    to = other;
  }
  if (from != refs) memory.copy(refs, from, (<usize>count) << 2);
}

/**
 * Merges two lists that are in order, of at most 32,767 each, until one of them has ended. Returns how many of the first went out, times
 * 65,536, and of the second.
 */
export function mergeRefs(first: usize, firstCount: u32, second: usize, secondCount: u32, out: usize): u32 {
  let a: u32 = 0;
  let b: u32 = 0;
  while (a < firstCount && b < secondCount) {
    const x = load<u32>(first + ((<usize>a) << 2));
    const y = load<u32>(second + ((<usize>b) << 2));
    if (compare(x, y) <= 0) {
      store<u32>(out, x);
      a++;
    } else {
      store<u32>(out, y);
      b++;
    }
    out += 4;
  }
  return (a << 16) | b;
}
