// Rows and objects that a query reads, over a metric of many series: counted in the clients, and held against the query's statistics.
//   npm run bench:fetches -- [--series 50000] [--step 15000]
// Goals for 50,000 series and an hour: at most 500 for all of them, at most 20 for ten of them.
import { Kernel } from '../src/chunk/kernel.ts';
import { DayMerger } from '../src/chunkstore/day-merge.ts';
import { placementFor } from '../src/chunkstore/placement-size.ts';
import { ChunkStoreReader } from '../src/chunkstore/reader.ts';
import { ChunkStoreWriter } from '../src/chunkstore/writer.ts';
import { systemClock } from '../src/lib/clock.ts';
import { dayOf } from '../src/lib/day.ts';
import { LabelMatcher } from '../src/model/matcher.ts';
import { SampleColumns } from '../src/storage/columns.ts';
import { CountedStore, unlimited } from './counted-store.ts';
import { Fleet, oneInstance } from './fleet.ts';
import { benchOptions } from './options.ts';

const WINDOW_MS = 7_200_000;
const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2026, 0, 5, 6);
const METRIC = 'http_request_duration_seconds_bucket';

const options = benchOptions({ series: '50000', step: '15000' });
const series = Number(options.series);
const base = (await oneInstance()).filter(({ metric }) => metric === METRIC);
await using store = await CountedStore.open();
const kernel = Kernel.create();
const writer = new ChunkStoreWriter(store.schema, kernel, { clock: systemClock });
const fleet = new Fleet('bench', base, Math.ceil(series / base.length), placementFor(series), series);
for (const startMs of [START_MS, START_MS + WINDOW_MS]) {
  await writer.write(fleet.window(startMs, WINDOW_MS, Number(options.step)));
}
console.log(`${series} series, ${store.tables.rowsWritten} rows and ${store.objects.objectsWritten} objects written`);

const metric = LabelMatcher.of('__name__', '=', METRIC);
const ten = [
  metric,
  LabelMatcher.of('instance', '=', '10.0.33.17:9100'),
  LabelMatcher.of('handler', '=', '/api/v1/resource/3'),
  LabelMatcher.of('method', '=', 'GET'),
  LabelMatcher.of('code', '=', '200'),
  LabelMatcher.of('le', '!=', '+Inf'),
];
const spread = [
  metric,
  LabelMatcher.of('instance', '=~', '10\\.0\\.\\d?3\\.17:9100'),
  ...ten.slice(2, 5),
  LabelMatcher.of('le', '=', '1'),
];
const results: Record<string, unknown>[] = [];
const ask = async () => {
  await measure('all, within a window', [metric], START_MS + HOUR_MS / 2);
  await measure('all, over the edge of two', [metric], START_MS + WINDOW_MS - HOUR_MS / 2);
  await measure('ten of one target', ten, START_MS + HOUR_MS / 2);
  await measure('ten of one target, over the edge', ten, START_MS + WINDOW_MS - HOUR_MS / 2);
  await measure('ten of ten targets', spread, START_MS + HOUR_MS / 2);
};
await ask();
const removal = { tombstones: [], keepFromMs: Number.NEGATIVE_INFINITY };
await new DayMerger(store.schema, writer, kernel, systemClock).merge('bench', dayOf(START_MS), removal, unlimited());
console.log(`merged: ${store.objects.objectsWritten} objects written in all`);
await ask();
console.table(results);

async function measure(what: string, matchers: readonly LabelMatcher[], startMs: number): Promise<void> {
  const reader = new ChunkStoreReader(store.schema, kernel, systemClock);
  const context = unlimited();
  const before = { rows: store.tables.rowsRead, objects: store.objects.objectsRead };
  const fromMs = performance.now();
  const set = await reader.select('bench', { matchers, startMs, endMs: startMs + HOUR_MS }, context);
  const out = new SampleColumns();
  let samples = 0;
  for (let i = 0; i < set.series.length; i++) {
    set.read(i, out);
    samples += out.count;
  }
  const found = set.series.length;
  set.close();
  const rows = store.tables.rowsRead - before.rows;
  const objects = store.objects.objectsRead - before.objects;
  if (context.used.rows !== rows || context.used.objects !== objects) {
    throw new Error(`${what}: the statistics say ${JSON.stringify(context.used)}, the clients ${rows} and ${objects}`);
  }
  const ms = Math.round(performance.now() - fromMs);
  results.push({
    query: what,
    series: found,
    samples,
    rows,
    objects,
    fetches: rows + objects,
    bytes: context.used.bytes,
    ms,
  });
}
