import { PACKED_HEADER_BYTES as HEADER_BYTES } from '../src/wire/head-layout';
import { BITS_DELTA2, CODEC_MASK, CONSTANT, DELTA, DELTA2_ZIGZAG, EXCEPTIONS, EXPONENT_MAX } from './cold-codec';
import { coldDecode, skipExceptions } from './cold-decode';
import { COLD_SPECIAL, coldEncode, coldPlanes } from './cold-encode';
import { reserve } from './memory';
import { XOR_CORRUPT, XOR_STALE } from './xor';

// Packed chunks: samples in order as two columns of the cold encoding, times and values (docs/formats/chunk-encodings.md). A column stands
// alone here: its lengths follow from what is in it.

/** Samples of a packed chunk at most. */
export const PACKED_SAMPLES_MAX: u32 = 1024;
/** u16 samples, highest byte first, as in XOR · u16 bytes of the times · u8 flags; the columns follow. */
export const PACKED_HEADER_BYTES: u32 = HEADER_BYTES;
/** f64 first value · u8 codec · u8 exponent · u8 shift */
const COLUMN_HEADER_BYTES: usize = 11;
/** Doubles behind the last that decoding a column may write. */
export const PACKED_SLACK: u32 = 40;
const STALE_BITS: u64 = 0x7ff0000000000002;

// ---- working memory, reserved when the first column is met

const SAMPLES: usize = <usize>PACKED_SAMPLES_MAX;
const BLOCKS: usize = SAMPLES / 32 + 1;
// the encoder's state (cold-encode.ts), then what its fields point to
const WIDTHS: usize = 48 + 48;
const PACKED: usize = WIDTHS + 64;
const BITMAP: usize = PACKED + 256 * BLOCKS;
const CHANGES: usize = BITMAP + SAMPLES / 8 + 16;
const EXCEPTION_LIST: usize = CHANGES + 8 * SAMPLES;
const SCRATCH: usize = EXCEPTION_LIST + 13 * SAMPLES + 16;
const DESCRIPTOR: usize = SCRATCH + 8 * SAMPLES + 256;
const WORK_BYTES: usize = DESCRIPTOR + 32;

let work: usize = 0;

function isReady(): bool {
  if (work == 0) work = reserve(<u32>WORK_BYTES);
  return work != 0;
}

/** Flags that coldEncode gave the column that was encoded last. */
let flagsOfColumn: u32 = 0;

/** A column with a stale marker or another NaN. */
export function columnIsSpecial(): bool {
  return (flagsOfColumn & COLD_SPECIAL) != 0;
}

/** Bytes of a column of `n` values at most. */
// @ts-ignore: decorator
@inline export function columnRoom(n: u32): u32 {
  return 272 + 12 * n;
}

/** Writes the `n` values (1 … PACKED_SAMPLES_MAX) as a column, which takes `columnRoom` at most. Returns its bytes; 0: no memory. */
export function columnEncode(values: usize, n: u32, out: usize): u32 {
  if (!isReady()) return 0;
  const kinds = work + 48;
  store<u32>(work, <u32>kinds);
  store<u32>(work, <u32>kinds + 16, 4);
  store<u32>(work, <u32>kinds + 32, 8);
  store<u32>(work, <u32>(work + WIDTHS), 12);
  store<u32>(work, <u32>(work + PACKED), 16);
  store<u32>(work, <u32>(work + BITMAP), 20);
  store<u32>(work, <u32>(work + CHANGES), 24);
  store<u32>(work, <u32>(work + EXCEPTION_LIST), 28);
  store<u32>(work, <u32>(work + SCRATCH), 32);
  flagsOfColumn = coldEncode(work, values, n);
  store<u64>(out, load<u64>(values));
  store<u8>(out, load<u8>(kinds), 8);
  store<u8>(out, load<u8>(kinds, 16), 9);
  store<u8>(out, load<u8>(kinds, 32), 10);
  let to = out + COLUMN_HEADER_BYTES;
  to = copied(work + WIDTHS, load<u32>(work, 12), to);
  to = copied(work + PACKED, load<u32>(work, 16), to);
  to = copied(work + BITMAP, load<u32>(work, 20), to);
  const changes = (load<u32>(work, 24) - <u32>(work + CHANGES)) >> 3;
  coldPlanes(work + CHANGES, changes, to);
  to = copied(work + EXCEPTION_LIST, load<u32>(work, 28), to + ((<usize>changes) << 3));
  return <u32>(to - out);
}

function copied(from: usize, end: u32, to: usize): usize {
  const bytes = <usize>end - from;
  memory.copy(to, from, bytes);
  return to + bytes;
}

/** The planes of the column that was described last, and how many values are in them. */
let planes: usize = 0;
let changes: u32 = 0;

/** Looks at a column that begins at `p`, and describes it for coldDecode. Returns where it ends; 0: it is none. */
function describe(p: usize, end: usize, n: u32): usize {
  if (p > end || end - p < COLUMN_HEADER_BYTES) return 0;
  const kind = <u32>load<u8>(p, 8);
  const exponent = <u32>load<u8>(p, 9);
  const shift = <u32>load<u8>(p, 10);
  const codec = kind & CODEC_MASK;
  if (codec > BITS_DELTA2 || (kind & ~(CODEC_MASK | EXCEPTIONS)) != 0) return 0;
  if (exponent > EXPONENT_MAX || shift > 63) return 0;
  const descriptor = work + DESCRIPTOR;
  store<u8>(descriptor, <u8>kind);
  store<u8>(descriptor, <u8>exponent, 1);
  store<u8>(descriptor, <u8>shift, 2);
  store<u32>(descriptor, n, 4);
  store<u32>(descriptor, 0, 20);
  changes = 0;
  let at = p + COLUMN_HEADER_BYTES;
  if (codec >= DELTA && codec <= DELTA2_ZIGZAG) {
    const packed = at + <usize>((n + 30) >> 5);
    if (packed > end) return 0;
    store<u32>(descriptor, <u32>at, 8);
    store<u32>(descriptor, <u32>packed, 12);
    let size: usize = 0;
    for (; at < packed; at++) {
      const width = <usize>load<u8>(at);
      if (width > 56 && width != 64) return 0;
      size += width << 2;
    }
    at += size;
    if (at > end) return 0;
    if ((kind & EXCEPTIONS) != 0) {
      store<u32>(descriptor, <u32>at, 24);
      at = skipExceptions(at, end, n);
    }
    return at;
  }
  if (kind != codec || exponent != 0 || shift != 0) return 0;
  if (codec == CONSTANT) return at;
  planes = at + <usize>((n + 7) >> 3);
  if (planes > end) return 0;
  store<u32>(descriptor, <u32>at, 16);
  // the first value has none before it, and behind the last there is nothing
  if ((load<u8>(at) & 1) != 0) return 0;
  if ((n & 7) != 0 && <u32>load<u8>(planes - 1) >> (n & 7) != 0) return 0;
  for (; at < planes; at++) changes += popcnt<u32>(load<u8>(at));
  at += (<usize>changes) << 3;
  return at > end ? 0 : at;
}

/** Whether [p, end) is a column of `n` values. */
export function columnIsWhole(p: usize, end: usize, n: u32): bool {
  return isReady() && n > 0 && n <= PACKED_SAMPLES_MAX && describe(p, end, n) == end;
}

/** Decodes the column at [p, end) into `n` doubles and up to PACKED_SLACK more; false: it is none. 64 bytes behind it may be read. */
export function columnDecode(p: usize, end: usize, n: u32, out: usize): bool {
  if (!columnIsWhole(p, end, n)) return false;
  coldDecode(work + DESCRIPTOR, p, planes, changes, 0, n, out, work + SCRATCH, 0);
  return true;
}

// ---- times that were decoded last: series of one target share them

const KEPT_SLOTS: usize = 128;
const KEPT_ENCODED_MAX: usize = 368;
export const KEPT_SAMPLES_MAX: u32 = 160;
/** u32 bytes · u32 samples · 8 unused · the column · its times */
const KEPT_TIMES_AT: usize = 16 + KEPT_ENCODED_MAX;
const KEPT_BYTES: usize = KEPT_TIMES_AT + 8 * <usize>KEPT_SAMPLES_MAX;

let kept: usize = 0;

// @ts-ignore: decorator
@inline export function timesHash(first: u64, n: u32): u32 {
  return <u32>(((first + <u64>n) * 0x9e3779b97f4a7c15) >> 57);
}

/** As columnDecode, for times: of those that were met lately they are copied. */
export function timesDecode(p: usize, end: usize, n: u32, out: usize): bool {
  const bytes = end - p;
  if (bytes < COLUMN_HEADER_BYTES || bytes > KEPT_ENCODED_MAX || n > KEPT_SAMPLES_MAX) {
    return columnDecode(p, end, n, out);
  }
  if (kept == 0) {
    kept = reserve(<u32>(KEPT_SLOTS * KEPT_BYTES));
    if (kept == 0) return columnDecode(p, end, n, out);
    memory.fill(kept, 0, KEPT_SLOTS * KEPT_BYTES);
  }
  const slot = kept + <usize>timesHash(load<u64>(p), n) * KEPT_BYTES;
  if (load<u32>(slot) == <u32>bytes && load<u32>(slot, 4) == n && bytesAreEqual(slot + 16, p, bytes)) {
    memory.copy(out, slot + KEPT_TIMES_AT, (<usize>n) << 3);
    return true;
  }
  if (!columnDecode(p, end, n, out)) return false;
  store<u32>(slot, <u32>bytes);
  store<u32>(slot, n, 4);
  memory.copy(slot + 16, p, bytes);
  memory.copy(slot + KEPT_TIMES_AT, out, (<usize>n) << 3);
  return true;
}

export function bytesAreEqual(a: usize, b: usize, bytes: usize): bool {
  const end = a + bytes;
  for (; a + 8 <= end; a += 8, b += 8) if (load<u64>(a) != load<u64>(b)) return false;
  for (; a < end; a++, b++) if (load<u8>(a) != load<u8>(b)) return false;
  return true;
}

// ---- chunks

// @ts-ignore: decorator
@inline export function packedCount(src: usize): u32 {
  return ((<u32>load<u8>(src)) << 8) | <u32>load<u8>(src, 1);
}

/** Puts a chunk together before its columns. */
export function packedHeader(out: usize, n: u32, timesBytes: u32, special: bool): void {
  store<u8>(out, <u8>(n >> 8));
  store<u8>(out, <u8>n, 1);
  store<u16>(out, <u16>timesBytes, 2);
  store<u8>(out, special ? 1 : 0, 4);
}

/** Whether the bytes are a chunk. */
export function packedIsWhole(src: usize, len: u32): bool {
  if (len < PACKED_HEADER_BYTES || load<u8>(src, 4) > 1) return false;
  const n = packedCount(src);
  const times = src + <usize>PACKED_HEADER_BYTES;
  const values = times + <usize>load<u16>(src, 2);
  const end = src + len;
  return values <= end && columnIsWhole(times, values, n) && columnIsWhole(values, end, n);
}

/**
 * Decodes a chunk's bytes as xorDecode does. 64 bytes behind them may be read. `times` and `values` have room for PACKED_SLACK more than
 * `capacity`.
 */
export function packedDecode(src: usize, len: u32, times: usize, values: usize, capacity: u32): i32 {
  if (len < PACKED_HEADER_BYTES) return XOR_CORRUPT;
  const n = packedCount(src);
  if (n > capacity) return XOR_CORRUPT;
  const columns = src + <usize>PACKED_HEADER_BYTES;
  const second = columns + <usize>load<u16>(src, 2);
  const end = src + len;
  if (second > end || !timesDecode(columns, second, n, times) || !columnDecode(second, end, n, values))
    return XOR_CORRUPT;
  if (load<u8>(src, 4) == 0) return 0;
  for (let at = values, to = values + ((<usize>n) << 3); at < to; at += 8)
    if (load<u64>(at) == STALE_BITS) return XOR_STALE;
  return 0;
}
