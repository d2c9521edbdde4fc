import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { HeadSlice } from '../contract/ingester.ts';
import { Edge } from '../distributor/edge.ts';
import { systemClock } from '../lib/clock.ts';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { decodeLabels } from '../model/canonical.ts';
import { LabelMatcher } from '../model/matcher.ts';
import { RemoteMembers } from '../peer/remote-members.ts';
import { headMatcher } from '../querier/head-matcher.ts';
import { ReplicatedIngesters } from '../querier/replicated-ingesters.ts';
import { TestRing } from '../querier/test-replicas.ts';
import { memberOf, ringOf } from '../ring/test-ring.ts';
import { encodeRemoteWrite1 } from '../wire/remote-write-encode.ts';
import { SliceView } from '../wire/slices.ts';
import { deflateSnappy } from '../wire/snappy.ts';
import { WriteSamples } from '../wire/write-request.ts';
import { SECRET, security, startPeerIngester } from './test-peer-ingester.ts';

// An edge and a querier before three ingesters, each behind a listener of its own: all that they tell each other goes over sockets.

const HEADERS = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' };
const NOW_MS = Date.now();
const { signal } = new AbortController();

async function cluster(t: TestContext) {
  const ring = new TestRing();
  const ingesters = await Promise.all([0, 1, 2].map((i) => startPeerIngester(ring, `ingester-${i}`)));
  t.after(() => Promise.all(ingesters.map((each) => each.close())));
  const members = ingesters.map(({ port }, i) => ({ ...memberOf(i, 3), address: `127.0.0.1:${port}` }));
  ring.set([ringOf(members, 64, 3)]);
  const remote = new RemoteMembers({ self: { name: 'front', cluster: {} }, security, clock: systemClock });
  t.after(() => remote.close());
  const member = (id: string) => remote.of(ring, id);
  const edge = new Edge({
    clock: systemClock,
    rawBytesMax: 1 << 22,
    seriesSecret: SECRET,
    ring: { source: ring, member, learn: async () => {} },
  });
  const push = (series: number, timeMs: number, pad = 'x') => {
    const body = encodeRemoteWrite1({
      series: Array.from({ length: series }, (_, i) => ({
        pairs: ['__name__', `metric_${i % 40}`, 'i', `${i}`, 'pad', pad],
        labelsFault: undefined,
        samples: WriteSamples.of([{ timeMs, value: timeMs + i / 7 }]),
        histograms: [],
        exemplars: [],
      })),
      metadata: [{ metric: 'metric_1', type: 'counter', help: 'Ones.', unit: '' }],
    });
    return edge.push({ tenant: 't', headers: HEADERS, body: deflateSnappy(body).slice(), limits: DEFAULT_LIMITS });
  };
  const reads = new ReplicatedIngesters({ ring, member, clock: systemClock });
  return { ring, ingesters, members, remote, push, reads };
}

test('a read whose reader goes, or whose connection ends, leaves nothing behind on the members', async (t) => {
  const { push, reads, ingesters, remote } = await cluster(t);
  // several slices
  for (const pad of ['a', 'b', 'c', 'd']) {
    assert.equal((await push(3000, NOW_MS, pad.repeat(1000))).response.status, 204);
  }
  const isHeld = () => ingesters.some(({ shards }) => shards.some(({ shard }) => shard.head.holdRefs));
  for (const end of ['cancelled', 'cut off'] as const) {
    const cancel = new AbortController();
    const slices = reads.select({ ...ALL, matchers: [] }, cancel.signal)[Symbol.asyncIterator]();
    assert.equal((await slices.next()).done, false);
    assert.ok(isHeld(), end);
    if (end === 'cancelled') cancel.abort(new Error('nobody waits'));
    else remote.close();
    await assert.rejects(async () => {
      while ((await slices.next()).done !== true);
    });
    while (isHeld()) await systemClock.sleep(5);
  }
});

const ALL = { tenant: 't', startMs: -1e15, endMs: 1e15, labelsOnly: false };

async function seriesOf(slices: AsyncIterable<HeadSlice>): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for await (const { bytes } of slices) {
    for (const series = new SliceView(bytes); series.next(); ) {
      const labels = decodeLabels(bytes, series.labelsFrom, series.labelsTo).toString();
      found.set(labels, (found.get(labels) ?? 0) + 1);
    }
  }
  return found;
}

test('writes and reads go through sockets as they go within a process', async (t) => {
  const { push, reads, ingesters } = await cluster(t);
  assert.equal((await push(400, NOW_MS)).response.status, 204);
  for (let i = 1; i < 4; i++) await push(400, NOW_MS + 1000 * i);
  for (const { shards } of ingesters) {
    assert.equal(
      shards.reduce((sum, { shard }) => sum + shard.head.seriesCount, 0),
      400,
    );
  }
  const matching = (...matchers: LabelMatcher[]) => matchers.map(headMatcher);
  const some = matching(LabelMatcher.of('i', '=~', '1|2|3[0-9].*7?'), LabelMatcher.of('__name__', '!~', 'metric_1'));
  const found = await seriesOf(reads.select({ ...ALL, matchers: some }, signal));
  assert.ok(found.size > 20 && found.size < 150, `${found.size}`);
  const names = await reads.labels({ ...ALL, matchers: [], name: '__name__' }, signal);
  assert.equal(names.length, 40);
  const metadata = await reads.metadata('t', signal);
  assert.deepEqual(metadata, [{ metric: 'metric_1', type: 'counter', help: 'Ones.', unit: '' }]);
  assert.equal((await reads.headStats('t', 3, signal))?.series, 400);
  assert.deepEqual(await reads.exemplars({ ...ALL, matchers: [some] }, signal), []);
});

test('a member that is gone is neither missed by writes nor by reads', async (t) => {
  const { push, reads, ingesters } = await cluster(t);
  await push(100, NOW_MS);
  await ingesters[1]!.stop();
  assert.equal((await push(100, NOW_MS + 1000)).response.status, 204);
  const found = await seriesOf(reads.select({ ...ALL, matchers: [] }, signal));
  assert.equal(found.size, 100);
  await ingesters[2]!.stop();
  assert.equal((await push(100, NOW_MS + 2000)).response.status, 503);
  await assert.rejects(
    seriesOf(reads.select({ ...ALL, matchers: [] }, signal)),
    /0 of 3 ingesters .* cannot be reached: connect ECONNREFUSED/,
  );
});

test('a member that is away, and was last where another one listens now, does not cut that one off', async (t) => {
  const ring = new TestRing();
  const listening = await startPeerIngester(ring, 'ingester-b');
  t.after(() => listening.close());
  const address = `127.0.0.1:${listening.port}`;
  const [away, there] = ['ingester-a', 'ingester-b'].map((id) => ({ ...memberOf(0, 3), id, address }));
  ring.set([ringOf([away!, there!, memberOf(2, 3)], 64, 3)]);
  const remote = new RemoteMembers({ self: { name: 'front', cluster: {} }, security, clock: systemClock, byId: true });
  t.after(() => remote.close());
  const view = ring.current()!;
  const version = { number: view.newest.number, hash: view.hash };
  const ask = (id: string) => remote.of(ring, id)!.metadata('t', version, signal);
  const under = ask('ingester-b');
  await assert.rejects(ask('ingester-a'), /ingester-b listens there, and not ingester-a/);
  await under;
  await ask('ingester-b');
  assert.equal([...remote.clients()].length, 2);
  // both go with their address
  remote.keep([]);
  assert.equal([...remote.clients()].length, 0);
});

test('a member is found where the ring has it when it is not where it was said to be, and the other way round', async (t) => {
  const ring = new TestRing();
  const listening = await startPeerIngester(ring, 'ingester-a');
  t.after(() => listening.close());
  const there = `127.0.0.1:${listening.port}`;
  // nobody listens there
  const gone = '127.0.0.1:1';
  for (const [inRing, told] of [
    [there, gone],
    [gone, there],
  ] as const) {
    ring.set([
      ringOf([{ ...memberOf(0, 3), id: 'ingester-a', address: inRing }, memberOf(1, 3), memberOf(2, 3)], 64, 3),
    ]);
    const remote = new RemoteMembers({
      self: { name: 'front', cluster: {} },
      security,
      clock: systemClock,
      byId: true,
      addressOf: (id) => (id === 'ingester-a' ? told : undefined),
    });
    t.after(() => remote.close());
    const { newest, hash } = ring.current()!;
    const ask = () => remote.of(ring, 'ingester-a')!.metadata('t', { number: newest.number, hash }, signal);
    if (told === gone) await assert.rejects(ask(), /ECONNREFUSED/);
    for (let i = 0; i < 3; i++) await ask();
  }
});

test('a member that is at neither address is tried at both, again and again', async (t) => {
  const ring = new TestRing();
  const [inRing, told] = ['127.0.0.1:1', '127.0.0.1:2'];
  ring.set([ringOf([{ ...memberOf(0, 3), id: 'a', address: inRing }, memberOf(1, 3), memberOf(2, 3)], 64, 3)]);
  const remote = new RemoteMembers({
    self: { name: 'front', cluster: {} },
    security,
    clock: systemClock,
    byId: true,
    addressOf: () => told,
  });
  t.after(() => remote.close());
  const version = { number: 1, hash: '' };
  const tried = new Set<string>();
  for (let i = 0; i < 4; i++) {
    const text = await remote
      .of(ring, 'a')!
      .metadata('t', version, signal)
      .then(String, (error: Error) => error.message);
    tried.add(/127\.0\.0\.1:\d/.exec(text)?.[0] ?? text);
  }
  assert.deepEqual([...tried], [told, inRing]);
});

test('a sample of a known series takes at most 30 bytes of the wire for each replica', async (t) => {
  const { push, remote } = await cluster(t);
  const sent = () => [...remote.clients()].reduce((sum, { sentBytes }) => sum + sentBytes, 0);
  await push(2000, NOW_MS);
  await push(2000, NOW_MS + 1);
  const before = sent();
  const scrapes = 10;
  for (let i = 0; i < scrapes; i++) await push(2000, NOW_MS + 1000 + i * 1000);
  const each = (sent() - before) / (scrapes * 2000 * 3);
  t.diagnostic(`${each.toFixed(2)} bytes`);
  assert.ok(each <= 30, `${each} bytes`);
});
