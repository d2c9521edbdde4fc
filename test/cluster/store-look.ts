import { GroupDecoder } from '../../src/chunk/group/decode.ts';
import { Digester } from '../../src/chunk/group/digest.ts';
import { readGroup } from '../../src/chunk/group/read.ts';
import { Kernel } from '../../src/chunk/kernel.ts';
import { decodeGroupRow, hexOf } from '../../src/chunkstore/group-row.ts';
import { parseHash, ROW_GROUP } from '../../src/chunkstore/keys.ts';
import type { Schema } from '../../src/chunkstore/schema.ts';
import { verify, wholeGroup } from '../../src/chunkstore/verify.ts';
import { getOrMake } from '../../src/lib/map.ts';
import { SampleColumns } from '../../src/storage/columns.ts';

/** The store at the end of a run. */
export interface StoreLook {
  /** Groups that no merged one replaces. */
  readonly groups: number;
  /** Groups all of whose samples others of the tenant and day have as well. */
  readonly spare: number;
  /** Damage that was found; undefined: none. */
  readonly damage: string | undefined;
}

/** Reads all that there is, checks every checksum, and looks for groups that nobody needs. */
export async function lookThrough(schema: Schema): Promise<StoreLook> {
  const kernel = Kernel.create();
  const { problems } = await verify(schema, kernel);
  const [first] = problems;
  const damage = first && `${first.name}: ${first.reason}`;
  const decoder = new GroupDecoder(kernel);
  const digester = new Digester(kernel);
  const columns = new SampleColumns();
  // the keys of samples that each group has, by tenant and day
  const days = new Map<string, Map<string, string[]>>();
  const replaced = new Set<string>();
  const [period] = schema.periods;
  for (const table of await period!.tables.admin.list()) {
    for await (const page of period!.tables.admin.scan(table)) {
      for (const { hash, range, value } of page) {
        const key = parseHash(hash);
        if (key?.kind !== ROW_GROUP) continue;
        const row = decodeGroupRow(range, value, table);
        for (const id of row.replaces) replaced.add(id);
        const whole = await wholeGroup(period!, row);
        const body = whole.subarray(whole.length - row.header.bodyBytes);
        const samples: string[] = [];
        for (const labels of readGroup(decoder, digester, row.header, body, table, columns)) {
          const series = Buffer.from(labels).toString('latin1');
          for (let i = 0; i < columns.count; i++) samples.push(`${series} ${columns.times[i]} ${columns.values[i]}`);
        }
        const name = `${row.id} ${hexOf(hash)} ${hexOf(range)}`;
        getOrMake(days, `${key.tenant} ${key.day}`, () => new Map<string, string[]>()).set(name, samples);
      }
    }
  }
  let [groups, spare] = [0, 0];
  for (const all of days.values()) {
    const standing = [...all].filter(([name]) => !replaced.has(name.slice(0, name.indexOf(' '))));
    const copies = new Map<string, number>();
    for (const [, samples] of standing) for (const each of samples) copies.set(each, (copies.get(each) ?? 0) + 1);
    groups += standing.length;
    // each that is left out leaves fewer copies for the next
    for (const [, samples] of standing) {
      if (!samples.every((each) => copies.get(each)! > 1)) continue;
      spare++;
      for (const each of samples) copies.set(each, copies.get(each)! - 1);
    }
  }
  return { groups, spare, damage };
}
