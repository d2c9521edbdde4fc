import { reserve } from './memory';

// Series known to an edge, and what it made of them, by the very bytes that they came as: a table of bounded size that forgets.
//   entry of 32 bytes: u64 second half of the bytes' hash, 0: free · u32 low half of the first · u32 low half of the XXH64 of the
//   metric name · u64, u64 the series' key
// Behind the entries a u32 for each: the low half of the XXH64 of the series' labels.

const ENTRY_SHIFT: u32 = 5;
const PROBES: u32 = 8;
const ENTRIES_MIN: u32 = 1 << 14;
/** 72 MiB */
const ENTRIES_MAX: u32 = 1 << 21;
export const N_METRIC: usize = 12;
export const N_KEY: usize = 16;

let base: usize = 0;
let mask: u32 = 0;
let count: u32 = 0;

/** The entry of these bytes' hash, or 0. */
// @ts-ignore: decorator
@inline export function knownFind(hash0: u64, hash1: u64): usize {
  if (base == 0) return 0;
  for (let i: u32 = 0; i < PROBES; i++) {
    const e = base + ((<usize>((<u32>hash0 + i) & mask)) << ENTRY_SHIFT);
    if (load<u64>(e) == hash1 && load<u32>(e, 8) == <u32>hash0) return e;
  }
  return 0;
}

/** The hash of the labels of an entry. */
export function knownLabels(entry: usize): u32 {
  return load<u32>(labelsAt(entry));
}

// @ts-ignore: decorator
@inline function labelsAt(entry: usize): usize {
  return base + ((<usize>mask + 1) << ENTRY_SHIFT) + (((entry - base) >> ENTRY_SHIFT) << 2);
}

/** Puts what is not there. In a table that is full and as large as it gets, another entry makes room. */
export function knownPut(hash0: u64, hash1: u64, metric: u32, labels: u32, key0: u64, key1: u64): void {
  if (hash1 == 0) return;
  if (count >= mask - (mask >> 2)) grow();
  if (base == 0) return;
  place(<u32>hash0, hash1, metric, labels, key0, key1);
}

function place(tag: u32, hash1: u64, metric: u32, labels: u32, key0: u64, key1: u64): void {
  let e: usize = 0;
  for (let i: u32 = 0; i < PROBES; i++) {
    e = base + ((<usize>((tag + i) & mask)) << ENTRY_SHIFT);
    if (load<u64>(e) == 0) {
      count++;
      break;
    }
    // none is free: which one goes is as good as random
    if (i == PROBES - 1) e = base + ((<usize>((tag + (<u32>hash1 & (PROBES - 1))) & mask)) << ENTRY_SHIFT);
  }
  store<u64>(e, hash1);
  store<u32>(e, tag, 8);
  store<u32>(e, metric, N_METRIC);
  store<u64>(e, key0, N_KEY);
  store<u64>(e, key1, N_KEY + 8);
  store<u32>(labelsAt(e), labels);
}

/** Four times the size; what the old table took, a quarter of the new one, is not used again. */
function grow(): void {
  const entries = base == 0 ? ENTRIES_MIN : min((mask + 1) << 2, ENTRIES_MAX);
  if (base != 0 && entries == mask + 1) return;
  const made = reserve((entries << ENTRY_SHIFT) + (entries << 2));
  if (made == 0) return;
  memory.fill(made, 0, (<usize>entries) << ENTRY_SHIFT);
  const old = base;
  let oldLabels: usize = old == 0 ? old : old + ((<usize>mask + 1) << ENTRY_SHIFT);
  const oldEnd: usize = old == 0 ? old : old + ((<usize>mask + 1) << ENTRY_SHIFT);
  base = made;
  mask = entries - 1;
  count = 0;
  for (let e = old; e < oldEnd; e += (<usize>1) << ENTRY_SHIFT) {
    const hash1 = load<u64>(e);
    const labels = load<u32>(oldLabels);
    oldLabels += 4;
    if (hash1 == 0) continue;
    place(load<u32>(e, 8), hash1, load<u32>(e, N_METRIC), labels, load<u64>(e, N_KEY), load<u64>(e, N_KEY + 8));
  }
}
