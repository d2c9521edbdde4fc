import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HeadSelect } from '../contract/ingester.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { seededRandom } from '../lib/random.ts';
import { peerErrors } from '../model/errors-peer.ts';
import { queryErrors } from '../model/errors-query.ts';
import { ringErrors } from '../model/errors-ring.ts';
import { type Change, changed } from '../ring/placement.ts';
import { writeQuorum } from '../ring/quorum.ts';
import { metricHashOf, RingSlots } from '../ring/slots.ts';
import { after, childOf, grownRing, memberOf, membersOf, ringOf } from '../ring/test-ring.ts';
import { encodeVersion, hashOfVersion, ownersOf, type RingVersion } from '../ring/version.ts';
import { Hedges } from './hedges.ts';
import { ReplicatedIngesters } from './replicated-ingesters.ts';
import { TestReplica, TestRing } from './test-replicas.ts';

const { signal } = new AbortController();
const id = (number: number) => memberOf(number, 3).id;
const hold = () => new Promise<never>(() => {});
const fail = () => {
  throw new Error('connection refused');
};

function selectOf(metric?: string): HeadSelect {
  const matchers = metric === undefined ? [] : [{ name: '__name__', op: '=' as const, value: metric }];
  return { tenant: 't', matchers, startMs: 0, endMs: 1000, labelsOnly: false };
}

function cluster(chain: readonly RingVersion[], hedges?: Hedges) {
  const ring = new TestRing();
  ring.set(chain);
  const members = new Map<string, TestReplica>();
  for (const version of chain) for (const { id } of version.members) members.set(id, new TestReplica());
  const clock = new ManualClock();
  const ingesters = new ReplicatedIngesters({
    ring,
    member: (each) => members.get(each),
    clock,
    ...(hedges && { hedges }),
  });
  const select = async (request = selectOf('m'), own = signal) => {
    const found = new Set<string>();
    const warnings: string[] = [];
    for await (const slice of ingesters.select(request, own)) {
      if (slice.bytes.length > 0) found.add(new TextDecoder().decode(slice.bytes));
      warnings.push(...slice.warnings);
    }
    return { found: [...found].sort(), warnings };
  };
  const asked = () => [...members.values()].reduce((sum, each) => sum + each.asked.length, 0);
  return { ring, members, clock, ingesters, select, asked };
}

test('a query for one metric asks a read quorum of one set of owners, each once; a broad one each member of two zones', async () => {
  const { select, asked, members, ring } = cluster([grownRing(9, 3, 64, 3)]);
  const view = ring.current()!;
  for (let i = 0; i < 30; i++) {
    const before = asked();
    await select(selectOf(`metric_${i}`));
    assert.equal(asked() - before, 2);
  }
  const owners = view.ownersOf(view.slots.arcsOfTenant('t')[0]!);
  for (const [each, { asked }] of members) assert.equal(asked.length > 0, owners.includes(each), each);

  const sizes = new Map([['t', { buckets: 256, splits: new Map([['big', 16]]) }]]);
  const wide = cluster([{ ...view.newest, tenants: sizes }]);
  await wide.select(selectOf('small'));
  assert.equal(wide.asked(), 2);
  await wide.select(selectOf());
  assert.equal(wide.asked(), 2 + 6);
  await wide.select(selectOf('big'));
  assert.ok(wide.asked() <= 2 + 6 + 6);
});

test('an answer that may be incomplete has what the owners hold that are left, and says what it lacks', async () => {
  const { ingesters, members } = cluster([ringOf(membersOf(3, 3), 16, 3)]);
  const [a, b, c] = [0, 1, 2].map((n) => members.get(id(n))!);
  for (const each of [a, b, c]) each!.items.add('x');
  c!.items.add('y');
  a!.trouble = fail;
  b!.trouble = fail;
  const partial = { ...selectOf('m'), allowPartial: true };
  const found = new Set<string>();
  const missing: string[] = [];
  for await (const slice of ingesters.select(partial, signal)) {
    if (slice.bytes.length > 0) found.add(new TextDecoder().decode(slice.bytes));
    missing.push(...(slice.missing ?? []));
  }
  assert.deepEqual([...found].sort(), ['x', 'y']);
  assert.equal(missing.length, 1);
  assert.match(missing[0]!, /connection refused.*connection refused/s);
  // all that are left are asked, whoever answers first
  c!.trouble = fail;
  for await (const { bytes } of ingesters.select(partial, signal)) assert.equal(bytes.length, 0);
  // enough of them are: it lacks nothing
  for (const each of [a, b, c]) each!.trouble = () => {};
  for await (const slice of ingesters.select(partial, signal)) assert.equal(slice.missing, undefined);
  await assert.rejects(async () => {
    for (const each of [a, b]) each!.trouble = fail;
    for await (const _ of ingesters.select(selectOf('m'), signal));
  });
});

test('another owner is asked where one fails, at once or in the middle, and an error names all where there is no quorum', async () => {
  const { select, members } = cluster([ringOf(membersOf(3, 3), 16, 3)]);
  const [a, b, c] = [0, 1, 2].map((n) => members.get(id(n))!);
  for (const each of [a, b, c]) for (const item of ['x', 'y']) each!.items.add(item);
  for (const trouble of [fail, (slice: number) => (slice === 1 ? fail() : undefined)]) {
    for (const each of [a, b, c]) {
      each!.trouble = trouble;
      assert.deepEqual((await select()).found, ['x', 'y']);
      each!.trouble = () => {};
    }
  }
  a!.trouble = fail;
  b!.trouble = () => {
    throw queryErrors.replaying({});
  };
  await assert.rejects(select(), (error: Error & { facts: { http: number } }) => {
    assert.equal(error.facts.http, 503);
    assert.match(
      error.message,
      /^[01] of 3 ingesters that hold recent data answered, 2 are needed \(arc \d+ of ring version 1: /,
    );
    assert.ok(error.message.includes(`${id(0)}: connection refused`), error.message);
    assert.ok(error.message.includes(`${id(1)}: the write-ahead log is being replayed`), error.message);
    return true;
  });
  // what the request is to blame for is its own error
  b!.trouble = () => {
    throw queryErrors.tooManySelectsOfTenant({ limit: 1 });
  };
  await assert.rejects(select(), /more than 1 reads of recent data of one tenant/);
});

test('a member that keeps a read waiting has another asked beside it; whoever is not needed any more is let go', async () => {
  const { select, members, clock } = cluster([ringOf(membersOf(3, 3), 16, 3)]);
  for (const each of members.values()) for (const item of ['x', 'y', 'z']) each.items.add(item);
  for (const at of [0, 1, 2]) {
    const slow = members.get(id(at))!;
    slow.trouble = (slice) => (slice === 1 ? hold() : undefined);
    for (let i = 0; i < 3; i++) {
      const answer = select();
      await clock.advance(1500);
      assert.deepEqual((await answer).found, ['x', 'y', 'z']);
    }
    slow.trouble = () => {};
    await clock.advance(20_000);
  }
  assert.equal(clock.timers, 0);
  assert.ok([...members.values()].some(({ cut }) => cut > 0));
});

test('a read that is given up lets its members go', async () => {
  const { select, members } = cluster([ringOf(membersOf(3, 3), 16, 3)]);
  for (const each of members.values()) each.trouble = hold;
  const abort = new AbortController();
  const answer = select(selectOf(), abort.signal);
  setImmediate(() => abort.abort(new Error('enough')));
  await assert.rejects(answer, /enough/);
});

test('an answer that comes with a newer version counts once the question was asked under that too', async () => {
  const first = ringOf(membersOf(3, 3), 16, 3);
  const second = after(first, { kind: 'join', member: memberOf(3, 3) });
  const stamp = { number: 2, hash: hashOfVersion(encodeVersion(second)) };
  const { select, members, ring, clock } = cluster([first]);
  const joined = new TestReplica();
  members.set(id(3), joined);
  joined.items.add('new');
  const slots = new RingSlots(second);
  const tenant = ['t', 'u', 'v', 'w', 'x'].find((each) =>
    ownersOf(second, slots.arcsOfTenant(each)[0]!).includes(id(3)),
  )!;
  for (const each of members.values()) each.newer = stamp;
  const answer = select({ ...selectOf('m'), tenant });
  await clock.advance(1000);
  assert.deepEqual(
    [...members.values()].map(({ asked }) => asked.includes(2)),
    [false, false, false, false],
  );
  ring.set([first, second]);
  const { found } = await answer;
  assert.ok([...members.values()].filter(({ asked }) => asked.includes(2)).length >= 2);
  assert.deepEqual(found, joined.asked.length > 0 ? ['new'] : []);

  ring.set([first]);
  const late = assert.rejects(select(), /answered with version 2 of the ring, here 1 is the newest/);
  await clock.advance(6000);
  await late;
});

test('a member that does not know the version is told it and asked again; who knows a newer one tells it', async () => {
  const first = ringOf(membersOf(3, 3), 16, 3);
  const second = after(first, { kind: 'join', member: memberOf(3, 3) });
  const { members, ring, clock } = cluster([first, second]);
  const behind = new Set([id(0), id(1), id(2)]);
  for (const [each, member] of members) {
    member.trouble = () => {
      if (behind.has(each)) throw ringErrors.ringVersionUnknown({ number: 2, known: 1 });
    };
  }
  const met: string[] = [];
  const meet = async (each: string) => {
    met.push(each);
    behind.delete(each);
    if (ring.current()!.newest.number === 1) ring.set([first, second]);
  };
  const ingesters = new ReplicatedIngesters({ ring, member: (each) => members.get(each), meet, clock });
  const request = { tenant: 't', matchers: [], startMs: 0, endMs: 1 };
  assert.deepEqual(await ingesters.labels(request, signal), []);
  assert.ok(met.length > 0 && met.every((each) => !behind.has(each)));

  ring.set([first]);
  const newer = { number: 2, hash: hashOfVersion(encodeVersion(second)) };
  for (const member of members.values()) member.newer = newer;
  assert.deepEqual(await ingesters.labels(request, signal), []);
  assert.equal(ring.current()!.newest.number, 2);
});

test('losses: dropped with a quorum of others, an error where somebody away may have it, a warning where nobody is left', async () => {
  const { select, members } = cluster([ringOf(membersOf(3, 3), 16, 3)]);
  const [a, b, c] = [0, 1, 2].map((n) => members.get(id(n))!);
  a!.losses = [{ text: 'a part of the log is lost', settled: true }];
  for (let i = 0; i < 3; i++) assert.deepEqual((await select()).warnings, []);
  c!.trouble = fail;
  await assert.rejects(select(), /1 of 3 .*a part of the log is lost.*connection refused/s);
  c!.trouble = () => {};
  b!.losses = [{ text: 'so it is', settled: true }];
  assert.deepEqual(
    (await select()).warnings.sort(),
    [`${id(0)}: a part of the log is lost`, `${id(1)}: so it is`].sort(),
  );
  b!.losses = [{ text: 'so it is', settled: false }];
  await assert.rejects(select(), /so it is, and what is left is not in the store yet/);
});

test('an answer that rests on the word of an operator says so', async () => {
  const first = ringOf(membersOf(4, 0), 16, 3);
  const gone = first.members[0]!.id;
  const second = childOf(first, changed({ kind: 'remove', id: gone }, { since: [first], force: true }));
  const atMs = Date.UTC(2026, 0, 2);
  const third = { ...second, givenUp: [gone], givenUpMs: atMs };
  const { select, members, ring } = cluster([first, third]);
  members.get(gone)!.trouble = fail;
  const ownersOfTenant = (tenant: string) => ownersOf(first, ring.current()!.slots.arcsOfTenant(tenant)[0]!);
  const tenant = ['t', 'u', 'v', 'w', 'x'].find((each) => ownersOfTenant(each).includes(gone))!;
  const owners = ownersOfTenant(tenant);
  const broad = { ...selectOf(), tenant };
  const { warnings } = await select(broad);
  assert.deepEqual(warnings, [], 'the others answered for it');
  ring.set([first, third], new Map([[owners.find((each) => each !== gone)!, 1]]));
  const warning = `${gone} was given up at 2026-01-02T00:00:00.000Z: samples until then that it alone held are missing`;
  assert.deepEqual((await select(broad)).warnings, [warning]);
  const later = { ...broad, startMs: atMs + 7_200_000, endMs: atMs + 7_300_000 };
  assert.deepEqual((await select(later)).warnings, [], 'it held nothing of the time since');
  const fourth = { ...childOf(third, {}), floor: 3, lost: [{ id: gone, atMs }] };
  ring.set([fourth]);
  assert.deepEqual((await select(broad)).warnings, [warning], 'also when its version is forgotten');
  assert.deepEqual((await select(later)).warnings, []);
});

test('who gave its word is asked no more, and counts with those that answer', async () => {
  const first = ringOf(membersOf(4, 0), 16, 3);
  const left = first.members[0]!.id;
  const second = childOf(first, changed({ kind: 'remove', id: left }, { since: [first] }));
  const { select, members, ring } = cluster([first, second]);
  members.get(left)!.trouble = fail;
  const ownersOfTenant = (tenant: string) => ownersOf(first, ring.current()!.slots.arcsOfTenant(tenant)[0]!);
  const tenant = ['t', 'u', 'v', 'w', 'x'].find((each) => ownersOfTenant(each).includes(left))!;
  const [one, other] = ownersOfTenant(tenant).filter((each) => each !== left);
  const broad = { ...selectOf(), tenant };
  const losses = [{ text: 'a part of the log is lost', settled: true }];
  Object.assign(members.get(one!)!, { losses });
  Object.assign(members.get(other!)!, { losses });
  await assert.rejects(select(broad), /0 of 3 ingesters/, 'who left may have been the last that had it');
  ring.set([first, second], new Map([[left, 1]]));
  const text = (id: string) => `${id}: a part of the log is lost`;
  assert.deepEqual((await select(broad)).warnings.sort(), [text(one!), text(other!)].sort());
  Object.assign(members.get(other!)!, { losses: [] });
  const before = members.get(left)!.asked.length;
  assert.deepEqual((await select(broad)).warnings, [], 'one that lost nothing and a word are a quorum');
  assert.equal(members.get(left)!.asked.length, before);
});

test('labels, metadata, exemplars and counts of replicas are one', async () => {
  const { ingesters, members } = cluster([ringOf(membersOf(3, 3), 16, 3)]);
  for (const each of members.values()) for (const item of ['x', 'y']) each.items.add(item);
  members.get(id(1))!.trouble = fail;
  const request = { tenant: 't', matchers: [], startMs: 0, endMs: 1 };
  assert.deepEqual((await ingesters.labels(request, signal)).toSorted(), ['x', 'y']);
  assert.deepEqual((await ingesters.metadata('t', signal)).map(({ metric }) => metric).toSorted(), ['x', 'y']);
  const [exemplars, ...more] = await ingesters.exemplars(request, signal);
  assert.deepEqual([exemplars?.exemplars.length, more.length], [2, 0]);
  const stats = (await ingesters.headStats('t', 10, signal))!;
  assert.equal(stats.series, 2);
  assert.deepEqual(stats.seriesByMetric.toSorted(), [
    ['x', 1],
    ['y', 1],
  ]);
  members.get(id(2))!.trouble = fail;
  for (const call of [
    () => ingesters.labels(request, signal),
    () => ingesters.metadata('t', signal),
    () => ingesters.exemplars(request, signal),
    () => ingesters.headStats('t', 10, signal),
  ]) {
    await assert.rejects(call, /[01] of 3 ingesters/);
  }
});

/** Members come and go, tenants grow, writers are at any version that may count; members hand over to the store and say so. */
test('every acknowledged sample is in every answer that succeeds, whoever fails', async () => {
  let succeeded = 0;
  let refused = 0;
  for (let seed = 1; seed <= 200; seed++) {
    const random = seededRandom(seed);
    const below = (n: number) => Math.floor(random() * n);
    const some = <T>(of: readonly T[]) => of[below(of.length)]!;
    const shuffled = <T>(of: readonly T[]) =>
      of
        .map((each) => [random(), each] as const)
        .sort((x, y) => x[0] - y[0])
        .map((x) => x[1]);
    let newest = ringOf(membersOf(4, 0), 64, 3);
    const chain = [newest];
    const members = new Map(newest.members.map((each) => [each.id, new TestReplica()]));
    const words = new Map<string, number>();
    const store = new Set<string>();
    const acknowledged = new Map<string, string>();
    const heldUnder = new Map<string, { item: string; version: number }[]>();
    const metrics = ['m0', 'm1', 'm2'];
    let items = 0;
    for (let step = 0; step < 40; step++) {
      const what = random();
      if (what < 0.1) {
        const changes: Change[] = [{ kind: 'join', member: memberOf(members.size, 0) }];
        if (newest.members.length > 3) changes.push({ kind: 'drain', id: some(newest.members).id });
        try {
          newest = after(newest, some(changes));
        } catch {
          continue; // one that no operator was asked about
        }
        chain.push(newest);
        for (const { id } of newest.members) if (!members.has(id)) members.set(id, new TestReplica());
      } else if (what < 0.15) {
        const splits = new Map(metrics.filter(() => random() < 0.3).map((metric) => [metric, 16]));
        newest = childOf(newest, { tenants: new Map([['t', { buckets: some([16, 256]), splits }]]) });
        chain.push(newest);
      } else if (what < 0.7) {
        // a writer knows the newest version or the one before
        const version = chain.at(-1 - below(Math.min(2, chain.length)))!;
        const metric = some(metrics);
        const arc = new RingSlots(version).arcOf('t', metricHashOf(metric), below(2 ** 32));
        const owners = shuffled(ownersOf(version, arc));
        const kept = owners.slice(0, below(owners.length + 1));
        const item = `${metric} ${items++}`;
        for (const each of kept) {
          members.get(each)!.items.add(item);
          const held = heldUnder.get(each) ?? [];
          heldUnder.set(each, held);
          held.push({ item, version: version.number });
        }
        if (kept.length >= writeQuorum(3)) acknowledged.set(item, metric);
      } else if (what < 0.8 && chain.length > 2) {
        const each = some([...members.keys()]);
        // writers no longer are at versions before the last but one
        const version = newest.number - 2;
        for (const held of heldUnder.get(each) ?? []) if (held.version <= version) store.add(held.item);
        words.set(each, Math.max(words.get(each) ?? 0, version));
        if (random() < 0.5) {
          const gone = (heldUnder.get(each) ?? []).filter((held) => held.version <= version);
          for (const { item } of gone) members.get(each)!.items.delete(item);
        }
      } else {
        const ring = new TestRing();
        ring.set(chain, new Map(words));
        const metric = random() < 0.7 ? some(metrics) : undefined;
        const down = new Set([...members.keys()].filter(() => random() < 0.25));
        const broken = new Set([...members.keys()].filter(() => random() < 0.1));
        for (const [each, member] of members) {
          member.trouble = (slice) => {
            if (down.has(each) || (broken.has(each) && slice === 1)) fail();
          };
        }
        const ingesters = new ReplicatedIngesters({
          ring,
          member: (each) => members.get(each),
          clock: new ManualClock(),
        });
        const found = new Set(store);
        try {
          for await (const { bytes } of ingesters.select(selectOf(metric), signal))
            found.add(new TextDecoder().decode(bytes));
        } catch (error) {
          assert.match((error as Error).message, /ingesters that hold recent data answered/);
          assert.ok(down.size + broken.size > 0, 'nobody failed');
          refused++;
          continue;
        }
        succeeded++;
        for (const [item, of] of acknowledged) {
          if (metric === undefined || of === metric) assert.ok(found.has(item), `seed ${seed}, step ${step}: ${item}`);
        }
      }
    }
  }
  assert.ok(succeeded > 300 && refused > 120, `${succeeded} answers, ${refused} refusals`);
});

test('a member that is later than nearly all answers were has another asked beside it, in one of twenty reads at most', async () => {
  const { select, members, clock, asked } = cluster([ringOf(membersOf(3, 3), 16, 3)], new Hedges());
  const takes = (ms: number) => (slice: number) => (slice === 0 ? clock.sleep(ms) : undefined);
  for (const each of members.values()) {
    each.items.add('x');
    each.trouble = takes(5);
  }
  const read = async (ms: number) => {
    const before = asked();
    let isThere = false;
    const answer = select().then(({ found }) => {
      isThere = true;
      assert.deepEqual(found, ['x']);
    });
    let tookMs = 0;
    for (; !isThere && tookMs < ms; tookMs += 5) await clock.advance(5);
    await answer;
    return { tookMs, asked: asked() - before };
  };
  for (let i = 0; i < 600; i++) assert.equal((await read(500)).asked, 2);
  // one that does not answer at all
  const stuck = members.get(id(1))!;
  stuck.trouble = takes(600_000);
  let hedged = 0;
  for (let i = 0; i < 5; i++) {
    const { tookMs, asked: all } = await read(500);
    hedged += all - 2;
    assert.ok(tookMs <= 40, `${tookMs} ms`);
  }
  assert.ok(hedged > 0);
  // all of them slower than ever: few are asked for more
  for (const each of members.values()) each.trouble = takes(90);
  let more = 0;
  for (let i = 0; i < 400; i++) more += (await read(500)).asked - 2;
  assert.ok(more <= 10 + 0.05 * 400, `${more} more`);
});

const away = () => {
  throw peerErrors.peerAway({ peer: '10.0.0.1:9095', reason: 'connection refused' });
};

test('members that cannot be reached are looked for, and asked once more; nothing counts twice', async () => {
  const ring = new TestRing();
  ring.set([ringOf(membersOf(3, 3), 16, 3)]);
  const members = new Map([0, 1, 2].map((n) => [id(n), new TestReplica()]));
  const clock = new ManualClock();
  const sought: (readonly string[])[] = [];
  let found = () => {};
  const seek = async (ids: readonly string[]) => {
    sought.push([...ids].sort());
    found();
  };
  const ingesters = new ReplicatedIngesters({ ring, member: (each) => members.get(each), seek, clock });
  const [a, b, c] = [0, 1, 2].map((n) => members.get(id(n))!);
  for (const each of [a, b, c]) each!.items.add('x');
  a!.trouble = away;
  b!.trouble = away;
  found = () => {
    b!.trouble = () => {};
  };
  const stats = await ingesters.headStats('t', 10, signal);
  assert.deepEqual([stats?.series, sought], [1, [[id(0), id(1)]]]);

  // those that stay away fail it when its time is over, and what is wrong with the request at once
  b!.trouble = away;
  found = () => {};
  sought.length = 0;
  const read = ingesters.headStats('t', 10, signal);
  const settled = assert.rejects(read, /of 3 ingesters.*cannot be reached/);
  for (let i = 0; i < 80; i++) {
    await clock.turn();
    await clock.advance(50);
  }
  await settled;
  assert.ok(sought.length > 4 && sought.length < 12, `${sought.length} looks`);
  sought.length = 0;
  b!.trouble = fail;
  await assert.rejects(ingesters.headStats('t', 10, signal), /connection refused/);
  assert.deepEqual(sought, []);
  // nor does it outlive the query
  await clock.advance(2_100);
  b!.trouble = away;
  const query = new AbortController();
  found = () => query.abort(new Error('the query is over'));
  await assert.rejects(ingesters.headStats('t', 10, query.signal), /the query is over/);
});

test('members that were looked for in vain are looked for by one read at a time, until one answers', async () => {
  const ring = new TestRing();
  ring.set([ringOf(membersOf(3, 3), 16, 3)]);
  const members = new Map([0, 1, 2].map((n) => [id(n), new TestReplica()]));
  const clock = new ManualClock();
  let looks = 0;
  const seek = async () => void looks++;
  const ingesters = new ReplicatedIngesters({ ring, member: (each) => members.get(each), seek, clock });
  const [a, b] = [0, 1].map((n) => members.get(id(n))!);
  /** A read that fails. @returns looks, and how long it took */
  const fails = async () => {
    const [before, startMs] = [looks, clock.monotonicMs()];
    let isOver = false;
    const read = assert.rejects(ingesters.headStats('t', 10, signal), /cannot be reached/).finally(() => {
      isOver = true;
    });
    for (let i = 0; i < 8; i++) await clock.turn();
    while (!isOver) await clock.advance(50);
    await read;
    return [looks - before, clock.monotonicMs() - startMs] as const;
  };
  for (const each of [a, b]) each!.trouble = away;
  assert.ok((await fails())[0] > 4);
  for (let i = 0; i < 10; i++) assert.deepEqual(await fails(), [0, 0]);
  await clock.advance(2_100);
  // one looks, and others do not wait for it: time stands still
  const before = looks;
  const first = assert.rejects(ingesters.headStats('t', 10, signal), /cannot be reached/);
  for (let i = 0; i < 8; i++) await clock.turn();
  assert.equal(looks, before + 1);
  await assert.rejects(ingesters.headStats('t', 10, signal), /cannot be reached/);
  for (let i = 0; i < 80; i++) await clock.advance(50);
  await first;
  assert.deepEqual(await fails(), [0, 0]);
  // one that answers is looked for when it is away again
  a!.trouble = () => {};
  await ingesters.headStats('t', 10, signal);
  a!.trouble = away;
  assert.ok((await fails())[0] > 4);
});
