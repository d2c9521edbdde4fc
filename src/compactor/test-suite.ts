import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { Kernel } from '../chunk/kernel.ts';
import { decodeGroupRow } from '../chunkstore/group-row.ts';
import { dayOfRange, parseHash, ROW_DAYS, ROW_GROUP } from '../chunkstore/keys.ts';
import { PLACEMENT_DEFAULT, type Placement, slotOf } from '../chunkstore/placement.ts';
import { ChunkStoreReader } from '../chunkstore/reader.ts';
import { removeDay } from '../chunkstore/remove-day.ts';
import { Schema, type StorePeriod } from '../chunkstore/schema.ts';
import { Sweeper } from '../chunkstore/sweeper.ts';
import { seriesOf, testContext } from '../chunkstore/test-series.ts';
import { Tombstones } from '../chunkstore/tombstones.ts';
import { verify } from '../chunkstore/verify.ts';
import { ChunkStoreWriter, type WriteGroup } from '../chunkstore/writer.ts';
import { DAY_MS } from '../lib/day.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { seededRandom } from '../lib/random.ts';
import { LabelMatcher } from '../model/matcher.ts';
import type { ObjectClient } from '../object/client.ts';
import { SampleColumns } from '../storage/columns.ts';
import type { Row, TableClient, TableStore } from '../table/client.ts';
import { Compactor, type Retention } from './compactor.ts';
import type { CompactorConfig } from './config.ts';

// Objects bear the time of the machine, so that days are counted from tomorrow: then all of them are of the past.
export const START = Math.ceil(Date.now() / DAY_MS) * DAY_MS;
export const HOUR = 3_600_000;
const WINDOW = 2 * HOUR;
export const kernels = { read: Kernel.create(), write: Kernel.create() };
export const FOR_EVER: Retention = { defaultMs: 0, tenants: new Map() };

export const CONFIG: CompactorConfig = {
  enabled: true,
  intervalMs: 600_000,
  dayDelayMs: HOUR,
  sweepIntervalMs: HOUR,
  sweepGraceMs: HOUR,
  createAheadMs: 0,
  retentionSize: 0,
};

export interface Stores {
  readonly tables: TableStore;
  readonly objects: ObjectClient;
  /** The prefix of tables and objects, where others use the stores too. */
  readonly prefix?: string;
}

/** A compactor and what else works on the same store, at a time that the test sets. */
export function compactorOn(
  { tables, objects, prefix = 'test_' }: Stores,
  tableMs = DAY_MS,
  more: { readonly walAgeMaxMs?: number } = {},
) {
  const schema = new Schema([{ fromMs: Number.NEGATIVE_INFINITY, tables, objects, tablePrefix: prefix, tableMs }]);
  const clock = new ManualClock(START);
  const options = {
    schema,
    kernels,
    clock,
    random: seededRandom(1),
    config: CONFIG,
    deleteRequestCancelPeriodMs: DAY_MS,
    walAgeMaxMs: 7 * DAY_MS,
    ...more,
  };
  const compactor = new Compactor(options);
  const run = (request: { retention?: Retention; sweep?: 'none' | 'due' | 'force'; signal?: AbortSignal } = {}) =>
    compactor.run({ retention: FOR_EVER, sweep: 'none', signal: new AbortController().signal, ...request });
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

/** Windows of a day: `series` series of the metric `m`, a sample a minute. */
export function* windows(tenant: string, day: number, series = 3, placement: Placement = PLACEMENT_DEFAULT) {
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

/** Those of several tenants in one flush, so that they share objects. */
function* windowsOfAll(tenants: readonly string[], day: number) {
  for (const tenant of tenants) yield* windows(tenant, day);
}

/** Samples of each series of the metric `m`. */
export async function counts(
  reader: ChunkStoreReader,
  tenant: string,
  startMs = START,
  endMs = START + 40 * DAY_MS,
): Promise<number[]> {
  reader.index.forget();
  const matchers = [LabelMatcher.of('__name__', '=', 'm')];
  const set = await reader.select(tenant, { matchers, startMs, endMs }, testContext());
  const out = new SampleColumns();
  return set.series.map((_, i) => {
    set.read(i, out);
    return out.count;
  });
}

export async function rowKinds(schema: Schema): Promise<Record<string, number>> {
  const { rows, problems } = await verify(schema, kernels.read);
  assert.deepEqual(problems, []);
  return rows;
}

/** The rows of all days that a period's store has. */
async function* rowsOfDays(schema: Schema, period: StorePeriod): AsyncGenerator<Row> {
  for (const table of await period.tables.admin.list()) {
    if (schema.tableEndMs(period, table) === undefined) continue;
    for await (const page of period.tables.admin.scan(table)) yield* page;
  }
}

/** The days that the stores have rows of a tenant of, whatever their kind, from the first on. */
async function daysWithRows(schema: Schema, tenant: string): Promise<number[]> {
  const days = new Set<number>();
  for (const period of schema.periods) {
    for await (const { hash, range } of rowsOfDays(schema, period)) {
      const { tenant: owner, day, kind } = parseHash(hash)!;
      if (owner === tenant) days.add((kind === ROW_DAYS ? dayOfRange(range) : day!) - START / DAY_MS);
    }
  }
  return [...days].sort((a, b) => a - b);
}

/** Every object that there is, in tables that are there and in those that were. */
async function objectsOf(schema: Schema): Promise<string[]> {
  const { objects, tablePrefix } = schema.periods[0]!;
  const keys: string[] = [];
  for await (const page of objects!.list(schema.objectPrefix(tablePrefix).slice(0, -1))) {
    keys.push(...page.map(({ key }) => key));
  }
  return keys;
}

/** Bytes of objects that no row names any more. */
async function bytesUnnamed(schema: Schema): Promise<number> {
  const period = schema.periods[0]!;
  let bytes = 0;
  for await (const page of period.objects!.list(schema.objectPrefix(period.tablePrefix).slice(0, -1))) {
    for (const info of page) bytes += info.bytes;
  }
  for await (const { hash, range, value } of rowsOfDays(schema, period)) {
    if (parseHash(hash)!.kind !== ROW_GROUP) continue;
    const { header, place } = decodeGroupRow(range, value, 'a group');
    if (place.kind === 'object') bytes -= place.bodyOffset - place.offset + header.bodyBytes;
  }
  return bytes;
}

/** Samples of a series in a day. */
export const MINUTES = DAY_MS / 60_000;

/**
 * The tests that the compactor must pass on every store.
 * @param killStep 1: it is killed at each of its changes in turn; n: at every nth
 * @param open stores with no table of the prefix; what is left there is the test's to clean
 */
export function compactorSuite(
  name: string,
  { killStep }: { readonly killStep: number },
  open: (t: TestContext) => Promise<Stores> | Stores,
): void {
  test(`days are merged when they are over, and what they were is swept (${name})`, async (t) => {
    const { writer, reader, schema, clock, run } = compactorOn(await open(t));
    for (const tenant of ['a', 'b']) {
      await writer.write(windows(tenant, START));
      await writer.write(windows(tenant, START + DAY_MS, 2));
    }
    clock.set(START + DAY_MS + HOUR - 1);
    assert.equal((await run()).days, 0);
    clock.set(clock.nowMs() + 1);
    const first = await run({ sweep: 'due' });
    assert.deepEqual(
      [first.days, first.sources, first.groups, first.samples, first.failures],
      [2, 24, 2, 6 * MINUTES, []],
    );
    assert.equal((await run()).days, 0);
    clock.set(clock.nowMs() + DAY_MS);
    assert.equal((await run()).sources, 24);
    assert.deepEqual(await counts(reader, 'a'), [2 * MINUTES, 2 * MINUTES, MINUTES]);
    assert.equal((await rowKinds(schema)).g, 4 * 12 + 4);

    // a straggler is merged in when the day is looked at again
    await writer.write([...windows('a', START + DAY_MS, 3)].slice(0, 1));
    assert.equal((await run()).groups, 0);
    clock.set(clock.nowMs() + 7 * HOUR);
    const again = await run();
    assert.deepEqual([again.sources, again.groups, again.samples], [2, 1, 2 * MINUTES + 120]);
    assert.deepEqual(await counts(reader, 'a'), [2 * MINUTES, 2 * MINUTES, MINUTES + 120]);

    const swept = [(await run({ sweep: 'due' })).swept!];
    clock.set(clock.nowMs() + 2 * HOUR);
    swept.push((await run({ sweep: 'due' })).swept!);
    assert.deepEqual(
      swept.map(({ rows }) => rows),
      [24, 24 + 2],
    );
    clock.set(clock.nowMs() + 2 * HOUR);
    await run({ sweep: 'due' });
    const report = await verify(schema, kernels.read);
    assert.deepEqual([report.problems, report.unreferenced, report.rows.g], [[], [], 4]);
    assert.deepEqual(await counts(reader, 'a'), [2 * MINUTES, 2 * MINUTES, MINUTES + 120]);
    assert.deepEqual(await counts(reader, 'b'), [2 * MINUTES, 2 * MINUTES, MINUTES]);
  });

  test(`what is deleted leaves the store after the cancel period, neighbours stay (${name})`, async (t) => {
    const { writer, reader, schema, clock, run, tombstones } = compactorOn(await open(t));
    await writer.write(windowsOfAll(['a', 'b'], START));
    clock.set(START + DAY_MS + 2 * HOUR);
    const kept = await tombstones.create('a', [LabelMatcher.of('k', '=', '0')], START, START + DAY_MS - 1);
    const gone = await tombstones.create('a', [LabelMatcher.of('k', '=', '1')], START, START + DAY_MS / 2 - 1);
    assert.deepEqual(await counts(reader, 'a'), [MINUTES / 2, MINUTES]);
    await run();
    await tombstones.cancel('a', kept.id);
    assert.deepEqual(await counts(reader, 'a'), [MINUTES, MINUTES / 2, MINUTES]);
    clock.set(clock.nowMs() + DAY_MS);
    const before = new Set(await objectsOf(schema));
    const report = await run({ sweep: 'force' });
    assert.deepEqual([report.deletes, report.failures], [1, []]);
    const after = await objectsOf(schema);
    assert.ok(before.size > 0 && after.every((key) => !before.has(key)), 'no object that had it is left');
    assert.deepEqual(
      (await tombstones.list('a')).map(({ id, state }) => [id, state]),
      [[gone.id, 'processed']],
    );
    // also where no tombstone hides it
    await tombstones.remove('a', gone);
    assert.deepEqual(await counts(reader, 'a'), [MINUTES, MINUTES / 2, MINUTES]);
    assert.equal(await bytesUnnamed(schema), 0);
    const left = await verify(schema, kernels.read);
    assert.deepEqual([left.samples, left.rows.g, left.objects], [2.5 * MINUTES + 3 * MINUTES, 2, after.length]);
    assert.deepEqual([left.problems, left.unreferenced], [[], []]);
    assert.deepEqual(await counts(reader, 'b'), [MINUTES, MINUTES, MINUTES]);
  });

  test(`a tenant is deleted whole, and may begin anew (${name})`, async (t) => {
    const { writer, reader, schema, clock, run, tombstones } = compactorOn(await open(t));
    await writer.write(windowsOfAll(['a', 'b'], START));
    await writer.writeMetadata('a', START, [{ metric: 'm', type: 'gauge', help: '', unit: '' }]);
    clock.set(START + DAY_MS + 2 * HOUR);
    await tombstones.deleteTenant('a');
    assert.deepEqual(await counts(reader, 'a'), []);
    assert.deepEqual(await tombstones.list('a'), []);
    await run();
    assert.equal((await tombstones.tenantDeletion('a'))?.state, 'pending');
    // what was in the head then comes now
    await writer.write([...windows('a', START + DAY_MS)].slice(0, 1));
    assert.deepEqual(await counts(reader, 'a'), []);
    assert.deepEqual(await daysWithRows(schema, 'a'), [1]);
    clock.set(clock.nowMs() + DAY_MS);
    await writer.write([...windows('a', START + 2 * DAY_MS)].slice(0, 1));
    await run({ sweep: 'force' });
    // of the day on which it was deleted no group is left, only what would lead to those of afterwards
    assert.deepEqual(await daysWithRows(schema, 'a'), [1, 2]);
    assert.deepEqual(await daysWithRows(schema, 'b'), [0]);
    assert.equal((await tombstones.tenantDeletion('a'))?.state, 'processed');
    assert.equal((await tombstones.tenantDeletion('b'))?.state, undefined);
    assert.deepEqual(await counts(reader, 'a'), [120, 120, 120]);
    assert.deepEqual(await counts(reader, 'b'), [MINUTES, MINUTES, MINUTES]);
    const report = await verify(schema, kernels.read);
    assert.deepEqual([report.problems, report.unreferenced], [[], []]);
    assert.equal(report.samples, 3 * MINUTES + 360);
    assert.ok(report.rows.m === undefined);
    assert.equal((await objectsOf(schema)).length, report.objects);
    assert.equal(await bytesUnnamed(schema), 0);
  });

  test(`what is past retention goes: of a tenant day by day, of all with the table (${name})`, async (t) => {
    const { writer, reader, schema, tables, clock, run } = compactorOn(await open(t));
    for (let d = 0; d < 4; d++) await writer.write(windowsOfAll(['short', 'long'], START + d * DAY_MS));
    const retention: Retention = { defaultMs: 6 * DAY_MS, tenants: new Map([['short', 2 * DAY_MS]]) };
    clock.set(START + 4 * DAY_MS + 2 * HOUR);
    const report = await run({ retention });
    assert.equal(report.daysRemoved, 2);
    assert.deepEqual(await counts(reader, 'long'), Array(3).fill(4 * MINUTES));
    // the day in the middle is cut where it is merged
    assert.deepEqual(await counts(reader, 'short'), Array(3).fill(2 * MINUTES - 120));
    assert.deepEqual(await daysWithRows(schema, 'short'), [2, 3]);
    assert.deepEqual(await daysWithRows(schema, 'long'), [0, 1, 2, 3]);
    clock.set(START + 7 * DAY_MS);
    const { table } = schema.tableOf(START / DAY_MS);
    const ofTable = async () => (await objectsOf(schema)).filter((key) => key.startsWith(schema.objectPrefix(table)));
    assert.ok((await ofTable()).length > 0);
    assert.deepEqual((await run({ retention })).tablesDropped, [table]);
    assert.ok(!(await tables.admin.list()).includes(table));
    assert.deepEqual(await ofTable(), []);
    assert.deepEqual(await counts(reader, 'long'), Array(3).fill(3 * MINUTES));
    assert.deepEqual(await counts(reader, 'short'), []);
    await run({ retention, sweep: 'force' });
    const left = await verify(schema, kernels.read);
    assert.deepEqual([left.samples, left.problems, left.unreferenced], [3 * 3 * MINUTES, [], []]);
    assert.equal((await objectsOf(schema)).length, left.objects);
    assert.equal(await bytesUnnamed(schema), 0);
  });

  test(`what shares an object with what is gone is moved, so that the object can go (${name})`, async (t) => {
    const { writer, reader, schema, clock } = compactorOn(await open(t));
    await writer.write(windowsOfAll(['gone', 'stays'], START));
    const before = await objectsOf(schema);
    await removeDay(schema, reader.index, 'gone', START / DAY_MS, testContext());
    assert.deepEqual(await daysWithRows(schema, 'gone'), []);
    assert.ok((await bytesUnnamed(schema)) > 0);
    const sweeper = new Sweeper(schema, clock, { rowGraceMs: 0, objectGraceMs: 0 });
    assert.deepEqual(await sweeper.run(), { rows: 0, objects: 0, moved: 12, damaged: [] });
    // lists of rows that were read before hold as long as the old object is there
    assert.deepEqual(await counts(reader, 'stays'), [MINUTES, MINUTES, MINUTES]);
    assert.deepEqual(await sweeper.run(), { rows: 0, objects: before.length, moved: 0, damaged: [] });
    assert.equal(await bytesUnnamed(schema), 0);
    assert.ok((await objectsOf(schema)).every((key) => !before.includes(key)));
    assert.deepEqual(await counts(reader, 'stays'), [MINUTES, MINUTES, MINUTES]);
    const report = await verify(schema, kernels.read);
    assert.deepEqual([report.problems, report.unreferenced, report.samples], [[], [], 3 * MINUTES]);
  });

  test(`readers see each sample once at each point of a merge, wherever it is killed (${name})`, async (t) => {
    const on = compactorOn(await open(t), 60 * DAY_MS);
    const { writer, reader, schema, clock, run, options } = on;
    const killed = new AbortController();
    for (let killAt = 0; ; killAt += killStep) {
      assert.ok(killAt < 25, 'it comes to its end');
      const day = START + 2 * killAt * DAY_MS;
      const tenants = [`a${killAt}`, `b${killAt}`];
      for (const tenant of tenants) await writer.write(take(windows(tenant, day), 3));
      await writer.write(take(windows(tenants[0]!, day + DAY_MS, 2), 2));
      const [first, second] = [
        [360, 360, 360],
        [600, 600, 360],
      ] as const;
      const look = async (when: string) => {
        assert.deepEqual(
          await counts(reader, tenants[1]!, day, day + 2 * DAY_MS),
          first,
          `killed at ${killAt}, ${when}`,
        );
        assert.deepEqual(
          await counts(reader, tenants[0]!, day, day + 2 * DAY_MS),
          second,
          `killed at ${killAt}, ${when}`,
        );
      };
      clock.set(day + 2 * DAY_MS + HOUR);
      let calls = 0;
      const dying = dyingStores(on, async () => {
        if (killAt === 0) await look(`before change ${calls}`);
        // the first run is not killed: it is looked at between all its changes
        if (calls++ >= killAt && killAt > 0) throw new Error('killed');
      });
      const period = { ...schema.periods[0]!, tables: dying.tables, objects: dying.objects };
      const compactor = new Compactor({ ...options, schema: new Schema([period]) });
      const report = await compactor.run({ retention: FOR_EVER, sweep: 'force', signal: killed.signal });
      await look('after that');
      await run({ sweep: 'force' });
      await look('after the next run');
      if (killAt === 0) assert.ok(calls > 3, `${calls} changes`);
      else if (report.failures.length === 0) break;
    }
    const whole = await verify(schema, kernels.read);
    assert.deepEqual([whole.problems, whole.unreferenced], [[], []]);
  });
}

function* take<T>(all: Iterable<T>, count: number): Generator<T> {
  let left = count;
  for (const each of all) {
    if (left-- === 0) return;
    yield each;
  }
}

/** Stores that call `before` ahead of each change, and do not make it where that throws. */
function dyingStores({ tables, objects }: Stores, before: () => Promise<void>): Stores {
  const { client, admin, limits } = tables;
  const dying = <A extends unknown[], R>(call: (...args: A) => Promise<R>) => {
    return async (...args: A): Promise<R> => {
      await before();
      return call(...args);
    };
  };
  return {
    tables: {
      client: {
        write: dying((...args: Parameters<TableClient['write']>) => client.write(...args)),
        query: (...args) => client.query(...args),
        delete: dying((...args: Parameters<TableClient['delete']>) => client.delete(...args)),
        compareAndSet: dying((...args: Parameters<TableClient['compareAndSet']>) => client.compareAndSet(...args)),
        close: () => client.close(),
      },
      admin,
      limits,
    },
    objects: {
      put: dying((...args: Parameters<ObjectClient['put']>) => objects.put(...args)),
      get: (...args) => objects.get(...args),
      getRange: (...args) => objects.getRange(...args),
      list: (...args) => objects.list(...args),
      delete: dying((...args: Parameters<ObjectClient['delete']>) => objects.delete(...args)),
      close: () => objects.close(),
    },
  };
}
