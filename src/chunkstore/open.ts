import path from 'node:path';
import { FolderHold, type HoldToken } from '../kit/folder/hold.ts';
import type { Clock } from '../lib/clock.ts';
import type { AzureConfig } from '../object/azure/config.ts';
import type { ObjectClient } from '../object/client.ts';
import { FilesystemObjectClient } from '../object/filesystem.ts';
import type { GcsConfig } from '../object/gcs/config.ts';
import type { S3Config } from '../object/s3/config.ts';
import type { BigtableConfig } from '../table/bigtable/config.ts';
import type { CassandraConfig } from '../table/cassandra/config.ts';
import { CheckedFiles } from '../table/checked-files.ts';
import type { TableStore } from '../table/client.ts';
import type { DynamodbConfig } from '../table/dynamodb/config.ts';
import { EmbeddedTableStore } from '../table/embedded.ts';
import { TableChanges } from '../table/table-changes.ts';
import type { IndexStore, ObjectStore, PeriodConfig } from './config.ts';
import { Schema } from './schema.ts';

/** Which stores to open: plain data, so that any thread can open clients of its own. */
export interface StoreSpec {
  /** Folder of what lies on this machine. */
  readonly dir: string;
  /** This process' hold on the data folder; absent where none is needed, as for tools that only add to the store. */
  readonly hold?: HoldToken;
  /** Memory of the `CheckedFiles` that all who open it share. */
  readonly checked?: SharedArrayBuffer;
  /** Memory of the `TableChanges` that all who open it share, whatever they open it for. */
  readonly changes?: SharedArrayBuffer;
  readonly periods: readonly PeriodConfig[];
  readonly cassandra: CassandraConfig;
  readonly dynamodb: DynamodbConfig;
  readonly bigtable: BigtableConfig;
  readonly s3: S3Config;
  readonly gcs: GcsConfig;
  readonly azure: AzureConfig;
}

/** A schema whose clients belong to the caller. */
export interface OpenedStore {
  readonly schema: Schema;
  close(): Promise<void>;
}

/** Opens the stores of all periods, each once; drivers that no period needs are not loaded. */
export async function openStore(spec: StoreSpec, clock: Clock): Promise<OpenedStore> {
  const tables = new Map<IndexStore, TableStore>();
  const objects = new Map<ObjectStore, ObjectClient | undefined>();
  const close = async () => {
    for (const { client } of tables.values()) await client.close();
    for (const client of objects.values()) await client?.close();
  };
  try {
    for (const { store, objectStore } of spec.periods) {
      if (!tables.has(store)) tables.set(store, await openTables(store, spec, clock));
      if (!objects.has(objectStore)) objects.set(objectStore, await openObjects(objectStore, spec, clock));
    }
  } catch (error) {
    await close();
    throw error;
  }
  const schema = new Schema(
    spec.periods.map(({ fromMs, store, objectStore, prefix, periodMs }) => {
      const client = objects.get(objectStore);
      return {
        fromMs,
        tables: tables.get(store)!,
        ...(client === undefined ? {} : { objects: client }),
        tablePrefix: prefix,
        tableMs: periodMs,
      };
    }),
  );
  return { schema, close };
}

function holdOf({ hold }: StoreSpec, clock: Clock): FolderHold | undefined {
  return hold === undefined ? undefined : new FolderHold(hold, clock);
}

async function openTables(store: IndexStore, spec: StoreSpec, clock: Clock): Promise<TableStore> {
  switch (store) {
    case 'embedded':
      return EmbeddedTableStore.open({
        dir: path.join(spec.dir, 'tables'),
        hold: holdOf(spec, clock),
        ...(spec.checked === undefined ? {} : { checked: new CheckedFiles(spec.checked) }),
        ...(spec.changes === undefined ? {} : { changes: new TableChanges(spec.changes) }),
      });
    case 'cassandra':
      return (await import('../table/cassandra/store.ts')).openCassandra(spec.cassandra, { clock });
    case 'dynamodb':
      return (await import('../table/dynamodb/store.ts')).openDynamodb(spec.dynamodb, { clock });
    case 'bigtable':
      return (await import('../table/bigtable/store.ts')).openBigtable(spec.bigtable, { clock });
  }
}

async function openObjects(store: ObjectStore, spec: StoreSpec, clock: Clock): Promise<ObjectClient | undefined> {
  switch (store) {
    case 'filesystem':
      return FilesystemObjectClient.open({ dir: path.join(spec.dir, 'objects'), clock, hold: holdOf(spec, clock) });
    case 's3':
      return (await import('../object/s3/client.ts')).S3ObjectClient.open(spec.s3, { clock });
    case 'gcs':
      return (await import('../object/gcs/client.ts')).GcsObjectClient.open(spec.gcs, { clock });
    case 'azure':
      return (await import('../object/azure/client.ts')).AzureObjectClient.open(spec.azure, { clock });
    case 'none':
      return undefined;
  }
}
