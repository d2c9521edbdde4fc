import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { FaultyTableClient } from '../../test/faults/faulty-table.ts';
import { until } from '../../test/harness/wait.ts';
import { Generations } from '../chunkstore/generations.ts';
import { Schema, TABLE_MS_DEFAULT } from '../chunkstore/schema.ts';
import type { KnownDeletion } from '../contract/ingest.ts';
import type { MemberPush, MemberTarget } from '../contract/member.ts';
import { Edge } from '../distributor/edge.ts';
import { LateSamples } from '../distributor/late-samples.ts';
import { FakeRing } from '../distributor/test-members.ts';
import { MemoryDisk } from '../ingester/log/test-disk.ts';
import { IngesterMember } from '../ingester/member.ts';
import { Shard } from '../ingester/shard/shard.ts';
import type { ShardRole } from '../ingester/shard/shard-messages.ts';
import { shardRole } from '../ingester/shard/shard-role.ts';
import { connectInThread } from '../kit/thread/channel.ts';
import { systemClock } from '../lib/clock.ts';
import { seededRandom, systemBytes } from '../lib/random.ts';
import { DEFAULT_LIMITS, type TenantLimits } from '../limits/limits.ts';
import { writeErrors } from '../model/errors-write.ts';
import { MemoryObjectClient } from '../object/memory.ts';
import { childOf, membersOf, ringOf, viewOf } from '../ring/test-ring.ts';
import { MemoryTableStore } from '../table/memory.ts';
import { FRAME_KEY } from '../wire/frame-layout.ts';
import { FrameView } from '../wire/frames.ts';
import { encodeRemoteWrite1 } from '../wire/remote-write-encode.ts';
import { SliceView } from '../wire/slices.ts';
import { deflateSnappy } from '../wire/snappy.ts';
import { WriteSamples } from '../wire/write-request.ts';

// An edge before three ingesters of two shards each: real heads and logs, one secret.

const SECRET = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
const HEADERS = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' };
const NOW_MS = Date.now();

class Ingester implements MemberTarget {
  readonly member: IngesterMember;
  readonly #shards;
  /** Frames that came, by what they name series with. */
  readonly arrived = { labels: 0, keys: 0 };
  takesKeys = true;
  isAway = false;
  noteLate = async (_tenant: string, _fromMs: number): Promise<void> => {};
  refusing: (writing: number) => string | undefined = () => undefined;

  constructor(t: TestContext, ring: FakeRing) {
    const disk = new MemoryDisk();
    this.#shards = Array.from({ length: 2 }, (_, i) => {
      const shard = new Shard({
        folder: `shard-${i}`,
        windowMs: 7_200_000,
        headBytesMax: 1 << 30,
        seriesSecret: SECRET,
        fsync: 'interval',
        fsyncIntervalMs: 60_000,
        keepFlushedMs: 60_000,
        lateAfterMs: 3_600_000,
        disk,
        clock: systemClock,
        log: () => {},
        fatal: (error) => assert.fail(error),
      });
      const link = connectInThread<ShardRole>(shardRole(shard, systemClock));
      t.after(async () => {
        link.close();
        await shard.close({ checkpoint: false });
      });
      return { shard, channel: link.channel };
    });
    this.member = new IngesterMember({
      shards: () => this.#shards.map(({ channel }) => channel),
      ring: ring.source,
      refusing: (writing) => this.refusing(writing),
      noteLate: (tenant, fromMs) => this.noteLate(tenant, fromMs),
    });
  }

  async push(request: MemberPush) {
    if (this.isAway) throw writeErrors.ownerAway({ reason: 'it is down' });
    for (const frame = new FrameView(request.frames); frame.next(); ) {
      this.arrived[frame.has(FRAME_KEY) ? 'keys' : 'labels']++;
    }
    const answer = await this.member.push(request);
    return { ...answer, keysTaken: answer.keysTaken && this.takesKeys };
  }

  setMetadata(request: Parameters<MemberTarget['setMetadata']>[0]) {
    return this.member.setMetadata(request);
  }

  async ready(): Promise<void> {
    await Promise.all(this.#shards.map(({ shard }) => shard.ready));
  }

  get seriesByShard(): number[] {
    return this.#shards.map(({ shard }) => shard.head.seriesCount);
  }

  /** `labels` → chunks, as text. */
  async held(tenant: string): Promise<Map<string, string>> {
    const all = new Map<string, string>();
    for (const { channel } of this.#shards) {
      const matchers = [{ name: '__name__', op: '=~', value: '.+' }] as never;
      const slice = await channel.call('select', { tenant, matchers, startMs: -1e15, endMs: 1e15 } as never);
      for (const series = new SliceView(slice.bytes); series.next(); ) {
        const name = Buffer.from(series.labels).toString('latin1');
        assert.ok(!all.has(name));
        all.set(name, series.chunks.map(({ bytes }) => Buffer.from(bytes).toString('hex')).join());
      }
      assert.equal(slice.cursor, 0);
    }
    return all;
  }

  async setDeletions(tenant: string, deletions: readonly KnownDeletion[]): Promise<void> {
    for (const { channel } of this.#shards) await channel.call('setDeletions', { tenant, deletions });
  }

  /** Drops all series: their keys are unknown from now on. */
  async forget(tenant: string): Promise<void> {
    for (const { channel } of this.#shards) await channel.call('deleteTenant', { tenant });
  }
}

async function cluster(
  t: TestContext,
  sizes?: { buckets: number; splits: Map<string, number> },
  count = 3,
  limits: Partial<TenantLimits> = {},
) {
  const ring = new FakeRing();
  const first = ringOf(membersOf(count, 3), 64, 3);
  const version = sizes === undefined ? first : childOf(first, { tenants: new Map([['t', sizes]]) });
  ring.view = viewOf(version);
  const ingesters = version.members.map(({ id }) => {
    const ingester = new Ingester(t, ring);
    ring.members.set(id, ingester);
    return ingester;
  });
  await Promise.all(ingesters.map((each) => each.ready()));
  const edge = new Edge({ clock: systemClock, rawBytesMax: 1 << 22, seriesSecret: SECRET, ring });
  const push = (series: readonly (readonly [name: string, timeMs: number, value: number])[], tenant = 't') => {
    const body = encodeRemoteWrite1({
      series: series.map(([name, timeMs, value]) => ({
        pairs: ['__name__', name.split('/')[0]!, 'i', name.split('/')[1]!],
        labelsFault: undefined,
        samples: WriteSamples.of([{ timeMs, value }]),
        histograms: [],
        exemplars: [],
      })),
      metadata: [],
    });
    return edge.push({
      tenant,
      headers: HEADERS,
      body: deflateSnappy(body).slice(),
      limits: { ...DEFAULT_LIMITS, ...limits },
    });
  };
  return { ingesters, push };
}

for (const sizes of [undefined, { buckets: 16, splits: new Map([['m1', 16]]) }]) {
  test(`owners hold the same whatever they name series by, ${sizes ? 'spread' : 'in one slot'}`, async (t) => {
    const { ingesters, push } = await cluster(t, sizes);
    const [a, b, c] = ingesters as [Ingester, Ingester, Ingester];
    const random = seededRandom(3);
    for (let round = 0; round < 60; round++) {
      // b takes no keys now and then, c loses its series
      b.takesKeys = round % 10 < 5;
      if (round === 30) await c.forget('t');
      const series = Array.from({ length: 40 }, () => {
        const timeMs = NOW_MS + 1000 * round + Math.floor(random() * 3);
        return [`m${Math.floor(random() * 3)}/${Math.floor(random() * 50)}`, timeMs, round] as const;
      });
      const { response } = await push(series);
      assert.ok([204, 400].includes(response.status), response.text);
    }
    const [ofA, ofB] = [await a.held('t'), await b.held('t')];
    assert.equal(ofA.size, 150);
    assert.deepEqual(ofB, ofA);
    assert.deepEqual([...(await c.held('t')).keys()].sort(), [...ofA.keys()].sort(), 'they came again with labels');
    assert.ok(a.arrived.keys > 1000 && b.arrived.keys > 500 && b.arrived.labels > a.arrived.labels + 500);
    assert.ok(c.arrived.keys > 1000 && c.arrived.labels > a.arrived.labels);
  });
}

test('a sample that is held is success again, one that an owner missed is taken by it, and a late one is refused by name', async (t) => {
  const { ingesters, push } = await cluster(t);
  ingesters[2]!.isAway = true;
  const series = [
    ['m/1', NOW_MS, 1],
    ['m/2', NOW_MS, 1],
  ] as const;
  assert.equal((await push(series)).response.status, 204);
  ingesters[2]!.isAway = false;
  assert.equal((await push(series)).response.status, 204);
  assert.deepEqual(await ingesters[2]!.held('t'), await ingesters[0]!.held('t'));
  // by key: the labels of the text come from the body
  const late = await push([
    ['m/1', NOW_MS + 1, 1],
    ['m/2', NOW_MS - 1, 1],
  ]);
  assert.equal(late.response.status, 400);
  assert.match(late.response.text, /out of order sample: .*i="2".* at \d+, the newest is at/);
  assert.deepEqual(late.discarded, { sample_out_of_order: 1 });
});

test('a write with a late sample is answered once a quorum of its owners has marked the days, one without waits for nothing', async (t) => {
  const { ingesters, push } = await cluster(t);
  const marked: (readonly [tenant: string, fromMs: number])[] = [];
  const gate = Promise.withResolvers<void>();
  for (const each of ingesters) {
    each.noteLate = async (...late) => {
      marked.push(late);
      await gate.promise;
    };
  }
  assert.equal((await push([['m/1', NOW_MS, 1]])).response.status, 204);
  assert.deepEqual(marked, []);
  let isAnswered = false;
  const lateMs = NOW_MS - 5 * 3_600_000;
  const late = push([['m/2', lateMs, 1]]).then((answer) => {
    isAnswered = true;
    return answer;
  });
  await until('all have noted it', async () => marked.length === 3);
  assert.deepEqual(
    marked,
    Array.from({ length: 3 }, () => ['t', lateMs]),
  );
  assert.equal(isAnswered, false);
  gate.resolve();
  assert.equal((await late).response.status, 204);

  // the store of the marks is away for two of three
  for (const each of ingesters.slice(1)) {
    each.noteLate = async () => {
      throw writeErrors.lateSamplesUnmarked({ reason: 'the store is away' });
    };
  }
  assert.equal((await push([['m/3', lateMs, 1]])).response.status, 503);
  assert.equal((await push([['m/1', NOW_MS + 1, 1]])).response.status, 204);
});

test('while the table of generations is away for a quorum, late samples alone are refused', async (t) => {
  const { ingesters, push } = await cluster(t);
  const store = new MemoryTableStore();
  const objects = new MemoryObjectClient(systemClock);
  const common = { fromMs: Number.NEGATIVE_INFINITY, objects, tablePrefix: 't_', tableMs: TABLE_MS_DEFAULT };
  /** The store as each of them reaches it. */
  const clients = ingesters.map((each, i) => {
    const client = new FaultyTableClient(store, {});
    const schema = new Schema([{ ...common, tables: { client, admin: store.admin, limits: store.limits } }]);
    const generations = new Generations(schema, systemClock, systemBytes);
    const late = new LateSamples(generations.move.bind(generations), 3_600_000, systemClock, {
      hold: (tenant, ...days) => generations.hold(tenant, ...days, `${i}`),
    });
    each.noteLate = (tenant, fromMs) => late.note(tenant, fromMs);
    return client;
  });
  const lateMs = NOW_MS - 5 * 3_600_000;
  const reader = new Generations(new Schema([{ ...common, tables: store }]), systemClock, systemBytes);
  const token = async () => (await reader.of('t')).token(lateMs, lateMs);
  // one owner that cannot mark is one that has not answered
  clients[0]!.source.faults = { unavailable: 1 };
  const before = await token();
  assert.equal((await push([['m/1', lateMs, 1]])).response.status, 204);
  const marked = await token();
  assert.notEqual(marked, before);
  clients[1]!.source.faults = { unavailable: 1 };
  clients[2]!.source.faults = { unavailable: 1 };
  for (let turn = 0; turn < 12; turn++) {
    const { response } = await push([['m/2', lateMs, 1]]);
    assert.equal(response.status, 503);
    assert.match(response.text, /late samples cannot be acknowledged/);
    assert.equal((await push([['m/3', NOW_MS + turn, 1]])).response.status, 204);
  }
  assert.equal(await token(), marked);
  // the same once more, as whoever sent it does
  for (const { source } of clients) source.faults = {};
  assert.equal((await push([['m/2', lateMs, 1]])).response.status, 204);
  assert.notEqual(await token(), marked);
});

test('a sample that a kept delete request covers is refused by those who know it, also of a series that is known by its key', async (t) => {
  const { ingesters, push } = await cluster(t);
  const untilMs = NOW_MS + 3_600_000;
  const ofFirst = [{ name: 'i', op: '=' as const, value: '1' }];
  const deletion = { matchers: ofFirst, startMs: NOW_MS - 60_000, endMs: NOW_MS + 1, untilMs };
  const at = (ms: number) => [['m/1', NOW_MS + ms, 1] as const, ['m/2', NOW_MS + ms, 1] as const];
  assert.equal((await push(at(-2))).response.status, 204);
  assert.equal((await push(at(-1))).response.status, 204);
  for (const each of ingesters.slice(1)) await each.setDeletions('t', [deletion]);
  const { response, discarded } = await push(at(0));
  assert.equal(response.status, 400);
  assert.match(response.text, /^deleted sample: .*i="1".* may come again from /);
  assert.ok(response.text.includes(String(untilMs)));
  assert.deepEqual(discarded, { deleted: 1 });
  assert.equal((await push(at(2))).response.status, 204);
  const held = await Promise.all(ingesters.map((each) => each.held('t')));
  assert.deepEqual(held[1], held[2]);
});

test('an owner that takes no writes of a version is away', async (t) => {
  const { ingesters, push } = await cluster(t);
  const asked: number[] = [];
  const tooOld = (writing: number) => {
    asked.push(writing);
    return `version ${writing} of the ring is too old`;
  };
  ingesters[0]!.refusing = tooOld;
  assert.equal((await push([['m/1', NOW_MS, 1]])).response.status, 204);
  ingesters[1]!.refusing = tooOld;
  const { response } = await push([['m/1', NOW_MS + 1, 1]]);
  assert.equal(response.status, 503);
  assert.match(
    response.text,
    /^at least 2 live replicas required, could only find [01] \(.*version 1 of the ring is too old/,
  );
  assert.deepEqual([...new Set(asked)], [1]);
});

test('a small tenant is in one shard of each owner, and a spread one in all', async (t) => {
  const { ingesters, push } = await cluster(t, { buckets: 16, splits: new Map() });
  const names = Array.from({ length: 64 }, (_, i) => [`metric_${i}/0`, NOW_MS, 1] as const);
  await push(names, 'small');
  for (const { seriesByShard } of ingesters) assert.deepEqual(seriesByShard.toSorted(), [0, 64]);
  await push(names, 't');
  for (const { seriesByShard } of ingesters) assert.ok(Math.min(...seriesByShard) > 10, seriesByShard.join());
});

for (const sizes of [undefined, { buckets: 16, splits: new Map([['m0', 16]]) }]) {
  test(`a limit on series counts each once, not once an owner, ${sizes ? 'spread' : 'in one slot'}`, async (t) => {
    const { ingesters, push } = await cluster(t, sizes, 6, { maxGlobalSeriesPerUser: 100 });
    const distinct = async () => {
      const all = await Promise.all(ingesters.map((each) => each.held('t')));
      return new Set(all.flatMap((held) => [...held.keys()])).size;
    };
    const named = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, i) => [`m${(from + i) % 20}/${from + i}`, NOW_MS + from, 1] as const);
    for (let from = 0; from < 90; from += 30) assert.equal((await push(named(from, from + 30))).response.status, 204);
    assert.equal(await distinct(), 90);
    const { response } = await push(named(90, 190));
    assert.equal(response.status, 400);
    assert.match(response.text, /per-user series limit of 100 exceeded \(max_global_series_per_user\)/);
    const held = await distinct();
    // an owner that answers after the quorum is not counted for the next owners yet
    assert.ok(held >= 99 && held <= 110, `${held} series`);
    const known = named(0, 90).map(([name]) => [name, NOW_MS + 1000, 2] as const);
    assert.equal((await push(known)).response.status, 204, 'series that are there go on');
  });
}
