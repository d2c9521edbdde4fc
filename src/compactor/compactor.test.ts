import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { Kernel } from '../chunk/kernel.ts';
import { DAY_MS } from '../chunkstore/keys.ts';
import { PLACEMENT_DEFAULT, type Placement, slotOf } from '../chunkstore/placement.ts';
import { ChunkStoreReader } from '../chunkstore/reader.ts';
import { Schema } from '../chunkstore/schema.ts';
import { seriesOf, testContext } from '../chunkstore/test-series.ts';
import { Tombstones } from '../chunkstore/tombstones.ts';
import { verify } from '../chunkstore/verify.ts';
import { ChunkStoreWriter, type WriteGroup } from '../chunkstore/writer.ts';
import { seededRandom } from '../lib/random.ts';
import { LabelMatcher } from '../model/matcher.ts';
import type { ObjectClient } from '../object/client.ts';
import { FilesystemObjectClient } from '../object/filesystem.ts';
import { MemoryObjectClient } from '../object/memory.ts';
import { SampleColumns } from '../storage/columns.ts';
import type { TableClient, TableStore } from '../table/client.ts';
import { EmbeddedTableStore } from '../table/embedded.ts';
import { MemoryTableStore } from '../table/memory.ts';
import { Compactor, type Retention } from './compactor.ts';
import type { CompactorConfig } from './config.ts';

// Objects bear the time of the machine, so that days are counted from tomorrow: then all of them are of the past.
const START = Math.ceil(Date.now() / DAY_MS) * DAY_MS;
const HOUR = 3_600_000;
const WINDOW = 2 * HOUR;
const kernels = { read: Kernel.create(), write: Kernel.create() };
const FOR_EVER: Retention = { defaultMs: 0, tenants: new Map() };

const CONFIG: CompactorConfig = {
  enabled: true,
  intervalMs: 600_000,
  dayDelayMs: HOUR,
  sweepIntervalMs: HOUR,
  sweepGraceMs: HOUR,
  createAheadMs: 0,
  retentionSize: 0,
};

function store(tables: TableStore, objects: ObjectClient, config = CONFIG) {
  const schema = new Schema([
    { fromMs: Number.NEGATIVE_INFINITY, tables, objects, tablePrefix: 'test_', tableMs: DAY_MS },
  ]);
  const clock = { ms: START, nowMs: () => clock.ms, sleep: async () => {} };
  const options = { schema, kernels, clock, random: seededRandom(1), config, deleteRequestCancelPeriodMs: DAY_MS };
  const compactor = new Compactor(options);
  const run = (more: { retention?: Retention; sweep?: 'none' | 'due' | 'force'; signal?: AbortSignal } = {}) =>
    compactor.run({ retention: FOR_EVER, sweep: 'none', signal: new AbortController().signal, ...more });
  return {
    tables,
    objects,
    schema,
    clock,
    options,
    run,
    writer: new ChunkStoreWriter(schema, Kernel.create(), { inlineBytesMax: 400, clock }),
    reader: new ChunkStoreReader(schema, Kernel.create(), clock),
    tombstones: new Tombstones(schema, clock, seededRandom(2), DAY_MS),
  };
}

const memory = () => store(new MemoryTableStore(), new MemoryObjectClient());

async function embedded(t: TestContext) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'compactor-'));
  const tables = await EmbeddedTableStore.open({ dir: path.join(dir, 'tables') });
  const objects = await FilesystemObjectClient.open({ dir: path.join(dir, 'objects') });
  t.after(async () => {
    await tables.client.close();
    fs.rmSync(dir, { recursive: true });
  });
  return store(tables, objects);
}

/** Windows of a day: `series` series of the metric `m`, a sample a minute. */
function* windows(tenant: string, day: number, series = 3, placement: Placement = PLACEMENT_DEFAULT) {
  for (let windowStartMs = day; windowStartMs < day + DAY_MS; windowStartMs += WINDOW) {
    const all = Array.from({ length: series }, (_, k) =>
      seriesOf(
        { __name__: 'm', k: `${k}`, tenant },
        Array.from({ length: 120 }, (_, i) => windowStartMs + i * 60_000),
        (_, i) => Math.sqrt(i * k),
      ),
    );
    const slot = slotOf(placement, all[0]!.labels);
    yield { tenant, placement, slot, windowStartMs, windowMs: WINDOW, series: all } satisfies WriteGroup;
  }
}

async function counts(reader: ChunkStoreReader, tenant: string): Promise<number[]> {
  reader.index.forget();
  const matchers = [LabelMatcher.of('__name__', '=', 'm')];
  const set = await reader.select(tenant, { matchers, startMs: START, endMs: START + 40 * DAY_MS }, testContext());
  const out = new SampleColumns();
  return set.series.map((_, i) => {
    set.read(i, out);
    return out.count;
  });
}

async function kinds(schema: Schema): Promise<Record<string, number>> {
  const { rows, problems } = await verify(schema, kernels.read);
  assert.deepEqual(problems, []);
  return rows;
}

const MINUTES = DAY_MS / 60_000;

for (const [name, open] of [
  ['memory', memory],
  ['embedded', embedded],
] as const) {
  test(`days are merged when they are over, and what they were is swept (${name})`, async (t) => {
    const { writer, reader, schema, clock, run } = await open(t);
    for (const tenant of ['a', 'b']) {
      await writer.write(windows(tenant, START));
      await writer.write(windows(tenant, START + DAY_MS, 2));
    }
    clock.ms = START + DAY_MS + HOUR - 1;
    assert.equal((await run()).days, 0);
    clock.ms += 1;
    const first = await run({ sweep: 'due' });
    assert.deepEqual(
      [first.days, first.sources, first.groups, first.samples, first.failures],
      [2, 24, 2, 6 * MINUTES, []],
    );
    assert.equal((await run()).days, 0);
    clock.ms += DAY_MS;
    assert.equal((await run()).sources, 24);
    assert.deepEqual(await counts(reader, 'a'), [2 * MINUTES, 2 * MINUTES, MINUTES]);
    assert.equal((await kinds(schema)).g, 4 * 12 + 4);

    // a straggler is merged in when the day is looked at again
    await writer.write([...windows('a', START + DAY_MS, 3)].slice(0, 1));
    assert.equal((await run()).groups, 0);
    clock.ms += 7 * HOUR;
    const again = await run();
    assert.deepEqual([again.sources, again.groups, again.samples], [2, 1, 2 * MINUTES + 120]);
    assert.deepEqual(await counts(reader, 'a'), [2 * MINUTES, 2 * MINUTES, MINUTES + 120]);

    const swept = [(await run({ sweep: 'due' })).swept!];
    clock.ms += 2 * HOUR;
    swept.push((await run({ sweep: 'due' })).swept!);
    assert.deepEqual(
      swept.map(({ rows }) => rows),
      [24, 24 + 2],
    );
    clock.ms += 2 * HOUR;
    await run({ sweep: 'due' });
    const report = await verify(schema, kernels.read);
    assert.deepEqual([report.problems, report.unreferenced, report.rows.g], [[], [], 4]);
    assert.deepEqual(await counts(reader, 'a'), [2 * MINUTES, 2 * MINUTES, MINUTES + 120]);
    assert.deepEqual(await counts(reader, 'b'), [2 * MINUTES, 2 * MINUTES, MINUTES]);
  });

  test(`what is deleted leaves the store after the cancel period, neighbours stay (${name})`, async (t) => {
    const { writer, reader, schema, clock, run, tombstones } = await open(t);
    for (const tenant of ['a', 'b']) await writer.write(windows(tenant, START));
    clock.ms = START + DAY_MS + 2 * HOUR;
    const kept = await tombstones.create('a', [LabelMatcher.of('k', '=', '0')], START, START + DAY_MS - 1);
    const gone = await tombstones.create('a', [LabelMatcher.of('k', '=', '1')], START, START + DAY_MS / 2 - 1);
    assert.deepEqual(await counts(reader, 'a'), [MINUTES / 2, MINUTES]);
    await run();
    await tombstones.cancel('a', kept.id);
    assert.deepEqual(await counts(reader, 'a'), [MINUTES, MINUTES / 2, MINUTES]);
    clock.ms += DAY_MS;
    const report = await run({ sweep: 'force' });
    assert.deepEqual([report.deletes, report.failures], [1, []]);
    assert.deepEqual(
      (await tombstones.list('a')).map(({ id, state }) => [id, state]),
      [[gone.id, 'processed']],
    );
    // also where no tombstone hides it
    await tombstones.remove('a', gone);
    assert.deepEqual(await counts(reader, 'a'), [MINUTES, MINUTES / 2, MINUTES]);
    assert.equal((await verify(schema, kernels.read)).samples, 2.5 * MINUTES + 3 * MINUTES);
    assert.deepEqual(await counts(reader, 'b'), [MINUTES, MINUTES, MINUTES]);
  });

  test(`a tenant is deleted whole, and may begin anew (${name})`, async (t) => {
    const { writer, reader, schema, clock, run, tombstones, objects } = await open(t);
    for (const tenant of ['a', 'b']) await writer.write(windows(tenant, START));
    await writer.writeMetadata('a', START, [{ metric: 'm', type: 'gauge', help: '', unit: '' }]);
    clock.ms = START + DAY_MS + 2 * HOUR;
    await tombstones.deleteTenant('a');
    assert.deepEqual(await counts(reader, 'a'), []);
    assert.deepEqual(await tombstones.list('a'), []);
    await run();
    assert.equal((await tombstones.tenantDeletion('a'))?.state, 'pending');
    // what was in the head then comes now
    await writer.write([...windows('a', START + DAY_MS)].slice(0, 1));
    assert.deepEqual(await counts(reader, 'a'), []);
    clock.ms += DAY_MS;
    await writer.write([...windows('a', START + 2 * DAY_MS)].slice(0, 1));
    await run({ sweep: 'force' });
    assert.equal((await tombstones.tenantDeletion('a'))?.state, 'processed');
    assert.equal((await tombstones.tenantDeletion('b'))?.state, undefined);
    assert.deepEqual(await counts(reader, 'a'), [120, 120, 120]);
    assert.deepEqual(await counts(reader, 'b'), [MINUTES, MINUTES, MINUTES]);
    const report = await verify(schema, kernels.read);
    assert.deepEqual([report.problems, report.unreferenced], [[], []]);
    assert.equal(report.samples, 3 * MINUTES + 360);
    assert.ok(report.rows.m === undefined);
    let count = 0;
    for await (const page of objects.list('')) count += page.length;
    assert.equal(count, report.objects);
  });
}

test('what a tenant writes after its deletion stays, on the same day too, and only that is told', async () => {
  const { writer, reader, schema, clock, run, tombstones } = memory();
  for (const tenant of ['a', 'b']) await writer.write(windows(tenant, START));
  clock.ms = START + DAY_MS / 2 - 1;
  await tombstones.deleteTenant('a');
  const context = testContext();
  const told = async (matchers: LabelMatcher[] = []) => [
    await reader.labelNames('a', matchers, START, START + DAY_MS, context),
    await reader.labelValues('a', 'k', matchers, START, START + DAY_MS, context),
  ];
  const whole = [
    ['__name__', 'k', 'tenant'],
    ['0', '1', '2'],
  ];
  assert.deepEqual(await told(), whole);
  // one that is not through moves on: half a day more is gone
  clock.ms = START + DAY_MS - 1;
  await tombstones.deleteTenant('a');
  assert.deepEqual(await told(), [[], []]);
  assert.deepEqual(await told([LabelMatcher.of('k', '=', '1')]), [[], []]);
  clock.ms = START + (3 * DAY_MS) / 2 - 1;
  await writer.write(windows('a', START + DAY_MS));
  await tombstones.deleteTenant('a');
  clock.ms = START + 2 * DAY_MS + 2 * HOUR;
  await run({ sweep: 'force' });
  assert.equal((await tombstones.tenantDeletion('a'))?.state, 'processed');
  assert.deepEqual(await counts(reader, 'a'), Array(3).fill(MINUTES / 2));
  assert.deepEqual(await counts(reader, 'b'), Array(3).fill(MINUTES));
  // not only hidden
  assert.equal((await verify(schema, kernels.read)).samples, 3 * (MINUTES / 2) + 3 * MINUTES);
});

test('what is past retention goes: of a tenant day by day, of all with the table', async () => {
  const { writer, reader, schema, tables, clock, run } = memory();
  for (const tenant of ['short', 'long'])
    for (let d = 0; d < 4; d++) await writer.write(windows(tenant, START + d * DAY_MS));
  const retention: Retention = { defaultMs: 6 * DAY_MS, tenants: new Map([['short', 2 * DAY_MS]]) };
  clock.ms = START + 4 * DAY_MS + 2 * HOUR;
  const report = await run({ retention });
  assert.equal(report.daysRemoved, 2);
  assert.deepEqual(await counts(reader, 'long'), Array(3).fill(4 * MINUTES));
  // the day in the middle is cut where it is merged
  assert.deepEqual(await counts(reader, 'short'), Array(3).fill(2 * MINUTES - 120));
  clock.ms = START + 7 * DAY_MS;
  const dropped = (await run({ retention })).tablesDropped;
  assert.equal(dropped.length, 1);
  assert.ok(!(await tables.admin.list()).includes(dropped[0]!));
  assert.deepEqual(await counts(reader, 'long'), Array(3).fill(3 * MINUTES));
  assert.deepEqual(await counts(reader, 'short'), []);
  await kinds(schema);
});

test('the oldest tables are dropped where the store may have a size', async () => {
  const { writer, reader, clock, options } = memory();
  for (let d = 0; d < 4; d++) await writer.write(windows('t', START + d * DAY_MS));
  clock.ms = START + 3 * DAY_MS + HOUR;
  const compactor = new Compactor({
    ...options,
    config: { ...CONFIG, retentionSize: 250 },
    sizes: async (_, table) => (table.endsWith('tenants') ? undefined : 100),
  });
  const report = await compactor.run({ retention: FOR_EVER, sweep: 'none', signal: new AbortController().signal });
  assert.equal(report.tablesDropped.length, 2, 'of four');
  assert.deepEqual(await counts(reader, 't'), Array(3).fill(2 * MINUTES));
});

test('to be killed at any write leaves everything readable, and the next run ends it', async () => {
  for (let killAt = 0; killAt < 100; killAt++) {
    const { writer, reader, schema, tables, objects, clock, run, options } = memory();
    const placement = { version: 4, buckets: 4, splits: new Map() };
    for (const tenant of ['a', 'b']) {
      await writer.write(windows(tenant, START, 3, placement));
      await writer.write(windows(tenant, START + DAY_MS, 2, placement));
    }
    clock.ms = START + 2 * DAY_MS + HOUR;
    const before = await counts(reader, 'a');
    let writes = 0;
    const dying = <A extends unknown[], R>(call: (...args: A) => R) => {
      return (...args: A): R => {
        if (writes++ >= killAt) throw new Error('killed');
        return call(...args);
      };
    };
    const { client, admin, limits } = tables;
    const dyingClient: TableClient = {
      write: dying((...args: Parameters<TableClient['write']>) => client.write(...args)),
      query: (...args) => client.query(...args),
      delete: dying((...args: Parameters<TableClient['delete']>) => client.delete(...args)),
      compareAndSet: (...args) => client.compareAndSet(...args),
      close: () => client.close(),
    };
    const dyingObjects: ObjectClient = {
      put: dying((...args: Parameters<ObjectClient['put']>) => objects.put(...args)),
      get: (...args) => objects.get(...args),
      getRange: (...args) => objects.getRange(...args),
      list: (...args) => objects.list(...args),
      delete: (...args) => objects.delete(...args),
      close: () => objects.close(),
    };
    const period = { ...schema.periods[0]!, tables: { client: dyingClient, admin, limits }, objects: dyingObjects };
    const killed = new Compactor({ ...options, schema: new Schema([period]) });
    const report = await killed.run({ retention: FOR_EVER, sweep: 'due', signal: new AbortController().signal });
    assert.deepEqual(await counts(reader, 'a'), before);
    assert.deepEqual(await counts(reader, 'b'), before);
    await run();
    assert.deepEqual(await counts(reader, 'a'), before);
    await run({ sweep: 'force' });
    assert.deepEqual(await counts(reader, 'a'), before);
    const whole = await verify(schema, kernels.read);
    assert.deepEqual([whole.problems, whole.unreferenced, whole.rows.g], [[], [], 4]);
    if (report.failures.length === 0) {
      assert.ok(killAt > 2);
      return;
    }
  }
  assert.fail('it never came to its end');
});

test('a damaged group stays as it is, the rest is merged', async () => {
  const { writer, reader, clock, run, tables, schema } = memory();
  for (const tenant of ['a', 'b']) await writer.write(windows(tenant, START));
  const { table } = schema.tableOf(START / DAY_MS);
  let damaged = false;
  for await (const page of tables.admin.scan(table)) {
    for (const row of page) {
      if (damaged || row.hash[0] !== 1 || row.hash[6] !== 'g'.charCodeAt(0)) continue;
      row.value[row.value.length - 2]! ^= 1;
      await tables.client.write(table, [row]);
      damaged = true;
    }
  }
  clock.ms = START + DAY_MS + HOUR;
  const report = await run({ sweep: 'force' });
  assert.equal(report.damaged.length, 2, 'by the merge and by the sweep');
  assert.equal(report.groups, 1);
  assert.deepEqual(await counts(reader, 'b'), [MINUTES, MINUTES, MINUTES]);
});
