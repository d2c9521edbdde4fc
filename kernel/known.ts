import { sipHash, sipHigh } from './hash';
import { secret0, secret1 } from './key';
import { reserve, reserveAhead } from './memory';

// Series known to an edge, and what it made of them, by the very bytes that they came as: a table of bounded size that forgets.
//   entry of 32 bytes: u64 second half of the bytes' hash, 0: free · u32 low half of the first · u32 low half of the XXH64 of the
//   metric name · u64, u64 the series' key
// Behind the entries a u32 for each: the low half of the XXH64 of the series' labels. Behind these a u32 for each: its record, or 0.
//
// Senders tell their series in the order of the time before, so whoever followed then is looked at first. A series that has come twice
// has a record for that; records of one sender lie one behind the other.
//   record of 48 bytes: u64, u64 NH of the bytes, xor the tenant's key of bytes · u64, u64 the series' key · u32 how many bytes · u32 the
//   record that followed, 0: none · u32 metric · u32 labels, as above
// One record is compared, not a table of them, so 64 bits of a universal hash are enough (NH of UMAC: Black, Halevi, Krawczyk, Krovetz,
// Rogaway, 1999): nobody who does not know its key can make bytes that it takes for others.

const ENTRY_SHIFT: u32 = 5;
const PROBES: u32 = 8;
const ENTRIES_MIN: u32 = 1 << 14;
/** 80 MiB */
const ENTRIES_MAX: u32 = 1 << 21;
export const N_METRIC: usize = 12;
export const N_KEY: usize = 16;

export const RECORD_KEY: usize = 16;
const RECORD_BYTES: usize = 32;
const RECORD_NEXT: usize = 36;
export const RECORD_METRIC: usize = 40;
export const RECORD_LABELS: usize = 44;
const RECORD_SIZE: u32 = 48;
/** 350,000 records. When all pieces are full they begin anew. */
const PIECES_MAX: u32 = 64;
const PIECE_BYTES: u32 = 1 << 18;
/** Pieces are not taken from memory one by one: each growth of memory is a collection of the whole heap, see `reserveAhead`. */
const AHEAD_BYTES: u32 = 8 << 20;
const pieces: usize = memory.data(64 * 4);
let piece: u32 = 0;
let recordAt: usize = 0;
let recordEnd: usize = 0;

/** Labels outside these bounds have no record. */
const NH_BYTES_MIN: u32 = 16;
const NH_BYTES_MAX: u32 = 1024;
const nhKey: usize = memory.data(1024 + 16, 16);

/** After `keyInit`. */
export function knownInit(): void {
  const label: usize = memory.data(8);
  for (let i: u32 = 0; i < NH_BYTES_MAX + 16; i += 16) {
    store<u64>(label, i);
    store<u64>(nhKey + i, sipHash(label, 8, ~secret0, ~secret1));
    store<u64>(nhKey + i, sipHigh, 8);
  }
}

/** Two sums, with the key and with the key from 16 bytes on: each says with 32 bits that bytes differ. */
// @ts-ignore: decorator
@inline function nh(from: usize, bytes: u32): v128 {
  let a = i64x2.splat(0);
  let b = i64x2.splat(0);
  const last = from + bytes - 16;
  let k = nhKey;
  for (let p = from; ; p += 16, k += 16) {
    // the last 16 bytes, some of them once more
    if (p > last) p = last;
    const m = v128.load(p);
    const x = i32x4.add(m, v128.load(k));
    const y = i32x4.add(m, v128.load(k, 16));
    a = i64x2.add(a, i64x2.extmul_low_i32x4_u(x, v128.shuffle<i32>(x, x, 2, 3, 0, 1)));
    b = i64x2.add(b, i64x2.extmul_low_i32x4_u(y, v128.shuffle<i32>(y, y, 2, 3, 0, 1)));
    if (p == last) break;
  }
  return i64x2.add(v128.shuffle<i64>(a, b, 0, 2), v128.shuffle<i64>(a, b, 1, 3));
}

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

// @ts-ignore: decorator
@inline function recordOf(entry: usize): usize {
  return labelsAt(entry) + ((<usize>mask + 1) << 2);
}

/**
 * The record that came behind this one last time, where a series that lies from `from` to `end` has its very labels and a sample behind
 * them; else 0.
 * @param tenant the tenant's key of bytes
 */
// @ts-ignore: decorator
@inline export function knownBehind(record: usize, from: usize, end: usize, tenant: v128): usize {
  const next = <usize>load<u32>(record, RECORD_NEXT);
  if (next == 0) return 0;
  const bytes = load<u32>(next, RECORD_BYTES);
  // a sample follows: no further label does
  if (bytes >= <u32>(end - from) || load<u8>(from + bytes) != 0x12) return 0;
  return v128.any_true(v128.xor(v128.xor(nh(from, bytes), tenant), v128.load(next))) ? 0 : next;
}

// @ts-ignore: decorator
@inline export function recordBytes(record: usize): u32 {
  return load<u32>(record, RECORD_BYTES);
}

/**
 * The record of an entry whose bytes have come once more, made where it has none, and from now on the one behind `before`; 0 where it
 * has none.
 * @param before the record of the series before it in this body, or 0
 */
// @ts-ignore: decorator
@inline export function knownRecord(entry: usize, from: usize, bytes: u32, before: usize, tenant: v128): usize {
  if (bytes < NH_BYTES_MIN || bytes > NH_BYTES_MAX) return 0;
  const place = recordOf(entry);
  let record = <usize>load<u32>(place);
  if (record == 0) {
    if (recordAt + RECORD_SIZE > recordEnd) {
      if (!nextPiece()) return 0;
      before = 0; // it may be no more
    }
    record = recordAt;
    recordAt += RECORD_SIZE;
    v128.store(record, v128.xor(nh(from, bytes), tenant));
    v128.store(record, v128.load(entry, N_KEY), RECORD_KEY);
    store<u32>(record, bytes, RECORD_BYTES);
    store<u32>(record, 0, RECORD_NEXT);
    store<u32>(record, load<u32>(entry, N_METRIC), RECORD_METRIC);
    store<u32>(record, knownLabels(entry), RECORD_LABELS);
    store<u32>(place, <u32>record);
  }
  if (before != 0) store<u32>(before, <u32>record, RECORD_NEXT);
  return record;
}

function nextPiece(): bool {
  if (piece == PIECES_MAX) {
    piece = 0;
    memory.fill(recordOf(base), 0, (<usize>mask + 1) << 2);
  }
  const place = pieces + ((<usize>piece) << 2);
  let at = <usize>load<u32>(place);
  if (at == 0) {
    at = reserveAhead(PIECE_BYTES, AHEAD_BYTES);
    if (at == 0) return false;
    store<u32>(place, <u32>at);
  }
  piece++;
  recordAt = at;
  recordEnd = at + PIECE_BYTES;
  return true;
}

/** Puts what is not there. In a table that is full and as large as it gets, another entry makes room. */
export function knownPut(hash0: u64, hash1: u64, metric: u32, labels: u32, key0: u64, key1: u64): void {
  if (hash1 == 0) return;
  if (count >= mask - (mask >> 2)) grow();
  if (base == 0) return;
  place(<u32>hash0, hash1, metric, labels, key0, key1, 0);
}

function place(tag: u32, hash1: u64, metric: u32, labels: u32, key0: u64, key1: u64, record: u32): void {
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
  store<u32>(recordOf(e), record);
}

/** Four times the size; what the old table took, a quarter of the new one, is not used again. */
function grow(): void {
  const entries = base == 0 ? ENTRIES_MIN : min((mask + 1) << 2, ENTRIES_MAX);
  if (base != 0 && entries == mask + 1) return;
  const made = reserve((entries << ENTRY_SHIFT) + (entries << 3));
  if (made == 0) return;
  memory.fill(made, 0, (<usize>entries) << ENTRY_SHIFT);
  const old = base;
  const oldEntries: usize = old == 0 ? <usize>0 : <usize>mask + 1;
  const oldLabels = old + (oldEntries << ENTRY_SHIFT);
  const oldRecords = oldLabels + (oldEntries << 2);
  base = made;
  mask = entries - 1;
  count = 0;
  for (let i: usize = 0; i < oldEntries; i++) {
    const e = old + (i << ENTRY_SHIFT);
    const hash1 = load<u64>(e);
    if (hash1 == 0) continue;
    const labels = load<u32>(oldLabels + (i << 2));
    const record = load<u32>(oldRecords + (i << 2));
    place(load<u32>(e, 8), hash1, load<u32>(e, N_METRIC), labels, load<u64>(e, N_KEY), load<u64>(e, N_KEY + 8), record);
  }
}
