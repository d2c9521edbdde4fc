import { join } from 'node:path';
import { Kernel } from '../src/chunk/kernel.ts';
import { DayMerger } from '../src/chunkstore/day-merge.ts';
import { placementFor } from '../src/chunkstore/placement-size.ts';
import { Schema, TABLE_MS_DEFAULT } from '../src/chunkstore/schema.ts';
import { Sweeper } from '../src/chunkstore/sweeper.ts';
import { ChunkStoreWriter } from '../src/chunkstore/writer.ts';
import { systemClock } from '../src/lib/clock.ts';
import { DAY_MS, dayOf } from '../src/lib/day.ts';
import { FilesystemObjectClient } from '../src/object/filesystem.ts';
import { EmbeddedTableStore } from '../src/table/embedded.ts';
import { unlimited } from './counted-store.ts';
import { Fleet, type Instance, oneInstance } from './fleet.ts';

const WINDOW_MS = 7_200_000;
const TENANT = 'anonymous';

/** One that every instance has once. */
export const METRIC = 'node_load1';

export interface MonthOptions {
  readonly startMs: number;
  readonly endMs: number;
  readonly series: number;
  readonly stepMs: number;
  /** Whether days are merged, as a compactor does when they are over. */
  readonly merge: boolean;
}

/** Fills the store in a folder, as one process has it. */
export async function fillStore(dir: string, month: MonthOptions): Promise<void> {
  const tables = await EmbeddedTableStore.open({ dir: join(dir, 'tables') });
  const objects = await FilesystemObjectClient.open({ dir: join(dir, 'objects'), clock: systemClock });
  const schema = new Schema([
    { fromMs: Number.NEGATIVE_INFINITY, tables, objects, tablePrefix: 'pallium_', tableMs: TABLE_MS_DEFAULT },
  ]);
  await fillSchema(schema, month);
  await tables.client.close();
}

/** Writes a hundred instances of as many series each, so that every metric has hundreds. */
export async function fillSchema(
  schema: Schema,
  { startMs, endMs, series, stepMs, merge }: MonthOptions,
): Promise<void> {
  const kernel = Kernel.create();
  let nowMs = startMs;
  const clock = { ...systemClock, nowMs: () => nowMs };
  const writer = new ChunkStoreWriter(schema, kernel, { clock });
  const fleet = new Fleet(TENANT, someOf(await oneInstance(), series), 100, placementFor(series), series);
  const fromMs = performance.now();
  for (let at = startMs; at < endMs; at += WINDOW_MS) {
    nowMs = at + WINDOW_MS;
    await writer.write(fleet.window(at, WINDOW_MS, stepMs));
  }
  if (merge) {
    const merger = new DayMerger(schema, writer, kernel, clock);
    const removal = { tombstones: [], keepFromMs: Number.NEGATIVE_INFINITY };
    for (let day = dayOf(startMs); day < dayOf(endMs); day++) await merger.merge(TENANT, day, removal, unlimited());
    // it remembers what it has seen, and removes it when it comes by later
    const sweeper = new Sweeper(schema, clock);
    for (const days of [0, 2, 4]) {
      nowMs = Date.now() + days * DAY_MS;
      await sweeper.run();
    }
  }
  console.log(
    `${fleet.seriesCount} series of ${(endMs - startMs) / DAY_MS} days in ${Math.round(performance.now() - fromMs)} ms`,
  );
}

/** Series of an instance, `node_load1` among them, so many that a hundred instances make all. */
function someOf(base: readonly Instance[], series: number): Instance[] {
  const some = base.filter(({ metric }) => metric !== METRIC).slice(0, Math.ceil(series / 100) - 1);
  return [...some, base.find(({ metric }) => metric === METRIC)!];
}
