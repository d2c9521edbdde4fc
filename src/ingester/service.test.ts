import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Kernel } from '../chunk/kernel.ts';
import { ChunkStoreReader } from '../chunkstore/reader.ts';
import { Schema, TABLE_MS_DEFAULT } from '../chunkstore/schema.ts';
import { testContext } from '../chunkstore/test-series.ts';
import { Tombstones } from '../chunkstore/tombstones.ts';
import { ChunkStoreWriter } from '../chunkstore/writer.ts';
import { defaultsOf } from '../kit/config/section.ts';
import { createLogger, silentLogger } from '../kit/observe/log.ts';
import { Registry } from '../kit/observe/metrics.ts';
import { connectInThread } from '../kit/thread/channel.ts';
import { systemClock } from '../lib/clock.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { seededRandom } from '../lib/random.ts';
import { LabelMatcher } from '../model/matcher.ts';
import { membersOf, ringOf, viewOf } from '../ring/test-ring.ts';
import { RingView } from '../ring/view.ts';
import { SampleColumns } from '../storage/columns.ts';
import { MemoryTableStore } from '../table/memory.ts';
import { type IngesterConfig, ingesterConfig } from './config.ts';
import { Flusher } from './flush/flush.ts';
import type { FlushRing } from './flush-scheduler.ts';
import type { Disk } from './log/disk.ts';
import { MemoryDisk } from './log/test-disk.ts';
import { IngesterService } from './service.ts';
import { Shard } from './shard/shard.ts';
import type { ShardCalls, ShardRole } from './shard/shard-messages.ts';
import { shardRole } from './shard/shard-role.ts';
import { testFrames } from './shard/test-frames.ts';

// The service over two shards and a flusher in this thread, on a disk in memory, at a time that the test sets.

const WINDOW_MS = 7_200_000;
const START_MS = 20_000 * 86_400_000;
const MINUTE = 60_000;
const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0, exemplarsMax: 0 };
const { signal } = new AbortController();
const kernel = Kernel.create();

async function serviceOn(
  t: TestContext,
  disk: Disk,
  more: Partial<IngesterConfig> = {},
  machineRun?: string,
  ring?: FlushRing,
) {
  const clock = new ManualClock(START_MS);
  const config = { ...defaultsOf(ingesterConfig), windowMs: WINDOW_MS, ...more };
  const lines: string[] = [];
  const log = createLogger({ level: 'info', format: 'logfmt' }, { write: (line) => lines.push(line) });
  const shards = [0, 1].map(
    (i) =>
      new Shard({
        folder: `shard-${i}`,
        windowMs: WINDOW_MS,
        headBytesMax: config.headBytesMax,
        fsync: 'interval',
        fsyncIntervalMs: MINUTE,
        keepFlushedMs: config.keepFlushedMs,
        machineRun,
        disk,
        clock,
        log: (level, text, fields) => log[level](fields ?? {}, text),
        fatal: (error) => assert.fail(error),
      }),
  );
  const links = shards.map((shard) => connectInThread<ShardRole>(shardRole(shard, clock)));
  const channels = links.map(({ channel }) => channel);
  const schema = new Schema([
    { fromMs: Number.NEGATIVE_INFINITY, tables: new MemoryTableStore(), tablePrefix: 't_', tableMs: TABLE_MS_DEFAULT },
  ]);
  const writer = new ChunkStoreWriter(schema, Kernel.create(), { clock });
  const flusher = new Flusher({
    shards: channels,
    writer,
    kernel,
    windowMs: WINDOW_MS,
    clock,
    walAgeMaxMs: config.walAgeMaxMs,
  });
  const registry = new Registry();
  const service = new IngesterService({
    config,
    shards: () => channels,
    flusher,
    flushLosses: machineRun !== undefined,
    log,
    registry,
    clock,
    ...(ring && { ring }),
  });
  const stop = () => service.stop({ signal, progress: () => {} });
  await service.start();
  t.after(async () => {
    await stop().catch(() => {});
    for (const link of links) link.close();
  });
  /** A sample a minute of each of `jobs`, on the shards in turn. */
  const push = async (tenant: string, jobs: readonly string[], minutes: number) => {
    for (const [i, job] of jobs.entries()) {
      const samples = Array.from({ length: minutes }, (_, m) => [START_MS + m * MINUTE, m] as const);
      await shards[i % 2]!.push(tenant, testFrames([{ labels: { __name__: 'up', job }, samples }]), LIMITS);
    }
  };
  /** Samples of each series in the store. */
  const stored = async (tenant: string) => {
    const reader = new ChunkStoreReader(schema, kernel, clock);
    const set = await reader.select(
      tenant,
      { matchers: [], startMs: START_MS, endMs: START_MS + 86_400_000 },
      testContext(),
    );
    const columns = new SampleColumns();
    return set.series.map((labels, i) => {
      set.read(i, columns);
      return `${labels.get('job')} ${columns.count}`;
    });
  };
  return { service, shards, clock, schema, lines, push, stored, stop, registry };
}

/** Until replay is through: shards say so by messages. */
async function ready(service: IngesterService): Promise<void> {
  while (service.notReady() !== undefined) await new Promise((resolve) => setImmediate(resolve));
}

test('shards are one ingester: series of tenants, a tenant gone', async (t) => {
  const { service, push } = await serviceOn(t, new MemoryDisk());
  assert.match(service.notReady()!, /being replayed/);
  await ready(service);
  await push('a', ['x', 'y', 'z'], 3);
  await push('b', ['x'], 3);
  const series = async () =>
    Object.fromEntries((await service.tenantSeries()).map((each) => [each.tenant, each.series]));
  assert.deepEqual(await series(), { a: 3, b: 1 });
  await service.deleteTenant('a');
  const { a = 0, b } = await series();
  assert.deepEqual([a, b], [0, 1]);
});

test('what is asked for is written at once, what is due in its time', async (t) => {
  const { service, clock, push, stored, lines, registry } = await serviceOn(t, new MemoryDisk());
  await ready(service);
  await push('a', ['x', 'y'], 10);
  await service.flushDue();
  assert.deepEqual(await stored('a'), [], 'its window is not over');
  await service.flush({ wait: true });
  assert.deepEqual((await stored('a')).sort(), ['x 10', 'y 10']);

  await push('b', ['x'], 10);
  for (let hour = 2; hour < 5; hour++) {
    clock.set(START_MS + WINDOW_MS + hour * 3_600_000);
    await service.flushDue();
  }
  assert.deepEqual(await stored('b'), ['x 10']);
  assert.ok(lines.some((line) => line.includes('flushed to the store')));
  const shown = await registry.getSingleMetricAsString('pallium_ingester_flushed_samples_total');
  assert.match(shown, / 30$/m);
});

test('what is asked for is written whole, also a backlog that takes several flushes', async (t) => {
  const { service, shards, clock } = await serviceOn(t, new MemoryDisk());
  await ready(service);
  clock.set(START_MS + 500 * WINDOW_MS);
  const samples = Array.from({ length: 400 }, (_, i) => [START_MS + i * WINDOW_MS, i] as const);
  await shards[0]!.push('a', testFrames([{ labels: { __name__: 'm' }, samples }]), LIMITS);
  await service.flush({ wait: true });
  assert.equal(shards[0]!.arenas().filter(({ flushedMs }) => flushedMs === 0).length, 0);
});

test('it ends with all in the store where that is wanted, and closes its shards', async (t) => {
  const { service, shards, push, stored, stop } = await serviceOn(t, new MemoryDisk(), { flushOnShutdown: 'all' });
  await ready(service);
  await push('a', ['x', 'y'], 5);
  await stop();
  assert.deepEqual(
    shards.map(({ state }) => state),
    ['closed', 'closed'],
  );
  assert.deepEqual((await stored('a')).sort(), ['x 5', 'y 5']);
});

test('a later one on the same disk has what an earlier one took', async (t) => {
  const disk = new MemoryDisk();
  const first = await serviceOn(t, disk);
  await ready(first.service);
  await first.push('a', ['x', 'y', 'z'], 4);
  await first.stop();
  const second = await serviceOn(t, disk);
  await ready(second.service);
  assert.deepEqual(await second.service.tenantSeries(), [{ tenant: 'a', series: 3 }]);
  await second.service.flush({ wait: true });
  assert.deepEqual((await second.stored('a')).sort(), ['x 4', 'y 4', 'z 4']);
});

test('a log that cannot be read keeps it from being ready, and says why', async (t) => {
  const gone = { call: () => Promise.reject(new Error('the disk is gone')) };
  const service = new IngesterService({
    config: defaultsOf(ingesterConfig),
    shards: () => [gone],
    flusher: {
      flush: () => assert.fail('nothing to flush'),
      readDeletions: async () => {},
      readBack: async () => assert.fail('nothing to read back'),
    },
    log: silentLogger,
    registry: new Registry(),
    clock: systemClock,
  });
  await service.start();
  t.after(() => service.stop({ signal, progress: () => {} }).catch(() => {}));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(service.notReady(), 'the log cannot be replayed: the disk is gone');
  await service.flushDue();
  await assert.rejects(service.tenantSeries(), /the disk is gone/);
});

test('a shard that died before it was ready, and was started again, is ready once its log is replayed', async (t) => {
  let deaths = 2;
  const shard = {
    call: async () => {
      if (deaths-- > 0) throw new Error('the disk is full');
    },
  };
  const clock = new ManualClock(START_MS);
  const lines: string[] = [];
  const service = new IngesterService({
    config: defaultsOf(ingesterConfig),
    shards: () => [shard as unknown as ShardCalls],
    flusher: {
      flush: () => assert.fail('nothing to flush'),
      readDeletions: async () => {},
      readBack: async () => assert.fail('nothing to read back'),
    },
    log: createLogger({ level: 'info', format: 'logfmt' }, { write: (line) => lines.push(line) }),
    registry: new Registry(),
    clock,
    statsIntervalMs: 3_600_000,
  });
  await service.start();
  t.after(() => service.stop({ signal, progress: () => {} }).catch(() => {}));
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  await turn();
  assert.equal(service.notReady(), 'the log cannot be replayed: the disk is full');
  for (let i = 0; i < 2; i++) {
    clock.advance(5_000);
    await turn();
  }
  assert.equal(service.notReady(), undefined);
  assert.equal(lines.filter((line) => line.includes('cannot be replayed')).length, 1, 'told once');
});

test('what is left of windows that lost samples goes to the store at once, and is tried again', async (t) => {
  const disk = new MemoryDisk();
  const before = await serviceOn(t, disk, {}, 'one');
  await ready(before.service);
  await before.push('a', ['x', 'y'], 10);
  // its machine stops
  const { service, shards, stored, lines } = await serviceOn(t, disk, {}, 'two');
  await ready(service);
  const settled = () => shards.flatMap((shard) => shard.losses(0, 2 * START_MS).map((loss) => loss.settled));
  assert.deepEqual(settled(), [false, false]);
  t.mock.method(shards[0]!, 'unflushed', () => Promise.reject(new Error('away')));
  t.mock.method(shards[0]!, 'seal', () => Promise.reject(new Error('away')));
  await service.flushDue();
  assert.deepEqual(settled(), [false, false]);
  assert.ok(lines.some((line) => line.includes('could not be flushed')));
  t.mock.restoreAll();
  await service.flushDue();
  assert.deepEqual(settled(), [true, true]);
  assert.deepEqual((await stored('a')).sort(), ['x 10', 'y 10']);
});

test('it looks for delete requests when it has started, and now and then: what they cover is refused', async (t) => {
  const disk = new MemoryDisk();
  const before = await serviceOn(t, disk);
  await ready(before.service);
  await before.push('a', ['x', 'y'], 10);
  await before.stop();
  const { service, clock, schema, shards } = await serviceOn(t, disk);
  const requests = new Tombstones(schema, clock, seededRandom(1), 0);
  const deleted = async (job: string) => {
    await requests.create('a', [LabelMatcher.of('job', '=', job)], START_MS, START_MS + WINDOW_MS);
  };
  const late = async (job: string) => {
    const frames = testFrames([{ labels: { __name__: 'up', job }, samples: [[START_MS + 20 * MINUTE, 1]] }]);
    return (await shards[0]!.push('a', frames, LIMITS)).deleted ?? 0;
  };
  await deleted('x');
  await ready(service);
  await service.flushDue();
  assert.deepEqual([await late('x'), await late('y')], [1, 0]);
  await deleted('y');
  clock.set(START_MS + 30 * MINUTE);
  await service.flushDue();
  assert.equal(await late('y'), 0, 'no sooner than needed');
  clock.set(START_MS + 61 * MINUTE);
  await service.flushDue();
  assert.equal(await late('y'), 1);
  assert.equal(await service.deletionsReadMs(), START_MS, 'the store has nothing yet');
  await service.flush({ wait: true });
  assert.equal(await service.deletionsReadMs(), START_MS);
  clock.set(START_MS + 125 * MINUTE);
  await service.flushDue();
  assert.equal(await service.deletionsReadMs(), START_MS + 125 * MINUTE);
});

test('a member that was away for longer than requests to delete are kept answers no reads until somebody vouches', async (t) => {
  const [own] = membersOf(1, 0);
  const version = ringOf([own!], 16, 1);
  const view = new RingView({ chain: [version], hash: '', confirmed: 1, words: new Map(), wordMs: 0 });
  const ring = { source: { current: () => view, onChange: () => () => {} }, member: own!.id };
  const { service, clock, push } = await serviceOn(t, new MemoryDisk(), { walAgeMaxMs: 86_400_000 }, undefined, ring);
  await ready(service);
  await push('a', ['x'], 10);
  assert.equal(service.readGate(), undefined);
  clock.set(START_MS + 86_400_000);
  assert.equal(service.readGate(), undefined);
  clock.set(START_MS + 86_400_001);
  assert.match(service.readGate()!, /samples from 86400001 ms ago, above -ingester.wal-age-max \(86400000 ms\)/);
  await service.flushDue();
  assert.notEqual(service.readGate(), undefined, 'nothing of it may be written either');
  await service.vouchDeletions();
  assert.equal(service.readGate(), undefined);
});

test('requests of tenants that it does not have are looked for at first and once a day, where others hold samples too', async (t) => {
  const [own] = membersOf(1, 0);
  const view = viewOf(ringOf([own!], 16, 1));
  const ring = { source: { current: () => view, onChange: () => () => {} }, member: own!.id };
  const { service, clock, shards, schema, push } = await serviceOn(t, new MemoryDisk(), {}, undefined, ring);
  await ready(service);
  const requests = new Tombstones(schema, clock, seededRandom(1), 0);
  const deletedOf = async (tenant: string) => {
    const frames = testFrames([{ labels: { __name__: 'up' }, samples: [[START_MS + MINUTE, 1]] }]);
    return (await shards[0]!.push(tenant, frames, LIMITS)).deleted ?? 0;
  };
  const request = (tenant: string) =>
    requests.create(tenant, [LabelMatcher.of('__name__', '=', 'up')], START_MS, START_MS + WINDOW_MS);
  await request('a');
  await service.flushDue();
  assert.equal(await deletedOf('a'), 1);
  await push('z', ['x'], 10);
  await request('b');
  await request('c');
  clock.set(START_MS + 2 * 3_600_000);
  await service.flushDue();
  assert.equal(await deletedOf('b'), 0);
  clock.set(START_MS + 24 * 3_600_000);
  await service.flushDue();
  assert.equal(await deletedOf('c'), 1);
});
