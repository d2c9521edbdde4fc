import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { BytesError } from '../../lib/bytes.ts';
import { Kernel } from '../kernel.ts';
import { ColumnSet, ColumnSetEncoder, decodeBytes } from './column-set.ts';

const kernel = Kernel.create();
const encoder = new ColumnSetEncoder(kernel);
const set = new ColumnSet(kernel);
const out = kernel.reserve(decodeBytes(65536));
const scratch = kernel.reserve(decodeBytes(65536));
const WANTED_BYTES = 16;
const wanted = kernel.reserve(WANTED_BYTES);

function read(column: number): Float64Array {
  set.decode(column, out, scratch);
  return kernel.f64.slice(out / 8, out / 8 + set.counts[column]!);
}

function readRange(column: number, from: number, to: number): Float64Array {
  kernel.u8.fill(0xaa, out, out + 8 * set.counts[column]!);
  set.decode(column, out, scratch, from, to);
  return kernel.f64.slice(out / 8 + from, out / 8 + to);
}

/** Those of the blocks of 32 that `isWanted`, and the first value; others as they are decoded whole. */
function readBlocks(column: number, isWanted: (block: number) => boolean, whole: Float64Array): Float64Array {
  const n = set.counts[column]!;
  kernel.u8.fill(0xaa, out, out + 8 * n);
  kernel.u8.fill(0, wanted, wanted + WANTED_BYTES);
  for (let block = 0; block < 8 * WANTED_BYTES; block++) {
    if (isWanted(block)) kernel.u8[wanted + (block >> 3)]! |= 1 << (block & 7);
  }
  set.decode(column, out, scratch, 0, n, wanted);
  const read = kernel.f64.slice(out / 8, out / 8 + n);
  for (let i = 1; i < n; i++) if (!isWanted((i - 1) >> 5)) read.set(whole.subarray(i, i + 1), i);
  return read;
}

function encode(columns: readonly Float64Array[]): Uint8Array {
  encoder.begin(
    columns.length,
    columns.reduce((sum, column) => sum + column.length, 0),
  );
  for (const column of columns) encoder.add(column);
  return encoder.finish();
}

function load(block: Uint8Array, columns: readonly Float64Array[]): void {
  set.load(
    block,
    Uint32Array.from(columns, (column) => column.length),
    bits(BigUint64Array.from(columns, (column) => asBits(column)[0]!)),
  );
}

function bits(values: BigUint64Array<ArrayBuffer>): Float64Array {
  return new Float64Array(values.buffer);
}

function asBits(values: Float64Array): BigUint64Array {
  return new BigUint64Array(values.buffer, values.byteOffset, values.length);
}

function roundTrips(columns: readonly Float64Array[]): number {
  const block = encode(columns);
  load(block, columns);
  columns.forEach((column, i) => {
    assert.deepEqual(asBits(read(i)), asBits(column));
    const n = column.length;
    for (const isWanted of [
      (block: number) => block % 2 === 0,
      (block: number) => block % 2 === 1,
      (block: number) => block % 3 === 2,
      () => false,
    ]) {
      assert.deepEqual(asBits(readBlocks(i, isWanted, column)), asBits(column), `${isWanted} of ${n}`);
    }
    for (const [from, to] of [
      [0, 1],
      [n - 1, n],
      [n >> 1, n],
      [n >> 2, n >> 1],
    ] as const) {
      assert.deepEqual(asBits(readRange(i, from, to)), asBits(column.slice(from, to)), `${from} to ${to} of ${n}`);
    }
  });
  return block.length;
}

const STALE = bits(BigUint64Array.of(0x7ff0000000000002n))[0];

test('integers, decimals, constants and what does not fit them come back', () => {
  roundTrips([
    Float64Array.of(1),
    Float64Array.of(7, 7, 7),
    Float64Array.of(1, 2, 3, 5, 8),
    Float64Array.of(0.1, 0.3, -0.25, 1e9 + 0.125),
    Float64Array.of(5, Infinity, -Infinity, 6, 7, 8, 9, 10, 11, 12, 13, 14, -0, 15, 16, 17),
    Float64Array.of(Math.PI, Math.E, Math.SQRT2, 0, -0, Number.NaN, Number.MIN_VALUE, Number.MAX_VALUE),
    Float64Array.of(2 ** 53, -(2 ** 53), 2 ** 53, 1),
  ]);
});

test('every block width comes back', () => {
  for (let width = 0; width <= 53; width++) {
    const column = Float64Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? 2 ** width - 1 : -(2 ** width) + i));
    const counter = Float64Array.from({ length: 97 }, (_, i) => Math.min(i * 2 ** (width - 7), 2 ** 53));
    roundTrips([column, counter, column.map((x) => x / 1000)]);
  }
});

test('differences that share low zero bits are stored without them', () => {
  const pages = Float64Array.from({ length: 481 }, (_, i) => 1e9 + 4096 * ((i * 7919) % 512));
  const rough = pages.map((x, i) => x + (i % 3));
  assert.ok(roundTrips([pages]) < roundTrips([rough]) - (481 * 9) / 8);
});

test('any bits of any length come back', () => {
  const anyBits = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((x) => bits(BigUint64Array.of(x))[0]!);
  const column = fc.oneof(
    fc.array(anyBits, { minLength: 1, maxLength: 200 }).map((values) => {
      // through bits, so that NaN payloads survive
      const out = new BigUint64Array(values.length);
      values.forEach((value, i) => {
        out[i] = asBits(Float64Array.of(value))[0]!;
      });
      return bits(out);
    }),
    fc.array(fc.double(), { minLength: 1, maxLength: 100 }).map((values) => Float64Array.from(values)),
    fc.array(fc.integer(), { minLength: 1, maxLength: 100 }).map((values) => Float64Array.from(values)),
    fc
      .array(fc.oneof({ weight: 20, arbitrary: fc.nat(9999) }, { weight: 1, arbitrary: fc.constant(STALE) }, anyBits), {
        minLength: 1,
        maxLength: 300,
      })
      .map((values) => Float64Array.from(values as number[], (x) => x / 100)),
    fc
      .array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { minLength: 1, maxLength: 80 })
      .map((values) => bits(BigUint64Array.from(values))),
  );
  fc.assert(
    fc.property(fc.array(column, { minLength: 1, maxLength: 6 }), (columns) => {
      roundTrips(columns);
    }),
    { numRuns: 500 },
  );
});

test('a block with flipped bits is refused or decoded within its bounds', () => {
  const columns = [
    Float64Array.from({ length: 70 }, (_, i) => i * i),
    Float64Array.from({ length: 40 }, (_, i) => Math.sqrt(i)),
    Float64Array.of(1, 1, 1, 1, 1, 1, 1, Number.NaN, 2),
    Float64Array.of(3),
    Float64Array.from({ length: 33 }, (_, i) => Math.sin(i)),
  ];
  const block = encode(columns);
  let refused = 0;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(block.length - 1), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 4 }),
      fc.nat(block.length),
      fc.boolean(),
      (flips, length, cut) => {
        const bad = block.slice(0, cut ? length : block.length);
        for (const [at, mask] of flips) if (at < bad.length) bad[at]! ^= mask;
        try {
          load(bad, columns);
        } catch (error) {
          assert.ok(error instanceof BytesError);
          refused++;
          return;
        }
        columns.forEach((column, i) => {
          assert.equal(read(i).length, column.length);
        });
      },
    ),
    { numRuns: 3000 },
  );
  assert.ok(refused > 300, `${refused} refused`);
});
