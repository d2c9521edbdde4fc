import { type Clock, momentOf } from '../lib/clock.ts';
import { dayOf } from '../lib/day.ts';
import { throwIfFenced } from '../lib/fenced-signal.ts';
import type { Row, RowKey } from '../table/client.ts';
import { isDamage } from './damage.ts';
import { decodeGroupRow, encodeObjectRow, hexOf } from './group-row.ts';
import { contentId } from './keys.ts';
import { namingSignal } from './object-age.ts';
import { OBJECT_BYTES_AIMED, type Schema, type StorePeriod } from './schema.ts';
import { wholeGroup } from './verify.ts';

export interface Repacked {
  /** Groups that lie in another object now. */
  groups: number;
  /** Keys of the objects that they lie in now. An earlier try may have put one of them already, and come no further. */
  readonly objects: string[];
  /** Rows whose groups cannot be read: they stay where they are. */
  readonly damaged: string[];
}

interface Moving {
  readonly id: Uint8Array;
  readonly row: Row;
  readonly whole: Uint8Array;
  readonly headerBytes: number;
  readonly replaces: readonly string[];
}

/**
 * Moves groups into new objects, so that nothing names the old ones, and what else those hold can go. To be killed at any point is
 * harmless: a group's row names the one place or the other.
 * @param keys of group rows of the table
 */
export async function repack(
  schema: Schema,
  period: StorePeriod,
  table: string,
  keys: readonly RowKey[],
  clock: Clock,
  signal?: AbortSignal,
): Promise<Repacked> {
  const result: Repacked = { groups: 0, objects: [], damaged: [] };
  let moving: Moving[] = [];
  let bytes = 0;
  const put = async () => {
    const ids = moving.map(({ id }) => id);
    const key = schema.objectKey(table, dayOf(clock.nowMs()), ids);
    const putMs = momentOf(clock);
    await period.objects!.put(key, Buffer.concat(moving.map(({ whole }) => whole)), signal);
    const rows: Row[] = [];
    let offset = 0;
    for (const { row, whole, headerBytes, replaces } of moving) {
      const replaced = replaces.map((id) => Buffer.from(id, 'hex'));
      const value = encodeObjectRow(whole.subarray(0, headerBytes), key, offset, replaced);
      offset += whole.length;
      // who has removed the row meanwhile wins
      const held = await rowAt(period, table, row, signal);
      if (held !== undefined && Buffer.compare(held.value, row.value) === 0) rows.push({ ...row, value });
    }
    const naming = namingSignal(clock, [putMs], signal);
    throwIfFenced(naming);
    await period.tables.client.write(table, rows, naming);
    result.objects.push(key);
    result.groups += rows.length;
    moving = [];
    bytes = 0;
  };
  for (const key of keys) {
    signal?.throwIfAborted();
    const name = `${table}/${hexOf(key.hash)}/${hexOf(key.range)}`;
    try {
      const row = await rowAt(period, table, key, signal);
      if (row === undefined) continue;
      const group = decodeGroupRow(row.range, row.value, name);
      if (group.place.kind === 'inline') continue;
      const whole = await wholeGroup(period, group, signal);
      const id = contentId(whole);
      if (hexOf(id) !== group.id) {
        result.damaged.push(name);
        continue;
      }
      moving.push({ id, row, whole, headerBytes: whole.length - group.header.bodyBytes, replaces: group.replaces });
      bytes += whole.length;
    } catch (error) {
      if (!isDamage(error)) throw error;
      result.damaged.push(name);
    }
    if (bytes >= OBJECT_BYTES_AIMED) await put();
  }
  if (moving.length > 0) await put();
  return result;
}

async function rowAt(
  { tables }: StorePeriod,
  table: string,
  { hash, range }: RowKey,
  signal: AbortSignal | undefined,
): Promise<Row | undefined> {
  for await (const [row] of tables.client.query({ table, hash, prefix: range, limit: 1, strong: true }, signal)) {
    return row;
  }
  return undefined;
}
