import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ROW_ENTRY_WORDS,
  ROW_FROM,
  ROW_LAST,
  ROW_OTHERWISE,
  ROW_RATE,
  ROW_SLOTS,
  ROW_STEP_BYTES,
  ROW_TO,
} from '../storage/row-layout.ts';
import { SERIES_HEADER_BYTES } from '../wire/slice-layout.ts';
import { SliceSeriesWriter } from '../wire/slices.ts';
import { Kernel } from './kernel.ts';
import { SeriesRows } from './series-rows.ts';
import { XorWriter } from './xor.ts';

const START_MS = 1_790_000_000_000;

/** The chunk of a series of its own values, as a head hands it out. */
function record(series: number, samples: number): { bytes: Uint8Array; last: number; chunkBytes: number } {
  const writer = XorWriter.create();
  let last = 0;
  for (let i = 0; i < samples; i++) {
    last = series + i * 0.1;
    writer.append(START_MS + i * 1000, last);
  }
  const chunk = writer.toBytes();
  const room = new Uint8Array(SERIES_HEADER_BYTES + chunk.length + 16);
  const slice = new SliceSeriesWriter(room);
  slice.begin(0, 0);
  slice.chunk({ bytes: chunk, flags: 0 });
  return { bytes: room.slice(SERIES_HEADER_BYTES, slice.end()), last, chunkBytes: chunk.length };
}

test('chunks of any length leave those of the next series as they are', () => {
  const all = Array.from({ length: 64 }, (_, i) => record(i, 3 + i));
  const lengths = new Set(all.map(({ chunkBytes }) => chunkBytes % 16));
  assert.ok([1, 2, 3, 4, 5, 6, 7, 8].some((length) => lengths.has(length)));
  const endMs = START_MS + 1e6;
  const program = { func: ROW_LAST, steps: 1, firstEndMs: endMs, stepMs: 0, backMs: 1e7, rangeSeconds: 1 };
  const batch = { values: new Float64Array(64), entries: new Uint32Array(64 * ROW_ENTRY_WORDS) };
  const rows = new SeriesRows(Kernel.create());
  const read = rows.read(
    program,
    0,
    endMs,
    0,
    all.length,
    (place, out) => {
      out.bytes = all[place]!.bytes;
      out.from = 0;
      out.to = out.bytes.length;
    },
    batch,
  );
  assert.equal(read, all.length);
  for (const [i, { last }] of all.entries()) {
    assert.notEqual(batch.entries[i * ROW_ENTRY_WORDS + ROW_FROM], ROW_OTHERWISE, `series ${i}`);
    assert.equal(batch.entries[i * ROW_ENTRY_WORDS + ROW_TO], 1);
    assert.equal(batch.values[i], last);
  }
});

/** CPU time in us of a row of rates over six hours, each minute, of a day's counter. */
function rateCost(steps: number): { us: number; isSparse: boolean } {
  const kernel = Kernel.create();
  const { exports } = kernel;
  const count = 5760;
  const backMs = 6 * 3_600_000;
  const samples = kernel.reserve(exports.rowsSampleBytes(16_384));
  const perStep = kernel.reserve(ROW_SLOTS * ROW_STEP_BYTES * steps);
  const entry = kernel.reserve(64);
  const out = kernel.reserve(8 * steps);
  exports.rowsBegin(ROW_RATE, steps, backMs, 60_000, backMs, backMs / 1000, 0, 1e12, samples, 16_384, perStep);
  const times = exports.rowsTimesAt(0) / 8;
  const values = exports.rowsValuesAt() / 8;
  for (let i = 0; i < count; i++) {
    kernel.f64[times + i] = i * 15_000;
    kernel.f64[values + i] = i * 3;
  }
  assert.notEqual(exports.rowsWindows(0, count), 0);
  const fill = (times: number) => {
    const begun = process.cpuUsage();
    for (let i = 0; i < times; i++) exports.rowsFill(0, entry, out);
    const { user } = process.cpuUsage(begun);
    return user / times;
  };
  fill(300);
  return { us: Math.min(fill(300), fill(300), fill(300)), isSparse: exports.rowsBlocks(0) !== 0 };
}

test('windows that overlap in a part of a day cost no more than those that have all of it', () => {
  const whole = rateCost(1080);
  const part = rateCost(660);
  assert.deepEqual([whole.isSparse, part.isSparse], [false, true]);
  assert.ok(part.us < 5 * whole.us, `${part.us} us a row, ${whole.us} of more windows`);
});
