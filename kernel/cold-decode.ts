import {
  BITS_DELTA,
  BITS_DELTA2,
  CODEC_MASK,
  CONSTANT,
  DELTA,
  DELTA_ZIGZAG,
  DELTA2_ZIGZAG,
  EXCEPTIONS,
  EXPONENT_MAX,
  INTEGER_MAX,
  isException,
  powerOf10,
  unzigzag,
} from './cold-codec';

// Columns of doubles out of their cold encoding, by descriptors that `coldIndex` wrote after it had checked every length of the block.

// A descriptor of a column, 32 bytes:
//   0 u8 codec   1 u8 exponent   2 u8 shift   4 u32 n   8 widths   12 packed   16 bitmap   20 index of the first change   24 exceptions
const DESCRIPTOR_BYTES: usize = 32;
/** Bytes before the streams: their lengths. */
const LENGTHS_BYTES: u32 = 20;

/**
 * Checks a block of `columns` columns with the given counts (u32 each) and describes each column. Returns 0, or why the block is refused:
 * 1 too short, 2 lengths do not add up, 3 unknown codec, 4 exponent or shift out of range, 5 width out of range, 6 a stream ends early,
 * 7 a stream has bytes left, 8 exceptions out of order, 9 an empty column.
 */
export function coldIndex(block: usize, bytes: u32, columns: u32, counts: usize, descriptors: usize): u32 {
  if (<u64>bytes < <u64>columns * 3 + LENGTHS_BYTES) return 1;
  const codecs = block;
  const exponents = codecs + columns;
  const shifts = exponents + columns;
  const lengths = shifts + columns;
  const changes: u64 = load<u32>(lengths, 12);
  const total: u64 =
    <u64>columns * 3 +
    LENGTHS_BYTES +
    load<u32>(lengths) +
    load<u32>(lengths, 4) +
    load<u32>(lengths, 8) +
    changes * 8 +
    load<u32>(lengths, 16);
  if (total != <u64>bytes) return 2;
  let widths = lengths + LENGTHS_BYTES;
  const widthsEnd = widths + load<u32>(lengths);
  let packed = widthsEnd;
  const packedEnd = packed + load<u32>(lengths, 4);
  let bitmaps = packedEnd;
  const bitmapsEnd = bitmaps + load<u32>(lengths, 8);
  const planes = bitmapsEnd;
  let exceptions = planes + <usize>changes * 8;
  const exceptionsEnd = exceptions + load<u32>(lengths, 16);
  let change: u64 = 0;
  let descriptor = descriptors;
  for (let c: u32 = 0; c < columns; c++) {
    const kind = <u32>load<u8>(codecs + c);
    const codec = kind & CODEC_MASK;
    const exponent = <u32>load<u8>(exponents + c);
    const shift = <u32>load<u8>(shifts + c);
    const n = load<u32>(counts + ((<usize>c) << 2));
    if (n == 0) return 9;
    if (codec > BITS_DELTA2 || (kind & ~(CODEC_MASK | EXCEPTIONS)) != 0) return 3;
    if (exponent > EXPONENT_MAX || shift > 63) return 4;
    const integers = codec >= DELTA && codec <= DELTA2_ZIGZAG;
    if (!integers && (kind != codec || exponent != 0 || shift != 0)) return 3;
    store<u8>(descriptor, <u8>kind);
    store<u8>(descriptor, <u8>exponent, 1);
    store<u8>(descriptor, <u8>shift, 2);
    store<u32>(descriptor, n, 4);
    store<u32>(descriptor, <u32>widths, 8);
    store<u32>(descriptor, <u32>packed, 12);
    store<u32>(descriptor, <u32>bitmaps, 16);
    store<u32>(descriptor, <u32>change, 20);
    store<u32>(descriptor, <u32>exceptions, 24);
    if (integers) {
      const blocks = (n - 1 + 31) >> 5;
      if (<u64>widths + blocks > <u64>widthsEnd) return 6;
      let size: u64 = 0;
      for (let b: u32 = 0; b < blocks; b++) {
        const width = <u32>load<u8>(widths + b);
        if (width > 56 && width != 64) return 5;
        size += width << 2;
      }
      if (<u64>packed + size > <u64>packedEnd) return 6;
      widths += blocks;
      packed += <usize>size;
    } else if (codec != CONSTANT) {
      const size = (<u64>n + 7) >> 3;
      if (<u64>bitmaps + size > <u64>bitmapsEnd) return 6;
      for (let i: usize = 0; i < <usize>size; i++) change += popcnt<u32>(load<u8>(bitmaps + i));
      // the first value has none before it, and behind the last there is nothing
      if ((load<u8>(bitmaps) & 1) != 0) return 8;
      if ((n & 7) != 0 && load<u8>(bitmaps + <usize>size - 1) >> <u8>(n & 7) != 0) return 8;
      if (change > changes) return 6;
      bitmaps += <usize>size;
    }
    if ((kind & EXCEPTIONS) != 0) {
      exceptions = skipExceptions(exceptions, exceptionsEnd, n);
      if (exceptions == 0) return 8;
    }
    descriptor += DESCRIPTOR_BYTES;
  }
  if (
    widths != widthsEnd ||
    packed != packedEnd ||
    bitmaps != bitmapsEnd ||
    change != changes ||
    exceptions != exceptionsEnd
  )
    return 7;
  return 0;
}

/** Behind the exceptions of a column of n, or 0 where they are not well formed. */
export function skipExceptions(from: usize, end: usize, n: u32): usize {
  let at = from;
  let left: u64 = 0;
  let index: i64 = -1;
  for (let k: u64 = 0; k <= left; k++) {
    let x: u64 = 0;
    let shift: u64 = 0;
    for (;;) {
      if (at >= end || shift > 28) return 0;
      const byte = <u64>load<u8>(at++);
      x |= (byte & 127) << shift;
      shift += 7;
      if (byte < 128) break;
    }
    if (k == 0) {
      if (x == 0 || x > <u64>n) return 0;
      left = x;
      continue;
    }
    // the first gap counts from the first value, so only that one may be 0
    if (k > 1 && x == 0) return 0;
    index = k == 1 ? <i64>x : index + <i64>x;
    if (index >= <i64>n || at + 8 > end) return 0;
    at += 8;
  }
  return at;
}

/**
 * Decodes the column of a descriptor that `coldIndex` wrote: its values from `from` to `to`, each in its place; others are anything.
 * `first` points to its first value, `planes` to the block's planes of `changes` values, `out` has room for n + 33 doubles, `scratch`
 * for 8·n + 128 bytes. Up to 64 bytes behind the block are read, never used.
 * `blocks` has a bit for each 32 values behind the first: of those whose bit is not set the values may be anything, too; 0: all are wanted.
 */
export function coldDecode(
  descriptor: usize,
  first: usize,
  planes: usize,
  changes: u32,
  from: u32,
  to: u32,
  out: usize,
  scratch: usize,
  blocks: usize,
): void {
  const kind = <u32>load<u8>(descriptor);
  const codec = kind & CODEC_MASK;
  const n = min(load<u32>(descriptor, 4), to);
  if (codec == CONSTANT) {
    fill(out, n, load<f64>(first));
    return;
  }
  if (codec >= BITS_DELTA) {
    decodeBits(descriptor, n, load<u64>(first), planes, changes, out, scratch, codec == BITS_DELTA2);
    return;
  }
  const power = powerOf10(<u32>load<u8>(descriptor, 1));
  const firstBits = load<u64>(first);
  const base = isException(firstBits) ? 0 : <i64>saturate(nearest<f64>(reinterpret<f64>(firstBits) * power));
  const shift = <u64>load<u8>(descriptor, 2);
  const widths: usize = load<u32>(descriptor, 8);
  const packed: usize = load<u32>(descriptor, 12);
  if (codec == DELTA) unpack<u8>(base, shift, widths, packed, n, out, blocks);
  else if (codec == DELTA_ZIGZAG) unpack<i8>(base, shift, widths, packed, n, out, blocks);
  else unpack<i16>(base, shift, widths, packed, n, out, blocks);
  if (power != 1 && blocks != 0) divideSome(out, n, power, blocks);
  else if (power != 1) {
    const by = f64x2.splat(power);
    const end = out + ((<usize>n) << 3);
    for (let at = out + ((<usize>(from & ~1)) << 3); at < end; at += 16) v128.store(at, f64x2.div(v128.load(at), by));
  }
  if ((kind & EXCEPTIONS) != 0) putExceptions(load<u32>(descriptor, 24), out);
  store<u64>(out, firstBits);
}

/** Divides the values of blocks that are wanted. */
function divideSome(out: usize, n: u32, power: f64, blocks: usize): void {
  const by = f64x2.splat(power);
  const count = (n - 1 + 31) >> 5;
  for (let b: u32 = 0; b < count; b++) {
    if (!isWanted(blocks, b)) continue;
    const from = out + 8 + ((<usize>b) << 8);
    for (let at = from; at < from + 256; at += 16) v128.store(at, f64x2.div(v128.load(at), by));
  }
}

// @ts-ignore: decorator
@inline function isWanted(blocks: usize, b: u32): bool {
  return ((load<u8>(blocks + (b >> 3)) >> <u8>(b & 7)) & 1) != 0;
}

// A first value from a damaged block may be any bits: the conversion to an integer must not trap.
// @ts-ignore: decorator
@inline function saturate(x: f64): f64 {
  return x != x ? 0 : Math.min(Math.max(x, -INTEGER_MAX), INTEGER_MAX);
}

function fill(out: usize, n: u32, value: f64): void {
  const pair = f64x2.splat(value);
  const end = out + ((<usize>n) << 3);
  for (let at = out; at < end; at += 32) {
    v128.store(at, pair);
    v128.store(at, pair, 16);
  }
}

/** The type says the form, so that each gets a loop of its own: u8 DELTA, i8 DELTA_ZIGZAG, i16 DELTA2_ZIGZAG. */
// @ts-ignore: decorator
@inline function unpack<Form>(
  base: i64,
  shift: u64,
  widths: usize,
  packed: usize,
  n: u32,
  out: usize,
  wanted: usize,
): void {
  let sum = base;
  let delta: i64 = 0;
  let from = packed;
  let to = out + 8;
  store<f64>(out, <f64>base);
  const blocks = (n - 1 + 31) >> 5;
  for (let b: u32 = 0; b < blocks; b++) {
    const width = <u64>load<u8>(widths + b);
    const end = to + 256;
    if (wanted != 0 && !isWanted(wanted, b)) {
      sumOf<Form>(from, width, delta);
      sum += summed << shift;
      delta = summedDelta;
      to = end;
      from += (<usize>width) << 2;
    } else if (width == 0) {
      if (sizeof<Form>() == 1) {
        const pair = f64x2.splat(<f64>sum);
        for (; to < end; to += 32) {
          v128.store(to, pair);
          v128.store(to, pair, 16);
        }
      } else {
        for (; to < end; to += 8) {
          sum += delta << shift;
          store<f64>(to, <f64>sum);
        }
      }
    } else if (width <= 14) {
      // four values from one load: 7 + 4·14 bits
      const mask: u64 = (1 << width) - 1;
      const width2 = width << 1;
      const width3 = width2 + width;
      const width4 = width << 2;
      let bit: u64 = 0;
      for (; to < end; to += 32) {
        const x = load<u64>(from + <usize>(bit >> 3)) >> (bit & 7);
        bit += width4;
        const x0 = x & mask;
        const x1 = (x >> width) & mask;
        const x2 = (x >> width2) & mask;
        const x3 = (x >> width3) & mask;
        if (sizeof<Form>() == 1) {
          const a = sum + (plain<Form>(x0) << shift);
          const c = a + (plain<Form>(x1) << shift);
          const d = c + (plain<Form>(x2) << shift);
          sum = d + (plain<Form>(x3) << shift);
          store<f64>(to, <f64>a);
          store<f64>(to, <f64>c, 8);
          store<f64>(to, <f64>d, 16);
          store<f64>(to, <f64>sum, 24);
        } else {
          const da = delta + unzigzag(x0);
          const dc = da + unzigzag(x1);
          const dd = dc + unzigzag(x2);
          delta = dd + unzigzag(x3);
          const a = sum + (da << shift);
          const c = a + (dc << shift);
          const d = c + (dd << shift);
          sum = d + (delta << shift);
          store<f64>(to, <f64>a);
          store<f64>(to, <f64>c, 8);
          store<f64>(to, <f64>d, 16);
          store<f64>(to, <f64>sum, 24);
        }
      }
      from += (<usize>width) << 2;
    } else {
      // a width of 64 is whole words, whose mask the shift below cannot make
      const mask: u64 = width == 64 ? u64.MAX_VALUE : (1 << width) - 1;
      let bit: u64 = 0;
      for (; to < end; to += 8) {
        const x = (load<u64>(from + <usize>(bit >> 3)) >> (bit & 7)) & mask;
        bit += width;
        if (sizeof<Form>() == 1) sum += plain<Form>(x) << shift;
        else {
          delta += unzigzag(x);
          sum += delta << shift;
        }
        store<f64>(to, <f64>sum);
      }
      from += (<usize>width) << 2;
    }
  }
}

let summed: i64 = 0;
let summedDelta: i64 = 0;

/** Sum of a block of 32: what it adds to the value before it; and the difference that it ends with. */
function sumOf<Form>(from: usize, width: u64, before: i64): void {
  let sum: i64 = 0;
  let delta = before;
  if (width == 0) sum = sizeof<Form>() == 1 ? 0 : delta << 5;
  else if (width <= 14) {
    const mask: u64 = (1 << width) - 1;
    const width2 = width << 1;
    const width3 = width2 + width;
    const width4 = width << 2;
    const bits = width << 5;
    for (let bit: u64 = 0; bit < bits; bit += width4) {
      const x = load<u64>(from + <usize>(bit >> 3)) >> (bit & 7);
      const x0 = x & mask;
      const x1 = (x >> width) & mask;
      const x2 = (x >> width2) & mask;
      const x3 = (x >> width3) & mask;
      if (sizeof<Form>() == 1) sum += plain<Form>(x0) + plain<Form>(x1) + plain<Form>(x2) + plain<Form>(x3);
      else {
        const a = delta + unzigzag(x0);
        const c = a + unzigzag(x1);
        const d = c + unzigzag(x2);
        delta = d + unzigzag(x3);
        sum += a + c + d + delta;
      }
    }
  } else {
    const mask: u64 = width == 64 ? u64.MAX_VALUE : (1 << width) - 1;
    let bit: u64 = 0;
    for (let i = 0; i < 32; i++) {
      const x = (load<u64>(from + <usize>(bit >> 3)) >> (bit & 7)) & mask;
      bit += width;
      if (sizeof<Form>() == 1) sum += plain<Form>(x);
      else {
        delta += unzigzag(x);
        sum += delta;
      }
    }
  }
  summed = sum;
  summedDelta = delta;
}

// @ts-ignore: decorator
@inline function plain<Form>(x: u64): i64 {
  return isSigned<Form>() ? unzigzag(x) : <i64>x;
}

function putExceptions(list: usize, out: usize): void {
  let at = list;
  let index: usize = 0;
  let left: u32 = 0;
  for (let k: u32 = 0; k <= left; k++) {
    let x: u32 = 0;
    for (let shift: u32 = 0; ; shift += 7) {
      const byte = <u32>load<u8>(at++);
      x |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    if (k == 0) {
      left = x;
      continue;
    }
    index += x;
    store<u64>(out + (index << 3), load<u64>(at));
    at += 8;
  }
}

function decodeBits(
  descriptor: usize,
  n: u32,
  first: u64,
  planes: usize,
  changes: u32,
  out: usize,
  scratch: usize,
  second: bool,
): void {
  const bitmap: usize = load<u32>(descriptor, 16);
  const start: usize = load<u32>(descriptor, 20);
  let count: u32 = 0;
  const bytes: usize = (n + 7) >> 3;
  for (let i: usize = 0; i < bytes; i++) count += popcnt<u32>(load<u8>(bitmap + i));
  gather(planes + start, changes, count, scratch);

  let bits = first;
  let delta: i64 = 0;
  let from = scratch;
  let word: u64 = 0;
  for (let i: u32 = 0; i < n; i++) {
    if ((i & 63) == 0) word = load<u64>(bitmap + (i >> 3));
    if ((word & 1) != 0) {
      const x = unzigzag(load<u64>(from));
      delta = second ? delta + x : x;
      bits += <u64>delta;
      from += 8;
    }
    word >>= 1;
    store<u64>(out + ((<usize>i) << 3), bits);
  }
}

/** Puts values together again whose bytes lie in eight planes, `stride` apart; 16 at a time, so up to 15 too many. */
function gather(plane: usize, stride: usize, count: u32, to: usize): void {
  for (let i: u32 = 0; i < count; i += 16) {
    const at = plane + i;
    const r0 = v128.load(at);
    const r1 = v128.load(at + stride);
    const r2 = v128.load(at + 2 * stride);
    const r3 = v128.load(at + 3 * stride);
    const r4 = v128.load(at + 4 * stride);
    const r5 = v128.load(at + 5 * stride);
    const r6 = v128.load(at + 6 * stride);
    const r7 = v128.load(at + 7 * stride);
    // bytes to pairs, pairs to fours, fours to eights
    const a0 = interleave8Low(r0, r1);
    const a1 = interleave8Low(r2, r3);
    const a2 = interleave8Low(r4, r5);
    const a3 = interleave8Low(r6, r7);
    const b0 = interleave8High(r0, r1);
    const b1 = interleave8High(r2, r3);
    const b2 = interleave8High(r4, r5);
    const b3 = interleave8High(r6, r7);
    storeEight(a0, a1, a2, a3, to + ((<usize>i) << 3));
    storeEight(b0, b1, b2, b3, to + ((<usize>i) << 3) + 64);
  }
}

// @ts-ignore: decorator
@inline function interleave8Low(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
// @ts-ignore: decorator
@inline function interleave8High(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
// @ts-ignore: decorator
@inline function storeEight(a0: v128, a1: v128, a2: v128, a3: v128, to: usize): void {
  const c0 = i16x8.shuffle(a0, a1, 0, 8, 1, 9, 2, 10, 3, 11);
  const c1 = i16x8.shuffle(a2, a3, 0, 8, 1, 9, 2, 10, 3, 11);
  const c2 = i16x8.shuffle(a0, a1, 4, 12, 5, 13, 6, 14, 7, 15);
  const c3 = i16x8.shuffle(a2, a3, 4, 12, 5, 13, 6, 14, 7, 15);
  v128.store(to, i32x4.shuffle(c0, c1, 0, 4, 1, 5));
  v128.store(to, i32x4.shuffle(c0, c1, 2, 6, 3, 7), 16);
  v128.store(to, i32x4.shuffle(c2, c3, 0, 4, 1, 5), 32);
  v128.store(to, i32x4.shuffle(c2, c3, 2, 6, 3, 7), 48);
}
