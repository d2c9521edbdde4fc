import {
  BITS_DELTA,
  BITS_DELTA2,
  CONSTANT,
  DELTA,
  DELTA_ZIGZAG,
  DELTA2_ZIGZAG,
  EXCEPTIONS,
  EXPONENT_MAX,
  INTEGER_MAX,
  isException,
  powerOf10,
  zigzag,
} from './cold-codec';

// Columns of doubles into their cold encoding, appended to streams that the caller laid out.

const MONOTONE: u32 = 1;
export const COLD_SPECIAL: u32 = 2;

// @ts-ignore: decorator
@inline function isScaled(bits: u64, power: f64): bool {
  const x = reinterpret<f64>(bits);
  const r = nearest<f64>(x * power);
  return Math.abs(r) <= INTEGER_MAX && reinterpret<u64>(r / power) == bits;
}

/** The smallest exponent with which every value but the exceptions is an integer; EXPONENT_MAX + 1: none. */
function scaleOf(values: usize, n: u32): u32 {
  let from: u32 = 0;
  for (let e: u32 = 0; e <= EXPONENT_MAX; e++) {
    const power = powerOf10(e);
    // Starts where the last exponent failed: that is where this one most likely fails too.
    let i = from;
    let fits = true;
    for (let k: u32 = 0; k < n; k++) {
      const bits = load<u64>(values + ((<usize>i) << 3));
      if (!isScaled(bits, power) && !isException(bits)) {
        from = i;
        fits = false;
        break;
      }
      if (++i == n) i = 0;
    }
    if (fits) return e;
  }
  return EXPONENT_MAX + 1;
}

// An encoder, as the caller lays it out: where each stream goes on (moved forward by each column), and scratch.
//   0 codecs   4 exponents   8 shifts   12 widths   16 packed   20 bitmaps   24 changes   28 exceptions   32 scratch
const AT_CODECS: usize = 0;
const AT_EXPONENTS: usize = 4;
const AT_SHIFTS: usize = 8;
const AT_WIDTHS: usize = 12;
const AT_PACKED: usize = 16;
const AT_BITMAPS: usize = 20;
const AT_CHANGES: usize = 24;
const AT_EXCEPTIONS: usize = 28;
const AT_SCRATCH: usize = 32;

/**
 * Appends a column of `n` ≥ 1 doubles; its first value is the caller's to keep. With b = ⌈(n − 1) / 32⌉ there must be room for
 * b widths, 256·b packed bytes, ⌈n / 8⌉ bitmap bytes, 8·n bytes of changes, 13·n + 5 of exceptions, and 8·n + 256 of scratch.
 * Returns MONOTONE | COLD_SPECIAL (a NaN of any kind is there).
 */
export function coldEncode(encoder: usize, values: usize, n: u32): u32 {
  const first = load<u64>(values);
  let diff: u64 = 0;
  let exceptions: u32 = 0;
  let flags: u32 = MONOTONE;
  let before = reinterpret<f64>(first);
  for (let i: u32 = 0; i < n; i++) {
    const bits = load<u64>(values + ((<usize>i) << 3));
    const x = reinterpret<f64>(bits);
    diff |= bits ^ first;
    if (isException(bits)) exceptions++;
    if (x != x) flags |= COLD_SPECIAL;
    if (!(x >= before)) flags &= ~MONOTONE;
    before = x;
  }
  let codec = CONSTANT;
  let exponent: u32 = 0;
  let shift: u32 = 0;
  if (diff != 0) {
    exponent = exceptions * 4 <= n ? scaleOf(values, n) : EXPONENT_MAX + 1;
    if (exponent <= EXPONENT_MAX) {
      shift = toIntegers(values, n, powerOf10(exponent), load<u32>(encoder, AT_SCRATCH));
      codec = pack(encoder, n, shift);
      if (exceptions > 0) {
        codec |= EXCEPTIONS;
        listExceptions(encoder, values, n, exceptions);
      }
    } else {
      exponent = 0;
      codec = bitDifferences(encoder, values, n);
    }
  }
  append8(encoder, AT_CODECS, codec);
  append8(encoder, AT_EXPONENTS, exponent);
  append8(encoder, AT_SHIFTS, shift);
  return flags;
}

// @ts-ignore: decorator
@inline function append8(encoder: usize, at: usize, value: u32): void {
  const to = load<u32>(encoder + at);
  store<u8>(to, <u8>value);
  store<u32>(encoder + at, to + 1);
}

/** Writes the scaled integers, an exception as the one before it; returns how many low bits no difference uses. */
function toIntegers(values: usize, n: u32, power: f64, out: usize): u32 {
  let before: i64 = 0;
  let used: u64 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const bits = load<u64>(values + ((<usize>i) << 3));
    const at = out + ((<usize>i) << 3);
    if (isException(bits)) {
      store<i64>(at, before);
      continue;
    }
    const x = <i64>nearest<f64>(reinterpret<f64>(bits) * power);
    if (i > 0) used |= <u64>(x - before);
    store<i64>(at, x);
    before = x;
  }
  return used == 0 ? 0 : <u32>ctz<u64>(used);
}

/** Appends the differences of the integers in scratch in the shortest of three forms, and returns which. */
function pack(encoder: usize, n: u32, shift: u32): u32 {
  const integers: usize = load<u32>(encoder, AT_SCRATCH);
  const forms: usize = integers + ((<usize>n) << 3);
  let bits1: u32 = 0;
  let bits2: u32 = 0;
  let bits3: u32 = 0;
  let negative: i64 = 0;
  let before: i64 = 0;
  const down = <i64>shift;
  for (let i: u32 = 1; i < n; i += 32) {
    const end = min<u32>(i + 32, n);
    let or1: u64 = 0;
    let or2: u64 = 0;
    let or3: u64 = 0;
    for (let k = i; k < end; k++) {
      const at = integers + ((<usize>k) << 3);
      const delta = (load<i64>(at) - load<i64>(at - 8)) >> down;
      negative |= delta;
      or1 |= <u64>delta;
      or2 |= zigzag(delta);
      or3 |= zigzag(delta - before);
      before = delta;
    }
    bits1 += widthOf(or1);
    bits2 += widthOf(or2);
    bits3 += widthOf(or3);
  }
  let codec = negative >= 0 ? DELTA : DELTA_ZIGZAG;
  if (bits3 < (codec == DELTA ? bits1 : bits2)) codec = DELTA2_ZIGZAG;

  let widths: usize = load<u32>(encoder, AT_WIDTHS);
  let to: usize = load<u32>(encoder, AT_PACKED);
  before = 0;
  for (let i: u32 = 1; i < n; i += 32) {
    const end = min<u32>(i + 32, n);
    let or: u64 = 0;
    let form = forms;
    for (let k = i; k < end; k++) {
      const at = integers + ((<usize>k) << 3);
      const delta = (load<i64>(at) - load<i64>(at - 8)) >> down;
      const x = codec == DELTA ? <u64>delta : codec == DELTA_ZIGZAG ? zigzag(delta) : zigzag(delta - before);
      before = delta;
      or |= x;
      store<u64>(form, x);
      form += 8;
    }
    memory.fill(form, 0, forms + 256 - form);
    const width = widthOf(or);
    store<u8>(widths++, <u8>width);
    to = packBlock(forms, width, to);
  }
  store<u32>(encoder, <u32>widths, AT_WIDTHS);
  store<u32>(encoder, <u32>to, AT_PACKED);
  return codec;
}

// Above 56 bits a value may straddle nine bytes; such blocks are stored whole.
// @ts-ignore: decorator
@inline function widthOf(or: u64): u32 {
  const width = 64 - <u32>clz<u64>(or);
  return width > 56 ? 64 : width;
}

/** 32 values of `width` bits, lowest first: 4·width bytes. */
function packBlock(from: usize, width: u32, to: usize): usize {
  if (width == 0) return to;
  if (width == 64) {
    memory.copy(to, from, 256);
    return to + 256;
  }
  let word: u64 = 0;
  let used: u32 = 0;
  for (let k: usize = 0; k < 256; k += 8) {
    const x = load<u64>(from + k);
    word |= x << used;
    used += width;
    if (used >= 64) {
      store<u64>(to, word);
      to += 8;
      used -= 64;
      word = used == 0 ? 0 : x >> (width - used);
    }
  }
  // 32·width bits are a whole number of 32-bit words
  if (used > 0) {
    store<u32>(to, <u32>word);
    to += 4;
  }
  return to;
}

function listExceptions(encoder: usize, values: usize, n: u32, count: u32): void {
  let to = appendUvarint(load<u32>(encoder, AT_EXCEPTIONS), count);
  let before: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const bits = load<u64>(values + ((<usize>i) << 3));
    if (!isException(bits)) continue;
    to = appendUvarint(to, i - before);
    store<u64>(to, bits);
    to += 8;
    before = i;
  }
  store<u32>(encoder, <u32>to, AT_EXCEPTIONS);
}

function appendUvarint(to: usize, value: u32): usize {
  while (value >= 128) {
    store<u8>(to++, <u8>(value | 128));
    value >>= 7;
  }
  store<u8>(to++, <u8>value);
  return to;
}

/** Appends a bit per value that says whether it differs from the one before, and the differences of those that do. */
function bitDifferences(encoder: usize, values: usize, n: u32): u32 {
  const bitmap: usize = load<u32>(encoder, AT_BITMAPS);
  const changes: usize = load<u32>(encoder, AT_CHANGES);
  const bytes = (n + 7) >> 3;
  memory.fill(bitmap, 0, bytes);
  store<u32>(encoder, <u32>bitmap + bytes, AT_BITMAPS);
  let to = changes;
  let before = load<u64>(values);
  let deltaBefore: i64 = 0;
  let bits1: u32 = 0;
  let bits2: u32 = 0;
  for (let i: u32 = 1; i < n; i++) {
    const x = load<u64>(values + ((<usize>i) << 3));
    const delta = <i64>(x - before);
    if (delta == 0) continue;
    const at = bitmap + (i >> 3);
    store<u8>(at, <u8>(<u32>load<u8>(at) | ((<u32>1) << (i & 7))));
    bits1 += 64 - <u32>clz<u64>(zigzag(delta));
    bits2 += 64 - <u32>clz<u64>(zigzag(delta - deltaBefore));
    store<i64>(to, delta);
    to += 8;
    before = x;
    deltaBefore = delta;
  }
  const second = bits2 < bits1;
  deltaBefore = 0;
  for (let at = changes; at < to; at += 8) {
    const delta = load<i64>(at);
    store<u64>(at, zigzag(second ? delta - deltaBefore : delta));
    deltaBefore = delta;
  }
  store<u32>(encoder, <u32>to, AT_CHANGES);
  return second ? BITS_DELTA2 : BITS_DELTA;
}

/** Byte planes of `count` 64-bit values, the lowest bytes of all first. `to` has 8·count bytes. */
export function coldPlanes(from: usize, count: u32, to: usize): void {
  for (let i: u32 = 0; i < count; i++) {
    const x = load<u64>(from + ((<usize>i) << 3));
    for (let plane: u32 = 0; plane < 8; plane++) store<u8>(to + <usize>plane * count + i, <u8>(x >> (plane << 3)));
  }
}
