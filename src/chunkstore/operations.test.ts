import assert from 'node:assert/strict';
import test from 'node:test';
import { Kernel } from '../chunk/kernel.ts';
import { systemClock } from '../lib/clock.ts';
import { DAY_MS } from '../lib/day.ts';
import { throwIfFenced } from '../lib/fenced-signal.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { seededRandom } from '../lib/random.ts';
import { AppError } from '../model/errors.ts';
import { LabelMatcher } from '../model/matcher.ts';
import type { ObjectInfo } from '../object/client.ts';
import { MemoryObjectClient } from '../object/memory.ts';
import { SampleColumns } from '../storage/columns.ts';
import type { TableAdmin } from '../table/client.ts';
import { MemoryTableStore } from '../table/memory.ts';
import { DayMerger } from './day-merge.ts';
import { PLACEMENT_DEFAULT, slotOf } from './placement.ts';
import { ChunkStoreReader } from './reader.ts';
import { removeDay } from './remove-day.ts';
import { Schema, TABLE_MS_DEFAULT } from './schema.ts';
import { Sweeper } from './sweeper.ts';
import { TableManager } from './table-manager.ts';
import { seriesOf, testContext } from './test-series.ts';
import { Tombstones } from './tombstones.ts';
import { verify } from './verify.ts';
import { ChunkStoreWriter, type WriteGroup } from './writer.ts';

const START = Date.UTC(2026, 0, 5);
const WINDOW = 7_200_000;
const kernel = Kernel.create();

function store() {
  const tables = new MemoryTableStore();
  const objects = new MemoryObjectClient(systemClock);
  const schema = new Schema([
    { fromMs: Number.NEGATIVE_INFINITY, tables, objects, tablePrefix: 'test_', tableMs: TABLE_MS_DEFAULT },
  ]);
  const clock = new ManualClock(START);
  const writer = new ChunkStoreWriter(schema, kernel, { clock: systemClock, inlineBytesMax: 400 });
  const reader = new ChunkStoreReader(schema, kernel, clock);
  return { tables, objects, schema, clock, writer, reader };
}

/** One window of `count` series of a metric at a time. */
async function fill(writer: ChunkStoreWriter, tenant: string, startMs: number, count = 3): Promise<void> {
  const series = Array.from({ length: count }, (_, k) =>
    seriesOf(
      { __name__: 'm', k: `${k}` },
      Array.from({ length: 20 }, (_, i) => startMs + i * 60_000),
      (_, i) => Math.sqrt(i * k),
    ),
  );
  const slot = slotOf(PLACEMENT_DEFAULT, series[0]!.labels);
  await writer.write([
    { tenant, placement: PLACEMENT_DEFAULT, slot, windowStartMs: startMs, windowMs: WINDOW, series },
  ]);
}

async function counts(reader: ChunkStoreReader, tenant: string, startMs: number, endMs: number): Promise<number[]> {
  const set = await reader.select(
    tenant,
    { matchers: [LabelMatcher.of('__name__', '=', 'm')], startMs, endMs },
    testContext(),
  );
  const out = new SampleColumns();
  return set.series.map((_, i) => {
    set.read(i, out);
    return out.count;
  });
}

test('verify finds nothing in a sound store and counts what is there', async () => {
  const { writer, schema } = store();
  await fill(writer, 't', START);
  await fill(writer, 't', START + WINDOW, 1);
  await fill(writer, 'u', START);
  await writer.writeMetadata('t', START, [{ metric: 'm', type: 'gauge', help: '', unit: '' }]);
  let calls = 0;
  const report = await verify(schema, kernel, () => calls++);
  assert.deepEqual(report.problems, []);
  assert.equal(report.groups, 3);
  assert.equal(report.series, 7);
  assert.equal(report.samples, 140);
  // both tenants hold the same, and what is the same has one name
  assert.equal(report.objects, 1);
  assert.deepEqual(report.unreferenced, []);
  assert.deepEqual(Object.keys(report.rows).sort(), ['d', 'g', 'l', 'm', 'n', 'p']);
  assert.ok(calls > 0);
});

test('verify reads the tables of the store, and not what lies beside them under the same prefix', async () => {
  const { writer, schema, tables } = store();
  await fill(writer, 't', START);
  const before = await verify(schema, kernel);
  for (const table of ['test_ring', 'test_other_2900', 'test_2900x']) {
    await tables.admin.create(table);
    const row = { hash: Buffer.from('kv'), range: Buffer.from('ring/newest'), value: Uint8Array.of(1) };
    await tables.client.write(table, [row]);
  }
  assert.deepEqual(await verify(schema, kernel), before);
});

test('verify names every damaged row and object', async () => {
  const { writer, schema, tables } = store();
  await fill(writer, 't', START);
  await fill(writer, 't', START + WINDOW, 1);
  const [table] = await tables.admin.list();
  const damaged: string[] = [];
  for await (const page of tables.admin.scan(table!)) {
    for (const row of page) {
      if (row.value.length < 2) continue;
      const value = row.value;
      value[value.length - 2]! ^= 1;
      await tables.client.write(table!, [{ ...row, value }]);
      damaged.push(Buffer.from(row.range).toString('hex'));
    }
  }
  const report = await verify(schema, kernel);
  assert.deepEqual(report.problems.map(({ name }) => name.split('/').at(-1)).sort(), damaged.sort());

  const other = store();
  await fill(other.writer, 't', START);
  for await (const page of other.objects.list('')) for (const { key } of page) await other.objects.delete(key);
  const missing = await verify(other.schema, kernel);
  assert.equal(missing.problemCount, 1);
  assert.match(missing.problems[0]!.reason, /is not in the memory store/);
});

test('tables are made ahead and dropped behind, with their objects', async () => {
  const { writer, schema, tables, objects, clock } = store();
  const manager = new TableManager(schema, clock);
  const first = await manager.run(0);
  assert.deepEqual(first.created, ['test_2922', 'test_tenants']);
  assert.deepEqual((await manager.run(0)).created, []);
  await fill(writer, 't', START);
  clock.set(START + 6 * DAY_MS);
  await fill(writer, 't', clock.nowMs());
  const count = async () => {
    let n = 0;
    for await (const page of objects.list('')) n += page.length;
    return n;
  };
  assert.equal(await count(), 2);
  // the first week's table ends on the 8th
  clock.set(Date.UTC(2026, 0, 8) + 30 * DAY_MS - 1);
  assert.deepEqual((await manager.run(30 * DAY_MS)).dropped, []);
  clock.set(clock.nowMs() + 1);
  assert.deepEqual((await manager.run(30 * DAY_MS)).dropped, ['test_2922']);
  assert.equal(await count(), 1);
  assert.ok((await tables.admin.list()).includes('test_2923'));
  assert.ok((await tables.admin.list()).includes('test_tenants'));
});

test('what is set aside for a table is lowered when its time is over, and only then', async () => {
  const { schema, tables, clock } = store();
  const retired: string[] = [];
  const admin: TableAdmin = {
    create: (table) => tables.create(table),
    drop: (table) => tables.drop(table),
    list: () => tables.list(),
    scan: (table) => tables.scan(table),
    retire: async (table) => void retired.push(table),
  };
  const period = { ...schema.periods[0]!, tables: { client: tables.client, limits: tables.limits, admin } };
  const manager = new TableManager(new Schema([period]), clock);
  await manager.run(0);
  // the table of another who uses the store
  await tables.admin.create('other_1');
  clock.set(Date.UTC(2026, 0, 8) + 4 * DAY_MS - 1);
  await manager.run(0);
  assert.deepEqual(retired, []);
  clock.set(clock.nowMs() + 1);
  await manager.run(0);
  assert.deepEqual(retired, ['test_2922']);
});

test('deleted samples are left out at once, until the delete is cancelled', async () => {
  const { writer, reader, schema, clock } = store();
  await fill(writer, 't', START);
  await fill(writer, 'u', START);
  assert.deepEqual(await counts(reader, 't', START, START + WINDOW), [20, 20, 20]);
  const tombstones = new Tombstones(schema, clock, seededRandom(1), DAY_MS);
  const matchers = [LabelMatcher.of('k', '=~', '0|1')];
  const tombstone = await tombstones.create('t', matchers, START + 5 * 60_000, START + 9 * 60_000);
  assert.deepEqual(await counts(reader, 't', START, START + WINDOW), [15, 15, 20]);
  assert.deepEqual(await counts(reader, 'u', START, START + WINDOW), [20, 20, 20]);
  assert.deepEqual((await verify(schema, kernel)).problems, []);
  await tombstones.cancel('t', tombstone.id);
  assert.deepEqual(await counts(reader, 't', START, START + WINDOW), [20, 20, 20]);
  await assert.rejects(tombstones.cancel('t', tombstone.id), isNamed('delete-request-not-found'));

  const late = await tombstones.create('t', matchers, START, START + DAY_MS);
  clock.set(clock.nowMs() + DAY_MS);
  await assert.rejects(tombstones.cancel('t', late.id), isNamed('delete-request-too-late'));
  assert.deepEqual(await counts(reader, 't', START, START + WINDOW), [20]);
});

test('a merged day reads as before, and the sweeper removes what it was merged from', async () => {
  const { writer, reader, schema, clock, objects, tables } = store();
  for (let w = 0; w < 6; w++) await fill(writer, 't', START + w * WINDOW, 3 + (w % 3));
  // a generation that repeats a window, and one with more series
  await fill(writer, 't', START, 5);
  await fill(writer, 'u', START);
  const dump = async () => {
    const set = await reader.select(
      't',
      { matchers: [LabelMatcher.of('__name__', '=', 'm')], startMs: START, endMs: START + DAY_MS },
      testContext(),
    );
    const out = new SampleColumns();
    return set.series.map((labels, i) => {
      set.read(i, out);
      return [labels.toString(), [...out.times.subarray(0, out.count)], [...out.values.subarray(0, out.count)]];
    });
  };
  const before = await dump();
  const merger = new DayMerger(schema, writer, kernel, clock);
  const day = START / DAY_MS;
  const keep = { tombstones: [], keepFromMs: Number.NEGATIVE_INFINITY };
  assert.deepEqual(await merger.tenants(day, testContext()), ['t', 'u']);
  const merged = await merger.merge('t', day, keep, testContext());
  assert.equal(merged.sources, 7);
  assert.equal(merged.groups, 1);
  assert.equal(merged.samples, 20 * (5 + 4 + 5 + 3 + 4 + 5));
  reader.index.forget();
  assert.deepEqual(await dump(), before);
  // nothing came since
  assert.equal((await merger.merge('t', day, keep, testContext())).groups, 0);
  await fill(writer, 't', START + 8 * WINDOW, 2);
  reader.index.forget();
  const more = await dump();
  assert.notDeepEqual(more, before);
  await merger.merge('t', day, keep, testContext());
  reader.index.forget();
  assert.deepEqual(await dump(), more);
  assert.deepEqual((await verify(schema, kernel)).problems, []);

  const sweeper = new Sweeper(schema, clock);
  const rows = async () => {
    let n = 0;
    for (const table of await tables.admin.list()) for await (const page of tables.admin.scan(table)) n += page.length;
    return n;
  };
  const all = await rows();
  assert.deepEqual(await sweeper.run(), { rows: 0, objects: 0, moved: 0, damaged: [] });
  clock.set(Date.now() + 2 * DAY_MS);
  const swept = await sweeper.run();
  assert.ok(swept.rows >= 8, `${swept.rows} rows`);
  assert.equal(await rows(), all - swept.rows);
  clock.set(clock.nowMs() + DAY_MS);
  assert.ok((await sweeper.run()).objects > 0);
  reader.index.forget();
  assert.deepEqual(await dump(), more);
  assert.deepEqual(await counts(reader, 'u', START, START + DAY_MS), [20, 20, 20]);
  const report = await verify(schema, kernel);
  assert.deepEqual(report.problems, []);
  assert.deepEqual(report.unreferenced, []);
  let left = 0;
  for await (const page of objects.list('')) left += page.length;
  assert.equal(left, report.objects);
});

/** A tenant's windows in an object that it shared with those of another one, which is gone. */
async function sharedObject() {
  const { schema, objects, reader, tables } = store();
  const clock = new ManualClock(Date.now());
  const writer = new ChunkStoreWriter(schema, kernel, { inlineBytesMax: 0, clock });
  const windowsOf = (tenant: string, base: number): WriteGroup[] =>
    [0, 1, 2].map((w) => {
      const times = Array.from({ length: 20 }, (_, i) => START + w * WINDOW + i * 60_000);
      const series = [seriesOf({ __name__: 'm', tenant }, times, (_, i) => Math.sqrt(i + base))];
      const slot = slotOf(PLACEMENT_DEFAULT, series[0]!.labels);
      const windowStartMs = START + w * WINDOW;
      return { tenant, placement: PLACEMENT_DEFAULT, slot, windowStartMs, windowMs: WINDOW, series };
    });
  await writer.write([...windowsOf('gone', 1), ...windowsOf('stays', 2)]);
  await removeDay(schema, reader.index, 'gone', START / DAY_MS, testContext());
  const list = async () => ((await objects.list('').next()).value ?? []) as readonly ObjectInfo[];
  return { schema, reader, tables, objects, clock, list };
}

test('what shares an object with what is gone is moved, so that the object can go', async () => {
  const { schema, reader, tables, clock, list } = await sharedObject();
  const [before] = await list();

  const sweeper = new Sweeper(schema, clock);
  const run = async (afterMs: number) => {
    clock.set(clock.nowMs() + afterMs);
    const { rows, objects: count, moved, damaged } = await sweeper.run();
    assert.deepEqual([rows, damaged], [0, []]);
    return [moved, count];
  };
  const same = await counts(reader, 'stays', START, START + DAY_MS);
  assert.deepEqual(same, [60]);
  assert.deepEqual(await run(0), [0, 0]);
  assert.deepEqual(await run(DAY_MS - 1), [0, 0], 'not before the object is a day old');
  assert.deepEqual(await run(3_600_000), [3, 0]);
  // a query that began before may still read what was there
  assert.deepEqual(await counts(reader, 'stays', START, START + DAY_MS), same);
  reader.index.forget();
  assert.deepEqual(await counts(reader, 'stays', START, START + DAY_MS), same);
  assert.deepEqual((await list()).length, 2);
  assert.deepEqual(await run(0), [0, 0]);
  assert.deepEqual(await run(3_600_000), [0, 1]);
  const [after, ...more] = await list();
  assert.deepEqual(more, []);
  assert.ok(after!.key !== before!.key && after!.bytes < 0.7 * before!.bytes, `${after!.bytes} of ${before!.bytes}`);
  assert.deepEqual(await run(DAY_MS), [0, 0]);
  const report = await verify(schema, kernel);
  assert.deepEqual([report.problems, report.unreferenced, report.samples], [[], [], 60]);
  assert.deepEqual(await counts(reader, 'stays', START, START + DAY_MS), same);
  assert.equal((await tables.admin.list()).length, 1);
});

test('a sweeper that stood still for a day before it names the object that it moved groups to leaves them where they are', async () => {
  const { schema, reader, tables, objects, clock, list } = await sharedObject();
  const [before] = await list();
  const sweeper = new Sweeper(schema, clock);
  await sweeper.run();
  clock.set(clock.nowMs() + DAY_MS + 3_600_000);
  const { write } = tables.client;
  tables.client.write = async (table, rows, signal) => {
    clock.set(clock.nowMs() + DAY_MS);
    // as another one does by then, since no row names it
    for (const { key } of await list()) if (key !== before!.key) await objects.delete(key);
    throwIfFenced(signal);
    await write.call(tables.client, table, rows, signal);
  };
  await assert.rejects(sweeper.run(), /was put too long ago/);
  assert.deepEqual(await counts(reader, 'stays', START, START + DAY_MS), [60]);
});

test('what is deleted or past retention is gone from storage after a merge', async () => {
  const { writer, reader, schema, clock } = store();
  await fill(writer, 't', START);
  await fill(writer, 't', START + WINDOW);
  const merger = new DayMerger(schema, writer, kernel, clock);
  const day = START / DAY_MS;
  const tombstone = {
    id: '00'.repeat(16),
    matchers: [LabelMatcher.of('k', '=', '1')],
    startMs: START,
    endMs: START + WINDOW - 1,
    createdMs: START,
    state: 'pending' as const,
  };
  await merger.merge('t', day, { tombstones: [tombstone], keepFromMs: START + 10 * 60_000 }, testContext());
  assert.deepEqual(await counts(reader, 't', START, START + DAY_MS), [30, 20, 30]);
  await merger.merge('t', day, { tombstones: [], keepFromMs: START + DAY_MS }, testContext());
  reader.index.forget();
  assert.deepEqual(await counts(reader, 't', START, START + DAY_MS), []);
  assert.equal((await verify(schema, kernel)).groups, 0);
});

function isNamed(id: string) {
  return (error: unknown) => error instanceof AppError && error.facts.id === id;
}
