import type { RowKey } from './client.ts';

/** The last of each key, for stores whose batches may hold a key only once, or give it no order. */
export function distinct<K extends RowKey>(rows: readonly K[]): K[] {
  const byKey = new Map<string, K>();
  for (const row of rows) byKey.set(`${row.hash.length}:${latin1(row.hash)}${latin1(row.range)}`, row);
  return [...byKey.values()];
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}
