import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Kernel } from '../chunk/kernel.ts';
import { Schema } from '../chunkstore/schema.ts';
import { ChunkStoreWriter } from '../chunkstore/writer.ts';
import { Flusher } from '../ingester/flush/flush.ts';
import { FLUSH_ALL } from '../ingester/flush/flush-contract.ts';
import { HeldRange } from '../ingester/head/held-range.ts';
import { MemoryDisk } from '../ingester/log/test-disk.ts';
import { Replica } from '../ingester/replica.ts';
import { Shard } from '../ingester/shard/shard.ts';
import { ShardsClient } from '../ingester/shard/shard-client.ts';
import type { ShardRole } from '../ingester/shard/shard-messages.ts';
import { shardRole } from '../ingester/shard/shard-role.ts';
import { testFrames } from '../ingester/shard/test-frames.ts';
import { defaultsOf } from '../kit/config/section.ts';
import { connectInThread } from '../kit/thread/channel.ts';
import { DAY_MS } from '../lib/day.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { seededRandom } from '../lib/random.ts';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { joinedLimits } from '../limits/query-limits.ts';
import { MemoryObjectClient } from '../object/memory.ts';
import { purgerConfig, querierConfig } from '../querier/config.ts';
import { Querier, querierEngine } from '../querier/querier.ts';
import { ReplicatedIngesters } from '../querier/replicated-ingesters.ts';
import { TestRing } from '../querier/test-replicas.ts';
import { after, memberOf, membersOf, ringOf } from '../ring/test-ring.ts';
import { ownersOf, type RingVersion } from '../ring/version.ts';
import { MemoryTableStore } from '../table/memory.ts';

// Three ingesters of a ring, two shards each, and a querier that reads from quorums of them: all in this thread.

const MINUTE = 60_000;
const WINDOW_MS = 120 * MINUTE;
const KEEP_FLUSHED_MS = 15 * MINUTE;
const START_MS = 20_600 * DAY_MS;
const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0, exemplarsMax: 100 };
const { signal } = new AbortController();
const id = (number: number) => memberOf(number, 3).id;

function cluster(t: TestContext, first: RingVersion = ringOf(membersOf(3, 3), 16, 3)) {
  const clock = new ManualClock(START_MS + WINDOW_MS - MINUTE);
  const schema = new Schema([
    {
      fromMs: Number.NEGATIVE_INFINITY,
      tables: new MemoryTableStore(),
      objects: new MemoryObjectClient(clock),
      tablePrefix: 't_',
      tableMs: DAY_MS,
    },
  ]);
  const ring = new TestRing();
  ring.set([first]);
  const start = (disk: MemoryDisk) => {
    const shards = [0, 1].map((i) => {
      const held = HeldRange.everything();
      const shard = new Shard({
        folder: `shard-${i}`,
        windowMs: WINDOW_MS,
        headBytesMax: 1e8,
        fsync: 'always',
        fsyncIntervalMs: MINUTE,
        keepFlushedMs: KEEP_FLUSHED_MS,
        held,
        disk,
        clock,
        log: () => {},
        fatal: (error) => assert.fail(error),
      });
      const link = connectInThread<ShardRole>(shardRole(shard, clock));
      t.after(() => link.close());
      return { shard, channel: link.channel, held, link };
    });
    const writer = new ChunkStoreWriter(schema, Kernel.create(), { clock });
    const channels = shards.map(({ channel }) => channel);
    const flusher = new Flusher({ shards: channels, writer, kernel: Kernel.create(), windowMs: WINDOW_MS, clock });
    return {
      stopped: false,
      disk,
      shards,
      flusher,
      reader: new Replica({ ring, shards: new ShardsClient(shards) }),
      async stop() {
        this.stopped = true;
        for (const { shard, link } of shards) {
          await shard.close({ checkpoint: false });
          link.close();
        }
      },
    };
  };
  const members = new Map(ring.current()!.newest.members.map((each) => [each.id, start(new MemoryDisk())]));
  const reachable = (each: string) => {
    const member = members.get(each);
    return member?.stopped === false ? member.reader : undefined;
  };
  const config = defaultsOf(querierConfig);
  const querier = new Querier({
    config,
    purger: defaultsOf(purgerConfig),
    engine: querierEngine(config),
    ingester: new ReplicatedIngesters({ ring, member: (each) => reachable(each), clock }),
    schema,
    blockCache: undefined,
    rowCacheBytesMax: 1 << 20,
    windowMs: WINDOW_MS,
    keepFlushedMs: KEEP_FLUSHED_MS,
    clock,
    random: seededRandom(1),
  });
  const query = async (expr: string) => {
    const { queries } = querier.sources(
      't',
      joinedLimits('t', () => DEFAULT_LIMITS),
    );
    const result = await queries.instant('t', { expr, timeMs: clock.nowMs() }, { signal });
    const values = result.value.type === 'vector' ? [...result.value.values] : [];
    return { values, warnings: result.warnings };
  };
  /** Writes one sample of each of eight series to some of the members. */
  const push = async (to: readonly (number | string)[], timeMs: number, value = timeMs) => {
    for (const each of to) {
      const { shards } = members.get(typeof each === 'string' ? each : id(each))!;
      for (const [i, { shard }] of shards.entries()) {
        const labels = [0, 1, 2, 3].map((j) => ({ __name__: 'm', instance: `host-${2 * j + i}` }));
        const series = labels.map((own) => ({ labels: own, samples: [[timeMs, value] as const] }));
        await shard.push('t', testFrames(series), LIMITS);
      }
    }
  };
  return { clock, ring, members, query, push, start };
}

const COUNT = 'sum(count_over_time(m[3h]))';

test('samples of two owners each are found once, whichever owner is away, from heads, from the store, and from both', async (t) => {
  const { clock, members, query, push } = cluster(t);
  for (const { shards } of members.values()) for (const { shard } of shards) await shard.ready;
  const pairs = [
    [0, 1, 2],
    [0, 1],
    [1, 2],
    [2, 0],
  ];
  for (let minute = 1; minute <= 60; minute++) await push(pairs[minute % 4]!, START_MS + minute * MINUTE);
  const whole = { values: [60 * 8], warnings: [] };
  for (let i = 0; i < 3; i++) assert.deepEqual(await query(COUNT), whole);
  assert.deepEqual((await query('count(m offset 1h)')).values, [8]);

  const flush = async (number: number) => {
    const report = await members.get(id(number))!.flusher.flush({ ...FLUSH_ALL });
    assert.deepEqual(report.failures, []);
  };
  await flush(0);
  for (let i = 0; i < 3; i++) assert.deepEqual(await query(COUNT), whole, 'in the store by two thirds, and in heads');
  await flush(2);
  await clock.advance(KEEP_FLUSHED_MS + MINUTE);
  assert.equal((await members.get(id(0))!.shards[0]!.channel.call('stats', {})).arenas.length, 0);
  for (let i = 0; i < 3; i++) assert.deepEqual(await query(COUNT), whole, 'of one head only');

  await members.get(id(1))!.stop();
  for (let i = 0; i < 3; i++) assert.deepEqual(await query(COUNT), whole, 'of the store only');
  await members.get(id(0))!.stop();
  await assert.rejects(query(COUNT), /[01] of 3 ingesters that hold recent data answered, 2 are needed/);
});

test('once a member need not be asked any more, the store is asked for rows anew', async (t) => {
  const first = ringOf(membersOf(4, 0), 16, 3);
  const { clock, ring, members, query, push } = cluster(t, first);
  for (const { shards } of members.values()) for (const { shard } of shards) await shard.ready;
  const [leaving, staying] = ownersOf(first, ring.current()!.slots.arcsOfTenant('t')[0]!) as [string, string];
  const second = after(first, { kind: 'drain', id: leaving });
  ring.set([first, second]);
  await push([leaving, staying], START_MS + 100 * MINUTE);
  await clock.advance(MINUTE);
  const whole = { values: [8], warnings: [] };
  // lists of rows that have nothing yet are cached here
  for (let i = 0; i < 4; i++) assert.deepEqual(await query(COUNT), whole);
  for (const each of [leaving, staying]) await members.get(each)!.flusher.flush({ ...FLUSH_ALL });
  const words = new Map([leaving, staying].map((each) => [each, 1]));
  ring.set([first, second], words, clock.monotonicMs());
  // two of the newest owners have nothing
  for (let i = 0; i < 8; i++) assert.deepEqual(await query(COUNT), whole, `query ${i}`);
});

test('values that differ are chosen as the store chooses, whoever is asked', async (t) => {
  const { members, query, push } = cluster(t);
  for (const { shards } of members.values()) for (const { shard } of shards) await shard.ready;
  const atMs = START_MS + 119 * MINUTE;
  await push([0], atMs, 1);
  await push([1, 2], atMs, 7);
  await push([0, 1], atMs - MINUTE, 5);
  await push([2], atMs - MINUTE, 5);
  for (let i = 0; i < 6; i++) assert.deepEqual((await query('sum(m)')).values, [56]);
});

test('a member whose log was corrupt counts when the store has the rest of the windows, and then with a warning if need be', async (t) => {
  const { members, query, push, start } = cluster(t);
  for (const { shards } of members.values()) for (const { shard } of shards) await shard.ready;
  for (let minute = 1; minute <= 20; minute++) await push([0, 1, 2], START_MS + (60 + minute) * MINUTE);
  const [a, c] = [members.get(id(0))!, members.get(id(2))!];
  await a.stop();
  corrupt(a.disk);
  const again = start(a.disk);
  members.set(id(0), again);
  // as long as it replays it is away
  const early = again.reader.labels(
    { tenant: 't', matchers: [], startMs: 0, endMs: 2 * START_MS },
    { number: 1, hash: '' },
    signal,
  );
  await assert.rejects(early, /ring|replayed/);
  for (const { shard } of again.shards) await shard.ready;
  const whole = { values: [160], warnings: [] };
  for (let i = 0; i < 3; i++) assert.deepEqual(await query(COUNT), whole);
  await c.stop();
  await assert.rejects(
    query(COUNT),
    /bytes of .* were corrupt: samples may be missing, and what is left is not in the store yet/,
  );
  await again.flusher.flush({ ...FLUSH_ALL });
  await assert.rejects(query(COUNT), /were corrupt: samples may be missing; /, 'who is away may have what was lost');

  const back = start(c.disk);
  members.set(id(2), back);
  for (const { shard } of back.shards) await shard.ready;
  const b = members.get(id(1))!;
  await b.stop();
  corrupt(b.disk);
  const third = start(b.disk);
  members.set(id(1), third);
  for (const { shard } of third.shards) await shard.ready;
  await third.flusher.flush({ ...FLUSH_ALL });
  const { values, warnings } = await query(COUNT);
  assert.deepEqual(values, [160], 'the last that has it was asked');
  assert.ok(warnings.length > 0 && warnings.every((text) => /were corrupt/.test(text)), String(warnings));
});

/** Turns a byte in the middle of each log. */
function corrupt(disk: MemoryDisk): void {
  for (const folder of ['shard-0', 'shard-1']) {
    for (const name of disk.list(folder)) {
      if (!name.endsWith('.wal')) continue;
      const file = `${folder}/${name}`;
      const from = disk.open(file);
      const bytes = new Uint8Array(from.bytes);
      from.read(bytes, 0);
      bytes[bytes.length >> 1]! ^= 255;
      const to = disk.append(file);
      to.truncate(0);
      to.write(bytes);
    }
  }
}
