import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { Kernel } from '../kernel.ts';
import { ColumnReader, type ColumnSource } from './column-reader.ts';
import { ColumnSetEncoder } from './column-set.ts';

const COLUMNS = 4;
const VALUES = 200;

const storedValue = (block: number, column: number, i: number) => Math.sin(block * 1000 + column * 300 + i);

/** A block whose stored bytes tell when they are looked at. */
function storedSource(kernel: Kernel, block: number, inflated: () => void) {
  const encoder = new ColumnSetEncoder(kernel);
  encoder.begin(COLUMNS, COLUMNS * VALUES);
  for (let column = 0; column < COLUMNS; column++)
    encoder.add(Float64Array.from({ length: VALUES }, (_, i) => storedValue(block, column, i)));
  const raw = encoder.finish();
  const stored = zstdCompressSync(raw);
  const source: ColumnSource = {
    block: {
      get stored() {
        inflated();
        return stored;
      },
      rawBytes: raw.length,
    },
    counts: new Uint32Array(COLUMNS).fill(VALUES),
    firsts: Float64Array.from({ length: COLUMNS }, (_, column) => storedValue(block, column, 0)),
    name: 'group',
    part: `block ${block}`,
  };
  return { source, rawBytes: raw.length };
}

/** Reads all columns of all blocks, series after series, and counts blocks that were inflated. */
function readRound(blocks: number, keptBlocks: number, rounds = 1) {
  const kernel = Kernel.create();
  let inflated = 0;
  const all = Array.from({ length: blocks }, (_, block) => storedSource(kernel, block, () => inflated++));
  const { rawBytes } = all[0]!;
  // room for four blocks in the kernel
  const reader = new ColumnReader(kernel, 5 * (rawBytes + 1024), keptBlocks * rawBytes + 64);
  for (let round = 0; round < rounds; round++) {
    reader.begin();
    for (let column = 0; column < COLUMNS; column++) {
      for (const [block, { source }] of all.entries())
        assert.deepEqual(
          reader.read(source, column),
          Float64Array.from({ length: VALUES }, (_, i) => storedValue(block, column, i)),
        );
    }
    reader.end();
  }
  return inflated;
}

test('blocks that the kernel has no room for are inflated twice, not once for each series', () => {
  assert.equal(readRound(20, 100), 2 * 20);
});

test('where they are too many to be kept, some are', () => {
  const inflated = readRound(20, 10);
  assert.ok(inflated > 40 && inflated <= 2 * 20 + (COLUMNS - 2) * 10 + 4, String(inflated));
});

test('blocks are kept while series are read, and not for later', () => {
  // those that were lost to the first blocks of the next round are known to be needed
  const inflated = readRound(20, 100, 3);
  assert.ok(inflated >= 3 * 2 * 20 - 2 * 5 && inflated <= 3 * 2 * 20, String(inflated));
});
