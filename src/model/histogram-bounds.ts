import { powerOfTwo, scaleByPower } from '../lib/exp2.ts';
import { CUSTOM_BUCKETS_SCHEMA } from './histogram.ts';

/**
 * How many units in the last place Prometheus' table of bounds lies below the right value of 2^(i/256), plus 1, by i.
 * Its bounds are what all stored histograms were counted by, and their digits show in answers, so they are the right ones here.
 */
const TABLE_ERRORS =
  '1111112111211111112311222222222211211121122211221122102211221122111111222233213211211121111211111112' +
  '1011213311221222112121332222212122332232212222222232323332331122112122332133223321223233223222432232' +
  '33433343333333444455435422322333324422333243223333543344';

/** 2^(i/256) for i from 0 to 255. */
const FRACTIONS = fractions();

function fractions(): Float64Array {
  const bits = 160n; // of fixed point: enough that 256 multiplications stay far below half a unit
  let root = 2n << bits;
  for (let i = 0; i < 8; i++) root = squareRoot(root << bits);
  const out = new Float64Array(256);
  let value = 1n << bits;
  for (let i = 0; i < 256; i++) {
    const below = Number(TABLE_ERRORS[i]) - 1;
    const rounded = (value + (1n << (bits - 53n))) >> (bits - 52n);
    out[i] = (Number(rounded) - below) / 2 ** 52;
    value = (value * root) >> bits;
  }
  return out;
}

function squareRoot(n: bigint): bigint {
  let x = 1n << BigInt((n.toString(2).length + 1) >> 1);
  for (;;) {
    const next = (x + n / x) >> 1n;
    if (next >= x) return x;
    x = next;
  }
}

/** The upper bound of positive bucket `index`. The last one before the bucket of +Inf ends at the largest finite number. */
export function exponentialBound(index: number, schema: number): number {
  if (schema <= 0) {
    const exponent = index * 2 ** -schema;
    if (exponent >= -1022 && exponent <= 1023) return powerOfTwo(exponent);
    return exponent === 1024 ? Number.MAX_VALUE : scaleByPower(1, exponent);
  }
  const fraction = FRACTIONS[(index & ((1 << schema) - 1)) << (8 - schema)]!;
  const exponent = index >> schema;
  if (exponent >= -1022 && exponent <= 1023) return fraction * powerOfTwo(exponent);
  return exponent === 1024 && fraction === 1 ? Number.MAX_VALUE : scaleByPower(fraction, exponent);
}

/** The upper bound of positive bucket `index` of any schema; of bucket −1 of custom buckets it is −Inf, behind the last +Inf. */
export function bucketBound(index: number, schema: number, customValues: readonly number[]): number {
  if (schema !== CUSTOM_BUCKETS_SCHEMA) return exponentialBound(index, schema);
  if (index < 0) return -Infinity;
  return index < customValues.length ? customValues[index]! : Infinity;
}

/** Where bucket `index` of one exponential schema lies in a coarser one. */
export function coarserIndex(index: number, schema: number, target: number): number {
  return ((index - 1) >> Math.min(schema - target, 31)) + 1;
}
