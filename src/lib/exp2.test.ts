import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exp2, log2, powerOfTwo, scaleByPower } from './exp2.ts';
import { seededRandom } from './random.ts';

test('powers of two are exact, over the whole range', () => {
  for (let e = -1022; e <= 1023; e++) {
    assert.equal(powerOfTwo(e), 2 ** e);
    assert.equal(log2(2 ** e), e);
    assert.equal(exp2(e), 2 ** e);
  }
  assert.equal(log2(5e-324), -1074);
  assert.equal(exp2(-1074), 5e-324);
});

test('scaling rounds once, under- and overflows', () => {
  assert.equal(scaleByPower(1.5, 1023), 1.5 * 2 ** 1023);
  assert.equal(scaleByPower(0.5, 1024), 2 ** 1023);
  assert.equal(scaleByPower(1, 1024), Infinity);
  assert.equal(scaleByPower(1.5, 5000), Infinity);
  assert.equal(scaleByPower(1.75, -1074), 1e-323);
  assert.equal(scaleByPower(1, -1075), 0);
  assert.equal(scaleByPower(1, -5000), 0);
});

test('log2 and exp2 agree with the engine but for the last bits', () => {
  const random = seededRandom(1);
  const near = (a: number, b: number) => assert.ok(Math.abs(a - b) <= Math.abs(b) * 1e-15 + 1e-15, `${a} and ${b}`);
  for (let i = 0; i < 1000; i++) {
    const x = (random() - 0.5) * 2000;
    near(exp2(x), 2 ** x);
    const y = random() * 10 ** Math.floor(random() * 600 - 300);
    near(log2(y), Math.log2(y));
  }
  assert.deepEqual([log2(0), log2(-1), log2(Infinity)], [-Infinity, Number.NaN, Infinity]);
  assert.deepEqual(
    [exp2(Infinity), exp2(-Infinity), exp2(2000), exp2(Number.NaN)],
    [Infinity, 0, Infinity, Number.NaN],
  );
});
