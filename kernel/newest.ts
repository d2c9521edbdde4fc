import { lastInRange, walked, walkedStart } from './chunks';
import { pairBytes, pairLen, pairName, pairNameLen } from './pairs';
import { S_LABELS, seriesIsLive, seriesPair, seriesRecord } from './series';

// Counts of series: whether each has a sample at a time, and which group it is in.

const STALE_BITS: u64 = 0x7ff0000000000002;

/** Samples that are looked at in one call, by the chunk: some 2 ms. */
const WALKED_MAX: u32 = 200_000;

/**
 * Writes for each of `refs` 1 where it has a sample in the range, both ends included, and the last one there is no stale marker; else 0.
 * Returns how many it has looked at: at least one, all unless that takes long.
 */
export function newestSamples(refs: usize, count: u32, from: f64, to: f64, out: usize): u32 {
  walkedStart();
  let i: u32 = 0;
  while (i < count && walked < WALKED_MAX) {
    const ref = load<u32>(refs + ((<usize>i) << 2));
    const there = seriesIsLive(ref) && lastInRange(ref, <i64>from, <i64>to, STALE_BITS);
    store<u8>(out + <usize>i, there ? 1 : 0);
    i++;
  }
  return i;
}

/** Writes for each of `refs` the id of its pair of this name, or −1. */
export function pairsNamed(refs: usize, count: u32, name: u32, out: usize): void {
  for (let i: usize = 0; i < <usize>count; i++) {
    const ref = load<u32>(refs + (i << 2));
    store<i32>(out + (i << 2), seriesIsLive(ref) ? seriesPair(ref, name) : -1);
  }
}

/** The order of two series by their labels: negative, 0 or positive. Both are live. */
export function compareSeries(a: u32, b: u32): i32 {
  const listA = <usize>load<u32>(seriesRecord(a), S_LABELS);
  const listB = <usize>load<u32>(seriesRecord(b), S_LABELS);
  const countA = load<u32>(listA);
  const countB = load<u32>(listB);
  const both = min(countA, countB);
  for (let i: u32 = 1; i <= both; i++) {
    const idA = load<u32>(listA + ((<usize>i) << 2));
    const idB = load<u32>(listB + ((<usize>i) << 2));
    if (idA == idB) continue;
    if (pairName(idA) != pairName(idB)) return compareTexts(nameAt(idA), nameBytes(idA), nameAt(idB), nameBytes(idB));
    return compareTexts(valueAt(idA), valueBytes(idA), valueAt(idB), valueBytes(idB));
  }
  return countA < countB ? -1 : countA > countB ? 1 : 0;
}

function compareTexts(a: usize, bytesA: u32, b: usize, bytesB: u32): i32 {
  const order = memory.compare(a, b, <usize>min(bytesA, bytesB));
  return order != 0 ? order : bytesA < bytesB ? -1 : bytesA > bytesB ? 1 : 0;
}

/** Bytes of the length before a text of up to 65,535 bytes with its length. */
// @ts-ignore: decorator
@inline function lengthBytes(all: u32): u32 {
  return all <= 128 ? 1 : all <= 16_385 ? 2 : 3;
}

function nameBytes(id: u32): u32 {
  const all = pairNameLen(id);
  return all - lengthBytes(all);
}
function nameAt(id: u32): usize {
  return pairBytes(id) + lengthBytes(pairNameLen(id));
}
function valueBytes(id: u32): u32 {
  const all = pairLen(id) - pairNameLen(id);
  return all - lengthBytes(all);
}
function valueAt(id: u32): usize {
  const all = pairLen(id) - pairNameLen(id);
  return pairBytes(id) + pairNameLen(id) + lengthBytes(all);
}
