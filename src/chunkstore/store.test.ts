import assert from 'node:assert/strict';
import test from 'node:test';
import type { GroupSeries } from '../chunk/group/series.ts';
import { Kernel } from '../chunk/kernel.ts';
import { systemClock } from '../lib/clock.ts';
import { DAY_MS } from '../lib/day.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { type Random, seededRandom } from '../lib/random.ts';
import { encodeLabels } from '../model/canonical.ts';
import { AppError } from '../model/errors.ts';
import { labelsHash } from '../model/labels-hash.ts';
import { LabelMatcher } from '../model/matcher.ts';
import { type SeriesShard, shardHas } from '../model/series-shard.ts';
import type { ObjectInfo } from '../object/client.ts';
import { CountingObjectClient } from '../object/counting.ts';
import { MemoryObjectClient } from '../object/memory.ts';
import { SampleColumns } from '../storage/columns.ts';
import type { TableQuery } from '../table/client.ts';
import { CountingTableClient } from '../table/counting.ts';
import { MemoryTableStore } from '../table/memory.ts';
import { isMergedRange, kindOf, ROW_GROUP, windowRange } from './keys.ts';
import { PLACEMENT_DEFAULT, type Placement, slotOf } from './placement.ts';
import { ChunkStoreReader } from './reader.ts';
import { Schema, type StorePeriod, TABLE_MS_DEFAULT } from './schema.ts';
import { seriesOf, testContext } from './test-series.ts';
import { Tombstones } from './tombstones.ts';
import { verify } from './verify.ts';
import { ChunkStoreWriter, type WriteGroup, type WriterOptions } from './writer.ts';

const START = Date.UTC(2026, 0, 5);
const WINDOW = 7_200_000;
const kernel = Kernel.create();

function store(options: { objects?: boolean; writer?: Partial<WriterOptions>; periods?: StorePeriod[] } = {}) {
  const tables = new MemoryTableStore();
  const objects = new MemoryObjectClient(systemClock);
  const period: StorePeriod = {
    fromMs: Number.NEGATIVE_INFINITY,
    tables,
    objects: options.objects === false ? undefined : objects,
    tablePrefix: 'test_',
    tableMs: TABLE_MS_DEFAULT,
  };
  const schema = new Schema(options.periods ?? [period]);
  const clock = new ManualClock(START);
  return {
    tables,
    objects,
    period,
    schema,
    clock,
    writer: new ChunkStoreWriter(schema, kernel, { clock: systemClock, ...options.writer }),
    reader: new ChunkStoreReader(schema, kernel, clock),
  };
}

/** Series as groups by window and slot. */
function groupsOf(
  tenant: string,
  series: readonly GroupSeries[],
  placement: Placement = PLACEMENT_DEFAULT,
): WriteGroup[] {
  const groups = new Map<string, WriteGroup & { series: GroupSeries[] }>();
  for (const each of series) {
    const slot = slotOf(placement, each.labels);
    const windows = new Set(Array.from(each.times, (time) => Math.floor(time / WINDOW) * WINDOW));
    for (const windowStartMs of windows) {
      const picked = Array.from(each.times.keys()).filter(
        (i) => Math.floor(each.times[i]! / WINDOW) * WINDOW === windowStartMs,
      );
      const key = `${windowStartMs} ${Buffer.from(slot).toString('hex')}`;
      let group = groups.get(key);
      if (group === undefined) {
        group = { tenant, placement, slot, windowStartMs, windowMs: WINDOW, series: [] };
        groups.set(key, group);
      }
      group.series.push({
        labels: each.labels,
        times: Float64Array.from(picked, (i) => each.times[i]!),
        values: Float64Array.from(picked, (i) => each.values[i]!),
      });
    }
  }
  return [...groups.values()];
}

async function readAll(
  reader: ChunkStoreReader,
  tenant: string,
  matchers: readonly LabelMatcher[],
  startMs: number,
  endMs: number,
  context = testContext(),
): Promise<Map<string, [number, number][]>> {
  const set = await reader.select(tenant, { matchers, startMs, endMs }, context);
  const out = new SampleColumns(1);
  const read = new Map<string, [number, number][]>();
  set.series.forEach((labels, i) => {
    set.read(i, out);
    read.set(
      labels.toString(),
      Array.from({ length: out.count }, (_, k) => [out.times[k]!, out.values[k]!]),
    );
  });
  set.close();
  assert.equal(context.budget.memoryBytes, 0);
  return read;
}

const name = (value: string) => LabelMatcher.of('__name__', '=', value);

function steps(from: number, to: number, step: number): number[] {
  const times: number[] = [];
  for (let time = from; time < to; time += step) times.push(time);
  return times;
}

test('what is written is read, by matchers and range', async () => {
  const { writer, reader } = store();
  const times = steps(START, START + 6 * 3_600_000, 60_000);
  const series = ['a', 'b', 'c'].map((host) => seriesOf({ __name__: 'up', host }, times, (_, i) => i));
  series.push(seriesOf({ __name__: 'down', host: 'a' }, times, (_, i) => -i));
  const written = await writer.write(groupsOf('t', series));
  assert.equal(
    written.reduce((sum, group) => sum + group.sampleCount, 0),
    4 * times.length,
  );

  const all = await readAll(reader, 't', [name('up')], START, START + DAY_MS);
  assert.deepEqual(
    [...all.keys()],
    ['a', 'b', 'c'].map((host) => `{__name__="up", host="${host}"}`),
  );
  for (const samples of all.values())
    assert.deepEqual(
      samples,
      times.map((time, i) => [time, i]),
    );

  const part = await readAll(
    reader,
    't',
    [LabelMatcher.of('host', '=~', 'a|c'), LabelMatcher.of('__name__', '!=', 'down')],
    START + 3_600_000,
    START + 4 * 3_600_000,
  );
  assert.deepEqual([...part.keys()], ['{__name__="up", host="a"}', '{__name__="up", host="c"}']);
  assert.deepEqual(
    part.get('{__name__="up", host="a"}')!.map(([time]) => time),
    steps(START + 3_600_000, START + 4 * 3_600_000 + 1, 60_000),
  );

  assert.equal((await readAll(reader, 'other', [name('up')], START, START + DAY_MS)).size, 0);
  assert.equal((await readAll(reader, 't', [name('up')], START + DAY_MS, START + 2 * DAY_MS)).size, 0);
  assert.deepEqual(await reader.labelNames('t', [], START, START, testContext()), ['__name__', 'host']);
  assert.deepEqual(await reader.labelValues('t', 'host', [], START, START, testContext()), ['a', 'b', 'c']);
  assert.deepEqual(await reader.labelValues('t', 'host', [name('down')], START, START, testContext()), ['a']);
  assert.deepEqual(await reader.labelNames('t', [name('none')], START, START, testContext()), []);
});

test('lists of rows are kept by window, so that queries of other lengths share them; missing ones are read in one go', async () => {
  const { writer, reader, tables } = store();
  const times = steps(START, START + DAY_MS, 600_000);
  await writer.write(groupsOf('t', [seriesOf({ __name__: 'up' }, times, (_, i) => i)]));
  const { query } = tables.client;
  let asked: TableQuery[] = [];
  tables.client.query = (request, signal) => {
    if (kindOf(request.hash) === ROW_GROUP && !isMergedRange(request.from!)) asked.push(request);
    return query.call(tables.client, request, signal);
  };
  /** Asks for whole windows, and says which of them are read. */
  const ask = async (first: number, end: number) => {
    asked = [];
    const [startMs, endMs] = [START + first * WINDOW, START + end * WINDOW];
    const read = await readAll(reader, 't', [name('up')], startMs, endMs - 1);
    const want = times.flatMap((time, i) => (time >= startMs && time < endMs ? [[time, i]] : []));
    assert.deepEqual(read.get('{__name__="up"}'), want);
    const windowOf = (range: Uint8Array) =>
      Array.from({ length: 13 }, (_, i) => i).find((i) => Buffer.compare(windowRange(START + i * WINDOW), range) === 0);
    return asked.map(({ from, before }) => [windowOf(from!), windowOf(before!)]);
  };
  assert.deepEqual(await ask(3, 6), [[3, 6]]);
  assert.deepEqual(await ask(4, 5), []);
  assert.deepEqual(await ask(0, 12), [
    [0, 3],
    [6, 12],
  ]);
  assert.deepEqual(await ask(1, 11), []);
});

test('a metric without groups is known at once, as long as the lists that were read may be used', async () => {
  const { writer, reader, clock } = store();
  const times = steps(START, START + 60_000, 15_000);
  await writer.write(groupsOf('t', [seriesOf({ __name__: 'up' }, times, (_, i) => i)]));
  const cell = { startMs: START + WINDOW + 1000, endMs: START + WINDOW + 300_000 };
  const down = { matchers: [name('down'), LabelMatcher.of('host', '=', 'a')], ...cell };
  const context = testContext();
  const isKnown = (tenant = 't', asked: Parameters<typeof reader.hasNothing>[1] = down) =>
    reader.hasNothing(tenant, asked, context);
  const ask = async (asked: typeof down) => (await reader.select('t', asked, testContext())).close();

  assert.equal(isKnown(), false, 'nothing was read yet');
  await ask({ ...down, matchers: [name('down'), name('up')] });
  assert.equal(isKnown(), false, 'no metric was looked for');
  const asked = testContext();
  (await reader.select('t', down, asked)).close();
  assert.equal(isKnown(), true);
  assert.equal(context.budget.slots, asked.budget.slots, 'counted as if it had been asked for');
  assert.ok(context.budget.slots > 0);
  const other = { ...down, startMs: START + WINDOW, endMs: START + 2 * WINDOW - 1 };
  assert.equal(isKnown('t', other), true, 'the same cell');
  assert.equal(isKnown('t', { ...down, startMs: START + WINDOW - 1 }), false);
  assert.equal(isKnown('t', { ...down, endMs: START + 2 * WINDOW }), false);
  assert.equal(isKnown('u'), false);
  assert.equal(isKnown('t', { ...down, shard: { index: 0, count: 2 } }), false);
  assert.equal(isKnown('t', { ...down, matchers: [LabelMatcher.of('__name__', '=~', 'down')] }), false);
  const up = { matchers: [name('up')], startMs: START, endMs: START + 1000 };
  await ask(up);
  assert.equal(isKnown('t', up), false, 'it has a group');

  await clock.advance(300_000);
  await ask({ ...down, startMs: START + 3 * WINDOW, endMs: START + 3 * WINDOW });
  await ask(down);
  await clock.advance(299_999);
  assert.equal(isKnown(), true);
  await clock.advance(1);
  assert.equal(isKnown(), false, 'no longer than the lists, which were read before it');
  await ask(down);
  assert.equal(isKnown(), true);
  reader.index.forget();
  assert.equal(isKnown(), false);
});

test('writing again changes nothing', async () => {
  const { writer, reader, tables } = store();
  const times = steps(START, START + WINDOW, 60_000);
  const groups = groupsOf('t', [seriesOf({ __name__: 'up' }, times, (_, i) => i)]);
  const first = await writer.write(groups);
  const countRows = async () => {
    let rows = 0;
    for (const table of await tables.admin.list())
      for await (const page of tables.admin.scan(table)) rows += page.length;
    return rows;
  };
  const rows = await countRows();
  const second = await writer.write(groups);
  assert.deepEqual(second, first);
  assert.equal(await countRows(), rows);
  const all = await readAll(reader, 't', [name('up')], START, START + DAY_MS);
  assert.equal(all.get('{__name__="up"}')!.length, times.length);
});

test('samples of several generations are merged by time, the larger bits win', async () => {
  const { writer, reader } = store();
  const at = (minute: number) => START + minute * 60_000;
  const write = (samples: readonly [number, number][]) => {
    const times = samples.map(([minute]) => at(minute));
    return writer.write(groupsOf('t', [seriesOf({ __name__: 'm' }, times, (_, i) => samples[i]![1])]));
  };
  await write([
    [1, 10],
    [3, 30],
    [5, -50],
  ]);
  await write([
    [2, 20],
    [3, 31],
    [5, 49],
    [7, 70],
  ]);
  await write([[3, 29]]);
  const all = await readAll(reader, 't', [name('m')], START, START + DAY_MS);
  // −50 has the sign bit, so as an unsigned number it is the larger one
  assert.deepEqual(all.get('{__name__="m"}'), [
    [at(1), 10],
    [at(2), 20],
    [at(3), 31],
    [at(5), -50],
    [at(7), 70],
  ]);
});

test('random series over days, slots and groups read as an oracle says', async () => {
  for (let seed = 1; seed <= 12; seed++) {
    const random = seededRandom(seed);
    const objects = random() < 0.7;
    const { writer, reader, clock } = store({
      objects,
      writer: {
        inlineBytesMax: random() < 0.5 ? 0 : 2000,
        objectBytesAimed: random() < 0.5 ? 1000 : 1e6,
        seriesDigests: random() < 0.5,
      },
    });
    const placement: Placement = {
      version: 1,
      buckets: pick(random, [1, 16, 256]),
      splits: new Map(random() < 0.5 ? [['m2', 16]] : []),
    };
    const oracle = new Map<string, Map<number, number>>();
    for (let flush = 0; flush < 4; flush++) {
      const series = new Map<string, GroupSeries>();
      for (let k = 0; k < 40; k++) {
        const labels: Record<string, string> = {
          __name__: `m${Math.floor(random() * 5)}`,
          i: `${Math.floor(random() * 12)}`,
        };
        if (random() < 0.5) labels.zone = pick(random, ['x', 'y']);
        const first = START + Math.floor(random() * 2 * DAY_MS);
        const times = steps(first, first + random() * 5 * 3_600_000 + 1, 30_000 + Math.floor(random() * 500_000));
        const each = seriesOf(labels, times, () => Math.floor(random() * 1000) / 8);
        series.set(Buffer.from(each.labels).toString('hex'), each);
      }
      for (const each of series.values()) {
        const samples = oracle.get(Buffer.from(each.labels).toString('latin1')) ?? new Map<number, number>();
        oracle.set(Buffer.from(each.labels).toString('latin1'), samples);
        each.times.forEach((time, i) => {
          samples.set(time, Math.max(samples.get(time) ?? 0, each.values[i]!));
        });
      }
      await writer.write(groupsOf('t', [...series.values()], placement));
    }
    for (let query = 0; query < 12; query++) {
      const matchers = pick(random, [
        [name('m1')],
        [name('m2'), LabelMatcher.of('zone', '=', 'x')],
        [LabelMatcher.of('__name__', '=~', 'm[123]'), LabelMatcher.of('i', '!=', '3')],
        [LabelMatcher.of('i', '=~', '1.*')],
        [LabelMatcher.of('zone', '=', ''), LabelMatcher.of('i', '=', '5')],
      ]);
      const startMs = START + Math.floor(random() * 2 * DAY_MS);
      const endMs = startMs + Math.floor(random() * DAY_MS);
      clock.set(clock.nowMs() + 300_000);
      const read = await readAll(reader, 't', matchers, startMs, endMs);
      const want = new Map<string, [number, number][]>();
      for (const [key, samples] of oracle) {
        const labels = seriesLabels(key);
        if (!matchers.every((matcher) => matcher.matches(labels[matcher.name] ?? ''))) continue;
        const within = [...samples].filter(([time]) => time >= startMs && time <= endMs).sort(([a], [b]) => a - b);
        if (within.length > 0) want.set(JSON.stringify(labels), within);
      }
      const got = new Map([...read].map(([text, samples]) => [textLabels(text), samples]));
      assert.deepEqual(new Map([...got].sort()), new Map([...want].sort()), `seed ${seed} query ${query}`);
    }
  }
});

function pick<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)]!;
}

/** Labels of canonical bytes that are shorter than 128 each. */
function seriesLabels(bytes: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (let at = 0; at < bytes.length; ) {
    const part = () => {
      const length = bytes.charCodeAt(at++);
      at += length;
      return bytes.slice(at - length, at);
    };
    const label = part();
    labels[label] = part();
  }
  return labels;
}

function textLabels(text: string): string {
  return JSON.stringify(
    Object.fromEntries([...text.matchAll(/(\w+)="([^"]*)"/g)].map(([, label, value]) => [label, value])),
  );
}

test('a query for a few of many series reads little', async () => {
  const { writer, schema, clock } = store();
  const times = steps(START, START + WINDOW, 600_000);
  const series = Array.from({ length: 20_000 }, (_, i) =>
    seriesOf({ __name__: 'big', id: `${i}`, pod: `pod-${i % 997}` }, times, (_, k) => i * k),
  );
  await writer.write(groupsOf('t', series));
  const context = testContext();
  const reader = new ChunkStoreReader(schema, kernel, clock);
  const few = await readAll(
    reader,
    't',
    [name('big'), LabelMatcher.of('id', '=~', '1|77|4003|5999|19999')],
    START,
    START + 3_600_000,
    context,
  );
  assert.equal(few.size, 5);
  assert.ok(
    context.budget.rows + context.budget.objects <= 20,
    `${context.budget.rows} rows, ${context.budget.objects} objects`,
  );
  assert.equal(context.budget.chunks, 5);
  const whole = testContext();
  const all = await readAll(
    new ChunkStoreReader(schema, kernel, clock),
    't',
    [name('big')],
    START,
    START + 3_600_000,
    whole,
  );
  assert.equal(all.size, 20_000);
  assert.equal(whole.budget.chunks, 20_000);
  assert.ok(whole.budget.chunkBytes > 20_000 && context.budget.chunkBytes < whole.budget.chunkBytes);
  assert.ok(
    whole.budget.rows + whole.budget.objects <= 20,
    `${whole.budget.rows} rows, ${whole.budget.objects} objects`,
  );
});

test('an hour of a metric of 50,000 series is few rows and objects, and ten of its series fewer', async () => {
  const { writer, period, clock } = store();
  // as a tenant of a million series has them
  const placement = { version: 256, buckets: 256, splits: new Map() };
  const times = steps(START, START + 2 * WINDOW, 300_000);
  const series = Array.from({ length: 50_000 }, (_, i) =>
    seriesOf({ __name__: 'big', id: `${i}`, pod: `pod-${i % 997}` }, times, (_, k) => Math.sqrt(i * k)),
  );
  series.push(seriesOf({ __name__: 'small' }, times, (_, k) => k));
  await writer.write(groupsOf('t', series, placement));
  const { client, admin, limits } = period.tables;
  const read = async (matchers: LabelMatcher[]) => {
    const tables = new CountingTableClient(client);
    const objects = new CountingObjectClient(period.objects!);
    const counting = new Schema([{ ...period, tables: { client: tables, admin, limits }, objects }]);
    const context = testContext();
    const reader = new ChunkStoreReader(counting, kernel, clock);
    // across the end of a window
    const range = [START + WINDOW - 1_800_000, START + WINDOW + 1_800_000] as const;
    const { size } = await readAll(reader, 't', matchers, ...range, context);
    const fetched = tables.counts.rowsRead + objects.counts.objectsRead;
    assert.equal(context.budget.rows + context.budget.objects, fetched);
    return { size, fetched };
  };
  const whole = await read([name('big')]);
  assert.equal(whole.size, 50_000);
  assert.ok(whole.fetched <= 100, `${whole.fetched} rows and objects`);
  const ids = Array.from({ length: 10 }, (_, i) => i * 4999).join('|');
  const some = await read([name('big'), LabelMatcher.of('id', '=~', ids)]);
  assert.equal(some.size, 10);
  assert.ok(some.fetched <= 20, `${some.fetched} rows and objects`);
});

test('a day of a small tenant is few rows, also where each window has a writer of its own', async () => {
  const { period, clock } = store();
  const client = new CountingTableClient(period.tables.client);
  const { admin, limits } = period.tables;
  const schema = new Schema([{ ...period, tables: { client, admin, limits } }]);
  let writer = new ChunkStoreWriter(schema, kernel, { clock });
  for (let windowStartMs = START; windowStartMs < START + DAY_MS; windowStartMs += WINDOW) {
    clock.set(windowStartMs + WINDOW);
    const series = Array.from({ length: 365 }, (_, i) =>
      seriesOf(
        { __name__: `m${i % 73}`, instance: `${i % 5}`, job: 'j' },
        steps(windowStartMs, clock.nowMs(), 1_800_000),
        () => i,
      ),
    );
    await writer.write(groupsOf('t', series));
    writer = new ChunkStoreWriter(schema, kernel, { clock, seen: writer.seen });
  }
  // placement, tenant, day and labels once
  assert.ok(client.counts.rowsWritten <= 12 + 6, `${client.counts.rowsWritten} rows`);
});

test('a range without end asks only for tables that are there', async () => {
  const { writer, reader } = store();
  await writer.write(groupsOf('t', [seriesOf({ __name__: 'm' }, [START], () => 1)]));
  const context = testContext();
  const all = await readAll(reader, 't', [name('m')], -8.64e15, 8.64e15, context);
  assert.equal(all.size, 1);
  assert.ok(context.budget.rows < 10);
  assert.deepEqual(await reader.labelNames('t', [], -8.64e15, 8.64e15, testContext()), ['__name__']);
});

test('a damaged object fails with its name', async () => {
  const { writer, reader, objects } = store({ writer: { inlineBytesMax: 0 } });
  const times = steps(START, START + WINDOW, 10_000);
  await writer.write(groupsOf('t', [seriesOf({ __name__: 'm' }, times, (_, i) => Math.sin(i))]));
  const [{ key, bytes }] = (await objects.list('').next()).value as [ObjectInfo];
  const body = await objects.get(key);
  body[bytes - 20]! ^= 4;
  await objects.put(key, body);
  const row = /test_\d+\/[0-9a-f]+\/[0-9a-f]+/.source;
  await assert.rejects(readAll(reader, 't', [name('m')], START, START + DAY_MS), (error) => {
    assert.ok(error instanceof AppError && error.facts.id === 'group-corrupt');
    assert.match(error.message, new RegExp(`chunk group ${row} in ${key} is damaged: values 0…0`));
    return true;
  });
});

test('writers who settle on different placements in the same millisecond are both read', async () => {
  const { writer, schema, reader } = store();
  const other = new ChunkStoreWriter(schema, kernel, { clock: systemClock });
  const series = Array.from({ length: 20 }, (_, k) =>
    seriesOf({ __name__: `m${k % 2}`, k: `${k}` }, [START + k], () => k),
  );
  const placements = ['m0', 'm1'].map(
    (metric): Placement => ({
      version: START,
      buckets: 16,
      splits: new Map([[metric, 16]]),
    }),
  );
  await writer.write(groupsOf('t', series, placements[0]));
  await other.write(groupsOf('t', series, placements[1]));
  for (const each of series) each.times[0]! += 1000;
  // each has one that the other's slots do not hold
  await writer.write(groupsOf('t', series.slice(0, 10), placements[0]));
  await other.write(groupsOf('t', series.slice(10), placements[1]));
  for (const metric of ['m0', 'm1']) {
    const all = await readAll(reader, 't', [name(metric)], START, START + DAY_MS);
    assert.deepEqual(
      [...all.values()].map((samples) => samples.length),
      Array(10).fill(2),
    );
  }
  assert.deepEqual((await verify(schema, kernel)).problems, []);
});

test('a store can be changed at a day', async () => {
  const old = new MemoryTableStore();
  const next = new MemoryTableStore();
  const rest = { tablePrefix: 'test_', tableMs: TABLE_MS_DEFAULT };
  const { writer, reader } = store({
    periods: [
      { fromMs: Number.NEGATIVE_INFINITY, tables: old, ...rest },
      { fromMs: START + 2 * DAY_MS, tables: next, ...rest },
    ],
  });
  const times = steps(START, START + 4 * DAY_MS, 3_600_000);
  await writer.write(groupsOf('t', [seriesOf({ __name__: 'm' }, times, (_, i) => i)]));
  const all = await readAll(reader, 't', [name('m')], START, START + 4 * DAY_MS);
  assert.deepEqual(
    all.get('{__name__="m"}'),
    times.map((time, i) => [time, i]),
  );
  assert.equal((await old.admin.list()).length, 1);
  // the week of tables ends on a Wednesday
  assert.equal((await next.admin.list()).length, 2);
});

test('groups that are too large for a row are divided', async () => {
  const tables = new MemoryTableStore({ valueBytesMax: 20_000, keyBytesMax: 1024 });
  const { writer, reader } = store({
    periods: [{ fromMs: Number.NEGATIVE_INFINITY, tables, tablePrefix: 'test_', tableMs: TABLE_MS_DEFAULT }],
  });
  const times = steps(START, START + WINDOW, 1000);
  const series = [0, 1, 2].map((k) => seriesOf({ __name__: `m${k}` }, times, (_, i) => Math.sin(i + k)));
  const written = await writer.write(groupsOf('t', series));
  assert.ok(written.length > 6);
  const all = await readAll(reader, 't', [name('m1')], START, START + DAY_MS);
  assert.deepEqual(
    all.get('{__name__="m1"}'),
    times.map((time, i) => [time, Math.sin(i + 1)]),
  );
});

test('cancelled queries end', async () => {
  const { writer, reader } = store();
  await writer.write(groupsOf('t', [seriesOf({ __name__: 'm' }, [START], () => 1)]));
  const controller = new AbortController();
  controller.abort(new Error('enough'));
  await assert.rejects(readAll(reader, 't', [name('m')], START, START + 1, testContext(controller.signal)), /enough/);
});

test('metadata is kept by day', async () => {
  const { writer, reader } = store();
  const entry = { metric: 'm', type: 'counter', help: 'Help.', unit: '' };
  await writer.write(groupsOf('t', [seriesOf({ __name__: 'm' }, [START], () => 1)]));
  await writer.writeMetadata('t', START, [entry, { ...entry, metric: 'n' }]);
  await writer.writeMetadata('t', START, [entry]);
  assert.deepEqual(await reader.metadata('t', START, START, testContext()), [entry, { ...entry, metric: 'n' }]);
});

test('with very many tenants rows go out before all have been looked at', async () => {
  const { writer, tables } = store({ objects: false, writer: { waitingBytesMax: 1024 * 1024 } });
  const TENANTS = 1500;
  const series = [seriesOf({ __name__: 'up' }, [START], () => 1)];
  let yielded = 0;
  let rowsBefore: number | undefined;
  const groups = async function* () {
    for (; yielded < TENANTS; yielded++) {
      if (rowsBefore === undefined && (await tables.admin.list()).length > 0) rowsBefore = yielded;
      yield* groupsOf(`t${yielded}`, series);
    }
  };
  const written = await writer.write(groups());
  assert.equal(written.length, TENANTS);
  assert.ok(rowsBefore !== undefined, 'nothing was written before the last');
});

test("a shard reads its own parts of a split metric and not its neighbour's, and in other slots its own series", async () => {
  const { schema, writer, objects } = store({ writer: { inlineBytesMax: 0, objectBytesAimed: 1 } });
  const read = new Set<string>();
  const getRange = objects.getRange.bind(objects);
  objects.getRange = (key, ...range) => {
    read.add(key);
    return getRange(key, ...range);
  };
  const placement: Placement = { version: 1, buckets: 1, splits: new Map([['wide', 16]]) };
  const times = steps(START, START + WINDOW, 60_000);
  const series = ['wide', 'narrow'].flatMap((__name__) =>
    Array.from({ length: 400 }, (_, i) => seriesOf({ __name__, id: `${i}` }, times, (_time, at) => at * i)),
  );
  await writer.write(groupsOf('t', series, placement));
  await writer.write(groupsOf('u', series.slice(0, 3), placement));
  const select = async (metric: string, tenant: string, shard?: SeriesShard) => {
    const reader = new ChunkStoreReader(schema, kernel, new ManualClock(START));
    const context = testContext();
    read.clear();
    const request = { matchers: [name(metric)], startMs: START, endMs: START + DAY_MS, shard };
    const set = await reader.select(tenant, request, context);
    set.close();
    assert.equal(context.budget.memoryBytes, 0);
    return { ...context.budget, labels: set.series.map(String), keys: [...read] };
  };
  for (const count of [2, 4, 16]) {
    for (const metric of ['wide', 'narrow']) {
      const whole = await select(metric, 't');
      const parts = [];
      for (let index = 0; index < count; index++) {
        const part = await select(metric, 't', { index, count });
        assert.equal(part.slots, metric === 'wide' ? 16 / count : 1);
        assert.equal(part.groups, part.slots);
        assert.deepEqual([part.chunks, part.series], [part.labels.length, part.labels.length]);
        for (const labels of (await select(metric, 'u', { index, count })).labels) {
          assert.ok(part.labels.includes(labels), 'it is in the same shard for every tenant');
        }
        parts.push(part);
      }
      const keys = parts.flatMap((part) => part.keys);
      assert.deepEqual([...new Set(keys)].sort(), whole.keys.sort());
      if (metric === 'wide') assert.equal(keys.length, 16, 'each part is read for one shard');
      assert.deepEqual(parts.flatMap(({ labels }) => labels).sort(), [...whole.labels].sort());
      assert.equal(whole.labels.length, 400);
    }
  }
});

test('shards of a count that is no power of two have the series that heads have in them, from all parts', async () => {
  const { schema, writer } = store();
  const placement: Placement = { version: 1, buckets: 1, splits: new Map([['wide', 16]]) };
  const series = ['wide', 'narrow'].flatMap((__name__) =>
    Array.from({ length: 200 }, (_, i) => seriesOf({ __name__, id: `${i}` }, [START], () => i)),
  );
  await writer.write(groupsOf('t', series, placement));
  for (const count of [3, 6]) {
    for (const metric of ['wide', 'narrow']) {
      const all: string[] = [];
      for (let index = 0; index < count; index++) {
        const shard = { index, count };
        const reader = new ChunkStoreReader(schema, kernel, new ManualClock(START));
        const request = { matchers: [name(metric)], startMs: START, endMs: START + DAY_MS, shard };
        const set = await reader.select('t', request, testContext());
        set.close();
        for (const labels of set.series) assert.ok(shardHas(shard, labelsHash(encodeLabels(labels))));
        all.push(...set.series.map(String));
      }
      assert.equal(new Set(all).size, 200);
      assert.equal(all.length, 200);
    }
  }
});

test('placements tell how many slots a metric has for itself on each day, and are read once', async () => {
  const { writer, period, tables } = store();
  const times = [START, START + DAY_MS, START + 3 * DAY_MS];
  const at = (day: number) => ({ startMs: START + day * DAY_MS, endMs: START + day * DAY_MS + 1 });
  const placed = (day: number, ...splits: [string, number][]) =>
    writer.write(
      groupsOf(
        't',
        ['wide', 'narrow'].map((__name__) => seriesOf({ __name__ }, [times[day]!], () => 1)),
        { version: splits.length, buckets: 16, splits: new Map(splits) },
      ),
    );
  await placed(0, ['wide', 256], ['odd', 48]);
  await placed(1, ['wide', 16]);
  await placed(2);
  await placed(2, ['wide', 16]);
  const counts = new CountingTableClient(tables.client);
  const counted = new Schema([{ ...period, tables: { admin: tables.admin, limits: tables.limits, client: counts } }]);
  const reader = new ChunkStoreReader(counted, kernel, new ManualClock(START));
  const slots = (range: { startMs: number; endMs: number }, ...matchers: LabelMatcher[]) =>
    reader.ownSlots('t', { matchers, ...range }, testContext());
  assert.equal(await slots(at(0), name('wide'), LabelMatcher.of('job', '=', 'a')), 256);
  assert.equal(await slots(at(1), name('wide')), 16);
  assert.equal(await slots({ ...at(0), endMs: at(1).endMs }, name('wide')), 16);
  const { queries } = counts.counts;
  for (const matchers of [
    [name('narrow')],
    [name('none')],
    [LabelMatcher.of('__name__', '=~', 'wide|narrow')],
    [LabelMatcher.of('__name__', '=~', 'wide.*')],
    [LabelMatcher.of('job', '=', 'a')],
    // of a number of parts that shards do not go by
    [name('odd')],
  ])
    assert.equal(await slots(at(0), ...matchers), 1);
  assert.equal(counts.counts.queries, queries, 'lists are used again');
  // it was with others before it was split
  assert.equal(await slots(at(3), name('wide')), 1);
  // a day without groups is as the one before, where there is one
  assert.equal(await slots(at(2), name('wide')), 16);
  assert.equal(await slots(at(6), name('wide')), 1);
  assert.equal(await slots({ startMs: 1, endMs: 0 }, name('wide')), 1);
});

test('heads of groups tell the size of a selection, day by day, before anything is fetched', async () => {
  const { writer, reader, schema, clock } = store();
  const times = steps(START, START + 2 * DAY_MS, 60_000);
  const series = ['a', 'b'].flatMap((metric) =>
    Array.from({ length: 5 }, (_, i) => seriesOf({ __name__: metric, i: `${i}` }, times, (_, i) => i)),
  );
  await writer.write(groupsOf('t', series));
  const sizesBy = async (bound: 'most' | 'least', ...matchers: LabelMatcher[]) => {
    const context = testContext();
    const days: { series: number; chunks: number; samples: number }[] = [];
    const request = { matchers, startMs: START, endMs: START + 2 * DAY_MS - 1, bound };
    await reader.sizes('t', request, context, (size) => {
      const samples = size.spans.reduce((sum, span) => sum + span.series * span.samplesEach, 0);
      days.push({ series: size.series, chunks: size.chunks, samples });
    });
    assert.equal(context.budget.memoryBytes, 0);
    return days;
  };
  const sizes = (...matchers: LabelMatcher[]) => sizesBy('least', ...matchers);
  const day = { series: 5, chunks: 60, samples: 5 * 1440 };
  assert.deepEqual(await sizes(name('a')), [day, day]);
  const both = { series: 10, chunks: 120, samples: 10 * 1440 };
  assert.deepEqual(await sizes(LabelMatcher.of('__name__', '=~', '.+'), LabelMatcher.of('x', '=~', '.*')), [
    both,
    both,
  ]);
  // names alone do not tell: labels do, or the series of the metric are the most that there may be
  const one = LabelMatcher.of('i', '=', '1');
  const few = { series: 1, chunks: 12, samples: 1440 };
  assert.deepEqual(await sizes(name('a'), one), [few, few]);
  assert.deepEqual(await sizesBy('most', name('a'), one), [day, day]);
  assert.deepEqual(await sizes(LabelMatcher.of('i', '=~', '[1-3]')), [
    { series: 6, chunks: 72, samples: 6 * 1440 },
    { series: 6, chunks: 72, samples: 6 * 1440 },
  ]);
  const request = { matchers: [name('a')], startMs: START, endMs: START + DAY_MS - 1 };
  const { byMetric } = await reader.weights('t', request, testContext());
  assert.deepEqual([...byMetric.keys()], ['a']);
  assert.equal(byMetric.get('a')!.samples, 5 * 1440);
  assert.ok(byMetric.get('a')!.bytes > 100, `${byMetric.get('a')!.bytes}`);
  assert.equal(byMetric.get('a')!.lastMs, START + DAY_MS - 60_000);
  assert.deepEqual(await sizes(name('c')), [
    { series: 0, chunks: 0, samples: 0 },
    { series: 0, chunks: 0, samples: 0 },
  ]);
  // what is deleted is read all the same; samples that are left are known of other days and other metrics
  const tombstones = new Tombstones(schema, clock, seededRandom(1), 0);
  await tombstones.create('t', [name('a'), one], START + DAY_MS, START + DAY_MS + 5);
  const charged = testContext();
  const twoDays = { matchers: [name('a')], startMs: START, endMs: START + 2 * DAY_MS - 1 };
  (await reader.select('t', twoDays, charged)).close();
  assert.deepEqual([charged.budget.series, charged.budget.chunks], [day.series, 2 * day.chunks]);
  assert.deepEqual(await sizes(name('a')), [day, { ...day, samples: 0 }]);
  assert.deepEqual(await sizesBy('most', name('a')), [day, day]);
  assert.deepEqual(await sizes(name('a'), one), [few, { ...few, samples: 0 }]);
  assert.deepEqual(await sizes(name('b')), [day, day]);
  assert.deepEqual(await sizes(LabelMatcher.of('__name__', '=~', '.+')), [both, { ...both, samples: 0 }]);
});

test('blocks of objects that are files of this machine are in no cache in memory, and read as any', async () => {
  const { writer, objects, schema, clock } = store({ writer: { inlineBytesMax: 64 } });
  const times = steps(START, START + WINDOW, 60_000);
  await writer.write(
    groupsOf(
      't',
      Array.from({ length: 50 }, (_, i) => seriesOf({ __name__: 'm', i: `${i}` }, times, (_, k) => i * k)),
    ),
  );
  const asked: string[] = [];
  const blockCache = {
    isMemory: true,
    async get(key: string) {
      asked.push(key);
      return undefined;
    },
    set: () => {},
  };
  const read = (cache = {}) => {
    const reader = new ChunkStoreReader(schema, kernel, clock, { blockCache: { ...blockCache, ...cache } });
    return readAll(reader, 't', [name('m')], START, START + WINDOW);
  };
  const cached = await read();
  assert.ok(asked.length > 0);
  asked.length = 0;
  const remote = objects.getRange.bind(objects);
  let rooms = 0;
  Object.assign(objects, {
    isLocal: true,
    async getRange(key: string, from: number, length: number, signal?: AbortSignal, room?: (n: number) => Uint8Array) {
      const bytes = await remote(key, from, length, signal);
      const own = room?.(bytes.length);
      own?.set(bytes);
      if (own?.buffer instanceof SharedArrayBuffer) rooms++;
      return own ?? bytes;
    },
  });
  assert.deepEqual(await read(), cached);
  assert.ok(asked.length === 0 && rooms > 0);
  assert.deepEqual(await read({ isMemory: false }), cached);
  assert.ok(asked.length > 0, 'one for several processes is asked');
});
