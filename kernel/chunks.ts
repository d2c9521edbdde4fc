import { CHUNK_UNORDERED } from '../src/chunk/head-chunk-flags';
import {
  HEAD_CHUNK_APPENDER_AT,
  HEAD_CHUNK_FLAGS_AT,
  HEAD_CHUNK_MAX_AT,
  HEAD_CHUNK_MIN_AT,
  HEAD_CHUNK_NEXT_AT,
} from '../src/wire/head-layout';
import {
  arenaDenied,
  arenaGive,
  arenaIsOpen,
  arenaOf,
  arenaTake,
  countChunk,
  countSample,
  nextSize,
  windowOf,
} from './arena';
import {
  foundTime,
  foundValue,
  isPacked,
  packChunk,
  packedArena,
  packedHolds,
  packedLast,
  packedSamples,
} from './packed-chunks';
import { S_APPENDER, S_ASIDE, S_CHUNKS, seriesRecord } from './series';
import {
  A_ARENA,
  A_BITS,
  A_CAPACITY,
  A_COUNT,
  A_DATA,
  A_LEAD,
  A_TIME,
  A_VALUE,
  APPEND_ROOM,
  APPENDER_BYTES,
  xorAppend,
  xorFirstTime,
} from './xor';

// The chunks of a series: the open one, whose appender is in the series' record, and a list of the others. Each belongs to the
// arena of its window. A chunk of the list that is CHUNK_UNORDERED holds samples in the order they came, and may grow; one that is packed
// has a record of its own (packed-chunks.ts).

/** Samples with which the open chunk is packed. One that ends with fewer is packed too, where it has PACKED_SAMPLES_MIN. */
const CUT_SAMPLES: u32 = 160;
const PACKED_SAMPLES_MIN: u32 = 16;
const SAMPLES_MAX: u32 = 65535;

let cutSamples: u32 = CUT_SAMPLES;
let packedSamplesMin: u32 = PACKED_SAMPLES_MIN;

/** Packs chunks of so many samples from now on; 0: none. */
export function headPacks(samples: u32): void {
  cutSamples = samples == 0 ? SAMPLES_MAX : samples;
  packedSamplesMin = samples == 0 ? SAMPLES_MAX : min(samples, PACKED_SAMPLES_MIN);
}

export const C_NEXT: usize = HEAD_CHUNK_NEXT_AT; // u32
export const C_FLAGS: usize = HEAD_CHUNK_FLAGS_AT; // u32: CHUNK_UNORDERED, PACKED_FLAGS
export const C_MIN: usize = HEAD_CHUNK_MIN_AT; // i64
export const C_MAX: usize = HEAD_CHUNK_MAX_AT; // i64
export const C_APPENDER: usize = HEAD_CHUNK_APPENDER_AT;
const CHUNK_UNITS: u32 = 5; // 80 bytes, of which 24 + 44 are used

// what append answers
export const APPENDED: i32 = 0;
export const HELD: i32 = 1; // the very same sample is there: success
export const OUT_OF_ORDER: i32 = 2;
export const DUPLICATE_TIME: i32 = 3;
export const TOO_OLD: i32 = 4;
export const NO_ROOM: i32 = 5; // the instance is full, or too many windows are open
export const WINDOW_DENIED: i32 = 6; // its tenant may begin no further window so far from now

/**
 * Appends one sample to a series.
 * @param lateFrom samples that are not in order are kept from this time on; i64.MAX_VALUE: none
 */
export function append(ref: u32, t: i64, v: u64, lateFrom: i64): i32 {
  const a = seriesRecord(ref) + S_APPENDER;
  const last = load<i64>(a, A_TIME);
  if (t > last) {
    const count = <u32>load<u16>(a, A_COUNT);
    if (count != 0) {
      if (arenaIsOpen(load<u32>(a, A_ARENA), windowOf(t))) {
        if (count >= cutSamples && cutOpen(ref)) return put(a, t, v);
        if (reserveRoom(a)) return put(a, t, v);
        if (nextSize(<u32>load<u16>(a, A_CAPACITY)) != 0) return NO_ROOM;
      }
      if (!closeOpen(ref)) return NO_ROOM;
    }
    const arena = arenaOf(t);
    if (arena == 0) return arenaDenied() ? WINDOW_DENIED : NO_ROOM;
    if (!begin(a, arena)) return NO_ROOM;
    return put(a, t, v);
  }
  if (t == last && v == load<u64>(a, A_VALUE)) return HELD;
  if (holds(ref, t, v)) return HELD;
  if (t < lateFrom) return t == last ? DUPLICATE_TIME : lateFrom == i64.MAX_VALUE ? OUT_OF_ORDER : TOO_OLD;
  if (t == last && lateFrom != i64.MIN_VALUE) return DUPLICATE_TIME;
  return appendLate(ref, t, v);
}

// @ts-ignore: decorator
@inline function put(a: usize, t: i64, v: u64): i32 {
  xorAppend(a, t, v);
  countSample(load<u32>(a, A_ARENA));
  return APPENDED;
}

/** Starts an empty chunk. */
function begin(a: usize, arena: u32): bool {
  if (arena == 0) return false;
  const units = nextSize(0);
  const data = arenaTake(arena, units);
  if (data == 0) return false;
  store<u32>(a, <u32>data, A_DATA);
  store<u32>(a, 16, A_BITS);
  store<u16>(a, 0, A_COUNT);
  store<u16>(a, <u16>units, A_CAPACITY);
  store<u32>(a, arena, A_ARENA);
  store<u8>(a, 255, A_LEAD);
  countChunk(arena);
  return true;
}

/**
 * A sample that JavaScript keeps is the newest of a series: the open chunk ends, since the next float does not follow on its last.
 * @param v what a float of the same time must be to be this sample
 */
export function sampleAside(ref: u32, t: i64, v: u64): bool {
  const r = seriesRecord(ref);
  const a = r + S_APPENDER;
  if (load<u16>(a, A_COUNT) != 0 && !closeOpen(ref)) return false;
  store<i64>(a, t, A_TIME);
  store<u64>(a, v, A_VALUE);
  store<u8>(r, 1, S_ASIDE);
  return true;
}

/** Makes room for one more sample; false where the chunk is as large as it gets or there is no memory. */
// @ts-ignore: decorator
@inline function reserveRoom(a: usize): bool {
  if (
    (load<u32>(a, A_BITS) >> 3) + APPEND_ROOM <= (<u32>load<u16>(a, A_CAPACITY)) << 4 &&
    load<u16>(a, A_COUNT) != 65535
  )
    return true;
  return growData(a);
}

function growData(a: usize): bool {
  if (load<u16>(a, A_COUNT) == 65535) return false;
  const units = <u32>load<u16>(a, A_CAPACITY);
  const more = nextSize(units);
  if (more == 0) return false;
  const arena = load<u32>(a, A_ARENA);
  const data = arenaTake(arena, more);
  if (data == 0) return false;
  const old = <usize>load<u32>(a, A_DATA);
  memory.copy(data, old, units << 4);
  arenaGive(arena, old, units);
  store<u32>(a, <u32>data, A_DATA);
  store<u16>(a, <u16>more, A_CAPACITY);
  return true;
}

/** Packs the open chunk, which begins anew where it is; false: it goes on as it is. */
function cutOpen(ref: u32): bool {
  const r = seriesRecord(ref);
  const a = r + S_APPENDER;
  const data = <usize>load<u32>(a, A_DATA);
  const c = packChunk(a, xorFirstTime(data), false);
  if (c == 0) return false;
  link(r, c);
  memory.fill(data, 0, (<u32>load<u16>(a, A_CAPACITY)) << 4);
  store<u32>(a, 16, A_BITS);
  store<u16>(a, 0, A_COUNT);
  store<u8>(a, 255, A_LEAD);
  countChunk(load<u32>(a, A_ARENA));
  return true;
}

/** Moves the open chunk to the list. */
function closeOpen(ref: u32): bool {
  const r = seriesRecord(ref);
  const a = r + S_APPENDER;
  const first = xorFirstTime(<usize>load<u32>(a, A_DATA));
  let c = <u32>load<u16>(a, A_COUNT) >= packedSamplesMin ? packChunk(a, first, true) : 0;
  if (c == 0) {
    c = newChunk(load<u32>(a, A_ARENA));
    if (c == 0) return false;
    store<u32>(c, 0, C_FLAGS);
    store<i64>(c, first, C_MIN);
    store<i64>(c, load<i64>(a, A_TIME), C_MAX);
    memory.copy(c + C_APPENDER, a, APPENDER_BYTES);
  }
  link(r, c);
  store<u32>(a, 0, A_DATA);
  store<u16>(a, 0, A_COUNT);
  store<u32>(a, 0, A_ARENA);
  return true;
}

/** The arena of a chunk of the list. */
// @ts-ignore: decorator
@inline export function chunkArena(c: usize): u32 {
  return isPacked(c) ? packedArena(c) : load<u32>(c + C_APPENDER, A_ARENA);
}

export function newChunk(arena: u32): usize {
  return arenaTake(arena, CHUNK_UNITS);
}

export function link(r: usize, c: usize): void {
  store<u32>(c, load<u32>(r, S_CHUNKS), C_NEXT);
  store<u32>(r, <u32>c, S_CHUNKS);
}

/** Appends where it does not matter what came before: to the late chunk of the sample's window. */
function appendLate(ref: u32, t: i64, v: u64): i32 {
  const r = seriesRecord(ref);
  const w = windowOf(t);
  let c = <usize>load<u32>(r, S_CHUNKS);
  for (; c != 0; c = <usize>load<u32>(c, C_NEXT)) {
    if ((load<u32>(c, C_FLAGS) & CHUNK_UNORDERED) != 0 && arenaIsOpen(load<u32>(c + C_APPENDER, A_ARENA), w)) {
      if (reserveRoom(c + C_APPENDER)) break;
      if (nextSize(<u32>load<u16>(c + C_APPENDER, A_CAPACITY)) != 0) return NO_ROOM;
    }
  }
  if (c == 0) {
    const arena = arenaOf(t);
    if (arena == 0) return arenaDenied() ? WINDOW_DENIED : NO_ROOM;
    c = newChunk(arena);
    if (c == 0 || !begin(c + C_APPENDER, arena)) return NO_ROOM;
    store<u32>(c, CHUNK_UNORDERED, C_FLAGS);
    store<i64>(c, t, C_MIN);
    store<i64>(c, t, C_MAX);
    link(r, c);
  }
  if (t < load<i64>(c, C_MIN)) store<i64>(c, t, C_MIN);
  if (t > load<i64>(c, C_MAX)) store<i64>(c, t, C_MAX);
  return put(c + C_APPENDER, t, v);
}

/** Whether a chunk of the series holds exactly this sample. */
function holds(ref: u32, t: i64, v: u64): bool {
  const r = seriesRecord(ref);
  const a = r + S_APPENDER;
  if (load<u16>(a, A_COUNT) != 0 && t >= xorFirstTime(<usize>load<u32>(a, A_DATA)) && dataHolds(a, t, v)) return true;
  for (let c = <usize>load<u32>(r, S_CHUNKS); c != 0; c = <usize>load<u32>(c, C_NEXT)) {
    if (t < load<i64>(c, C_MIN) || t > load<i64>(c, C_MAX)) continue;
    if (isPacked(c) ? packedHolds(c, t, v) : dataHolds(c + C_APPENDER, t, v)) return true;
  }
  return false;
}

/** Samples that `findNewest` may have looked at. */
export let walked: u32 = 0;

export function walkedStart(): void {
  walked = 0;
}

let newestTime: i64 = 0;
let newestValue: u64 = 0;

/** Whether the series has a sample in the range, both ends included, whose last one is not `stale`. */
export function lastInRange(ref: u32, from: i64, to: i64, stale: u64): bool {
  const r = seriesRecord(ref);
  const a = r + S_APPENDER;
  newestTime = i64.MIN_VALUE;
  if (load<u16>(a, A_COUNT) != 0 && load<i64>(a, A_TIME) >= from) {
    // the open chunk ends with the newest sample of all
    if (load<i64>(a, A_TIME) <= to) {
      newestTime = load<i64>(a, A_TIME);
      newestValue = load<u64>(a, A_VALUE);
    } else if (xorFirstTime(<usize>load<u32>(a, A_DATA)) <= to) findNewest(a, 0, to);
  }
  for (let c = <usize>load<u32>(r, S_CHUNKS); c != 0; c = <usize>load<u32>(c, C_NEXT)) {
    if (load<i64>(c, C_MAX) >= max(from, newestTime) && load<i64>(c, C_MIN) <= to) {
      if (isPacked(c)) {
        packedLast(c, to);
        walked += packedSamples(c);
        noteNewest(foundTime, foundValue);
      } else findNewest(c + C_APPENDER, load<u32>(c, C_FLAGS), to);
    }
  }
  return newestTime >= from && newestValue != stale;
}

/** Notes the last sample of a chunk up to `to`, where it goes before what was found: it is newer, or of the same time with larger bits. */
function findNewest(a: usize, flags: u32, to: i64): void {
  walkStart(a);
  const n = <u32>load<u16>(a, A_COUNT);
  walked += n;
  for (let i: u32 = 0; i < n; i++) {
    walkNext(i);
    if (walkTime > to) {
      if (flags & CHUNK_UNORDERED) continue;
      return;
    }
    noteNewest(walkTime, walkValue);
  }
}

// @ts-ignore: decorator
@inline function noteNewest(t: i64, v: u64): void {
  if (t > newestTime || (t == newestTime && v > newestValue)) {
    newestTime = t;
    newestValue = v;
  }
}

// walks a chunk that we wrote ourselves, sample by sample; times are kept as integers here
let walkTime: i64 = 0;
let walkValue: u64 = 0;

function dataHolds(a: usize, t: i64, v: u64): bool {
  walkStart(a);
  const n = <u32>load<u16>(a, A_COUNT);
  for (let i: u32 = 0; i < n; i++) {
    walkNext(i);
    if (walkTime == t && walkValue == v) return true;
  }
  return false;
}

let walkData: usize = 0;
let walkBits: u32 = 0;
let walkDelta: i64 = 0;
let walkSignificant: u32 = 0;
let walkTrail: u32 = 0;

function walkStart(a: usize): void {
  walkData = <usize>load<u32>(a, A_DATA);
  walkBits = 16;
}

function bitsAt(n: u32): u64 {
  const p = walkData + (walkBits >> 3);
  const used = walkBits & 7;
  let w = bswap<u64>(load<u64>(p)) << used;
  if (used + n > 64) w |= <u64>load<u8>(p, 8) >> (8 - used);
  walkBits += n;
  return w >> (64 - n);
}

function walkUvarint(): u64 {
  let n: u64 = 0;
  let shift: u64 = 0;
  let b: u64;
  do {
    b = bitsAt(8);
    n |= (b & 127) << shift;
    shift += 7;
  } while (b >= 128);
  return n;
}

function walkNext(i: u32): void {
  if (i == 0) {
    const n = walkUvarint();
    walkTime = <i64>(n >> 1) ^ -(<i64>(n & 1));
    walkValue = bitsAt(64);
    return;
  }
  if (i == 1) walkDelta = <i64>walkUvarint();
  else if (bitsAt(1) != 0) {
    if (bitsAt(1) == 0) walkDelta += signed(bitsAt(14), 14);
    else if (bitsAt(1) == 0) walkDelta += signed(bitsAt(17), 17);
    else if (bitsAt(1) == 0) walkDelta += signed(bitsAt(20), 20);
    else walkDelta += <i64>bitsAt(64);
  }
  walkTime += walkDelta;
  if (bitsAt(1) == 0) return;
  if (bitsAt(1) != 0) {
    const lead = <u32>bitsAt(5);
    walkSignificant = <u32>bitsAt(6);
    if (walkSignificant == 0) walkSignificant = 64;
    walkTrail = 64 - lead - walkSignificant;
  }
  walkValue ^= bitsAt(walkSignificant) << walkTrail;
}

function signed(x: u64, n: u32): i64 {
  return x > (<u64>1) << (n - 1) ? <i64>x - ((<i64>1) << n) : <i64>x;
}

/** Takes all chunks of an arena out of a series. What is newest stays known. Returns how many chunks are left. */
export function forgetChunks(ref: u32, arena: u32): u32 {
  const r = seriesRecord(ref);
  const a = r + S_APPENDER;
  let left: u32 = 0;
  if (load<u16>(a, A_COUNT) != 0) {
    if (load<u32>(a, A_ARENA) == arena) {
      store<u32>(a, 0, A_DATA);
      store<u16>(a, 0, A_COUNT);
      store<u32>(a, 0, A_ARENA);
    } else left++;
  }
  let link = r + S_CHUNKS;
  for (let c = <usize>load<u32>(link); c != 0; c = <usize>load<u32>(link)) {
    if (chunkArena(c) == arena) store<u32>(link, load<u32>(c, C_NEXT));
    else {
      link = c + C_NEXT;
      left++;
    }
  }
  return left;
}

/** Takes all chunks out of a series. */
export function forgetAllChunks(ref: u32): void {
  const r = seriesRecord(ref);
  const a = r + S_APPENDER;
  store<u32>(a, 0, A_DATA);
  store<u16>(a, 0, A_COUNT);
  store<u32>(a, 0, A_ARENA);
  store<u32>(r, 0, S_CHUNKS);
}
