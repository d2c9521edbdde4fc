// The chunk store on the embedded backends: bytes on disk per sample, rows and objects written, time of selects.
//   node bench/workload.mjs /tmp/x --instances 12 --steps 1440 --start-ms 1767225600000
//   node bench/store.ts /tmp/x
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Kernel } from '../src/chunk/kernel.ts';
import { DayMerger } from '../src/chunkstore/day-merge.ts';
import { PLACEMENT_DEFAULT, slotOf } from '../src/chunkstore/placement.ts';
import { ChunkStoreReader } from '../src/chunkstore/reader.ts';
import { Schema, TABLE_MS_DEFAULT } from '../src/chunkstore/schema.ts';
import { Sweeper } from '../src/chunkstore/sweeper.ts';
import { verify } from '../src/chunkstore/verify.ts';
import { ChunkStoreWriter } from '../src/chunkstore/writer.ts';
import { systemClock } from '../src/lib/clock.ts';
import { DAY_MS, dayOf } from '../src/lib/day.ts';
import { LabelMatcher } from '../src/model/matcher.ts';
import { FilesystemObjectClient } from '../src/object/filesystem.ts';
import { SampleColumns } from '../src/storage/columns.ts';
import { EmbeddedTableStore } from '../src/table/embedded.ts';
import { readWorkload, sliceWindow } from './read-workload.ts';

const WINDOW_MS = 7_200_000;
const all = readWorkload(process.argv[2]!);
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'store-'));
const tables = await EmbeddedTableStore.open({ dir: path.join(dir, 'tables') });
const objects = await FilesystemObjectClient.open({ dir: path.join(dir, 'objects'), clock: systemClock });
const schema = new Schema([
  { fromMs: Number.NEGATIVE_INFINITY, tables, objects, tablePrefix: 'index_', tableMs: TABLE_MS_DEFAULT },
]);
const kernel = Kernel.create();
const writer = new ChunkStoreWriter(schema, kernel, { clock: systemClock });
const context = () => {
  const used = { rows: 0, objects: 0, bytes: 0 };
  return {
    used,
    signal: new AbortController().signal,
    budget: {
      addChunks() {},
      addSeries() {},
      addMemory() {},
      addFetchedBytes(count: number) {
        used.bytes += count;
      },
      addCacheHits() {},
      addGroups() {},
      addFetches(rows: number, count: number) {
        used.rows += rows;
        used.objects += count;
      },
    },
  };
};

let samples = 0;
const start = Math.floor(all[0]!.times[0]! / WINDOW_MS) * WINDOW_MS;
const last = all.reduce((most, series) => Math.max(most, series.times.at(-1)!), 0);
const from = performance.now();
for (let windowStartMs = start; windowStartMs <= last; windowStartMs += WINDOW_MS) {
  const series = all
    .map((each) => sliceWindow(each, windowStartMs, windowStartMs + WINDOW_MS))
    .filter((each) => each.times.length > 0);
  const slot = slotOf(PLACEMENT_DEFAULT, series[0]!.labels);
  const group = { tenant: 'bench', placement: PLACEMENT_DEFAULT, slot, windowStartMs, windowMs: WINDOW_MS, series };
  for (const written of await writer.write([group])) samples += written.sampleCount;
}
console.log(`written in ${Math.round(performance.now() - from)} ms (slicing included)`);

const report = async (what: string) => {
  const disk = Number(execFileSync('du', ['-s', '--block-size=1', dir]).toString().split('\t')[0]);
  const { rows, rowBytes, objects: count, objectBytes, problemCount, problems } = await verify(schema, kernel);
  console.log(
    `${what}: ${(disk / samples).toFixed(4)} bytes/sample on disk; rows ${JSON.stringify(rows)} of ${rowBytes} bytes, ` +
      `${count} objects of ${objectBytes} bytes, ${problemCount} problems`,
  );
  for (const { name, reason } of problems.slice(0, 5)) console.log(`  ${name}: ${reason}`);
};

const time = async (what: string, matchers: LabelMatcher[], startMs: number, endMs: number) => {
  const reader = new ChunkStoreReader(schema, kernel, systemClock);
  const out = new SampleColumns();
  for (let round = 0; round < 3; round++) {
    const used = context();
    const began = performance.now();
    const set = await reader.select('bench', { matchers, startMs, endMs }, used);
    const fetched = performance.now();
    let n = 0;
    for (let i = 0; i < set.series.length; i++) {
      set.read(i, out);
      n += out.count;
    }
    set.close();
    if (round < 2) continue;
    const ms = performance.now();
    console.log(
      `  ${what}: ${set.series.length} series, ${n} samples, ${used.used.rows} rows, ${used.used.objects} objects, ` +
        `${used.used.bytes} bytes; select ${(fetched - began).toFixed(1)} ms, read ${(ms - fetched).toFixed(1)} ms`,
    );
  }
};
const queries = async () => {
  const name = (value: string) => LabelMatcher.of('__name__', '=', value);
  await time('one gauge, 6 h', [name('node_load1')], start, last);
  await time('one histogram, 6 h', [name('http_request_duration_seconds_bucket')], start, last);
  await time('cpu, 1 h', [name('node_cpu_seconds_total')], last - 3_600_000, last);
  await time(
    'one cpu of one instance',
    [name('node_cpu_seconds_total'), LabelMatcher.of('instance', '=~', '10.0.3.*'), LabelMatcher.of('cpu', '=', '0')],
    start,
    last,
  );
  await time('everything', [LabelMatcher.of('__name__', '=~', '.+')], start, last);
};

await report('flushed');
await queries();
const merger = new DayMerger(schema, writer, kernel, systemClock);
const began = performance.now();
for (let day = dayOf(start); day <= dayOf(last); day++) {
  await merger.merge('bench', day, { tombstones: [], keepFromMs: Number.NEGATIVE_INFINITY }, context());
}
console.log(`merged in ${Math.round(performance.now() - began)} ms`);
let nowMs = Date.now();
const sweeper = new Sweeper(schema, { ...systemClock, nowMs: () => nowMs });
await sweeper.run();
nowMs += 2 * DAY_MS;
await sweeper.run();
nowMs += 2 * DAY_MS;
await sweeper.run();
await report('merged and swept');
await queries();
await tables.close();
fs.rmSync(dir, { recursive: true });
