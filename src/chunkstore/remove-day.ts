import type { Row, RowKey } from '../table/client.ts';
import { hexOf } from './group-row.ts';
import type { IndexReader, ReadContext } from './index-reader.ts';
import {
  daysHash,
  daysRange,
  groupHash,
  labelHash,
  metadataHash,
  placementHash,
  tenantsHash,
  tenantsRange,
} from './keys.ts';
import { allSlots } from './placement.ts';
import type { Schema } from './schema.ts';

/**
 * Removes all rows of a tenant's day; objects follow when the sweeper finds that no row names them. What leads to rows goes last, so
 * that to be killed in between leaves nothing that cannot be found again. @returns how many rows went
 */
export async function removeDay(
  schema: Schema,
  index: IndexReader,
  tenant: string,
  day: number,
  context: ReadContext,
): Promise<number> {
  const { period, table } = schema.tableOf(day);
  const { client } = period.tables;
  let count = 0;
  const remove = async (keys: readonly RowKey[]) => {
    if (keys.length > 0) await client.delete(table, keys, context.signal);
    count += keys.length;
  };
  const removeHash = async (hash: Uint8Array) => {
    const rows: Row[] = [];
    for await (const page of client.query({ table, hash, strong: true }, context.signal)) rows.push(...page);
    await remove(rows.map(({ hash, range }) => ({ hash, range })));
  };
  const done = new Set<string>();
  for (const placement of await index.placements(tenant, day, context)) {
    for (const slot of allSlots(placement)) {
      if (done.has(hexOf(slot))) continue;
      done.add(hexOf(slot));
      context.signal.throwIfAborted();
      await removeHash(groupHash(tenant, day, slot));
    }
  }
  const names = new Set((await index.labelOverview(tenant, day, context)).map(({ name }) => name));
  for (const name of names) await removeHash(labelHash(tenant, day, name));
  await removeHash(labelHash(tenant, day, ''));
  await removeHash(metadataHash(tenant, day));
  await removeHash(placementHash(tenant, day));
  await remove([
    { hash: daysHash(tenant), range: daysRange(day) },
    { hash: tenantsHash(day), range: tenantsRange(tenant) },
  ]);
  return count;
}
