import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MemberAnswer, MemberPush } from '../contract/member.ts';
import { freeMoved } from '../kit/thread/movable.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { seededRandom } from '../lib/random.ts';
import { DEFAULT_LIMITS } from '../limits/limits.ts';
import { writeErrors } from '../model/errors-write.ts';
import { type OwnerAnswer, pushOutcome } from '../ring/quorum.ts';
import { after, childOf, memberOf, membersOf, ringOf, viewOf } from '../ring/test-ring.ts';
import type { RingVersion } from '../ring/version.ts';
import { FRAME_KEY } from '../wire/frame-layout.ts';
import { FrameView } from '../wire/frames.ts';
import { encodeRemoteWrite1 } from '../wire/remote-write-encode.ts';
import { deflateSnappy } from '../wire/snappy.ts';
import { WriteSamples } from '../wire/write-request.ts';
import { Edge } from './edge.ts';
import { FakeMember, FakeRing } from './test-members.ts';

// Writes to the owners on a ring, with members that hold samples in maps.

const NOW_MS = 1_700_000_000_000;
const HEADERS = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' };
const ARCS = 64;

function ringWith(version: RingVersion) {
  const clock = new ManualClock(NOW_MS);
  const ring = new FakeRing();
  ring.view = viewOf(version);
  const members = version.members.map(({ id }) => {
    const member = new FakeMember();
    ring.members.set(id, member);
    return member;
  });
  const edge = new Edge({ clock, rawBytesMax: 1 << 24, ring });
  const push = (names: readonly string[], { tenant = 't', timeMs = NOW_MS, metadata = [] as string[] } = {}) => {
    const body = bodyOf(names, timeMs, metadata);
    return edge.push({ tenant, headers: HEADERS, body: deflateSnappy(body).slice(), limits: DEFAULT_LIMITS });
  };
  return { clock, ring, members, edge, push };
}

function bodyOf(names: readonly string[], timeMs: number, metadata: readonly string[] = []): Uint8Array {
  return encodeRemoteWrite1({
    series: names.map((name) => {
      const [metric, i] = name.split('/');
      return {
        pairs: ['__name__', metric!, ...(i === undefined ? [] : ['i', i])],
        labelsFault: undefined,
        samples: WriteSamples.of([{ timeMs, value: 1 }]),
        histograms: [],
        exemplars: [],
      };
    }),
    metadata: metadata.map((metric) => ({ metric, type: 'counter', help: 'Help.', unit: '' })),
  });
}

const names = (count: number, metric = 'm') => Array.from({ length: count }, (_, i) => `${metric}/${i}`);
const isAway = () => {
  throw writeErrors.ownerAway({ reason: 'drained' });
};

test('all owners of an arc get a sample, and nobody else does', async () => {
  const { push, members } = ringWith(ringOf(membersOf(6, 3), ARCS, 3));
  for (let tenant = 0; tenant < 20; tenant++) {
    assert.equal((await push(names(5, `m${tenant}`), { tenant: `tenant-${tenant}` })).response.status, 204);
  }
  const holders = new Map<string, number>();
  for (const { held } of members) for (const series of held.keys()) holders.set(series, (holders.get(series) ?? 0) + 1);
  assert.equal(holders.size, 100);
  assert.deepEqual([...new Set(holders.values())], [3]);
  assert.ok(members.every(({ held }) => held.size > 0 && held.size < 100));
});

test('a quorum is enough; without one the answer is 503 with both numbers, and says why', async () => {
  const { push, members } = ringWith(ringOf(membersOf(3, 3), ARCS, 3));
  members[0]!.before = isAway;
  assert.equal((await push(names(3))).response.status, 204);
  members[1]!.before = isAway;
  const { response } = await push(names(3));
  assert.equal(response.status, 503);
  assert.match(response.text, /^at least 2 live replicas required, could only find 1 \(.*ingester-0000.*: drained/);
  assert.deepEqual(
    members.map(({ held }) => held.size),
    [0, 3, 3],
  );
});

test('an owner that does not answer holds nobody up, and one of two that do not is away in time', async () => {
  const { push, members, clock } = ringWith(ringOf(membersOf(3, 3), ARCS, 3));
  const never = () => new Promise<void>(() => {});
  members[0]!.before = never;
  assert.equal((await push(names(2))).response.status, 204);
  members[1]!.before = never;
  const asked = push(names(2), { timeMs: NOW_MS + 1 });
  await clock.turn();
  await clock.advance(9_999);
  assert.equal(await Promise.race([asked, 'waits']), 'waits');
  await clock.advance(2);
  const { response } = await asked;
  assert.deepEqual([response.status, response.text], [503, 'at least 2 live replicas required, could only find 1']);
});

test('outcomes are counted by series: kept, refused by a quorum, and one of each with one away', async () => {
  const { push, members } = ringWith(ringOf(membersOf(3, 3), ARCS, 3));
  const [a, b, c] = members as [FakeMember, FakeMember, FakeMember];
  // one owner each refuses another series: no series is refused by a quorum
  a.refuses = (labels) => labels.includes('i="0"');
  b.refuses = (labels) => labels.includes('i="1"');
  assert.equal((await push(names(4))).response.status, 204);
  b.refuses = (labels) => /i="[01]"/.test(labels);
  const refused = await push(names(4));
  assert.equal(refused.response.status, 400);
  assert.match(refused.response.text, /^out of order sample: \{?m\{i="0"\}|^out of order sample: .*i="0"/);
  assert.deepEqual(refused.discarded, { sample_out_of_order: 1 });
  // c away: one kept and one refused is refused, or one odd sample would block its sender
  c.before = isAway;
  b.refuses = () => false;
  const odd = await push(names(4));
  assert.deepEqual([odd.response.status, odd.discarded], [400, { sample_out_of_order: 1 }]);
  // two away: refused by one is no answer
  b.before = isAway;
  assert.equal((await push(names(4))).response.status, 503);
});

test('with fewer owners than RF the write quorum stays', async () => {
  const version = ringOf(membersOf(3, 3), ARCS, 3);
  const fewer = { ...version, owners: version.owners.map((owner, i) => (i % 3 === 2 ? 0xffff : owner)) };
  const { push, members } = ringWith(fewer);
  assert.equal((await push(names(2))).response.status, 204);
  for (const member of members) member.before = isAway;
  members[0]!.before = () => {};
  const { response } = await push(names(2));
  assert.match(response.text, /^at least 2 live replicas required, could only find [01]/);
});

test('a newer version in an answer: the request is sent again under it, and only that counts', async () => {
  const first = ringOf(membersOf(3, 3), ARCS, 3);
  const second = after(first, { kind: 'join', member: memberOf(3, 3) });
  const { push, members, ring } = ringWith(first);
  const newcomer = new FakeMember();
  ring.members.set(memberOf(3, 3).id, newcomer);
  const next = viewOf(second);
  ring.next = next;
  const stamp = { number: 2, hash: next.hash };
  for (const member of [...members, newcomer]) member.newer = stamp;
  const tenants = Array.from({ length: 40 }, (_, i) => `tenant-${i}`);
  for (const tenant of tenants) {
    ring.view = viewOf(first);
    assert.equal((await push([`of_${tenant}`], { tenant })).response.status, 204);
  }
  const all = [...members, newcomer].flatMap(({ held }) => [...held.keys()]);
  assert.equal(all.length, 3 * tenants.length, 'nothing was written under the first version');
  assert.ok(newcomer.held.size > 0);
  // one that cannot be learnt
  ring.next = undefined;
  ring.view = viewOf(first);
  const { response } = await push(['m']);
  assert.deepEqual([response.status, /version 2 or beyond/.test(response.text)], [503, true]);
});

test('no ring yet is 503', async () => {
  const { push, ring } = ringWith(ringOf(membersOf(3, 3), ARCS, 3));
  ring.view = undefined;
  assert.equal((await push(['m'])).response.status, 503);
});

test('the parts of a split metric have owners of their own, by the hash of their labels, and metadata goes to the first', async () => {
  const version = childOf(ringOf(membersOf(6, 3), ARCS, 3), {
    tenants: new Map([['t', { buckets: 16, splits: new Map([['big', 16]]) }]]),
  });
  const { push, members } = ringWith(version);
  assert.equal(
    (await push([...names(200, 'big'), ...names(50, 'small')], { metadata: ['big', 'small'] })).response.status,
    204,
  );
  const big = members.map(({ held }) => [...held.keys()].filter((series) => series.includes('big')).length);
  assert.equal(
    big.reduce((a, b) => a + b),
    600,
  );
  assert.ok(
    big.every((count) => count > 0 && count < 200),
    big.join(),
  );
  const small = members.map(({ held }) => [...held.keys()].filter((series) => series.includes('small')).length);
  assert.deepEqual(small.toSorted(), [0, 0, 0, 50, 50, 50]);
  const told = members.map(({ metadata }) => metadata.filter((metric) => metric === 'small').length);
  assert.deepEqual(
    told,
    small.map((count) => count / 50),
    'where the series are',
  );
});

test('bodies of many parts keep their order and give their buffers back', async () => {
  const { push, members } = ringWith(ringOf(membersOf(3, 3), ARCS, 3));
  // some MiB of frames
  const { response } = await push(names(60_000));
  assert.equal(response.status, 204);
  assert.ok(members.every(({ held, pushes }) => held.size === 60_000 && pushes > 3));
});

test('a body is freed when the slowest owner is through: it may lack series that others know by their keys', async () => {
  const { ring, clock } = ringWith(ringOf(membersOf(3, 3), ARCS, 3));
  const slow = Promise.withResolvers<void>();
  let isSlow = false;
  const got: string[] = [];
  for (const [i, { id }] of ring.view!.newest.members.entries()) {
    const push = async ({ frames }: MemberPush): Promise<MemberAnswer> => {
      const frame = new FrameView(frames);
      frame.next();
      const isLacking = i === 2 && frame.has(FRAME_KEY);
      if (isSlow && i === 2) {
        got.push(frame.has(FRAME_KEY) ? 'key' : 'labels');
        await slow.promise;
      }
      return { exemplarsLost: 0, unknown: isLacking ? [0] : [], keysTaken: true, tenantSeries: 1 };
    };
    ring.members.set(id, { push, setMetadata: async () => ({ refused: {} }) });
  }
  const edge = new Edge({ clock, rawBytesMax: 1 << 24, ring, seriesSecret: new Uint8Array(16) });
  let freed = 0;
  const push = async (timeMs: number) => {
    const body = deflateSnappy(bodyOf(['m'], timeMs)).slice();
    const request = { tenant: 't', headers: HEADERS, body, limits: DEFAULT_LIMITS };
    const { response } = await edge.push(request, () => {
      freed++;
      freeMoved(body);
    });
    assert.equal(response.status, 204);
  };
  for (let i = 0; i < 3; i++) {
    await push(NOW_MS + i);
    await clock.turn();
  }
  assert.equal(freed, 3);
  isSlow = true;
  await push(NOW_MS + 10);
  await clock.turn();
  assert.deepEqual([freed, got], [3, ['key']]);
  slow.resolve();
  await clock.turn();
  assert.deepEqual([freed, got], [4, ['key', 'labels']]);
});

test('a body is freed where the request is refused, and where nobody is there', async () => {
  const { edge, ring } = ringWith(ringOf(membersOf(3, 3), ARCS, 3));
  let freed = 0;
  const push = (body: Uint8Array) =>
    edge.push({ tenant: 't', headers: HEADERS, body, limits: DEFAULT_LIMITS }, () => freed++);
  assert.equal((await push(Buffer.from('no snappy'))).response.status, 400);
  ring.view = undefined;
  assert.equal((await push(deflateSnappy(bodyOf(['m'], NOW_MS)))).response.status, 503);
  assert.equal(freed, 2);
});

test('random answers of owners give what the model of the quorum says', async () => {
  const random = seededRandom(7);
  const seen = new Map<number, number>();
  for (let run = 0; run < 300; run++) {
    const replicas = 1 + Math.floor(random() * 5);
    const { push, members } = ringWith(ringOf(membersOf(replicas, 0), ARCS, replicas));
    const frames = 1 + Math.floor(random() * 6);
    const answers: OwnerAnswer[] = members.map((member) => {
      if (random() < 0.25) {
        member.before = isAway;
        return undefined;
      }
      const refused = Array.from({ length: frames }, (_, i) => i).filter(() => random() < 0.15);
      member.refuses = (labels) => refused.some((i) => labels.includes(`i="${i}"`));
      if (random() < 0.3) member.before = async () => void (await new Promise((resolve) => setImmediate(resolve)));
      return new Set(refused);
    });
    const model = pushOutcome(frames, answers, replicas);
    const { response, discarded } = await push(names(frames));
    const status = { kept: 204, refused: 400, unavailable: 503 }[model.outcome];
    assert.equal(response.status, status, JSON.stringify({ run, replicas }));
    if (status !== 503) assert.equal(discarded.sample_out_of_order ?? 0, model.refused.length);
    seen.set(status, (seen.get(status) ?? 0) + 1);
  }
  assert.equal(seen.size, 3, [...seen].join(' '));
});
