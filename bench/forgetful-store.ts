import { parseHash } from '../src/chunkstore/keys.ts';
import { Schema, TABLE_MS_DEFAULT } from '../src/chunkstore/schema.ts';
import type { ObjectClient } from '../src/object/client.ts';
import { CountingObjectClient, type ObjectCounts } from '../src/object/counting.ts';
import type { Row, TableClient, TableStore } from '../src/table/client.ts';
import { CountingTableClient, type TableCounts } from '../src/table/counting.ts';

/** A store that takes everything and keeps nothing but counts: for what is written in amounts that no test machine would hold. */
export interface ForgetfulStore {
  readonly schema: Schema;
  readonly tableCounts: TableCounts;
  readonly objectCounts: ObjectCounts;
  readonly rowsByKind: Map<string, number>;
}

export function forgetfulStore(valueBytesMax: number): ForgetfulStore {
  const rowsByKind = new Map<string, number>();
  const sink: TableClient = {
    async write(_table: string, rows: readonly Row[]) {
      for (const { hash } of rows) {
        const { kind } = parseHash(hash)!;
        rowsByKind.set(kind, (rowsByKind.get(kind) ?? 0) + 1);
      }
    },
    async *query() {},
    async delete() {},
    compareAndSet: async () => true,
    async close() {},
  };
  const client = new CountingTableClient(sink);
  const objects = new CountingObjectClient({
    async put() {},
    async *list() {},
    async delete() {},
    async close() {},
    get: nothing,
    getRange: nothing,
  } satisfies ObjectClient);
  const tables: TableStore = {
    client,
    admin: { async create() {}, async drop() {}, list: async () => [], async *scan() {} },
    limits: { valueBytesMax, keyBytesMax: 988 },
  };
  const period = {
    fromMs: Number.NEGATIVE_INFINITY,
    tables,
    objects,
    tablePrefix: 'bench_',
    tableMs: TABLE_MS_DEFAULT,
  };
  return { schema: new Schema([period]), tableCounts: client.counts, objectCounts: objects.counts, rowsByKind };
}

async function nothing(): Promise<Uint8Array> {
  throw new Error('nothing is kept');
}
