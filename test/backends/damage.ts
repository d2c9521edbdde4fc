import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { decodeGroupRow, type GroupRow, hexOf } from '../../src/chunkstore/group-row.ts';
import { parseHash, ROW_GROUP } from '../../src/chunkstore/keys.ts';
import type { OpenedStore } from '../../src/chunkstore/open.ts';
import type { ObjectClient } from '../../src/object/client.ts';
import type { Row } from '../../src/table/client.ts';
import { Pallium, tempFolder } from '../harness/pallium.ts';
import { push, writeBody } from '../harness/remote-write.ts';
import { runTool } from '../harness/tool.ts';
import { openStores } from './e2e-stores.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Long random names, so that a window's group is larger than what lies in rows where there are objects, and of several blocks. */
const IDS = Array.from({ length: 1200 }, () => randomBytes(64).toString('hex'));
const SAMPLES = 10;

interface StoredGroup {
  readonly table: string;
  readonly row: Row;
  readonly group: GroupRow;
  readonly name: string;
}

/**
 * A damaged row, and where there are objects a damaged object: what needs it is an error with its name, other windows, of the same day
 * too, and tenants answer, and `verify` finds it. Metrics with other blocks of the group do as long as its head is whole: that alone tells
 * what there is.
 * @param flags which stores
 * @param objects whether groups lie in objects
 */
export async function damage(flags: readonly string[], objects: boolean): Promise<void> {
  const dataDir = tempFolder('damage');
  const options = { dataDir, flags: ['-ingester.window=20m', ...flags] };
  const startMs = Math.floor(Date.now() / DAY_MS) * DAY_MS - 3 * DAY_MS + HOUR_MS;
  const windows = [startMs, startMs + 6 * HOUR_MS, startMs + DAY_MS];
  try {
    {
      await using server = await Pallium.start(options);
      for (const tenant of ['a', 'b']) {
        for (const windowMs of windows) {
          const samples = Array.from({ length: SAMPLES }, (_, i) => [windowMs + i * 60_000, i] as const);
          const series = [
            { labels: { __name__: 'few', id: tenant }, samples },
            ...IDS.map((id) => ({ labels: { __name__: 'many', id: tenant + id }, samples })),
          ];
          const answer = await push(`${server.url}/api/v1/push`, writeBody(series), { 'x-scope-orgid': tenant });
          assert.ok(answer.status < 300, answer.text);
        }
        // tenants of one flush may share an object
        await server.flush();
      }
      await server.stop();
    }
    rmSync(join(dataDir, 'ingester'), { recursive: true });

    const withStore = async <T>(body: (store: OpenedStore) => Promise<T>): Promise<T> => {
      const store = await openStores([`-data.dir=${dataDir}`, ...flags]);
      try {
        return await body(store);
      } finally {
        await store.close();
      }
    };
    const victim = await withStore((store) => firstGroup(store, 'a'));
    assert.equal(victim.group.place.kind, objects ? 'object' : 'inline');

    const flipped = { ...victim.row, value: flip(victim.row.value, victim.row.value.length - 3) };
    await withStore((store) => tablesOf(store).client.write(victim.table, [flipped]));
    // a row is a head and, without objects, the samples behind it
    await oneWindowFails(options, windows, [victim.name], { head: objects });
    await withStore((store) => tablesOf(store).client.write(victim.table, [victim.row]));

    const { place } = victim.group;
    if (place.kind === 'object') {
      const whole = await withStore((store) => objectsOf(store).get(place.key));
      const damaged = flip(whole, place.bodyOffset + victim.group.header.bodyBytes - 3);
      await withStore((store) => objectsOf(store).put(place.key, damaged));
      await oneWindowFails(options, windows, [victim.name, place.key], { head: false });
      await withStore((store) => objectsOf(store).put(place.key, whole));
    }

    const { code, stdout } = await runTool(['verify', `-data.dir=${dataDir}`, ...flags]);
    assert.equal(code, 0, stdout);
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
    rmSync(`${dataDir}.log`, { force: true });
  }
}

/** One of tenant a's windows is an error that names what is damaged; all else answers. `verify` names it too. */
async function oneWindowFails(
  options: { readonly dataDir: string; readonly flags: readonly string[] },
  windows: readonly number[],
  names: readonly string[],
  { head }: { readonly head: boolean },
): Promise<void> {
  await using server = await Pallium.start(options);
  const ask = (tenant: string, metric: string, windowMs: number) => {
    const time = (windowMs + (SAMPLES - 1) * 60_000) / 1000;
    const search = new URLSearchParams({ query: `sum(count_over_time(${metric}[${SAMPLES}m]))`, time: String(time) });
    return server.api({ 'x-scope-orgid': tenant }).ask(`/api/v1/query?${search}`);
  };
  const right = { few: `"${SAMPLES}"`, many: `"${IDS.length * SAMPLES}"` };
  const failed: string[] = [];
  for (const tenant of ['a', 'b']) {
    for (const metric of ['few', 'many'] as const) {
      for (const [i, windowMs] of windows.entries()) {
        const { status, text } = await ask(tenant, metric, windowMs);
        if (status === 200) assert.ok(text.includes(right[metric]), `${tenant} ${metric} ${i}: ${text}`);
        else {
          failed.push(`${tenant} ${metric} ${i}`);
          assert.equal(status, 500);
          for (const name of names) assert.ok(text.includes(name), `${text} names ${name}`);
        }
      }
    }
  }
  const [window] = failed.map((each) => each.at(-1)!);
  assert.deepEqual(failed, head ? [`a few ${window}`, `a many ${window}`] : [`a many ${window}`]);
  await server.stop();

  const { code, stdout } = await runTool(['verify', `-data.dir=${options.dataDir}`, ...options.flags]);
  assert.equal(code, 3, stdout);
  const damaged = stdout.split('\n').filter((line) => line.startsWith('damaged: '));
  assert.equal(damaged.length, 1, stdout);
  for (const name of names) assert.ok(damaged[0]!.includes(name), `${damaged[0]} names ${name}`);
}

async function firstGroup(store: OpenedStore, tenant: string): Promise<StoredGroup> {
  for (const table of await tablesOf(store).admin.list()) {
    if (!table.startsWith(store.schema.periods[0]!.tablePrefix)) continue;
    for await (const page of tablesOf(store).admin.scan(table)) {
      for (const row of page) {
        const parsed = parseHash(row.hash);
        if (parsed?.kind !== ROW_GROUP || parsed.tenant !== tenant) continue;
        const name = `${table}/${hexOf(row.hash)}/${hexOf(row.range)}`;
        return { table, row, group: decodeGroupRow(row.range, row.value, name), name };
      }
    }
  }
  throw new Error(`no group of tenant ${tenant}`);
}

function tablesOf({ schema }: OpenedStore) {
  return schema.periods[0]!.tables;
}

function objectsOf({ schema }: OpenedStore): ObjectClient {
  return schema.periods[0]!.objects!;
}

function flip(bytes: Uint8Array, at: number): Uint8Array {
  const out = Uint8Array.from(bytes);
  out[at]! ^= 1;
  return out;
}
