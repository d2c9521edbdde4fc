/**
 * Powers of two and logarithms that come out with the same bits on every engine, and the same as Go's `math` package.
 * Source of the polynomial: FreeBSD's e_exp.c (Sun Microsystems, 1993), as Go uses it.
 */

const bits = new Uint32Array(2);
const float = new Float64Array(bits.buffer);
const LOW_WORD_FIRST = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;
const HIGH = LOW_WORD_FIRST ? 1 : 0;
const LOW = 1 - HIGH;

/** 2^exponent for an integer from −1022 to 1023, exactly. */
export function powerOfTwo(exponent: number): number {
  bits[HIGH] = (exponent + 1023) << 20;
  bits[LOW] = 0;
  return float[0]!;
}

/** fraction × 2^exponent, rounded once. */
export function scaleByPower(fraction: number, exponent: number): number {
  if (exponent >= -1022 && exponent <= 1023) return fraction * powerOfTwo(exponent);
  if (exponent > 1023)
    return fraction * powerOfTwo(1023) * (exponent > 2100 ? Infinity : scaleByPower(1, exponent - 1023));
  // below the normal range: into it first, so that only the last step rounds
  return exponent < -1200 ? fraction * 0 : fraction * powerOfTwo(exponent + 600) * powerOfTwo(-600);
}

export function log2(x: number): number {
  if (!(x > 0) || x === Infinity) return Math.log2(x);
  let scaled = x;
  let exponent = 0;
  if (x < 2.2250738585072014e-308) {
    scaled = x * 4503599627370496; // 2^52 makes it normal
    exponent = -52;
  }
  float[0] = scaled;
  exponent += ((bits[HIGH]! >>> 20) & 0x7ff) - 1022;
  bits[HIGH] = (bits[HIGH]! & 0x800fffff) | (1022 << 20);
  const fraction = float[0]!; // in [0.5, 1)
  // a power of two has an exact logarithm
  return fraction === 0.5 ? exponent - 1 : Math.log(fraction) * Math.LOG2E + exponent;
}

export function exp2(x: number): number {
  if (Number.isNaN(x) || x === Infinity) return x;
  if (x > 1023.9999999999999) return Infinity;
  if (x < -1074) return 0;
  const k = Math.trunc(x > 0 ? x + 0.5 : x - 0.5);
  const t = x - k;
  const high = t * 0.6931471803691238;
  const low = -t * 1.9082149292705877e-10;
  const r = high - low;
  const square = r * r;
  const tail = 0.00006613756321437934 + square * (-0.0000016533902205465252 + square * 4.1381367970572385e-8);
  const c = r - square * (0.16666666666666666 + square * (-0.0027777777777015593 + square * tail));
  return scaleByPower(1 - (low - (r * c) / (2 - c) - high), k);
}
