// Rows and objects written in a day, by kind, against what the classic layout would write: per day an index row for each label of
// each series and one for the series, and two chunks of 12 hours.
//   npm run bench:rows -- [--series 1000000] [--tenants 10000] [--tenant-series 365] [--samples 4]
// Rows do not depend on the number of samples, so a few a window do. Small: --series 50000 --tenants 500.
import { Kernel } from '../src/chunk/kernel.ts';
import { placementFor } from '../src/chunkstore/placement-size.ts';
import type { WriteGroup } from '../src/chunkstore/writer.ts';
import { ChunkStoreWriter } from '../src/chunkstore/writer.ts';
import { systemClock } from '../src/lib/clock.ts';
import { DAY_MS } from '../src/lib/day.ts';
import { Fleet, oneInstance } from './fleet.ts';
import { forgetfulStore } from './forgetful-store.ts';
import { benchOptions } from './options.ts';

const WINDOW_MS = 7_200_000;
const DAY_START_MS = Date.UTC(2026, 0, 5);
/** A value that every backend can hold. */
const VALUE_BYTES_MAX = 350 * 1024;

const KINDS = [
  ['g', 'group'],
  ['l', 'label'],
  ['m', 'metadata'],
  ['p', 'placement'],
  ['d', 'days'],
  ['n', 'tenants'],
] as const;

const options = benchOptions({ series: '1000000', tenants: '10000', 'tenant-series': '365', samples: '4' });
const stepMs = Math.floor(WINDOW_MS / Number(options.samples));
const base = await oneInstance();
const results: Record<string, unknown>[] = [];

const series = Number(options.series);
if (series > 0) {
  const instances = Math.ceil(series / base.length);
  await measure('one tenant', new Fleet('large', base, instances, placementFor(series), series), ['large']);
}
const tenants = Number(options.tenants);
if (tenants > 0) {
  const each = Number(options['tenant-series']);
  const placement = placementFor(each);
  const fleet = new Fleet('', base.slice(0, each), 1, placement, each);
  const names = Array.from({ length: tenants }, (_, i) => `tenant-${i}`);
  await measure(`${tenants} tenants`, fleet, names);
}
console.table(results);

/** @param tenants each with the same series */
async function measure(name: string, fleet: Fleet, tenants: readonly string[]): Promise<void> {
  const { schema, tableCounts, objectCounts, rowsByKind } = forgetfulStore(VALUE_BYTES_MAX);
  let nowMs = DAY_START_MS;
  const writer = new ChunkStoreWriter(schema, Kernel.create(), { clock: { ...systemClock, nowMs: () => nowMs } });
  const seriesCount = fleet.seriesCount * tenants.length;
  const labelCount = fleet.labelCount * tenants.length;
  const fromMs = performance.now();
  for (let startMs = DAY_START_MS; startMs < DAY_START_MS + DAY_MS; startMs += WINDOW_MS) {
    nowMs = startMs + WINDOW_MS;
    await writer.write(windowOf(fleet, tenants, startMs));
    for (const tenant of tenants) await writer.writeMetadata(tenant, startMs, fleet.metadata);
    console.error(`${name}: window at ${new Date(startMs).toISOString()}, ${tableCounts.rowsWritten} rows so far`);
  }
  const classic = labelCount + seriesCount + 2 * seriesCount;
  const rows = tableCounts.rowsWritten + objectCounts.objectsWritten;
  results.push({
    set: `${name}, ${seriesCount} series`,
    ...Object.fromEntries(KINDS.map(([kind, label]) => [label, rowsByKind.get(kind) ?? 0])),
    rows: tableCounts.rowsWritten,
    objects: objectCounts.objectsWritten,
    'MB in objects': Number((objectCounts.bytesWritten / 1e6).toFixed(1)),
    'MB in rows': Number((tableCounts.bytesWritten / 1e6).toFixed(1)),
    'classic rows': classic,
    'classic / ours': Number((classic / rows).toFixed(1)),
    s: Math.round((performance.now() - fromMs) / 1000),
  });
}

function* windowOf(fleet: Fleet, tenants: readonly string[], startMs: number): Generator<WriteGroup> {
  for (const tenant of tenants) {
    for (const group of fleet.window(startMs, WINDOW_MS, stepMs)) yield { ...group, tenant };
  }
}
