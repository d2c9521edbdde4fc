import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../lib/random.ts';
import { BitReader, BitWriter } from './bits.ts';
import { Int64 } from './int64.ts';
import { readVarbit, writeVarbit } from './varbit.ts';

const MAX = (1n << 63n) - 1n;
const int = (value: bigint) => new Int64().setBigInt(value);

/** Integers of any size, the ends of ranges often. */
function numbers(count: number): bigint[] {
  const random = seededRandom(1);
  return Array.from({ length: count }, () => {
    const bits = BigInt(Math.floor(random() * 64));
    const near = BigInt(Math.floor(random() * 5) - 2);
    const value = random() < 0.5 ? 1n << bits : BigInt(Math.floor(random() * 2 ** 53)) << (bits >> 2n);
    return BigInt.asIntN(64, (random() < 0.5 ? value : -value) + near);
  });
}

test('computes as 64-bit integers do', () => {
  const all = numbers(2000);
  for (let i = 1; i < all.length; i++) {
    const [a, b] = [all[i - 1]!, all[i]!];
    assert.equal(new Int64().setSum(int(a), int(b)).toBigInt(), BigInt.asIntN(64, a + b));
    assert.equal(new Int64().setDifference(int(a), int(b)).toBigInt(), BigInt.asIntN(64, a - b));
    assert.equal(int(a).equals(int(b)), a === b);
    if (int(a).isSafe) assert.equal(BigInt(int(a).toNumber()), a);
    for (const bits of [3, 14, 25, 56]) {
      const half = 1n << BigInt(bits - 1);
      assert.equal(int(a).fits(bits), a > -half && a <= half, `${a} in ${bits} bits`);
    }
  }
  assert.equal(new Int64().setNumber(-1).toBigInt(), -1n);
  assert.equal(int(MAX).toBigInt(), MAX);
});

test('varints and varbits give back every number', () => {
  const all = [...numbers(2000), MAX, -MAX - 1n, 0n];
  const writer = new BitWriter(1);
  writer.writeBits(0b101, 3); // nothing begins at a byte
  for (const value of all) {
    const { high, low } = int(value);
    writer.writeVarint(high, low);
    writer.writeUvarint(high, low);
    writeVarbit(writer, int(value));
  }
  const reader = new BitReader(writer.toBytes(), 0, 'test');
  const read = new Int64();
  assert.equal(reader.readBits(3), 0b101);
  for (const value of all) {
    reader.readVarint();
    assert.equal(read.setWords(reader.high, reader.low).toBigInt(), value);
    reader.readUvarint();
    assert.equal(read.setWords(reader.high, reader.low).toBigInt(), value);
    readVarbit(reader, read);
    assert.equal(read.toBigInt(), value);
  }
  assert.throws(() => reader.readBits(8), /test chunk is damaged: it ends after/);
});
