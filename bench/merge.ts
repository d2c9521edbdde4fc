// A day of many series merged: how long it takes and how much memory, beside what writing its windows took.
//   npm run bench:merge -- [--series 1000000] [--samples 8]
// `samples` are those of a window. Memory is to depend on a slot, not on the day: it is the process' largest, fleet and kernels included.
import { Kernel } from '../src/chunk/kernel.ts';
import { DayMerger } from '../src/chunkstore/day-merge.ts';
import { placementFor } from '../src/chunkstore/placement-size.ts';
import { ChunkStoreWriter } from '../src/chunkstore/writer.ts';
import { systemClock } from '../src/lib/clock.ts';
import { DAY_MS, dayOf } from '../src/lib/day.ts';
import { CountedStore, unlimited } from './counted-store.ts';
import { Fleet, oneInstance } from './fleet.ts';
import { benchOptions } from './options.ts';

const WINDOW_MS = 7_200_000;
const DAY_START_MS = Date.UTC(2026, 0, 5);
const TENANT = 'bench';

const options = benchOptions({ series: '1000000', samples: '8' });
const series = Number(options.series);
await using store = await CountedStore.open();
let nowMs = DAY_START_MS;
const clock = { ...systemClock, nowMs: () => nowMs };
const steps: Record<string, unknown>[] = [];

{
  const writer = new ChunkStoreWriter(store.schema, Kernel.create(), { clock });
  const base = await oneInstance();
  const fleet = new Fleet(TENANT, base, Math.ceil(series / base.length), placementFor(series), series);
  await measure('windows', async () => {
    let samples = 0;
    for (let at = DAY_START_MS; at < DAY_START_MS + DAY_MS; at += WINDOW_MS) {
      nowMs = at + WINDOW_MS;
      const written = await writer.write(fleet.window(at, WINDOW_MS, Math.floor(WINDOW_MS / Number(options.samples))));
      samples += written.reduce((sum, { sampleCount }) => sum + sampleCount, 0);
    }
    return samples;
  });
}
nowMs = DAY_START_MS + 2 * DAY_MS;
await measure('merge', async () => {
  const writer = new ChunkStoreWriter(store.schema, Kernel.create(), { clock });
  const merger = new DayMerger(store.schema, writer, Kernel.create(), clock);
  const removal = { tombstones: [], keepFromMs: Number.NEGATIVE_INFINITY };
  return (await merger.merge(TENANT, dayOf(DAY_START_MS), removal, unlimited())).samples;
});
console.log(`${series} series, ${options.samples} samples a window`);
console.table(steps);

/** @param work returns how many samples it wrote */
async function measure(step: string, work: () => Promise<number>): Promise<void> {
  global.gc?.();
  const before = {
    ...store.tables,
    objectsWritten: store.objects.objectsWritten,
    objectBytes: store.objects.bytesWritten,
  };
  const cpu = process.cpuUsage();
  const fromMs = performance.now();
  let rssMax = 0;
  const sampled = setInterval(() => (rssMax = Math.max(rssMax, process.memoryUsage.rss())), 200);
  const startRss = process.memoryUsage.rss();
  const samples = await work();
  clearInterval(sampled);
  const used = process.cpuUsage(cpu);
  const cpuUs = used.user + used.system;
  steps.push({
    step,
    s: Number(((performance.now() - fromMs) / 1000).toFixed(1)),
    'CPU s': Number((cpuUs / 1e6).toFixed(1)),
    'CPU ns/sample': Math.round((cpuUs * 1000) / samples),
    'RSS before MB': Math.round(startRss / 1e6),
    'RSS max MB': Math.round(rssMax / 1e6),
    rows: store.tables.rowsWritten - before.rowsWritten,
    objects: store.objects.objectsWritten - before.objectsWritten,
    'MB in objects': Number(((store.objects.bytesWritten - before.objectBytes) / 1e6).toFixed(1)),
  });
}
