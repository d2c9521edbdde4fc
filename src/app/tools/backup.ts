import { wholeRows } from '../../chunkstore/documents/parts.ts';
import { tenantTableNames } from '../../chunkstore/documents/tables.ts';
import type { Schema, StorePeriod } from '../../chunkstore/schema.ts';
import { text } from '../../kit/config/field.ts';
import { section } from '../../kit/config/section.ts';
import { DAY_MS } from '../../lib/day.ts';
import { forEachAtOnce } from '../../lib/semaphore.ts';
import type { Row } from '../../table/client.ts';
import { readVersion } from '../version.ts';
import { BackupFolder, type ManifestPeriod } from './backup-folder.ts';
import { print } from './output.ts';
import { showBytes } from './progress.ts';
import { DONE, tool, UsageError } from './tool.ts';

const OBJECTS_AT_ONCE = 4;
const WRITE_ROWS_MAX = 256;
const WRITE_BYTES_MAX = 4 * 2 ** 20;

const options = section('', 'backup', { folder: text({ help: 'Folder of the backup.' }) });

export const backupTool = tool({
  summary: 'Copy all tables and objects to a folder.',
  description: [
    'The server may run meanwhile: what it writes during the backup may or may not be in it. Objects never change, so',
    'those that an earlier backup in the same folder has are not read again. Samples that were not flushed yet are not',
    'in the store: POST /ingester/flush?wait=true first where they are wanted. The ring of a cluster is left out: its',
    'members are no part of the samples, and another cluster has others.',
  ].join('\n'),
  options,
  async run({ options, openStore, clock, output, progress, signal }) {
    const folder = folderOf(options.folder);
    const { schema } = await openStore();
    const totals = { rows: 0, bytes: 0, objects: 0, objectBytes: 0, kept: 0 };
    const say = () => `${totals.rows} rows, ${totals.objects} objects (${showBytes(totals.objectBytes)})`;
    const periods: ManifestPeriod[] = [];
    for (const [i, period] of schema.periods.entries()) {
      const tables = await schema.existingTables(period);
      for (const table of tables) {
        const written = await folder.writeRows(i, table, rowsOf(schema, period, table, signal));
        totals.rows += written.rows;
        totals.bytes += written.bytes;
        // after the rows, so that what they name is there
        for await (const page of period.objects?.list(schema.objectPrefix(table), signal) ?? []) {
          await forEachAtOnce(page, OBJECTS_AT_ONCE, async ({ key, bytes }) => {
            signal.throwIfAborted();
            totals.objects++;
            totals.objectBytes += bytes;
            if ((await folder.objectBytes(i, key)) === bytes) totals.kept++;
            else await folder.writeObject(i, key, await period.objects!.get(key, signal));
            progress.at(() => `${table}: ${say()}`);
          });
        }
      }
      periods.push({ fromDay: fromDayOf(period), tablePrefix: period.tablePrefix, tables });
    }
    const createdAt = new Date(clock.nowMs()).toISOString();
    await folder.writeManifest({ createdBy: readVersion(), createdAt, periods });
    await print(output, `${say()}, of which ${totals.kept} were there already\n`);
    return DONE;
  },
});

export const restoreTool = tool({
  summary: 'Copy a backup back to the stores that the configuration names.',
  description: [
    'Rows and objects are added to what is there; nothing is removed. The stores may be others than those of the',
    'backup, such as Cassandra where it was the embedded store, as long as the periods have the same prefixes. Doing it',
    'twice is harmless.',
  ].join('\n'),
  options: section('', 'restore', options.fields),
  async run({ options, openStore, output, progress, signal }) {
    const folder = folderOf(options.folder);
    const manifest = await folder.readManifest();
    const { schema } = await openStore({ make: true });
    const totals = { rows: 0, objects: 0, objectBytes: 0 };
    const say = () => `${totals.rows} rows, ${totals.objects} objects (${showBytes(totals.objectBytes)})`;
    const targets = manifest.periods.map((each) => periodFor(schema.periods, each));
    for (const [i, { tables }] of manifest.periods.entries()) {
      const period = targets[i]!;
      for (const table of tables) {
        // a backup of an earlier version has the ring, too
        if (!schema.isTable(period, table)) continue;
        const keys = await folder.objects(i, schema.objectPrefix(table));
        if (keys.length > 0 && period.objects === undefined) {
          throw new UsageError(`the backup has objects of table ${table}, and -schema.object-store is none`);
        }
        // before the rows that name them
        await forEachAtOnce(keys, OBJECTS_AT_ONCE, async (key) => {
          signal.throwIfAborted();
          const body = await folder.readObject(i, key);
          await period.objects!.put(key, body, signal);
          totals.objects++;
          totals.objectBytes += body.length;
          progress.at(() => `${table}: ${say()}`);
        });
        await period.tables.admin.create(table);
        for await (const rows of batched(folder.readRows(i, table))) {
          await period.tables.client.write(table, rows, signal);
          totals.rows += rows.length;
          progress.at(() => `${table}: ${say()}`);
        }
      }
    }
    await print(output, `${say()}\n`);
    return DONE;
  },
});

/** All rows of a table; of what changes while it is read as much as belongs together. */
function rowsOf(schema: Schema, period: StorePeriod, table: string, signal: AbortSignal) {
  return tenantTableNames(schema, period).includes(table)
    ? wholeRows(period.tables, table, signal)
    : period.tables.admin.scan(table, signal);
}

function folderOf(path: string): BackupFolder {
  if (path === '') throw new UsageError('-folder is missing');
  return new BackupFolder(path);
}

function fromDayOf({ fromMs }: StorePeriod): number | null {
  return Number.isFinite(fromMs) ? fromMs / DAY_MS : null;
}

function periodFor(periods: readonly StorePeriod[], wanted: ManifestPeriod): StorePeriod {
  const named = periods.filter(({ tablePrefix }) => tablePrefix === wanted.tablePrefix);
  const found = named.find((period) => fromDayOf(period) === wanted.fromDay) ?? named[0];
  if (found !== undefined) return found;
  const prefixes = periods.map(({ tablePrefix }) => tablePrefix).join(', ');
  throw new UsageError(`the backup is of prefix ${wanted.tablePrefix}, and the configuration has ${prefixes}`);
}

async function* batched(rows: AsyncIterable<Row>): AsyncGenerator<Row[]> {
  let batch: Row[] = [];
  let bytes = 0;
  for await (const row of rows) {
    batch.push(row);
    bytes += row.hash.length + row.range.length + row.value.length;
    if (batch.length < WRITE_ROWS_MAX && bytes < WRITE_BYTES_MAX) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}
