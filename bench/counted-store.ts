import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Schema, TABLE_MS_DEFAULT } from '../src/chunkstore/schema.ts';
import { systemClock } from '../src/lib/clock.ts';
import { CountingObjectClient, type ObjectCounts } from '../src/object/counting.ts';
import { FilesystemObjectClient } from '../src/object/filesystem.ts';
import type { QueryContext } from '../src/storage/queryable.ts';
import { CountingTableClient, type TableCounts } from '../src/table/counting.ts';
import { EmbeddedTableStore } from '../src/table/embedded.ts';

/** The embedded store in a folder that goes with it; what passes its clients is counted. */
export class CountedStore implements AsyncDisposable {
  readonly schema: Schema;
  readonly tables: TableCounts;
  readonly objects: ObjectCounts;
  readonly #dir: string;
  readonly #close: () => Promise<void>;

  private constructor(dir: string, store: EmbeddedTableStore, files: FilesystemObjectClient) {
    const client = new CountingTableClient(store.client);
    const objects = new CountingObjectClient(files);
    const tables = { client, admin: store.admin, limits: store.limits };
    this.schema = new Schema([
      { fromMs: Number.NEGATIVE_INFINITY, tables, objects, tablePrefix: 'bench_', tableMs: TABLE_MS_DEFAULT },
    ]);
    this.tables = client.counts;
    this.objects = objects.counts;
    this.#dir = dir;
    this.#close = async () => {
      await store.client.close();
      await files.close();
    };
  }

  static async open(): Promise<CountedStore> {
    const dir = mkdtempSync(join(tmpdir(), 'bench-store-'));
    const store = await EmbeddedTableStore.open({ dir: join(dir, 'tables') });
    return new CountedStore(
      dir,
      store,
      await FilesystemObjectClient.open({ dir: join(dir, 'objects'), clock: systemClock }),
    );
  }

  /** Rows and objects read so far. */
  get fetches(): number {
    return this.tables.rowsRead + this.objects.objectsRead;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** The context of a query without limits, with its statistics. */
export interface Used extends QueryContext {
  readonly used: { rows: number; objects: number; bytes: number };
}

export function unlimited(): Used {
  const used = { rows: 0, objects: 0, bytes: 0 };
  return {
    used,
    signal: new AbortController().signal,
    budget: {
      addChunks() {},
      addSeries() {},
      addMemory() {},
      addFetchedBytes(count) {
        used.bytes += count;
      },
      addCacheHits() {},
      addGroups() {},
      addFetches(rows, objects) {
        used.rows += rows;
        used.objects += objects;
      },
    },
  };
}
