/** The 64 bits of a float as two words, without BigInt. */

const float = new Float64Array(1);
const words = new Int32Array(float.buffer);
/** Where the two words of an element lie in a Float64Array's buffer: at twice its index, plus these. */
export const HIGH = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1 ? 1 : 0;
export const LOW = 1 - HIGH;

/** The upper 32 bits: sign, exponent and the first of the fraction; signed. */
export function highWord(value: number): number {
  float[0] = value;
  return words[HIGH]!;
}

/** The lower 32 bits, signed. */
export function lowWord(value: number): number {
  float[0] = value;
  return words[LOW]!;
}

/** The float of two words, `high` with the sign. The payload of a NaN may or may not survive. */
export function floatOfWords(high: number, low: number): number {
  words[HIGH] = high;
  words[LOW] = low;
  return float[0]!;
}

/** The NaN that says that a series has ended. */
export const STALE_HIGH = 0x7ff00000;
export const STALE_LOW = 2;

export function isStale(high: number, low: number): boolean {
  return high === STALE_HIGH && low === STALE_LOW;
}
