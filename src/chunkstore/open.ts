import path from 'node:path';
import { FilesystemObjectClient } from '../object/filesystem.ts';
import { EmbeddedTableStore } from '../table/embedded.ts';
import { Schema, TABLE_MS_DEFAULT } from './schema.ts';

/** Which stores to open: plain data, so that any thread can open its own clients. */
export interface StoreSpec {
  readonly kind: 'embedded';
  /** Folder of the tables and objects. */
  readonly dir: string;
}

/** A schema whose clients belong to the caller. */
export interface OpenedStore {
  readonly schema: Schema;
  close(): Promise<void>;
}

export async function openStore(spec: StoreSpec): Promise<OpenedStore> {
  const tables = await EmbeddedTableStore.open({ dir: path.join(spec.dir, 'tables') });
  const objects = await FilesystemObjectClient.open({ dir: path.join(spec.dir, 'objects') });
  const schema = new Schema([
    { fromMs: Number.NEGATIVE_INFINITY, tables, objects, tablePrefix: 'pallium_', tableMs: TABLE_MS_DEFAULT },
  ]);
  return {
    schema,
    async close() {
      await tables.client.close();
      await objects.close();
    },
  };
}
