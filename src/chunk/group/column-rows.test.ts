import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ROW_ENTRY_WORDS, ROW_LAST, ROW_SLOTS } from '../../storage/row-layout.ts';
import { Kernel } from '../kernel.ts';
import type { ColumnReader } from './column-reader.ts';
import { ColumnRows, type RowChunks } from './column-rows.ts';

test('times that cannot be decoded leave the windows of others as they are', () => {
  const kernel = Kernel.create();
  let isDamaged = true;
  const decodeTo = (place: number, column: Float64Array | 'damaged') => {
    if (column === 'damaged' && isDamaged) throw new Error('damaged');
    kernel.f64.set(column === 'damaged' ? [1, 2] : column, place / 8);
  };
  const rows = new ColumnRows(kernel, { decodeTo } as unknown as ColumnReader);
  /** Series of so many samples, one a ms. */
  const series = (count: number, isGood = true): RowChunks => {
    const source = isGood ? Float64Array.from({ length: count }, (_, i) => i + 1) : 'damaged';
    const values = Object.assign(
      Float64Array.from({ length: count }, (_, i) => 10 * (i + 1)),
      { counts: [count] },
    );
    const chunk = { time: { count, source, column: 0 }, flags: 0, values, column: 0 };
    return { chunks: [chunk] as unknown as RowChunks['chunks'], timesId: isGood ? count : 1_000 };
  };
  const program = { func: ROW_LAST, steps: 1, firstEndMs: 100, stepMs: 0, backMs: 1_000, rangeSeconds: 1 };
  const last = (own: RowChunks) => {
    const batch = { values: new Float64Array(1), entries: new Uint32Array(ROW_ENTRY_WORDS) };
    rows.read(program, 0, 1_000, 0, 1, () => own, batch);
    return batch.values[0];
  };
  for (let count = 10; count < 10 + ROW_SLOTS; count++) assert.equal(last(series(count)), 10 * count);
  assert.throws(() => last(series(2, false)), /damaged/);
  isDamaged = false;
  assert.equal(last(series(5)), 50);
  for (let count = 10 + ROW_SLOTS - 1; count >= 10; count--) assert.equal(last(series(count)), 10 * count);
});
