import assert from 'node:assert/strict';
import test from 'node:test';
import type { GroupSeries } from '../chunk/group/series.ts';
import { Kernel } from '../chunk/kernel.ts';
import { SeriesRows } from '../chunk/series-rows.ts';
import { XorWriter } from '../chunk/xor.ts';
import { systemClock } from '../lib/clock.ts';
import { type Random, seededRandom } from '../lib/random.ts';
import { LabelMatcher } from '../model/matcher.ts';
import { MemoryObjectClient } from '../object/memory.ts';
import { SampleColumns } from '../storage/columns.ts';
import {
  ROW_DELTA,
  ROW_ENTRY_WORDS,
  ROW_FROM,
  ROW_OTHERWISE,
  ROW_RATE,
  ROW_RESETS,
  ROW_TO,
} from '../storage/row-layout.ts';
import type { RowBatch, RowProgram } from '../storage/series-rows.ts';
import { MemoryTableStore } from '../table/memory.ts';
import { SERIES_HEADER_BYTES } from '../wire/slice-layout.ts';
import { SliceSeriesWriter } from '../wire/slices.ts';
import { PLACEMENT_DEFAULT, slotOf } from './placement.ts';
import { ChunkStoreReader } from './reader.ts';
import { Schema, TABLE_MS_DEFAULT } from './schema.ts';
import { seriesOf, testContext } from './test-series.ts';
import { ChunkStoreWriter } from './writer.ts';

const START = Date.UTC(2026, 0, 5);
const WINDOW = 7_200_000;
const WINDOWS = 3;
const SERIES = 60;
const SEED = Number(process.env.SEED ?? 7);

/** Series of a few targets, whose times they share; a third of them with what is rare: NaN, infinities, times of their own. */
function randomSeries(random: Random): GroupSeries[] {
  const times = (stepMs: number, lost: number) => {
    const offsetMs = Math.floor(random() * stepMs);
    const all: number[] = [];
    for (let at = START + offsetMs; at < START + WINDOWS * WINDOW; at += stepMs) if (random() >= lost) all.push(at);
    return all;
  };
  const shared = Array.from({ length: 20 }, () => times([7000, 15_000, 60_000][Math.floor(random() * 3)]!, 0.02));
  return Array.from({ length: SERIES }, (_, i) => {
    const isRare = random() < 0.3;
    const own = isRare ? times(30_000, 0.5) : shared[i % shared.length]!;
    const from = random() < 0.2 ? Math.floor(random() * own.length) : 0;
    const kind = Math.floor(random() * 5);
    let value = Math.floor(random() * 1000);
    const next = (): number => {
      if (isRare && random() < 0.002) return [Number.NaN, Infinity, -0, 1e308, -1e308][Math.floor(random() * 5)]!;
      if (kind === 0) return value;
      if (kind === 1) return (random() - 0.5) * 10 ** Math.floor(random() * 20);
      value = random() < 0.01 ? 0 : value + Math.floor(random() * 20);
      return kind === 2 ? value / 100 : value;
    };
    return seriesOf({ __name__: 'm', i: String(i) }, own.slice(from), next);
  });
}

async function write(schema: Schema, kernel: Kernel, series: readonly GroupSeries[]): Promise<void> {
  const writer = new ChunkStoreWriter(schema, kernel, { clock: systemClock });
  for (let window = 0; window < WINDOWS; window++) {
    const windowStartMs = START + window * WINDOW;
    const slots = Map.groupBy(series, ({ labels }) =>
      Buffer.from(slotOf(PLACEMENT_DEFAULT, labels)).toString('latin1'),
    );
    for (const inSlot of slots.values()) {
      const within = inSlot.flatMap(({ labels, times, values }) => {
        const picked = [...times.keys()].filter(
          (i) => times[i]! >= windowStartMs && times[i]! < windowStartMs + WINDOW,
        );
        if (picked.length === 0) return [];
        return [
          {
            labels,
            times: Float64Array.from(picked, (i) => times[i]!),
            values: Float64Array.from(picked, (i) => values[i]!),
          },
        ];
      });
      if (within.length === 0) continue;
      const slot = slotOf(PLACEMENT_DEFAULT, within[0]!.labels);
      const group = { tenant: 't', placement: PLACEMENT_DEFAULT, slot, windowStartMs, windowMs: WINDOW };
      await writer.write([{ ...group, series: within }]);
    }
  }
}

/** The samples as a head has them. */
function chunkOf({ times, values, count }: SampleColumns): Uint8Array {
  const writer = XorWriter.create();
  for (let i = 0; i < count; i++) writer.append(times[i]!, values[i]!);
  const bytes = writer.toBytes();
  const room = new Uint8Array(SERIES_HEADER_BYTES + bytes.length + 32);
  const slice = new SliceSeriesWriter(room);
  slice.begin(0, 0);
  slice.chunk({ bytes, flags: 0 });
  return room.slice(SERIES_HEADER_BYTES, slice.end());
}

function randomProgram(random: Random, startMs: number, endMs: number): RowProgram {
  const func = Math.floor(random() * (ROW_RESETS + 1));
  const stepMs = [1000, 15_000, 60_000, 1_800_000][Math.floor(random() * 4)]!;
  const backMs = [20_000, 60_000, 300_000, 3_600_000][Math.floor(random() * 4)]!;
  const steps = Math.max(1, Math.min(200, Math.floor((endMs - startMs) / stepMs)));
  const perSecond = func === ROW_RATE || func === ROW_DELTA ? backMs / 1000 : 1;
  return { func, steps, firstEndMs: startMs + backMs, stepMs, backMs, rangeSeconds: perSecond };
}

function batchOf(program: RowProgram, series: number): RowBatch {
  return { values: new Float64Array(series * program.steps), entries: new Uint32Array(series * ROW_ENTRY_WORDS) };
}

function readAll(read: (from: number, out: RowBatch) => number, program: RowProgram, series: number): string[] {
  const out: string[] = [];
  while (out.length < series) {
    const from = out.length;
    const batch = batchOf(program, series - from);
    const to = read(from, batch);
    assert.ok(to > from && to <= series);
    for (let i = 0; i < to - from; i++) {
      const entry = batch.entries.subarray(i * ROW_ENTRY_WORDS, (i + 1) * ROW_ENTRY_WORDS);
      if (entry[ROW_FROM] === ROW_OTHERWISE) {
        out.push('otherwise');
        continue;
      }
      const row = batch.values.subarray(i * program.steps + entry[ROW_FROM]!, i * program.steps + entry[ROW_TO]!);
      out.push(`${[...entry]} ${Buffer.from(row.buffer, row.byteOffset, row.byteLength).toString('hex')}`);
    }
  }
  return out;
}

test(`rows of stored series are those that a head makes of the same samples (seed ${SEED})`, async () => {
  const random = seededRandom(SEED);
  const kernel = Kernel.create();
  const tables = new MemoryTableStore();
  const objects = new MemoryObjectClient(systemClock);
  const schema = new Schema([
    { fromMs: Number.NEGATIVE_INFINITY, tables, objects, tablePrefix: 't_', tableMs: TABLE_MS_DEFAULT },
  ]);
  await write(schema, kernel, randomSeries(random));
  const reader = new ChunkStoreReader(schema, kernel, systemClock);
  // with the same kernel, as in a query thread
  const headRows = new SeriesRows(kernel);
  const out = new SampleColumns();
  let made = 0;
  let otherwise = 0;
  for (let round = 0; round < 40; round++) {
    const startMs = START + Math.floor(random() * WINDOWS * WINDOW * 0.6);
    const endMs = startMs + Math.floor(random() * (START + WINDOWS * WINDOW - startMs));
    const matchers = [LabelMatcher.of('__name__', '=', 'm')];
    const set = await reader.select('t', { matchers, startMs, endMs }, testContext());
    const series = set.series.length;
    const chunks = set.series.map((_, i) => {
      set.read(i, out);
      return chunkOf(out);
    });
    const program = randomProgram(random, startMs, endMs);
    const half = Uint32Array.from({ length: series }, (_, i) => i);
    const indexes = random() < 0.5 ? half : undefined;
    const stored = readAll((from, to) => set.rows(program, indexes, from, series, to), program, series);
    const held = readAll(
      (from, to) =>
        headRows.read(
          program,
          startMs,
          endMs,
          from,
          series,
          (place, at) => {
            at.bytes = chunks[place]!;
            at.from = 0;
            at.to = at.bytes.length;
          },
          to,
        ),
      program,
      series,
    );
    for (let i = 0; i < series; i++) {
      if (stored[i] === 'otherwise') {
        otherwise++;
        continue;
      }
      made++;
      assert.equal(stored[i], held[i], `round ${round}, series ${i}, ${JSON.stringify(program)}`);
    }
    set.close();
  }
  assert.ok(made > 2 * otherwise, `${made} rows, ${otherwise} series otherwise`);
});
