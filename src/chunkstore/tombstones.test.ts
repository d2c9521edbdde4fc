import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ManualClock } from '../lib/manual-clock.ts';
import { seededRandom } from '../lib/random.ts';
import { LabelMatcher } from '../model/matcher.ts';
import { EmbeddedTableStore } from '../table/embedded.ts';
import { TableChanges } from '../table/table-changes.ts';
import { Schema, TABLE_MS_DEFAULT } from './schema.ts';
import { listTombstones, QueryTombstones, Tombstones } from './tombstones.ts';

const root = mkdtempSync(join(tmpdir(), 'pallium-tombstones-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true }));

/** A thread's own way to a store that all have: one reads for queries, the other deletes. */
async function stores(name: string, counts: boolean) {
  const clock = new ManualClock();
  const memory = TableChanges.memory();
  const open = async () => {
    const tables = await EmbeddedTableStore.open({
      dir: join(root, name),
      ...(counts && { changes: new TableChanges(memory) }),
    });
    const period = { fromMs: Number.NEGATIVE_INFINITY, tables, tablePrefix: 't_', tableMs: TABLE_MS_DEFAULT };
    return { tables, schema: new Schema([period]) };
  };
  const [reader, writer] = [await open(), await open()];
  let reads = 0;
  const meanwhile: (() => Promise<unknown>)[] = [];
  const tombstones = new QueryTombstones(reader.schema, clock, async (...asked) => {
    reads++;
    const found = await listTombstones(...asked);
    await meanwhile.pop()?.();
    return found;
  });
  const { schema } = reader;
  return {
    clock,
    changes: new TableChanges(memory),
    /** Taken and run when a read has found what it finds, before that is told. */
    meanwhile,
    tables: schema.periods.map((period) => schema.tenantsTable(period)),
    requests: new Tombstones(writer.schema, clock, seededRandom(1), 0),
    /** @returns how many tombstones a new query finds, and how many reads that took */
    ask: async (tenant: string, signal = new AbortController().signal) => {
      reads = 0;
      return [(await tombstones.of(tenant, signal)).length, reads];
    },
    close: () => Promise.all([reader.tables.close(), writer.tables.close()]),
  };
}

const everything = [LabelMatcher.of('a', '=~', '.*')];

test('a tenant without tombstones is not read again until tables change, by any thread', async () => {
  const { requests, ask, close, clock } = await stores('known', true);
  assert.deepEqual(await ask('a'), [0, 1]);
  assert.deepEqual(await ask('a'), [0, 0]);
  assert.deepEqual(await ask('b'), [0, 1]);
  const { id } = await requests.create('a', everything, 0, 1);
  assert.deepEqual(await ask('a'), [1, 1]);
  assert.deepEqual(await ask('a'), [1, 1], 'a tenant that has some is read each time');
  assert.deepEqual(await ask('b'), [0, 1]);
  await requests.remove('a', { id, matchers: everything, startMs: 0, endMs: 1, createdMs: 0, state: 'pending' });
  assert.deepEqual(await ask('a'), [0, 1]);
  assert.deepEqual(await ask('a'), [0, 0]);
  await requests.create('a', everything, 0, 1);
  assert.deepEqual(await ask('a'), [1, 1], 'also where the table was there');
  assert.deepEqual(await ask('b'), [0, 1]);
  assert.deepEqual(await ask('b'), [0, 0]);
  await clock.advance(1_000);
  assert.deepEqual(await ask('b'), [0, 1], 'another process may have changed them');
  clock.setWall(clock.nowMs() + 1_000);
  assert.deepEqual(await ask('b'), [0, 1], 'also while the machine slept');
  await close();
});

test('while a change is under way tombstones are read: some of it may be seen already', async () => {
  const { ask, changes, tables, close } = await stores('under way', true);
  assert.deepEqual(await ask('a'), [0, 1]);
  assert.deepEqual(await ask('a'), [0, 0]);
  for (const table of tables) changes.begin(table);
  assert.deepEqual(await ask('a'), [0, 1]);
  assert.deepEqual(await ask('a'), [0, 1]);
  for (const table of tables) changes.end(table);
  assert.deepEqual(await ask('a'), [0, 1]);
  assert.deepEqual(await ask('a'), [0, 0]);
  await close();
});

test('a request that is made while tombstones are read is seen by the next query', async () => {
  const { requests, ask, meanwhile, close } = await stores('meanwhile', true);
  meanwhile.push(() => requests.create('a', everything, 0, 1));
  assert.deepEqual(await ask('a'), [0, 1]);
  assert.deepEqual(await ask('a'), [1, 1]);
  await close();
});

test('all that one query asks sees the same tombstones', async () => {
  const { requests, ask, close } = await stores('once', true);
  const { signal } = new AbortController();
  await ask('a', signal);
  await requests.create('a', everything, 0, 1);
  assert.deepEqual(await ask('a', signal), [0, 0]);
  assert.deepEqual(await ask('a'), [1, 1]);
  await close();
});

test('where changes are not counted tombstones are read each time', async () => {
  const { requests, ask, close } = await stores('uncounted', false);
  assert.deepEqual(await ask('a'), [0, 1]);
  assert.deepEqual(await ask('a'), [0, 1]);
  await requests.create('a', everything, 0, 1);
  assert.deepEqual(await ask('a'), [1, 1]);
  await close();
});
