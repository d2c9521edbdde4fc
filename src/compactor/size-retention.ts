import type { Schema, StorePeriod } from '../chunkstore/schema.ts';
import { deleteObjects } from '../chunkstore/table-manager.ts';
import type { Clock } from '../lib/clock.ts';

/** Knows how much a table takes where it lies, its objects included. Undefined: of a period that lies elsewhere. */
export type TableSizes = (period: StorePeriod, table: string) => Promise<number | undefined>;

/** Drops the oldest tables until the rest is within the size. The one for today stays. @returns their names */
export async function dropForSize(
  schema: Schema,
  sizes: TableSizes,
  bytesMax: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<string[]> {
  const tables: { period: StorePeriod; table: string; endMs: number; bytes: number }[] = [];
  let total = 0;
  for (const period of schema.periods) {
    for (const table of await period.tables.admin.list()) {
      signal.throwIfAborted();
      const bytes = await sizes(period, table);
      if (bytes === undefined) continue;
      total += bytes;
      const endMs = schema.tableEndMs(period, table);
      if (endMs !== undefined && endMs <= clock.nowMs()) tables.push({ period, table, endMs, bytes });
    }
  }
  const dropped: string[] = [];
  tables.sort((a, b) => a.endMs - b.endMs);
  for (const { period, table, bytes } of tables) {
    if (total <= bytesMax) break;
    await deleteObjects(schema, period, table, signal);
    await period.tables.admin.drop(table);
    dropped.push(table);
    total -= bytes;
  }
  return dropped;
}
