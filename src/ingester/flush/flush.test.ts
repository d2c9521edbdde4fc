import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Kernel } from '../../chunk/kernel.ts';
import { ChunkStoreReader } from '../../chunkstore/reader.ts';
import { Schema, TABLE_MS_DEFAULT } from '../../chunkstore/schema.ts';
import { testContext } from '../../chunkstore/test-series.ts';
import { ChunkStoreWriter } from '../../chunkstore/writer.ts';
import { connectInThread } from '../../kit/thread/channel.ts';
import { systemClock } from '../../lib/clock.ts';
import { highWord, lowWord } from '../../lib/float-bits.ts';
import { ManualClock } from '../../lib/manual-clock.ts';
import { encodeLabels } from '../../model/canonical.ts';
import { storeErrors } from '../../model/errors-store.ts';
import { Labels } from '../../model/labels.ts';
import { LabelMatcher } from '../../model/matcher.ts';
import { SampleColumns } from '../../storage/columns.ts';
import { MemoryTableStore } from '../../table/memory.ts';
import { FrameWriter } from '../../wire/frames.ts';
import { realDisk } from '../log/disk.ts';
import { Shard } from '../shard/shard.ts';
import type { ShardRole } from '../shard/shard-messages.ts';
import { shardRole } from '../shard/shard-role.ts';
import { Flusher } from './flush.ts';
import type { FlushRequest } from './flush-contract.ts';
import { FlushPlan, shareDue } from './flush-plan.ts';

const WINDOW_MS = 7_200_000;
const START_MS = 20_000 * 86_400_000;
const MINUTE = 60_000;
const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0, exemplarsMax: 0 };
const TIMES = { windowMs: WINDOW_MS, delayMs: 15 * MINUTE, spreadMs: 45 * MINUTE };
const kernel = Kernel.create();
const clock = new ManualClock(START_MS);

/** A shard, a store, and a flusher that can be made anew as after a restart. */
class Bench {
  readonly #folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pallium-flush-'));
  readonly shard = new Shard({
    folder: this.#folder,
    windowMs: WINDOW_MS,
    headBytesMax: 1e9,
    fsync: 'interval',
    fsyncIntervalMs: 60_000,
    keepFlushedMs: 0,
    disk: realDisk,
    clock,
    log: () => {},
    fatal: (error) => assert.fail(error),
  });
  readonly #link = connectInThread<ShardRole>(shardRole(this.shard, clock));
  readonly schema = new Schema([
    { fromMs: Number.NEGATIVE_INFINITY, tables: new MemoryTableStore(), tablePrefix: 't_', tableMs: TABLE_MS_DEFAULT },
  ]);
  readonly plan = new FlushPlan(TIMES);

  flusher(splitSeries?: number): Flusher {
    const writer = new ChunkStoreWriter(this.schema, Kernel.create(), { clock });
    const more = splitSeries === undefined ? {} : { splitSeries };
    return new Flusher({ shards: [this.#link.channel], writer, kernel, windowMs: WINDOW_MS, clock, ...more });
  }

  async flush(flusher: Flusher, request: FlushRequest | undefined): Promise<number> {
    if (request === undefined) return 0;
    const report = await flusher.flush(request);
    assert.deepEqual(report.failures, []);
    this.plan.reached(report.progress);
    return report.series;
  }

  /** One sample of each of `count` series of a metric. */
  async push(tenant: string, metric: string, count: number, timeMs: number): Promise<void> {
    const frames = new FrameWriter(kernel);
    for (let i = 0; i < count; i++) {
      const labels = encodeLabels(Labels.of({ __name__: metric, instance: `host-${i}` }));
      frames.series(labels, Buffer.from(metric), 1);
      frames.sample(timeMs, highWord(i), lowWord(i));
    }
    await this.shard.push(tenant, frames.bytes.slice(), LIMITS);
  }

  /** Values of series by name and instance, of the store alone. */
  async stored(tenant: string, matchers: readonly LabelMatcher[]): Promise<Map<string, number[]>> {
    const reader = new ChunkStoreReader(this.schema, kernel, clock);
    const set = await reader.select(
      tenant,
      { matchers, startMs: START_MS, endMs: START_MS + 86_400_000 },
      testContext(),
    );
    const out = new SampleColumns(1);
    const found = new Map<string, number[]>();
    for (const [i, labels] of set.series.entries()) {
      set.read(i, out);
      found.set(`${labels.metricName} ${labels.get('instance')}`, [...out.values.subarray(0, out.count)]);
    }
    set.close();
    return found;
  }

  async close(): Promise<void> {
    this.#link.close();
    await this.shard.close({ checkpoint: false });
    fs.rmSync(this.#folder, { recursive: true });
  }
}

const everything = [LabelMatcher.of('__name__', '!=', '')];

test('a window goes to the store slot by slot over the hour after its end, whoever flushes', async (t) => {
  const bench = new Bench();
  t.after(() => bench.close());
  await bench.shard.ready;
  // one tenant of 16 slots, and many of one
  for (let m = 0; m < 60; m++) await bench.push('large', `metric_${m}`, 350, START_MS + 1000);
  for (let t = 0; t < 40; t++) await bench.push(`small-${t}`, 'm', 3, START_MS + 1000);
  const steps: number[] = [];
  for (let minute = 0; minute <= 60; minute++) {
    clock.set(START_MS + WINDOW_MS + minute * MINUTE);
    const request = bench.plan.due([bench.shard.arenas()], clock.nowMs(), false);
    if (request === undefined) continue;
    const isLast = shareDue(request.pace!, START_MS + WINDOW_MS) === 1;
    // what came to the tenant meanwhile does not change how this window is spread
    await bench.push('large', `later_${steps.length}`, 100, clock.nowMs());
    steps.push(await bench.flush(bench.flusher(), request));
    assert.equal(bench.shard.arenas()[0]!.flushedMs > 0, isLast);
  }
  assert.equal(steps.length, 9);
  assert.equal(
    steps.reduce((sum, series) => sum + series, 0),
    60 * 350 + 40 * 3,
    'each series once',
  );
  assert.ok(Math.max(...steps) < (60 * 350) / 2, `${steps}`);
  const stored = await bench.stored('large', everything);
  assert.equal(stored.size, 60 * 350);
  assert.ok([...stored].every(([key, values]) => values.length === 1 && key.endsWith(`-${values[0]}`)));
  for (let t = 0; t < 40; t++) assert.equal((await bench.stored(`small-${t}`, everything)).size, 3);
});

test('a flush that was cut off in the middle begins anew, and nothing is there twice', async (t) => {
  const bench = new Bench();
  t.after(() => bench.close());
  await bench.shard.ready;
  for (let tenant = 0; tenant < 40; tenant++) await bench.push(`t${tenant}`, 'm', 3, START_MS + 1000);
  const at = (minutes: number) => {
    clock.set(START_MS + WINDOW_MS + minutes * MINUTE);
    return bench.plan.due([bench.shard.arenas()], clock.nowMs(), false);
  };
  const first = await bench.flush(bench.flusher(), at(30));
  assert.ok(first > 0 && first < 120, `${first}`);
  bench.plan.reached([]);
  const again = await bench.flush(bench.flusher(), at(31));
  assert.equal(again, first);
  assert.equal(again + (await bench.flush(bench.flusher(), at(60))), 120);
  for (let tenant = 0; tenant < 40; tenant++) {
    const stored = await bench.stored(`t${tenant}`, everything);
    assert.deepEqual([...stored.values()].sort(), [[0], [1], [2]]);
  }
});

test('a metric of many series gets slots of its own, and a query for a few of them reads few', async (t) => {
  const bench = new Bench();
  t.after(() => bench.close());
  await bench.shard.ready;
  const window = async (at: number, count: number) => {
    await bench.push('t', 'many', count, START_MS + at * WINDOW_MS + 1000);
    await bench.push('t', 'few', 5, START_MS + at * WINDOW_MS + 1000);
  };
  clock.set(START_MS + WINDOW_MS);
  await window(0, 400);
  await bench.flush(bench.flusher(500), bench.plan.all([bench.shard.arenas()]));
  await window(1, 600);
  await bench.flush(bench.flusher(500), bench.plan.all([bench.shard.arenas()]));
  const writer = new ChunkStoreWriter(bench.schema, kernel, { clock: systemClock });
  const placements = () => writer.heldPlacements('t', START_MS);
  assert.deepEqual(
    (await placements()).map(({ buckets, splits }) => [buckets, Object.fromEntries(splits)]),
    [
      [1, {}],
      [1, { many: 16 }],
    ],
  );
  // the tenant is small again, and others flush: the day's placement stays
  await window(2, 3);
  await bench.flush(bench.flusher(1e6), bench.plan.all([bench.shard.arenas()]));
  assert.equal((await placements()).length, 2);
  const stored = await bench.stored('t', everything);
  assert.equal(stored.size, 605);
  for (const [key, values] of stored) {
    const i = Number(key.split('-')[1]);
    const windows = key.startsWith('few') || i < 3 ? 3 : i < 400 ? 2 : 1;
    assert.deepEqual(values, Array(windows).fill(i), key);
  }
  const one = await bench.stored('t', [
    LabelMatcher.of('__name__', '=', 'many'),
    LabelMatcher.of('instance', '=', 'host-599'),
  ]);
  assert.deepEqual([...one], [['many host-599', [599]]]);
});

test('a store that fails leaves a window where it was', async (t) => {
  const bench = new Bench();
  t.after(() => bench.close());
  await bench.shard.ready;
  await bench.push('large', 'm', 10, START_MS + 1000);
  clock.set(START_MS + WINDOW_MS + 60 * MINUTE);
  const request = bench.plan.due([bench.shard.arenas()], clock.nowMs(), true)!;
  const { tables } = bench.schema.periods[0]!;
  const { write } = tables.client;
  tables.client.write = () => Promise.reject(new Error('away'));
  const report = await bench.flusher().flush(request);
  assert.deepEqual([report.windows, report.failures, report.progress], [0, ['away'], []]);
  assert.equal(bench.shard.arenas()[0]!.flushedMs, 0);
  tables.client.write = write;
  assert.equal(await bench.flush(bench.flusher(), bench.plan.due([bench.shard.arenas()], clock.nowMs(), false)), 10);
  assert.ok(bench.shard.arenas()[0]!.flushedMs > 0);
});

test('a store that cannot be read is asked once, not for every window that waits', async (t) => {
  const bench = new Bench();
  t.after(() => bench.close());
  await bench.shard.ready;
  for (let i = 0; i < 5; i++) await bench.push('large', 'm', 10, START_MS + i * WINDOW_MS + 1000);
  clock.set(START_MS + 6 * WINDOW_MS + 60 * MINUTE);
  const request = bench.plan.due([bench.shard.arenas()], clock.nowMs(), true)!;
  const { tables } = bench.schema.periods[0]!;
  const { query } = tables.client;
  let asked = 0;
  const count = (away: boolean) =>
    Object.assign(tables.client, {
      query: (...args: Parameters<typeof query>) => {
        asked++;
        if (away)
          throw storeErrors.storeUnavailable({
            backend: 'b',
            operation: 'query',
            table: 't',
            reason: 'away',
            tries: 3,
          });
        return query.apply(tables.client, args);
      },
    });
  count(true);
  const report = await bench.flusher().flush(request);
  assert.deepEqual([report.windows, report.failures.length, asked], [0, 1, 1]);
  assert.match(report.failures[0]!, /away/);
  asked = 0;
  count(false);
  const again = await bench.flusher().flush(request);
  assert.equal(again.windows, 5);
  const days = new Set(Array.from({ length: 5 }, (_, i) => Math.floor((START_MS + i * WINDOW_MS) / 86_400_000)));
  assert.equal(asked, 1 + days.size, 'delete requests of the tenant, and the placements of each day');
});

test('a backlog of many windows is written in several flushes, the newest first', async (t) => {
  const bench = new Bench();
  t.after(() => bench.close());
  await bench.shard.ready;
  clock.set(START_MS + 300 * WINDOW_MS);
  for (let i = 0; i < 300; i++) await bench.push('t', 'm', 1, START_MS + i * WINDOW_MS);
  const windows: number[] = [];
  for (let left = 1; left > 0; ) {
    const report = await bench.flusher().flush(bench.plan.all([bench.shard.arenas()])!);
    windows.push(report.windows);
    left = report.left ?? 0;
    const flushed = bench.shard.arenas().filter(({ flushedMs }) => flushedMs > 0);
    const waiting = bench.shard.arenas().filter(({ flushedMs }) => flushedMs === 0);
    assert.equal(waiting.length, left);
    const newest = Math.max(...waiting.map(({ window }) => window));
    assert.ok(flushed.every(({ window }) => window > newest));
  }
  assert.deepEqual(windows, [128, 128, 44]);
});

test('a flush of one tenant writes what that one has, and nothing of others', async (t) => {
  const bench = new Bench();
  t.after(() => bench.close());
  for (const tenant of ['a', 'b']) {
    for (const window of [0, 1]) await bench.push(tenant, 'm', 3, START_MS + window * WINDOW_MS + MINUTE);
  }
  const flusher = bench.flusher();
  assert.equal(await bench.flush(flusher, bench.plan.all([bench.shard.arenas()], 'a')), 6);
  assert.equal((await bench.stored('a', everything)).size, 3);
  assert.equal((await bench.stored('b', everything)).size, 0);
  // nothing has left the head: the windows are as due as they were
  assert.ok(bench.shard.arenas().every(({ flushedMs }) => flushedMs === 0));
  assert.equal(await bench.flush(flusher, bench.plan.all([bench.shard.arenas()], 'nobody')), 0);
  assert.equal(await bench.flush(flusher, bench.plan.all([bench.shard.arenas()])), 12);
  for (const tenant of ['a', 'b']) {
    const stored = await bench.stored(tenant, everything);
    assert.deepEqual(
      [...stored.values()],
      [0, 1, 2].map((i) => [i, i]),
    );
  }
  assert.ok(bench.shard.arenas().every(({ flushedMs }) => flushedMs > 0));
});

test('a flush of one tenant seals nothing: what others and it have goes on in the same windows', async (t) => {
  const bench = new Bench();
  t.after(() => bench.close());
  for (const tenant of ['a', 'b']) {
    for (const window of [0, 1]) await bench.push(tenant, 'm', 3, START_MS + window * WINDOW_MS + MINUTE);
  }
  const open = bench.shard.arenas();
  const flusher = bench.flusher();
  assert.equal(await bench.flush(flusher, bench.plan.all([open], 'a')), 6);
  assert.equal((await bench.stored('a', everything)).size, 3);
  assert.deepEqual(bench.shard.arenas(), open);
  assert.ok(open.every(({ sealLsn }) => sealLsn === 0));
  for (const tenant of ['a', 'b']) await bench.push(tenant, 'm', 3, START_MS + WINDOW_MS + 2 * MINUTE);
  assert.deepEqual(bench.shard.arenas(), open);
  // one that is sealed and half written goes along with those that are open
  const nowMs = START_MS + WINDOW_MS + 15 * MINUTE;
  await bench.flush(flusher, bench.plan.due([open], nowMs, false));
  const sealed = bench.shard.arenas();
  assert.deepEqual(
    sealed.map(({ sealLsn }) => sealLsn > 0),
    [true, false],
  );
  assert.equal(await bench.flush(flusher, bench.plan.all([sealed], 'a')), 6);
  assert.deepEqual(bench.shard.arenas(), sealed);
  assert.deepEqual(
    [...(await bench.stored('a', everything)).values()],
    [0, 1, 2].map((i) => [i, i, i]),
  );
  await bench.flush(flusher, bench.plan.all([sealed]));
  for (const tenant of ['a', 'b']) {
    assert.deepEqual(
      [...(await bench.stored(tenant, everything)).values()],
      [0, 1, 2].map((i) => [i, i, i]),
      tenant,
    );
  }
  assert.ok(bench.shard.arenas().every(({ flushedMs }) => flushedMs > 0));
});
