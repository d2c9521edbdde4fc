import fs from 'node:fs';
import path from 'node:path';
import type { StoreSpec } from '../../chunkstore/open.ts';
import type { Schema } from '../../chunkstore/schema.ts';
import type { TableSizes } from '../../compactor/size-retention.ts';

/** Sizes of the tables in the data folder, as the disk counts them. */
export function localTableSizes(schema: Schema, { dir, periods }: StoreSpec): TableSizes {
  return async (period, table) => {
    const { store, objectStore } = periods[schema.periods.indexOf(period)]!;
    if (store !== 'embedded') return undefined;
    let bytes = diskBytes(path.join(dir, 'tables', `${table}.mdb`));
    if (objectStore === 'filesystem') {
      const folder = path.join(dir, 'objects', schema.objectPrefix(table));
      if (fs.existsSync(folder)) {
        for (const entry of fs.readdirSync(folder, { recursive: true, withFileTypes: true })) {
          if (entry.isFile()) bytes += diskBytes(path.join(entry.parentPath, entry.name));
        }
      }
    }
    return bytes;
  };
}

/** Bytes that a file takes on disk, in blocks of 512. A file that is gone takes none. */
function diskBytes(file: string): number {
  return (fs.statSync(file, { throwIfNoEntry: false })?.blocks ?? 0) * 512;
}
