import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ExactSum } from './exact-sum.ts';
import { seededRandom } from './random.ts';

const UNIT_BITS = 1100;

/** A double as a whole number of 2^-1100. */
function scaled(value: number): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const exponent = Number((bits >> 52n) & 2047n);
  const fraction = bits & ((1n << 52n) - 1n);
  const mantissa = exponent === 0 ? fraction : fraction | (1n << 52n);
  const shifted = mantissa << BigInt(Math.max(exponent, 1) - 1075 + UNIT_BITS);
  return bits >> 63n === 1n ? -shifted : shifted;
}

/** The double next to a sum, halves to even: found among the neighbours of a guess. */
function nearest(sum: bigint): number {
  if (sum === 0n) return 0;
  const sign = sum < 0n ? -1 : 1;
  const magnitude = sum < 0n ? -sum : sum;
  const bits = magnitude.toString(2).length;
  const cut = Math.max(bits - 53, UNIT_BITS - 1074);
  let mantissa = magnitude >> BigInt(cut);
  const rest = magnitude - (mantissa << BigInt(cut));
  const half = 1n << BigInt(cut - 1);
  if (rest > half || (rest === half && mantissa % 2n === 1n)) mantissa++;
  // in two steps: a power may lie beyond what a double has
  const power = cut - UNIT_BITS;
  return sign * Number(mantissa) * 2 ** Math.trunc(power / 2) * 2 ** (power - Math.trunc(power / 2));
}

test('the sum of random doubles is the exact one, rounded once', () => {
  const random = seededRandom(7);
  for (let round = 0; round < 3000; round++) {
    const spread = [1, 10, 60, 500][round % 4]!;
    const values = Array.from({ length: 1 + Math.floor(random() * 12) }, () => {
      const value = (random() - 0.5) * 2 ** Math.floor((random() - 0.5) * spread);
      return random() < 0.3 ? Math.round(value * 8) / 8 : value;
    });
    // halves and what is just beside them
    if (round % 3 === 0) values.push(2 ** 53, 1, random() < 0.5 ? 2 ** -60 : -(2 ** -60), 1);
    const sum = new ExactSum();
    for (const value of values) sum.add(value);
    assert.equal(sum.rounded(), nearest(values.reduce((total, value) => total + scaled(value), 0n)), values.join());
  }
});

test('halves go to even, zero has no sign, and the smallest doubles count', () => {
  const of = (...values: number[]) => {
    const sum = new ExactSum();
    for (const value of values) sum.add(value);
    return sum.rounded();
  };
  assert.equal(of(2 ** 53, 1), 2 ** 53);
  assert.equal(of(2 ** 53, 1, 5e-324), 2 ** 53 + 2);
  assert.equal(of(2 ** 53, 3), 2 ** 53 + 4);
  assert.equal(of(2 ** 53, 3, -5e-324), 2 ** 53 + 2);
  assert.ok(Object.is(of(-0), 0) && Object.is(of(), 0) && Object.is(of(1, -1), 0));
  assert.equal(of(1e300, 1, -1e300), 1);
});
