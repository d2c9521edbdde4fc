import { CHUNK_UNORDERED, PACKED_FLAGS } from '../src/chunk/head-chunk-flags';
import { RUN_BYTES_MAX } from '../src/wire/head-layout';
import {
  CHUNK_BYTES_AT,
  CHUNK_FLAGS_AT,
  CHUNK_HEADER_BYTES,
  SERIES_BYTES_AT,
  SERIES_CHUNKS_AT,
  SERIES_HEADER_BYTES,
  SERIES_LABELS_BYTES_AT,
  SERIES_REF_AT,
} from '../src/wire/slice-layout';
import {
  ARENA_TABLE_BYTES,
  arenaCount,
  arenaExists,
  arenaInit,
  arenaOf,
  arenaTake,
  countChunk,
  countSamples,
  arenaDrop as giveArena,
  nextSize,
} from './arena';
import {
  C_APPENDER,
  C_FLAGS,
  C_MAX,
  C_MIN,
  C_NEXT,
  chunkArena,
  forgetChunks,
  link,
  newChunk,
  sampleAside,
} from './chunks';
import { reserve } from './memory';
import {
  forgetShared,
  isPacked,
  packedAsXor,
  packedBytes,
  packedCopy,
  packedIsSound,
  packedLoad,
  packedSamples,
  xorBytes,
} from './packed-chunks';
import { pairsInit } from './pairs';
import {
  labelsAreWhole,
  S_APPENDER,
  S_CHUNKS,
  S_LABELS,
  S_METRIC_HASH,
  S_STATE,
  S_TENANT,
  seriesFind,
  seriesInit,
  seriesIsLive,
  seriesLabels,
  seriesMake,
  seriesPair,
  seriesRecord,
  seriesTop,
  tenantExists,
} from './series';
import {
  A_ARENA,
  A_BITS,
  A_CAPACITY,
  A_COUNT,
  A_DATA,
  A_DELTA,
  A_LEAD,
  A_TIME,
  A_TRAIL,
  A_VALUE,
  xorFirstTime,
} from './xor';

export {
  arenaChunks,
  arenaCount,
  arenaDenied,
  arenaExists,
  arenaMake,
  arenaPages,
  arenaSamples,
  arenaSeal,
  arenaSealed,
  arenaWindow,
  countSamples,
} from './arena';
export { headPacks } from './chunks';
export { pagesUsed } from './pages';
export { pairBytes, pairFind, pairLen, pairName, pairNameLen, pairTop } from './pairs';
export {
  seriesDirectory,
  seriesFind,
  seriesIsLive,
  seriesLabels,
  seriesLastTime,
  seriesLive,
  seriesMetric,
  seriesMetricHash,
  seriesParts,
  seriesTenant,
  seriesTop,
  tenantDrop,
  tenantInit,
} from './series';

/** Begins an empty head. `secrets`: 24 random bytes; the last 16 are what series' keys are made with. False when there is no memory. */
export function headInit(windowMs: f64, secrets: usize): bool {
  const arenas = reserve(ARENA_TABLE_BYTES);
  if (arenas == 0) return false;
  memory.fill(arenas, 0, ARENA_TABLE_BYTES);
  arenaInit(arenas, <i64>windowMs);
  return pairsInit(load<u64>(secrets)) && seriesInit(secrets + 8);
}

// ---- what JavaScript keeps of a series: its times count, its chunks are elsewhere

/** Gives the memory of an arena back. No series may point into it any more. */
export function arenaDrop(id: u32): void {
  forgetShared(id);
  giveArena(id);
}

/** The open arena of the window of `t`; 0: the instance is full, or too many windows are open. */
export function arenaFor(t: f64): u32 {
  return arenaOf(<i64>t);
}

/** See sampleAside. */
export function seriesAside(ref: u32, t: f64, high: u32, low: u32): bool {
  return sampleAside(ref, <i64>t, ((<u64>high) << 32) | <u64>low);
}

/** Whether the value of the newest sample has these bits. */
export function seriesLastIs(ref: u32, high: u32, low: u32): bool {
  return load<u64>(seriesRecord(ref), S_APPENDER + A_VALUE) == (((<u64>high) << 32) | <u64>low);
}

// ---- matching: a verdict for each pair id, made when a pair is first met

export const UNKNOWN: u8 = 0;
export const MATCHES: u8 = 1;
export const DIFFERS: u8 = 2;
const ASKED: u8 = 3;

/**
 * Writes the pair ids named `name` that series of `refs` have and that no verdict stands for yet; they are marked as asked.
 * Returns how many.
 */
export function collectPairs(refs: usize, count: u32, name: u32, verdicts: usize, out: usize): u32 {
  let n: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const id = seriesPair(load<u32>(refs + ((<usize>i) << 2)), name);
    if (id < 0) continue;
    if (load<u8>(verdicts + <usize>id) == UNKNOWN) {
      store<u8>(verdicts + <usize>id, ASKED);
      store<u32>(out + (usize(n++) << 2), id);
    }
  }
  return n;
}

/** Keeps of `refs` those whose pair of this name has the verdict MATCHES; what lacks the label is kept for `missing`. */
export function filterRefs(refs: usize, count: u32, name: u32, verdicts: usize, missing: bool): u32 {
  let n: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const ref = load<u32>(refs + ((<usize>i) << 2));
    const id = seriesPair(ref, name);
    if (id < 0 ? missing : load<u8>(verdicts + <usize>id) == MATCHES) store<u32>(refs + (usize(n++) << 2), ref);
  }
  return n;
}

/** Marks every pair that a series of `refs` has with a 1. */
export function markPairs(refs: usize, count: u32, marks: usize): void {
  for (let i: u32 = 0; i < count; i++) {
    const list = <usize>load<u32>(seriesRecord(load<u32>(refs + ((<usize>i) << 2))), 64);
    const end = list + 4 + ((<usize>load<u32>(list)) << 2);
    for (let p = list + 4; p < end; p += 4) store<u8>(marks + load<u32>(p), 1);
  }
}

let tallied: u32 = 0;
let tallyFrom: i64 = i64.MAX_VALUE;
let tallyTo: i64 = i64.MIN_VALUE;

/** The tally of `tallySeries` begins here, at nothing. */
export function tallyStart(): void {
  tallied = 0;
  tallyFrom = i64.MAX_VALUE;
  tallyTo = i64.MIN_VALUE;
}

/** Adds one to the count (u32) of every pair that a series of `refs` has, and looks at their chunks. Refs without series are passed by. */
export function tallySeries(refs: usize, count: u32, counts: usize): void {
  for (let i: u32 = 0; i < count; i++) {
    const r = seriesRecord(load<u32>(refs + ((<usize>i) << 2)));
    if (load<u8>(r, S_STATE) == 0) continue;
    const list = <usize>load<u32>(r, S_LABELS);
    const end = list + 4 + ((<usize>load<u32>(list)) << 2);
    for (let p = list + 4; p < end; p += 4) {
      const at = counts + ((<usize>load<u32>(p)) << 2);
      store<u32>(at, load<u32>(at) + 1);
    }
    const a = r + S_APPENDER;
    if (load<u16>(a, A_COUNT) != 0) tallyChunk(xorFirstTime(<usize>load<u32>(a, A_DATA)), load<i64>(a, A_TIME));
    for (let c = <usize>load<u32>(r, S_CHUNKS); c != 0; c = <usize>load<u32>(c, C_NEXT))
      tallyChunk(load<i64>(c, C_MIN), load<i64>(c, C_MAX));
  }
}

function tallyChunk(from: i64, to: i64): void {
  tallied++;
  if (from < tallyFrom) tallyFrom = from;
  if (to > tallyTo) tallyTo = to;
}

export function tallyChunks(): u32 {
  return tallied;
}

/** Their first sample; only where there are chunks. */
export function tallyMin(): f64 {
  return <f64>tallyFrom;
}

export function tallyMax(): f64 {
  return <f64>tallyTo;
}

/**
 * For how long series of `refs` have samples in a range, ms, all together: each chunk for its part of the range, and at most for `spacing` ms
 * a sample, as if they were spread evenly. Refs without series are passed by.
 */
export function coveredTime(refs: usize, count: u32, from: f64, to: f64, spacing: f64): f64 {
  let sum: f64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const r = seriesRecord(load<u32>(refs + ((<usize>i) << 2)));
    if (load<u8>(r, S_STATE) == 0) continue;
    const a = r + S_APPENDER;
    const n = <u32>load<u16>(a, A_COUNT);
    if (n != 0) sum += covered(xorFirstTime(<usize>load<u32>(a, A_DATA)), load<i64>(a, A_TIME), n, from, to, spacing);
    for (let c = <usize>load<u32>(r, S_CHUNKS); c != 0; c = <usize>load<u32>(c, C_NEXT)) {
      const samples = isPacked(c) ? packedSamples(c) : <u32>load<u16>(c + C_APPENDER, A_COUNT);
      sum += covered(load<i64>(c, C_MIN), load<i64>(c, C_MAX), samples, from, to, spacing);
    }
  }
  return sum;
}

function covered(first: i64, last: i64, samples: u32, from: f64, to: f64, spacing: f64): f64 {
  const seen = min(<f64>last, to) - max(<f64>first, from);
  if (!(seen > 0)) return 0;
  return min(seen, (<f64>samples * spacing * seen) / <f64>(last - first));
}

/** Keeps of `refs` the series that have a chunk which touches the range. */
export function filterTime(refs: usize, count: u32, from: f64, to: f64): u32 {
  let n: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const ref = load<u32>(refs + ((<usize>i) << 2));
    if (hasChunk(ref, <i64>from, <i64>to)) store<u32>(refs + (usize(n++) << 2), ref);
  }
  return n;
}

function hasChunk(ref: u32, from: i64, to: i64): bool {
  const r = seriesRecord(ref);
  const a = r + S_APPENDER;
  if (load<u16>(a, A_COUNT) != 0 && load<i64>(a, A_TIME) >= from && xorFirstTime(<usize>load<u32>(a, A_DATA)) <= to)
    return true;
  for (let c = <usize>load<u32>(r, S_CHUNKS); c != 0; c = <usize>load<u32>(c, C_NEXT)) {
    if (load<i64>(c, C_MAX) >= from && load<i64>(c, C_MIN) <= to) return true;
  }
  return false;
}

// ---- export: a series and its chunks, for queries and flush (docs/formats/slices.md)

export const EXPORT_FULL: i32 = -1;

/**
 * Writes a series with its chunks that touch the range, of one arena or, for 0, of all. Returns the bytes written, 0 where there
 * is no such chunk, EXPORT_FULL where `capacity` is too small.
 * @param packed whether its reader knows packed chunks; else they are written as XOR
 */
export function exportSeries(ref: u32, from: f64, to: f64, arena: u32, packed: bool, out: usize, capacity: u32): i32 {
  const r = seriesRecord(ref);
  const a = r + S_APPENDER;
  const min = <i64>from;
  const max = <i64>to;
  if (capacity < <u32>SERIES_HEADER_BYTES) return EXPORT_FULL;
  let o: usize = 0;
  let chunks: u32 = 0;
  let runArena: u32 = 0;
  let runBytes: u32 = 0;
  const end = out + capacity;
  if (
    load<u16>(a, A_COUNT) != 0 &&
    (arena == 0 || load<u32>(a, A_ARENA) == arena) &&
    load<i64>(a, A_TIME) >= min &&
    xorFirstTime(<usize>load<u32>(a, A_DATA)) <= max
  ) {
    o = beginExport(ref, out, capacity);
    if (o == 0) return EXPORT_FULL;
    o = exportChunk(a, 0, o, end);
    if (o == 0) return EXPORT_FULL;
    chunks = 1;
    runArena = load<u32>(a, A_ARENA);
    runBytes = (load<u32>(a, A_BITS) + 7) >> 3;
  }
  for (let c = <usize>load<u32>(r, S_CHUNKS); c != 0; c = <usize>load<u32>(c, C_NEXT)) {
    if ((arena != 0 && chunkArena(c) != arena) || load<i64>(c, C_MAX) < min || load<i64>(c, C_MIN) > max) continue;
    if (chunks == 0) {
      o = beginExport(ref, out, capacity);
      if (o == 0) return EXPORT_FULL;
    }
    const isCut = isPacked(c);
    const began = o;
    o = isCut ? exportPacked(c, packed, o, end) : exportChunk(c + C_APPENDER, load<u32>(c, C_FLAGS), o, end);
    if (o == 0) return EXPORT_FULL;
    // limits count what would be one chunk, had it not been cut
    const bytes = <u32>(o - began);
    if (isCut && chunkArena(c) == runArena && runBytes + bytes <= <u32>RUN_BYTES_MAX) {
      runBytes += bytes;
      continue;
    }
    chunks++;
    if ((load<u32>(c, C_FLAGS) & CHUNK_UNORDERED) != 0) continue;
    runArena = chunkArena(c);
    runBytes = bytes;
  }
  if (chunks == 0) return 0;
  store<u32>(out, <u32>(o - out), SERIES_BYTES_AT);
  store<u32>(out, chunks, SERIES_CHUNKS_AT);
  store<u32>(out, ref, SERIES_REF_AT);
  return <i32>(o - out);
}

function beginExport(ref: u32, out: usize, capacity: u32): usize {
  const len = seriesLabels(ref, out + SERIES_HEADER_BYTES, capacity - SERIES_HEADER_BYTES);
  if (len == 0) return 0;
  store<u32>(out, len, SERIES_LABELS_BYTES_AT);
  const end = out + SERIES_HEADER_BYTES + len;
  const next = (end + 7) & ~7;
  if (next > out + capacity) return 0;
  // what lay there before is nobody's business
  memory.fill(end, 0, next - end);
  return next;
}

function exportChunk(a: usize, flags: u32, o: usize, end: usize): usize {
  const bytes = (load<u32>(a, A_BITS) + 7) >> 3;
  const data = o + CHUNK_HEADER_BYTES;
  const next = (data + bytes + 7) & ~7;
  if (next > end) return 0;
  store<u32>(o, bytes, CHUNK_BYTES_AT);
  store<u32>(o, flags & CHUNK_UNORDERED, CHUNK_FLAGS_AT);
  store<u64>(next - 8, 0);
  memory.copy(data, <usize>load<u32>(a, A_DATA), bytes);
  const n = load<u16>(a, A_COUNT);
  store<u8>(data, <u8>(n >> 8));
  store<u8>(data, <u8>n, 1);
  return next;
}

function exportPacked(c: usize, packed: bool, o: usize, end: usize): usize {
  let xor: usize = 0;
  let bytes = packedBytes(c);
  if (!packed) {
    xor = packedAsXor(c);
    bytes = xorBytes;
  }
  const data = o + CHUNK_HEADER_BYTES;
  const next = (data + bytes + 7) & ~7;
  if (next > end) return 0;
  store<u32>(o, bytes, CHUNK_BYTES_AT);
  store<u32>(o, packed ? PACKED_FLAGS : 0, CHUNK_FLAGS_AT);
  store<u64>(next - 8, 0);
  if (packed) packedCopy(c, data);
  else memory.copy(data, xor, bytes);
  return next;
}

/** Writes the refs in [from, to) that have a chunk in the arena. Returns how many. */
export function refsOfArena(arena: u32, from: u32, to: u32, out: usize): u32 {
  let n: u32 = 0;
  const end = min(to, seriesTop());
  for (let ref = from; ref < end; ref++) {
    if (isOfArena(ref, arena)) store<u32>(out + (usize(n++) << 2), ref);
  }
  return n;
}

/** For each ref: u32 whether it has a chunk in the arena. */
export function markOfArena(refs: usize, count: u32, arena: u32, marks: usize): void {
  for (let i: u32 = 0; i < count; i++) {
    const at = (<usize>i) << 2;
    store<u32>(marks + at, u32(isOfArena(load<u32>(refs + at), arena)));
  }
}

function isOfArena(ref: u32, arena: u32): bool {
  const r = seriesRecord(ref);
  if (load<u8>(r, S_STATE) == 0) return false;
  const a = r + S_APPENDER;
  if (load<u16>(a, A_COUNT) != 0 && load<u32>(a, A_ARENA) == arena) return true;
  for (let c = <usize>load<u32>(r, S_CHUNKS); c != 0; c = <usize>load<u32>(c, C_NEXT)) {
    if (chunkArena(c) == arena) return true;
  }
  return false;
}

/** Takes an arena's chunks out of the series in [from, to); writes the refs that hold no chunk any more and returns how many. */
export function forgetArena(arena: u32, from: u32, to: u32, out: usize): u32 {
  let n: u32 = 0;
  const end = min(to, seriesTop());
  for (let ref = from; ref < end; ref++) {
    if (load<u8>(seriesRecord(ref), S_STATE) != 0 && forgetChunks(ref, arena) == 0)
      store<u32>(out + (usize(n++) << 2), ref);
  }
  return n;
}

// ---- checkpoint: a series as it stands, so that a log need not be replayed from its beginning
//
//   u32 bytes in all · u32 ref · u32 tenant · u32 metric hash · u32 bytes of labels · u32 chunks · i64 newest time · u64 newest value
//   canonical labels; then per chunk: u32 arena · u32 bytes · u32 bits · u16 count · u8 lead · u8 trail · u8 kind (0 open, 1 closed,
//   2 late, 3 packed) · 3 zero · i64 first, last (least, greatest) time · appender's time, value, delta (i64, u64, i64; of a packed chunk
//   0, as bits, lead and trail) · data

const SAVED_HEAD: u32 = 40;
const SAVED_CHUNK: u32 = 60;

/** Chunks of a part that does not begin its series: it is saved without labels, and its chunks follow those before it. */
const SAVED_MORE: u32 = 0x80000000;

let savedTo: u32 = 0;
/** How many of its chunks are saved, of the series saved last; 0: all. */
export function savedChunks(): u32 {
  return savedTo;
}

/**
 * Returns the bytes written, or EXPORT_FULL. The ref must be live.
 * @param skip chunks that earlier parts have
 * @param inParts where not all chunks fit, those that do are written, at least one; savedChunks says how far that goes
 */
export function saveSeries(ref: u32, skip: u32, inParts: bool, out: usize, capacity: u32): i32 {
  if (capacity < SAVED_HEAD) return EXPORT_FULL;
  const r = seriesRecord(ref);
  const a = r + S_APPENDER;
  let len: u32 = 0;
  if (skip == 0) {
    len = seriesLabels(ref, out + SAVED_HEAD, capacity - SAVED_HEAD);
    if (len == 0) return EXPORT_FULL;
  }
  const end = out + capacity;
  let o = out + SAVED_HEAD + len;
  let i: u32 = 0; // of the chunk
  let next: usize = 0;
  savedTo = 0;
  // oldest first would need the list turned round; loadSeries does that
  if (load<u16>(a, A_COUNT) != 0) {
    if (i++ >= skip) {
      o = saveChunk(a, 0, xorFirstTime(<usize>load<u32>(a, A_DATA)), load<i64>(a, A_TIME), o, end);
      if (o == 0) return EXPORT_FULL;
    }
  }
  for (let c = <usize>load<u32>(r, S_CHUNKS); c != 0; c = <usize>load<u32>(c, C_NEXT)) {
    if (i++ < skip) continue;
    if (isPacked(c)) next = savePacked(c, o, end);
    else {
      const kind: u8 = (load<u32>(c, C_FLAGS) & CHUNK_UNORDERED) != 0 ? 2 : 1;
      next = saveChunk(c + C_APPENDER, kind, load<i64>(c, C_MIN), load<i64>(c, C_MAX), o, end);
    }
    if (next == 0) {
      if (!inParts || i - 1 == skip) return EXPORT_FULL;
      savedTo = --i;
      break;
    }
    o = next;
  }
  store<u32>(out, <u32>(o - out));
  store<u32>(out, ref, 4);
  store<u32>(out, load<u32>(r, S_TENANT), 8);
  store<u32>(out, load<u32>(r, S_METRIC_HASH), 12);
  store<u32>(out, len, 16);
  store<u32>(out, (i - skip) | (skip == 0 ? 0 : SAVED_MORE), 20);
  store<i64>(out, load<i64>(a, A_TIME), 24);
  store<u64>(out, load<u64>(a, A_VALUE), 32);
  return <i32>(o - out);
}

function saveChunk(a: usize, kind: u8, first: i64, last: i64, o: usize, end: usize): usize {
  const bits = load<u32>(a, A_BITS);
  const bytes = (bits + 7) >> 3;
  if (o + SAVED_CHUNK + bytes > end) return 0;
  store<u32>(o, load<u32>(a, A_ARENA));
  store<u32>(o, bytes, 4);
  store<u32>(o, bits, 8);
  store<u16>(o, load<u16>(a, A_COUNT), 12);
  store<u8>(o, load<u8>(a, A_LEAD), 14);
  store<u8>(o, load<u8>(a, A_TRAIL), 15);
  store<u32>(o, kind, 16);
  store<i64>(o, first, 20);
  store<i64>(o, last, 28);
  store<i64>(o, load<i64>(a, A_TIME), 36);
  store<u64>(o, load<u64>(a, A_VALUE), 44);
  store<i64>(o, load<i64>(a, A_DELTA), 52);
  memory.copy(o + SAVED_CHUNK, <usize>load<u32>(a, A_DATA), bytes);
  return o + SAVED_CHUNK + bytes;
}

const KIND_PACKED: u32 = 3;

function savePacked(c: usize, o: usize, end: usize): usize {
  const bytes = packedBytes(c);
  const data = o + SAVED_CHUNK;
  if (data + bytes > end) return 0;
  memory.fill(o, 0, SAVED_CHUNK);
  store<u32>(o, chunkArena(c));
  store<u32>(o, bytes, 4);
  store<u16>(o, <u16>packedSamples(c), 12);
  store<u32>(o, KIND_PACKED, 16);
  store<i64>(o, load<i64>(c, C_MIN), 20);
  store<i64>(o, load<i64>(c, C_MAX), 28);
  packedCopy(c, data);
  return data + bytes;
}

export const LOAD_CORRUPT: i32 = -1;
export const LOAD_FULL: i32 = -2;
/** The tenant of the series, or the part that begins it, was lost: the caller goes on behind its bytes. */
export const LOAD_ALONE: i32 = -3;

/** First time, first value: no chunk is shorter. */
const CHUNK_BITS_MIN: u32 = 16 + 8 + 64;

/** Loads one saved series; its arenas exist. Returns its bytes, or what is wrong. */
export function loadSeries(src: usize, len: u32): i32 {
  if (len < SAVED_HEAD) return LOAD_CORRUPT;
  const bytes = load<u32>(src);
  const ref = load<u32>(src, 4);
  const tenant = load<u32>(src, 8);
  const labelsLen = load<u32>(src, 16);
  const more = (load<u32>(src, 20) & SAVED_MORE) != 0;
  const chunks = load<u32>(src, 20) & ~SAVED_MORE;
  if (bytes > len || bytes < SAVED_HEAD || labelsLen > bytes - SAVED_HEAD || ref > 0xffffff) return LOAD_CORRUPT;
  const labels = src + SAVED_HEAD;
  let last: usize = 0;
  if (more) {
    if (!seriesIsLive(ref)) return LOAD_ALONE;
    if (labelsLen != 0 || load<u32>(seriesRecord(ref), S_TENANT) != tenant) return LOAD_CORRUPT;
    for (let c = <usize>load<u32>(seriesRecord(ref), S_CHUNKS); c != 0; c = <usize>load<u32>(c, C_NEXT)) last = c;
  } else {
    if (seriesIsLive(ref) || !labelsAreWhole(labels, labelsLen)) return LOAD_CORRUPT;
    if (!tenantExists(tenant)) return LOAD_ALONE;
    if (seriesFind(tenant, labels, labelsLen) >= 0) return LOAD_CORRUPT;
    if (seriesMake(ref, tenant, labels, labelsLen, load<u32>(src, 12)) < 0) return LOAD_FULL;
  }
  const r = seriesRecord(ref);
  const end = src + bytes;
  let p = labels + labelsLen;
  for (let i: u32 = 0; i < chunks; i++) {
    if (p + SAVED_CHUNK > end) return LOAD_CORRUPT;
    const n = load<u32>(p, 4);
    if (n > <u32>(end - p) - SAVED_CHUNK) return LOAD_CORRUPT;
    const kind = load<u32>(p, 16);
    const arena = load<u32>(p);
    if (arena == 0 || arena >= arenaCount() || !arenaExists(arena) || kind > KIND_PACKED) return LOAD_CORRUPT;
    if (kind == KIND_PACKED) {
      const firstMs = load<i64>(p, 20);
      const lastMs = load<i64>(p, 28);
      if (!packedIsSound(p + SAVED_CHUNK, n, <u32>load<u16>(p, 12), firstMs, lastMs)) return LOAD_CORRUPT;
      const c = packedLoad(p + SAVED_CHUNK, n, arena, firstMs, lastMs);
      if (c == 0) return LOAD_FULL;
      last = linkBehind(r, c, last);
      countChunk(arena);
      countSamples(arena, <u32>load<u16>(p, 12));
      p += SAVED_CHUNK + n;
      continue;
    }
    const bits = load<u32>(p, 8);
    if (n > 8192 || bits < CHUNK_BITS_MIN || bits > 65536 || n != (bits + 7) >> 3) return LOAD_CORRUPT;
    let a = r + S_APPENDER;
    // there is one open chunk, and it is the first
    if (kind == 0 && (more || i > 0)) return LOAD_CORRUPT;
    if (kind != 0) {
      const c = newChunk(arena);
      if (c == 0) return LOAD_FULL;
      store<u32>(c, kind == 2 ? CHUNK_UNORDERED : 0, C_FLAGS);
      store<i64>(c, load<i64>(p, 20), C_MIN);
      store<i64>(c, load<i64>(p, 28), C_MAX);
      last = linkBehind(r, c, last);
      a = c + C_APPENDER;
    }
    // as much room as the chunk would have had, so that it goes on as before
    const units = roomFor(n);
    const data = arenaTake(arena, units);
    if (data == 0) return LOAD_FULL;
    memory.copy(data, p + SAVED_CHUNK, n);
    store<u32>(a, <u32>data, A_DATA);
    store<u32>(a, bits, A_BITS);
    store<u16>(a, load<u16>(p, 12), A_COUNT);
    store<u16>(a, <u16>units, A_CAPACITY);
    store<u32>(a, arena, A_ARENA);
    store<u8>(a, load<u8>(p, 14), A_LEAD);
    store<u8>(a, load<u8>(p, 15), A_TRAIL);
    store<i64>(a, load<i64>(p, 36), A_TIME);
    store<u64>(a, load<u64>(p, 44), A_VALUE);
    store<i64>(a, load<i64>(p, 52), A_DELTA);
    countChunk(arena);
    countSamples(arena, <u32>load<u16>(p, 12));
    p += SAVED_CHUNK + n;
  }
  store<i64>(r + S_APPENDER, load<i64>(src, 24), A_TIME);
  store<u64>(r + S_APPENDER, load<u64>(src, 32), A_VALUE);
  return <i32>bytes;
}

/** Puts a chunk behind the one before it (0: it is the first), so that the order of the list stays. */
function linkBehind(r: usize, c: usize, last: usize): usize {
  store<u32>(c, 0, C_NEXT);
  if (last == 0) link(r, c);
  else store<u32>(last, <u32>c, C_NEXT);
  return c;
}

function roomFor(bytes: u32): u32 {
  let units = nextSize(0);
  while (units << 4 < bytes) {
    const more = nextSize(units);
    if (more == 0) break;
    units = more;
  }
  return units;
}
