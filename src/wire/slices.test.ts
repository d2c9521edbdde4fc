import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HeadChunk } from '../chunk/head-chunk.ts';
import { CHUNK_STARTS, CHUNK_UNORDERED } from '../chunk/head-chunk-flags.ts';
import { SERIES_HEADER_BYTES } from './slice-layout.ts';
import { SliceSeriesWriter, SliceView } from './slices.ts';

/** Writes a series with these labels and chunks at the start of `room`; undefined where there is no room. */
function write(room: Uint8Array, labels: Uint8Array, chunks: readonly HeadChunk[]): number | undefined {
  const series = new SliceSeriesWriter(room);
  room.set(labels, SERIES_HEADER_BYTES);
  series.begin(7, labels.length);
  for (const chunk of chunks) if (!series.chunk(chunk)) return undefined;
  return series.end();
}

const of = (length: number, fill: number) => new Uint8Array(length).fill(fill);

test('series and chunks are read back as they were written, whatever their lengths', () => {
  const room = of(4096, 0xff);
  const series = Array.from({ length: 20 }, (_, i) => ({
    labels: of(1 + i, i),
    chunks: Array.from({ length: i % 4 }, (_, n) => ({
      bytes: of(3 * n + i, n),
      flags: [0, CHUNK_UNORDERED, CHUNK_STARTS | (4 << 8)][n]!,
    })),
  }));
  let end = 0;
  for (const { labels, chunks } of series) end += write(room.subarray(end), labels, chunks)!;
  const found: unknown[] = [];
  for (const view = new SliceView(room.subarray(0, end)); view.next(); ) {
    found.push({ labels: view.labels, chunks: view.chunks });
    assert.deepEqual([view.chunksFrom % 8, view.chunksTo % 8], [0, 0]);
  }
  assert.deepEqual(found, series);
});

test('chunks are added to a series that is there, and one that does not fit is not written', () => {
  const room = of(80, 0);
  const labels = Uint8Array.from([1, 97, 1, 98]);
  const first = { bytes: of(9, 1), flags: 0 };
  assert.equal(write(room, labels, [first]), 48);
  const series = new SliceSeriesWriter(room);
  series.resume();
  const second = { bytes: of(8, 2), flags: CHUNK_UNORDERED };
  assert.deepEqual(
    [series.chunk({ bytes: of(25, 3), flags: 0 }), series.chunk(second), series.end()],
    [false, true, 64],
  );
  const view = new SliceView(room.subarray(0, 64));
  assert.ok(view.next());
  assert.deepEqual(view.chunks, [first, second]);
  assert.ok(!view.next());
});
