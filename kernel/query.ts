// Reading for queries: all chunks of one series at once, into two columns that hold one series after another.
import { PACKED_FLAGS } from '../src/chunk/head-chunk-flags';
import { CHUNK_BYTES_AT, CHUNK_FLAGS_AT, CHUNK_HEADER_BYTES } from '../src/wire/slice-layout';
import { PACKED_SLACK, packedCount, packedDecode } from './packed';
import { bad, readSvarint, readUvarint, start as startVarint, at as varintAt } from './varint';
import { XOR_CORRUPT, XOR_STALE, xorDecode } from './xor';

const STALE_BITS: u64 = 0x7ff0000000000002;

/** The chunks need more than order and concatenation: they overlap, are unordered, or neither XOR nor packed. */
export const READ_OTHERWISE: i32 = -2;
export const READ_CORRUPT: i32 = -1;

const CHUNKS_MAX: u32 = 1024;
const offsets: usize = memory.data(4096);

/** The flags that the last `readSeries` found: XOR_STALE. */
let found: i32 = 0;
/** Whether its times are those of the read before it. */
let same: bool = false;

export function readFlags(): i32 {
  return found;
}

export function readSameTimes(): bool {
  return same;
}

/**
 * Decodes the chunks at [src, end) (of a slice, newest first) behind each other, oldest first. Values go to `values`. Times go to
 * `times`, unless they equal the `lastCount` ones at `lastTimes`.
 * Returns how many, READ_OTHERWISE or READ_CORRUPT. 64 bytes after `end` may be read.
 */
export function readSeries(
  src: usize,
  end: usize,
  times: usize,
  values: usize,
  capacity: u32,
  lastTimes: usize,
  lastCount: u32,
): i32 {
  let chunks: u32 = 0;
  for (let p = src; p < end; ) {
    if (end - p < <usize>CHUNK_HEADER_BYTES) return READ_CORRUPT;
    const bytes = load<u32>(p, CHUNK_BYTES_AT);
    if (bytes > <u32>(end - p) - <u32>CHUNK_HEADER_BYTES || bytes < 2) return READ_CORRUPT;
    const flags = load<u32>(p, CHUNK_FLAGS_AT);
    if ((flags != 0 && flags != PACKED_FLAGS) || chunks == CHUNKS_MAX) return READ_OTHERWISE;
    store<u32>(offsets + ((<usize>chunks) << 2), <u32>p);
    chunks++;
    p += (CHUNK_HEADER_BYTES + bytes + 7) & ~7;
  }
  let n: u32 = 0;
  found = 0;
  for (let c = chunks; c > 0; c--) {
    const p = <usize>load<u32>(offsets + ((<usize>(c - 1)) << 2));
    const data = p + CHUNK_HEADER_BYTES;
    const count = packedCount(data);
    if (count == 0) continue;
    const isPacked = load<u32>(p, CHUNK_FLAGS_AT) == PACKED_FLAGS;
    if (count + (isPacked ? PACKED_SLACK : 0) > capacity - n) return READ_OTHERWISE;
    const bytes = load<u32>(p, CHUNK_BYTES_AT);
    const t = times + ((<usize>n) << 3);
    const v = values + ((<usize>n) << 3);
    const flags = isPacked
      ? packedDecode(data, bytes, t, v, capacity - n - PACKED_SLACK)
      : xorDecodeTurned(data, bytes, t, v, capacity - n);
    if (flags == XOR_CORRUPT) return READ_CORRUPT;
    found |= flags;
    if (n > 0 && load<f64>(t) <= load<f64>(t - 8)) return READ_OTHERWISE;
    n += count;
  }
  same = n == lastCount && memory.compare(times, lastTimes, (<usize>n) << 3) == 0;
  return <i32>n;
}

/** Turns the bytes of each word in [p, end) round: a stream of bits then is a stream of words, whose first bits are the highest. */
function turnWords(p: usize, end: usize): void {
  for (; p < end; p += 16) {
    v128.store(p, i8x16.shuffle(v128.load(p), v128.load(p), 7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8));
  }
}

/** The next 64 bits of turned words. */
// @ts-ignore: decorator
@inline function peek(p: usize, bits: u32): u64 {
  const at = p + ((<usize>(bits >> 6)) << 3);
  const used = <u64>(bits & 63);
  return (load<u64>(at) << used) | ((load<u64>(at, 8) >> 1) >> (63 - used));
}

/** `n` (1 … 64) bits of turned words. */
// @ts-ignore: decorator
@inline function take(p: usize, bits: u32, n: u32): u64 {
  return peek(p, bits) >> (64 - n);
}

// @ts-ignore: decorator
@inline function widen(x: u64, n: u32): i64 {
  return x > (<u64>1) << (n - 1) ? <i64>x - ((<i64>1) << n) : <i64>x;
}

/**
 * As `xorDecode`, with what is common first: times that go on as before are added as numbers, one look at the bits does for a sample.
 * Leaves the chunk with its words turned round.
 */
export function xorDecodeTurned(src: usize, len: u32, times: usize, values: usize, capacity: u32): i32 {
  const n = ((<u32>load<u8>(src)) << 8) | <u32>load<u8>(src, 1);
  startVarint(src + 2);
  const end = src + len;
  let t = readSvarint(end);
  if (bad || end - varintAt < 8 || n < 3) return xorDecode(src, len, times, values, capacity);
  let v = bswap<u64>(load<u64>(varintAt));
  let flags: i32 = v == STALE_BITS ? XOR_STALE : 0;
  store<f64>(times, <f64>t);
  store<u64>(values, v);
  startVarint(varintAt + 8);
  let delta = <i64>readUvarint(end);
  if (bad) return XOR_CORRUPT;
  turnWords(src, end);
  const bitsEnd = len << 3;
  let bits = (<u32>(varintAt - src)) << 3;
  let significant: u32 = 0;
  let trail: u32 = 0;
  const timesEnd = times + ((<usize>n) << 3);
  let at = times + 8;
  const toValues = values - times;
  t += delta;
  let first = true;
  while (at < timesEnd) {
    if (bits >= bitsEnd) return XOR_CORRUPT;
    let w = peek(src, bits);
    /** Bits of w that hold. */
    let left: u32 = 64;
    if (first) first = false;
    else if (w >> 48 == 0 && at + 64 <= timesEnd) {
      // sixteen bits 0: eight times neither the interval nor the value changes
      const same = i64x2.splat(<i64>v);
      const by = f64x2.splat(2 * <f64>delta);
      let at2 = f64x2.add(f64x2.splat(<f64>t), f64x2(<f64>delta, 2 * <f64>delta));
      for (const end = at + 64; at < end; at += 16) {
        v128.store(at, at2);
        v128.store(at + toValues, same);
        at2 = f64x2.add(at2, by);
      }
      t += delta << 3;
      bits += 16;
      continue;
    } else {
      if (<i64>w >= 0) {
        bits += 1;
        w <<= 1;
        left = 63;
      } else if ((w & 0x4000000000000000) == 0) {
        delta += widen((w >> 48) & 0x3fff, 14);
        bits += 16;
        w <<= 16;
        left = 48;
      } else {
        if ((w & 0x2000000000000000) == 0) {
          delta += widen((w >> 44) & 0x1ffff, 17);
          bits += 20;
        } else if ((w & 0x1000000000000000) == 0) {
          delta += widen((w >> 40) & 0xfffff, 20);
          bits += 24;
        } else {
          delta += <i64>take(src, bits + 4, 64);
          bits += 68;
        }
        if (bits >= bitsEnd) return XOR_CORRUPT;
        w = peek(src, bits);
      }
      t += delta;
    }
    store<f64>(at, <f64>t);
    if (<i64>w < 0) {
      if ((w & 0x4000000000000000) == 0) {
        bits += 2;
        w <<= 2;
        left -= 2;
      } else {
        significant = <u32>(w >> 51) & 63;
        if (significant == 0) significant = 64;
        trail = 64 - (<u32>(w >> 57) & 31) - significant;
        if (<i32>trail < 0) return XOR_CORRUPT;
        bits += 13;
        w <<= 13;
        left -= 13;
      }
      if (significant == 0 || bits + significant > bitsEnd) return XOR_CORRUPT;
      v ^= (significant <= left ? w >> (64 - significant) : take(src, bits, significant)) << trail;
      bits += significant;
      if (v == STALE_BITS) flags |= XOR_STALE;
    } else bits += 1;
    store<u64>(at + toValues, v);
    at += 8;
  }
  return bits > bitsEnd ? XOR_CORRUPT : flags;
}
