import type { Schema } from '../../chunkstore/schema.ts';
import { decodeTombstone, type Tombstone } from '../../chunkstore/tombstone-row.ts';
import { listTombstones } from '../../chunkstore/tombstones.ts';
import { compileRegex } from '../../model/regex/regex.ts';
import { isPlainRegex } from './small-expr.ts';
import { NotSmall } from './small-queryable.ts';

const TOMBSTONES_MAX = 64;

/** As `listTombstones`, where they are few and need no engine: expressions of others take long to compile. Fails with NotSmall for others. */
export function listPlainTombstones(schema: Schema, tenant: string, signal?: AbortSignal): Promise<Tombstone[]> {
  let left = TOMBSTONES_MAX;
  return listTombstones(schema, tenant, signal, (value) => {
    if (left-- === 0) throw new NotSmall();
    return decodeTombstone(value, compilePlain);
  });
}

function compilePlain(source: string) {
  if (!isPlainRegex(source)) throw new NotSmall();
  return compileRegex(source);
}
