// The XOR (Gorilla) chunk, byte for byte as Prometheus writes it (tsdb/chunkenc/xor.go): two bytes of sample count, big
// endian, then a bit stream. An appender is a block of 44 bytes that lies wherever its owner wants it.
import {
  APPENDER_ARENA_AT,
  APPENDER_BITS_AT,
  APPENDER_COUNT_AT,
  APPENDER_DATA_AT,
  APPENDER_TIME_AT,
} from '../src/wire/head-layout';
import {
  bad,
  readSvarint,
  readUvarint,
  start as startVarint,
  at as varintAt,
  writeSvarint,
  writeUvarint,
} from './varint';

// the fields of an appender
export const A_TIME: usize = APPENDER_TIME_AT; // i64, ms: the last sample's
export const A_VALUE: usize = 8; // u64, bits
export const A_DELTA: usize = 16; // i64, ms between the last two
export const A_DATA: usize = APPENDER_DATA_AT; // u32, where the chunk's bytes lie
export const A_BITS: usize = APPENDER_BITS_AT; // u32, bits written, the count's 16 included
export const A_COUNT: usize = APPENDER_COUNT_AT; // u16
export const A_CAPACITY: usize = 34; // u16, in units of 16 bytes
export const A_ARENA: usize = APPENDER_ARENA_AT; // u32
export const A_LEAD: usize = 40; // u8, 255: none yet
export const A_TRAIL: usize = 41; // u8
export const APPENDER_BYTES: usize = 44;

/** Bytes that must be free behind the last one before an append: the longest sample, and what the wide store touches. */
export const APPEND_ROOM: u32 = 32;

// @ts-ignore: decorator
@inline function put(data: usize, bits: u32, v: u64, n: u32): u32 {
  const p = data + (bits >> 3);
  const used = bits & 7;
  const w = v << (64 - n);
  store<u64>(p, bswap<u64>(bswap<u64>(load<u64>(p)) | (w >> used)));
  if (used + n > 64) store<u8>(p, <u8>((w << (64 - used)) >> 56), 8);
  return bits + n;
}

/** Appends one sample. The data must be zero behind its last bit, with APPEND_ROOM bytes free. */
export function xorAppend(a: usize, t: i64, v: u64): void {
  const data = <usize>load<u32>(a, A_DATA);
  const n = <u32>load<u16>(a, A_COUNT);
  let bits = load<u32>(a, A_BITS);
  if (n > 1) {
    const delta = t - load<i64>(a, A_TIME);
    const dod = delta - load<i64>(a, A_DELTA);
    store<i64>(a, delta, A_DELTA);
    if (dod == 0) bits += 1;
    else if (dod >= -8191 && dod <= 8192) bits = put(data, bits, ((<u64>0b10) << 14) | (<u64>dod & 0x3fff), 16);
    else if (dod >= -65535 && dod <= 65536) bits = put(data, bits, ((<u64>0b110) << 17) | (<u64>dod & 0x1ffff), 20);
    else if (dod >= -524287 && dod <= 524288) bits = put(data, bits, ((<u64>0b1110) << 20) | (<u64>dod & 0xfffff), 24);
    else {
      bits = put(data, bits, 0b1111, 4);
      bits = put(data, bits, <u64>dod, 64);
    }
  } else if (n == 1) {
    const delta = t - load<i64>(a, A_TIME);
    store<i64>(a, delta, A_DELTA);
    const p = data + (bits >> 3);
    bits += (<u32>(writeUvarint(p, <u64>delta) - p)) << 3;
  } else {
    const p = data + 2;
    const q = writeSvarint(p, t);
    store<u64>(q, bswap<u64>(v));
    store<u32>(a, (<u32>(q + 8 - data)) << 3, A_BITS);
    store<i64>(a, t, A_TIME);
    store<u64>(a, v, A_VALUE);
    store<u16>(a, 1, A_COUNT);
    store<u8>(a, 255, A_LEAD);
    return;
  }
  const x = v ^ load<u64>(a, A_VALUE);
  if (x == 0) bits += 1;
  else {
    let lead = <u32>clz<u64>(x);
    const trail = <u32>ctz<u64>(x);
    if (lead > 31) lead = 31;
    const oldLead = <u32>load<u8>(a, A_LEAD);
    const oldTrail = <u32>load<u8>(a, A_TRAIL);
    if (oldLead != 255 && lead >= oldLead && trail >= oldTrail) {
      bits = put(data, bits, 0b10, 2);
      bits = put(data, bits, x >> oldTrail, 64 - oldLead - oldTrail);
    } else {
      store<u8>(a, <u8>lead, A_LEAD);
      store<u8>(a, <u8>trail, A_TRAIL);
      const significant = 64 - lead - trail;
      bits = put(data, bits, ((<u64>0b11) << 11) | ((<u64>lead) << 6) | (<u64>significant & 63), 13);
      bits = put(data, bits, x >> trail, significant);
    }
  }
  store<u32>(a, bits, A_BITS);
  store<i64>(a, t, A_TIME);
  store<u64>(a, v, A_VALUE);
  store<u16>(a, <u16>(n + 1), A_COUNT);
}

/** The first sample's time; the chunk must hold one. */
export function xorFirstTime(data: usize): i64 {
  startVarint(data + 2);
  return readSvarint(data + 12);
}

const STALE_BITS: u64 = 0x7ff0000000000002;

// what xorDecode found besides the samples, as flags
export const XOR_STALE: i32 = 1; // at least one stale marker
export const XOR_UNORDERED: i32 = 2; // a time is not after the one before it
export const XOR_CORRUPT: i32 = -1;

// @ts-ignore: decorator
@inline function peek(p: usize, bits: u32): u64 {
  return bswap<u64>(load<u64>(p + (bits >> 3))) << (bits & 7);
}

/** `n` (1 … 64) bits. */
// @ts-ignore: decorator
@inline function take(p: usize, bits: u32, n: u32): u64 {
  const used = bits & 7;
  let w = peek(p, bits);
  if (used + n > 64) w |= <u64>load<u8>(p + (bits >> 3), 8) >> (8 - used);
  return w >> (64 - n);
}

/** Bits of the chunk that was decoded last, the count's 16 included. */
let decodedBits: u32 = 0;

export function xorDecodedBits(): u32 {
  return decodedBits;
}

/**
 * Decodes the samples of a chunk's bytes (count included) into two columns: times as f64 ms, values as bits. 16 bytes
 * after `src + len` may be read. Returns flags, or XOR_CORRUPT. At most `capacity` samples are written.
 */
export function xorDecode(src: usize, len: u32, times: usize, values: usize, capacity: u32): i32 {
  if (len < 2) return XOR_CORRUPT;
  const n = ((<u32>load<u8>(src)) << 8) | <u32>load<u8>(src, 1);
  if (n > capacity) return XOR_CORRUPT;
  decodedBits = 16;
  if (n == 0) return 0;
  const end = src + len;
  startVarint(src + 2);
  let t = readSvarint(end);
  if (bad || end - varintAt < 8) return XOR_CORRUPT;
  let v = bswap<u64>(load<u64>(varintAt));
  let flags: i32 = v == STALE_BITS ? XOR_STALE : 0;
  store<f64>(times, <f64>t);
  store<u64>(values, v);
  decodedBits = (<u32>(varintAt + 8 - src)) << 3;
  if (n == 1) return flags;
  startVarint(varintAt + 8);
  let delta = <i64>readUvarint(end);
  if (bad) return XOR_CORRUPT;
  const bitsEnd = len << 3;
  let bits = (<u32>(varintAt - src)) << 3;
  let lead: u32 = 0;
  let trail: u32 = 0;
  let significant: u32 = 0;
  for (let i: u32 = 1; i < n; i++) {
    if (bits >= bitsEnd) return XOR_CORRUPT;
    let w = peek(src, bits);
    if (i > 1) {
      if (<i64>w >= 0) {
        bits += 1;
        w <<= 1;
      } else {
        if ((w & 0x4000000000000000) == 0) {
          delta += widen(<u64>(w >> 48) & 0x3fff, 14);
          bits += 16;
        } else if ((w & 0x2000000000000000) == 0) {
          delta += widen((w >> 44) & 0x1ffff, 17);
          bits += 20;
        } else if ((w & 0x1000000000000000) == 0) {
          delta += widen((w >> 40) & 0xfffff, 20);
          bits += 24;
        } else {
          if (bits + 68 > bitsEnd) return XOR_CORRUPT;
          delta += <i64>take(src, bits + 4, 64);
          bits += 68;
        }
        if (bits >= bitsEnd) return XOR_CORRUPT;
        w = peek(src, bits);
      }
    }
    if (delta <= 0) flags |= XOR_UNORDERED;
    t += delta;
    // w holds at least 56 bits from here, less the one the time took: 13 are looked at
    if (<i64>w >= 0) {
      bits += 1;
    } else {
      if ((w & 0x4000000000000000) == 0) {
        if (significant == 0) return XOR_CORRUPT;
        bits += 2;
      } else {
        lead = <u32>(w >> 57) & 31;
        significant = <u32>(w >> 51) & 63;
        if (significant == 0) significant = 64;
        if (lead + significant > 64) return XOR_CORRUPT;
        trail = 64 - lead - significant;
        bits += 13;
      }
      if (bits + significant > bitsEnd) return XOR_CORRUPT;
      v ^= take(src, bits, significant) << trail;
      bits += significant;
      if (v == STALE_BITS) flags |= XOR_STALE;
    }
    store<f64>(times + ((<usize>i) << 3), <f64>t);
    store<u64>(values + ((<usize>i) << 3), v);
  }
  decodedBits = bits;
  return bits > bitsEnd ? XOR_CORRUPT : flags;
}

/** The sign of the delta of delta: the largest positive value is 2^(n−1) itself, as in Prometheus. */
// @ts-ignore: decorator
@inline function widen(x: u64, n: u32): i64 {
  return x > (<u64>1) << (n - 1) ? <i64>x - ((<i64>1) << n) : <i64>x;
}
