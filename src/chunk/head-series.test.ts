import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../lib/random.ts';
import { SampleColumns } from '../storage/columns.ts';
import { SERIES_HEADER_BYTES } from '../wire/slice-layout.ts';
import { chunksAt, SliceSeriesWriter } from '../wire/slices.ts';
import { ChunkDecoder, type HeadChunk } from './head-chunk.ts';
import { CHUNK_UNORDERED } from './head-chunk-flags.ts';
import { HeadSeriesDecoder } from './head-series.ts';
import { Int64 } from './int64.ts';
import { Kernel } from './kernel.ts';
import { XorWriter } from './xor.ts';

const random = seededRandom(7);
const below = (n: number) => Math.floor(random() * n);

/** Chunks as a head hands them out: newest first. */
function record(chunks: readonly HeadChunk[]): Uint8Array {
  const room = new Uint8Array(chunks.reduce((sum, { bytes }) => sum + bytes.length + 16, SERIES_HEADER_BYTES));
  const series = new SliceSeriesWriter(room);
  series.begin(0, 0);
  for (const chunk of [...chunks].reverse()) series.chunk(chunk);
  return room.slice(SERIES_HEADER_BYTES, series.end());
}

const start = 1_790_000_000_000;

function randomChunks(): HeadChunk[] {
  const stepMs = [15_000, 1000, 1][below(3)]!;
  const jitter = [0, 0, 3, 40_000, 1e9][below(5)]!;
  const constant = random() < 0.3;
  let time = start + below(1000);
  let value = below(1000);
  return Array.from({ length: 1 + below(5) }, () => {
    const writer = XorWriter.create();
    for (let n = below(300); n >= 0; n--) {
      time += stepMs + below(jitter);
      if (!constant && random() < 0.7) value = [value + below(10), random() * 1e6, value, -value][below(4)]!;
      if (random() < 0.002) writer.appendBits(new Int64().setNumber(time), 0x7ff00000, 2);
      else writer.append(time, value);
    }
    if (random() < 0.03) time -= 100_000; // the next one reaches into this
    return { bytes: writer.toBytes(), flags: random() < 0.02 ? CHUNK_UNORDERED : 0 };
  });
}

function samplesOf(columns: SampleColumns): unknown {
  const { count, times, values, kinds, plain } = columns;
  const bits = new BigUint64Array(values.buffer, values.byteOffset, count);
  const stale = Array.from({ length: count }, (_, i) => (plain ? 0 : kinds[i]));
  // of stale markers the bits need not survive
  return { times: [...times.subarray(0, count)], values: stale.map((kind, i) => (kind === 0 ? bits[i] : kind)) };
}

test('whole series read the same as chunk by chunk, into columns that go from series to series', () => {
  const whole = new HeadSeriesDecoder(Kernel.create());
  const single = new ChunkDecoder(Kernel.create());
  const reused = new SampleColumns(16);
  const idTimes = new Map<number, string>();
  let read = 0;
  for (let run = 0; run < 400; run++) {
    const bytes = record(randomChunks());
    const startMs = random() < 0.5 ? 0 : start + below(4_000_000);
    const endMs = random() < 0.5 ? 1e15 : startMs + below(4_000_000);
    // the second time its times are known
    for (let again = 0; again < 2; again++) {
      if (!whole.read(bytes, 0, bytes.length, startMs, endMs, reused)) continue;
      read++;
      const expected = new SampleColumns();
      single.read(chunksAt(bytes, 0, bytes.length), startMs, endMs, expected);
      assert.deepEqual(samplesOf(reused), samplesOf(expected));
      const times = String(reused.times.subarray(0, reused.count));
      assert.equal(idTimes.get(reused.timesId) ?? times, times);
      idTimes.set(reused.timesId, times);
    }
  }
  assert.ok(read > 400, `${read} of 800 were read as a whole`);
});

test('damaged chunks are refused or read as something, and nothing beyond them is touched', () => {
  const decoder = new HeadSeriesDecoder(Kernel.create());
  const out = new SampleColumns(16);
  for (let run = 0; run < 3000; run++) {
    const bytes = record(randomChunks());
    for (let n = 1 + below(4); n > 0; n--)
      bytes[below(random() < 0.5 ? Math.min(64, bytes.length) : bytes.length)] = below(256);
    try {
      decoder.read(bytes, 0, bytes.length, 0, 1e15, out);
    } catch (error) {
      assert.match(String(error), /a chunk of the head does not decode/);
    }
  }
});
