// The cold encoding of columns of doubles, at rest in groups (docs/formats/group.md): a constant, decimals as scaled integers in packed
// blocks of 32 differences, or differences of the bit patterns of what changed. What encoder and decoder share.

export const CONSTANT: u32 = 0;
/** Differences that are never negative. */
export const DELTA: u32 = 1;
export const DELTA_ZIGZAG: u32 = 2;
export const DELTA2_ZIGZAG: u32 = 3;
/** Differences of bit patterns, of what changed only. */
export const BITS_DELTA: u32 = 4;
export const BITS_DELTA2: u32 = 5;
export const CODEC_MASK: u32 = 0x0f;
/** Beside the codec: single values that do not fit it are listed. */
export const EXCEPTIONS: u32 = 0x80;

/** An integer that a double and every difference of two of them hold exactly. */
export const INTEGER_MAX: f64 = 9007199254740992.0;
export const EXPONENT_MAX: u32 = 14;
const NEGATIVE_ZERO: u64 = 0x8000000000000000;

// 10^0 … 10^14, exact
const POWERS: usize = memory.data<f64>([1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14]);

// @ts-ignore: decorator
@inline export function zigzag(x: i64): u64 {
  return ((<u64>x) << 1) ^ <u64>(x >> 63);
}

// @ts-ignore: decorator
@inline export function unzigzag(x: u64): i64 {
  return <i64>((x >> 1) ^ (0 - (x & 1)));
}

// @ts-ignore: decorator
@inline export function powerOf10(exponent: u32): f64 {
  return load<f64>(POWERS + ((<usize>exponent) << 3));
}

/** Not a number, infinite, or −0: bits that no integer has. */
// @ts-ignore: decorator
@inline export function isException(bits: u64): bool {
  return (bits & 0x7ff0000000000000) == 0x7ff0000000000000 || bits == NEGATIVE_ZERO;
}
