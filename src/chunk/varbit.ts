import type { BitReader, BitWriter } from './bits.ts';
import { Int64 } from './int64.ts';

/**
 * Integers in as many bits as they need, in steps: 0 is a single bit `0`; behind k ones and a zero come `SIZES[k]` bits, behind eight
 * ones all 64. Source: Prometheus `tsdb/chunkenc/varbit.go`.
 */
const SIZES = [0, 3, 6, 9, 12, 18, 25, 56, 64] as const;
const LAST = 8;
/** Steps of at most 25 bits. */
const SHORT_STEPS = 6;

/** Signed: a step of n bits holds −(2^(n−1) − 1) to 2^(n−1). */
export function writeVarbit(to: BitWriter, value: Int64): void {
  if (value.isZero) {
    to.writeBit(0);
    return;
  }
  let step = 1;
  while (step < LAST && !value.fits(SIZES[step]!)) step++;
  writeStep(to, step);
  to.writeLong(value.high, value.low, SIZES[step]!);
}

function writeVarbitUnsigned(to: BitWriter, value: Int64): void {
  if (value.isZero) {
    to.writeBit(0);
    return;
  }
  const { high, low } = value;
  const bits = high !== 0 ? 64 - Math.clz32(high) : 32 - Math.clz32(low);
  let step = 1;
  while (bits > SIZES[step]!) step++;
  writeStep(to, step);
  to.writeLong(high, low, SIZES[step]!);
}

function writeStep(to: BitWriter, step: number): void {
  if (step === LAST) to.writeBits(0xff, LAST);
  else to.writeBits((1 << (step + 1)) - 2, step + 1);
}

/** Into `value`. */
export function readVarbit(from: BitReader, value: Int64): void {
  const size = SIZES[from.readOnes(LAST)]!;
  if (size === 0) value.setWords(0, 0);
  else readStep(from, size, value);
}

function readStep(from: BitReader, size: number, value: Int64): void {
  from.readLong(size);
  let { high } = from;
  if (size <= 32) {
    const low = from.low;
    // one more value above 0 than below
    value.setNumber(low > 2 ** (size - 1) ? low - 2 ** size : low);
    return;
  }
  if (size < 64) {
    const half = 2 ** (size - 33);
    if (high > half || (high === half && from.low !== 0)) high -= 2 * half;
  }
  value.setWords(high, from.low);
}

function readVarbitUnsigned(from: BitReader, value: Int64): void {
  const size = SIZES[from.readOnes(LAST)]!;
  if (size === 0) value.setWords(0, 0);
  else {
    from.readLong(size);
    value.setWords(from.high, from.low);
  }
}

/** As `writeVarbit` of an integer that a number holds exactly. */
export function writeVarbitNumber(to: BitWriter, value: number): void {
  // most are small: prefix and bits at once
  if (value === 0) to.writeBit(0);
  else if (value >= -3 && value <= 4) to.writeBits((0b10 << 3) | (value & 7), 5);
  else if (value >= -31 && value <= 32) to.writeBits((0b110 << 6) | (value & 63), 9);
  else if (value >= -255 && value <= 256) to.writeBits((0b1110 << 9) | (value & 511), 13);
  else if (value >= -2047 && value <= 2048) to.writeBits((0b11110 << 12) | (value & 4095), 17);
  else writeVarbit(to, scratch.setNumber(value));
}

export function writeVarbitUnsignedNumber(to: BitWriter, value: number): void {
  writeVarbitUnsigned(to, scratch.setNumber(value));
}

/** One that has to be an integer that a number holds exactly. */
export function readVarbitNumber(from: BitReader): number {
  const step = from.readOnes(LAST);
  if (step === 0) return 0;
  if (step <= SHORT_STEPS) {
    const size = SIZES[step]!;
    const bits = from.readBits(size);
    return bits > 2 ** (size - 1) ? bits - 2 ** size : bits;
  }
  readStep(from, SIZES[step]!, scratch);
  if (!scratch.isSafe) from.fail(`it holds the number ${scratch.toBigInt()}`);
  return scratch.toNumber();
}

export function readVarbitUnsignedNumber(from: BitReader): number {
  readVarbitUnsigned(from, scratch);
  if (!scratch.isSafe || scratch.high < 0) from.fail(`it holds the number ${BigInt.asUintN(64, scratch.toBigInt())}`);
  return scratch.toNumber();
}

const scratch = new Int64();
