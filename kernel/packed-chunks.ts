import { PACKED_FLAGS } from '../src/chunk/head-chunk-flags';
import {
  HEAD_CHUNK_FLAGS_AT,
  HEAD_CHUNK_MAX_AT,
  HEAD_CHUNK_MIN_AT,
  HEAD_CHUNK_NEXT_AT,
  HEAD_PACKED_ARENA_AT,
  HEAD_PACKED_COUNT_AT,
  HEAD_PACKED_SPECIAL_AT,
  HEAD_PACKED_TIMES_AT,
  HEAD_PACKED_TIMES_BYTES_AT,
  HEAD_PACKED_VALUES_AT,
  HEAD_PACKED_VALUES_BYTES_AT,
} from '../src/wire/head-layout';
import { arenaGive, arenaTake } from './arena';
import { reserve } from './memory';
import {
  bytesAreEqual,
  columnEncode,
  columnIsSpecial,
  columnRoom,
  KEPT_SAMPLES_MAX,
  PACKED_HEADER_BYTES,
  PACKED_SAMPLES_MAX,
  PACKED_SLACK,
  packedCount,
  packedDecode,
  packedHeader,
  packedIsWhole,
  timesDecode,
  timesHash,
} from './packed';
import { xorDecodeTurned } from './query';
import { A_ARENA, A_BITS, A_CAPACITY, A_COUNT, A_DATA, A_LEAD, APPENDER_BYTES, XOR_CORRUPT, xorAppend } from './xor';

// Packed chunks of a head's series. Each is a record in the arena of its window, with the column of its values behind it. The column of
// its times lies in the arena once for all chunks that have the same, as series of one target do.

export const P_NEXT: usize = HEAD_CHUNK_NEXT_AT; // u32, as of other chunks
export const P_FLAGS: usize = HEAD_CHUNK_FLAGS_AT; // u32, PACKED_FLAGS
export const P_MIN: usize = HEAD_CHUNK_MIN_AT; // i64
export const P_MAX: usize = HEAD_CHUNK_MAX_AT; // i64
const P_ARENA: usize = HEAD_PACKED_ARENA_AT; // u32
const P_TIMES: usize = HEAD_PACKED_TIMES_AT; // u32, where the column of times lies
const P_COUNT: usize = HEAD_PACKED_COUNT_AT; // u16
const P_TIMES_BYTES: usize = HEAD_PACKED_TIMES_BYTES_AT; // u16
const P_VALUES_BYTES: usize = HEAD_PACKED_VALUES_BYTES_AT; // u16
const P_SPECIAL: usize = HEAD_PACKED_SPECIAL_AT; // u8, 1: there are NaN, stale markers or others
const P_VALUES: usize = HEAD_PACKED_VALUES_AT;

/** Times beyond are not told exactly by a double. */
const TIME_MAX: i64 = 9007199254740992;

/** Bytes of an XOR chunk at most, of as many samples as a packed one may have. */
const XOR_BYTES: u32 = 24 * PACKED_SAMPLES_MAX;

// ---- scratch, reserved with the first chunk

const TIMES: usize = 0;
const VALUES: usize = TIMES + 8 * <usize>(PACKED_SAMPLES_MAX + PACKED_SLACK);
const COLUMN: usize = VALUES + 8 * <usize>(PACKED_SAMPLES_MAX + PACKED_SLACK);
/** Where a chunk's bytes are put together: a header, and two columns. */
const BYTES: usize = COLUMN + <usize>((columnRoom(PACKED_SAMPLES_MAX) + 15) & ~15);
const XOR: usize = BYTES + <usize>((2 * columnRoom(PACKED_SAMPLES_MAX) + PACKED_HEADER_BYTES + 64 + 15) & ~15);
const APPENDER: usize = XOR + <usize>XOR_BYTES + 64;
/** Times that chunks in arenas have: series of a target are cut together. */
const SHARED: usize = APPENDER + 48;
const SHARED_SLOTS: usize = 128;
/** u32 arena (0: none) · u32 where the column lies · u32 its bytes · u32 samples · the times themselves */
const SHARED_TIMES_AT: usize = 16;
const SHARED_BYTES: usize = SHARED_TIMES_AT + 8 * <usize>KEPT_SAMPLES_MAX;
const SCRATCH_BYTES: usize = SHARED + SHARED_SLOTS * SHARED_BYTES;

let scratch: usize = 0;

function isReady(): bool {
  if (scratch == 0) {
    scratch = reserve(<u32>SCRATCH_BYTES);
    if (scratch == 0) return false;
    memory.fill(scratch + SHARED, 0, SHARED_SLOTS * SHARED_BYTES);
  }
  return true;
}

// ---- columns of times that chunks of an arena share

function sharedSlot(times: usize, n: u32): usize {
  const last = load<u64>(times + ((<usize>(n - 1)) << 3));
  return scratch + SHARED + <usize>timesHash(load<u64>(times) ^ (last << 1), n) * SHARED_BYTES;
}

let timesBytes: u32 = 0;

/** Where the column of the `n` times in scratch lies in an arena; 0: no memory. Leaves its bytes in `timesBytes`. */
function timesOf(arena: u32, n: u32): usize {
  const times = scratch + TIMES;
  if (n > KEPT_SAMPLES_MAX) return newTimes(arena, n);
  const slot = sharedSlot(times, n);
  const bytes = (<usize>n) << 3;
  if (load<u32>(slot) == arena && load<u32>(slot, 12) == n && bytesAreEqual(slot + SHARED_TIMES_AT, times, bytes)) {
    timesBytes = load<u32>(slot, 8);
    return <usize>load<u32>(slot, 4);
  }
  const at = newTimes(arena, n);
  if (at != 0) share(slot, arena, at, n);
  return at;
}

function newTimes(arena: u32, n: u32): usize {
  timesBytes = columnEncode(scratch + TIMES, n, scratch + COLUMN);
  return timesBytes == 0 ? 0 : copyOf(arena, scratch + COLUMN, timesBytes);
}

function share(slot: usize, arena: u32, at: usize, n: u32): void {
  store<u32>(slot, arena);
  store<u32>(slot, <u32>at, 4);
  store<u32>(slot, timesBytes, 8);
  store<u32>(slot, n, 12);
  memory.copy(slot + SHARED_TIMES_AT, scratch + TIMES, (<usize>n) << 3);
}

function copyOf(arena: u32, from: usize, bytes: u32): usize {
  const at = arenaTake(arena, (bytes + 15) >> 4);
  if (at != 0) memory.copy(at, from, bytes);
  return at;
}

/** The arena goes, and all columns in it. */
export function forgetShared(arena: u32): void {
  if (scratch == 0) return;
  for (let i: usize = 0; i < SHARED_SLOTS; i++) {
    const slot = scratch + SHARED + i * SHARED_BYTES;
    if (load<u32>(slot) == arena) store<u32>(slot, 0);
  }
}

// ---- packing

/**
 * Packs the samples of an XOR chunk that are in order.
 * @param a its appender. The chunk stays as it is, unless its data is given away
 * @param ends whether the data is not used any more: it becomes the record, or room for others of its arena
 * @returns the record, not yet in a list; 0: no memory, or a chunk that is to stay as it is
 */
export function packChunk(a: usize, first: i64, ends: bool): usize {
  const n = <u32>load<u16>(a, A_COUNT);
  const last = load<i64>(a);
  if (n > PACKED_SAMPLES_MAX || first < -TIME_MAX || last > TIME_MAX || !isReady()) return 0;
  const data = <usize>load<u32>(a, A_DATA);
  const bytes = (load<u32>(a, A_BITS) + 7) >> 3;
  const xor = scratch + XOR;
  memory.copy(xor, data, bytes);
  store<u8>(xor, <u8>(n >> 8));
  store<u8>(xor, <u8>n, 1);
  if (xorDecodeTurned(xor, bytes, scratch + TIMES, scratch + VALUES, n) == XOR_CORRUPT) return 0;
  const arena = load<u32>(a, A_ARENA);
  const times = timesOf(arena, n);
  if (times == 0) return 0;
  const ofTimes = timesBytes;
  const ofValues = columnEncode(scratch + VALUES, n, scratch + COLUMN);
  if (ofValues == 0) return 0;
  const units = (<u32>P_VALUES + ofValues + 15) >> 4;
  const capacity = <u32>load<u16>(a, A_CAPACITY);
  let c = data;
  if (!ends || units > capacity) {
    c = arenaTake(arena, units);
    if (c == 0) return 0;
    if (ends) arenaGive(arena, data, capacity);
  }
  fillRecord(c, arena, first, last, n, times, ofTimes, scratch + COLUMN, ofValues, columnIsSpecial());
  return c;
}

function fillRecord(
  c: usize,
  arena: u32,
  first: i64,
  last: i64,
  n: u32,
  times: usize,
  ofTimes: u32,
  values: usize,
  ofValues: u32,
  special: bool,
): void {
  store<u32>(c, 0, P_NEXT);
  store<u32>(c, PACKED_FLAGS, P_FLAGS);
  store<i64>(c, first, P_MIN);
  store<i64>(c, last, P_MAX);
  store<u32>(c, arena, P_ARENA);
  store<u32>(c, <u32>times, P_TIMES);
  store<u16>(c, <u16>n, P_COUNT);
  store<u16>(c, <u16>ofTimes, P_TIMES_BYTES);
  store<u16>(c, <u16>ofValues, P_VALUES_BYTES);
  store<u8>(c, special ? 1 : 0, P_SPECIAL);
  memory.copy(c + P_VALUES, values, ofValues);
}

// ---- reading

// @ts-ignore: decorator
@inline export function isPacked(c: usize): bool {
  return load<u32>(c, P_FLAGS) == PACKED_FLAGS;
}

// @ts-ignore: decorator
@inline export function packedArena(c: usize): u32 {
  return load<u32>(c, P_ARENA);
}

// @ts-ignore: decorator
@inline export function packedSamples(c: usize): u32 {
  return <u32>load<u16>(c, P_COUNT);
}

/** Bytes of the chunk as readers get it. */
export function packedBytes(c: usize): u32 {
  return PACKED_HEADER_BYTES + <u32>load<u16>(c, P_TIMES_BYTES) + <u32>load<u16>(c, P_VALUES_BYTES);
}

/** Writes the chunk as readers get it: header, times, values. */
export function packedCopy(c: usize, out: usize): void {
  const ofTimes = <u32>load<u16>(c, P_TIMES_BYTES);
  packedHeader(out, packedSamples(c), ofTimes, load<u8>(c, P_SPECIAL) != 0);
  const times = out + <usize>PACKED_HEADER_BYTES;
  memory.copy(times, <usize>load<u32>(c, P_TIMES), ofTimes);
  memory.copy(times + ofTimes, c + P_VALUES, load<u16>(c, P_VALUES_BYTES));
}

/** Decodes a chunk into scratch. */
function unpack(c: usize): u32 {
  const bytes = scratch + BYTES;
  packedCopy(c, bytes);
  packedDecode(bytes, packedBytes(c), scratch + TIMES, scratch + VALUES, PACKED_SAMPLES_MAX);
  return packedSamples(c);
}

/** The first sample at or behind a time, of those in scratch. */
function lowerBound(n: u32, t: f64): u32 {
  let from: u32 = 0;
  let to = n;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (load<f64>(scratch + TIMES + ((<usize>middle) << 3)) < t) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** Whether the chunk has this very sample. */
export function packedHolds(c: usize, t: i64, v: u64): bool {
  const n = unpack(c);
  const i = lowerBound(n, <f64>t);
  return i < n && load<f64>(scratch + TIMES + ((<usize>i) << 3)) == <f64>t && valueAt(i) == v;
}

// @ts-ignore: decorator
@inline function valueAt(i: u32): u64 {
  return load<u64>(scratch + VALUES + ((<usize>i) << 3));
}

export let foundTime: i64 = 0;
export let foundValue: u64 = 0;

/** Finds the last sample up to `to`, that time included; the chunk's first is not behind it. */
export function packedLast(c: usize, to: i64): void {
  const n = unpack(c);
  const i = to >= load<i64>(c, P_MAX) ? n - 1 : lowerBound(n, <f64>to + 1) - 1;
  foundTime = <i64>load<f64>(scratch + TIMES + ((<usize>i) << 3));
  foundValue = valueAt(i);
}

/** Writes the chunk as XOR, for who reads no packed ones: where its bytes lie, until the next call. Leaves their number in `xorBytes`. */
export function packedAsXor(c: usize): usize {
  const n = unpack(c);
  const data = scratch + XOR;
  const a = scratch + APPENDER;
  memory.fill(data, 0, XOR_BYTES + 64);
  memory.fill(a, 0, APPENDER_BYTES);
  store<u32>(a, <u32>data, A_DATA);
  store<u32>(a, 16, A_BITS);
  store<u8>(a, 255, A_LEAD);
  for (let i: u32 = 0; i < n; i++) {
    xorAppend(a, <i64>load<f64>(scratch + TIMES + ((<usize>i) << 3)), valueAt(i));
  }
  store<u8>(data, <u8>(n >> 8));
  store<u8>(data, <u8>n, 1);
  xorBytes = (load<u32>(a, A_BITS) + 7) >> 3;
  return data;
}

export let xorBytes: u32 = 0;

// ---- from a checkpoint

/** Whether these bytes of a checkpoint are a chunk of so many samples, in order from `first` to `last`. Leaves the times in scratch. */
export function packedIsSound(src: usize, len: u32, n: u32, first: i64, last: i64): bool {
  if (n == 0 || len > 65535 || !isReady() || !packedIsWhole(src, len) || packedCount(src) != n) return false;
  if (first < -TIME_MAX || last > TIME_MAX) return false;
  const times = scratch + TIMES;
  const columns = src + <usize>PACKED_HEADER_BYTES;
  if (!timesDecode(columns, columns + <usize>load<u16>(src, 2), n, times)) return false;
  const end = times + ((<usize>n) << 3) - 8;
  if (load<f64>(times) != <f64>first || load<f64>(end) != <f64>last) return false;
  for (let at = times; at < end; at += 8) if (!(load<f64>(at) < load<f64>(at, 8))) return false;
  return true;
}

/** The record of a chunk whose bytes were just found to be sound; 0: no memory. */
export function packedLoad(src: usize, len: u32, arena: u32, first: i64, last: i64): usize {
  const n = packedCount(src);
  const ofTimes = <u32>load<u16>(src, 2);
  const ofValues = len - PACKED_HEADER_BYTES - ofTimes;
  const columns = src + <usize>PACKED_HEADER_BYTES;
  timesBytes = ofTimes;
  let times: usize = 0;
  const isShared = n <= KEPT_SAMPLES_MAX;
  const slot = isShared ? sharedSlot(scratch + TIMES, n) : 0;
  if (
    isShared &&
    load<u32>(slot) == arena &&
    load<u32>(slot, 8) == ofTimes &&
    load<u32>(slot, 12) == n &&
    bytesAreEqual(<usize>load<u32>(slot, 4), columns, ofTimes)
  ) {
    times = <usize>load<u32>(slot, 4);
  } else {
    times = copyOf(arena, columns, ofTimes);
    if (times == 0) return 0;
    if (isShared) share(slot, arena, times, n);
  }
  const c = arenaTake(arena, (<u32>P_VALUES + ofValues + 15) >> 4);
  if (c == 0) return 0;
  fillRecord(c, arena, first, last, n, times, ofTimes, columns + ofTimes, ofValues, load<u8>(src, 4) != 0);
  return c;
}
