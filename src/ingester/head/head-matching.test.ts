import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scratchFolder } from '../../../test/harness/scratch-folder.ts';
import type { HeadMatcher } from '../../contract/ingester.ts';
import { systemClock } from '../../lib/clock.ts';
import { seededRandom } from '../../lib/random.ts';
import { decodeLabels, encodeLabels } from '../../model/canonical.ts';
import { Labels } from '../../model/labels.ts';
import { labelsHash } from '../../model/labels-hash.ts';
import type { MatchTurn } from '../../model/match-turn.ts';
import { LabelMatcher, type MatchOp } from '../../model/matcher.ts';
import { type SeriesShard, shardHas } from '../../model/series-shard.ts';
import { SliceView } from '../../wire/slices.ts';
import { realDisk } from '../log/disk.ts';
import { Shard } from '../shard/shard.ts';
import type { ShardRole } from '../shard/shard-messages.ts';
import { shardRole } from '../shard/shard-role.ts';
import { testFrames } from '../shard/test-frames.ts';
import { HeadMatching } from './head-matching.ts';
import { KeptMatches, matchersKey } from './kept-matches.ts';
import { MatchTurns } from './match-turns.ts';
import { RefList } from './tenant-index.ts';

const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0, exemplarsMax: 100 };
const EVERYTHING = { startMs: -1e15, endMs: 1e15, labelsOnly: false };

async function openShard(): Promise<{ shard: Shard; role: ShardRole }> {
  const shard = new Shard({
    folder: scratchFolder('matching'),
    windowMs: 60_000,
    headBytesMax: 1e9,
    fsync: 'interval',
    fsyncIntervalMs: 1000,
    keepFlushedMs: 900_000,
    disk: realDisk,
    clock: systemClock,
    log: () => {},
    fatal: (error) => assert.fail(error),
  });
  await shard.ready;
  return { shard, role: shardRole(shard, systemClock) };
}

/** As a querier sends it. */
function planned(name: string, op: MatchOp, value: string): HeadMatcher {
  const { regex } = LabelMatcher.of(name, op, value);
  return regex === undefined ? { name, op, value } : { name, op, value, plan: structuredClone(regex.plan) };
}

async function push(shard: Shard, labels: readonly Record<string, string>[], timeMs = 1000): Promise<void> {
  for (let at = 0; at < labels.length; at += 1000) {
    const some = labels.slice(at, at + 1000).map((each) => ({ labels: each, samples: [[timeMs, 1]] as const }));
    await shard.push('t', testFrames(some), LIMITS);
  }
}

/** The values of `id` of the series that match. */
async function found(role: ShardRole, matchers: readonly HeadMatcher[], of?: SeriesShard): Promise<string[]> {
  const ids: string[] = [];
  let { cursor, bytes } = (await role.select({ tenant: 't', matchers, shard: of, ...EVERYTHING })).value;
  for (;;) {
    for (const one = new SliceView(bytes); one.next(); ) {
      ids.push(decodeLabels(bytes, one.labelsFrom, one.labelsTo).get('id'));
    }
    if (cursor === 0) return ids.sort();
    ({ cursor, bytes } = (await role.selectNext({ cursor })).value);
  }
}

/** Counts the rounds of the event loop until it is told to stop. */
function countRounds(): () => number {
  let rounds = 0;
  let runs = true;
  const next = () => {
    rounds++;
    if (runs) setImmediate(next);
  };
  next();
  return () => {
    runs = false;
    return rounds;
  };
}

const EVIL = '(?:[a-m].?|[n-z]..?|[0-9]?){600}(?:[a-c].?|[d-z]..?|[0-9]?){600}[!]';

test('an expression that takes long to match lets others work, and ends with its caller', async () => {
  const { shard, role } = await openShard();
  const random = seededRandom(5);
  const text = (length: number) => Array.from({ length }, () => ((random() * 36) | 0).toString(36)).join('');
  await push(
    shard,
    Array.from({ length: 20 }, (_, i) => ({ __name__: 'evil', id: String(i), v: text(40) })),
  );
  const matchers = [planned('__name__', '=', 'evil'), planned('v', '=~', EVIL)];
  const stop = countRounds();
  const cpu = process.cpuUsage();
  assert.deepEqual(await found(role, matchers), []);
  const usedMs = process.cpuUsage(cpu).user / 1000;
  assert.ok(stop() > usedMs / 20, 'at least a round for every 20 ms of work');

  await push(
    shard,
    Array.from({ length: 500 }, (_, i) => ({ __name__: 'evil', id: `more-${i}`, v: text(2000) })),
  );
  const caller = new AbortController();
  const call = { signal: caller.signal, begin() {} };
  const asked = role.select({ tenant: 't', matchers, ...EVERYTHING }, call);
  const label = role.labels({ tenant: 't', matchers: [matchers], ...EVERYTHING }, call);
  setTimeout(() => caller.abort(new Error('gone')), 50);
  await Promise.all([assert.rejects(asked, /gone/), assert.rejects(label, /gone/)]);
  assert.equal(shard.head.holdRefs, false);
  // the others' turn
  assert.equal((await found(role, [planned('id', '=~', 'more-1.*')])).length, 111);
  await shard.close({ checkpoint: false });
});

test('readers that take turns with each other and with writes find what they would find alone', async () => {
  const { shard, role } = await openShard();
  const random = seededRandom(11);
  const all = Array.from({ length: 40_000 }, (_, i) => ({
    __name__: `m_${i % 3}`,
    id: String(i),
    a: `a-${(random() * 5000) | 0}`,
    ...(i % 4 === 0 ? {} : { b: `b-${(random() * 100) | 0}` }),
  }));
  await push(shard, all);
  const sets: [string, MatchOp, string][][] = [
    [
      ['a', '=~', 'a-(1|2).*9'],
      ['b', '!~', 'b-[0-4]'],
    ],
    [
      ['__name__', '=', 'm_1'],
      ['b', '=', ''],
      ['a', '!~', '.*[13579]'],
    ],
    [
      ['__name__', '=~', 'm_.'],
      ['a', '=~', 'a-1.*|a-2.*|.*7'],
      ['b', '=', 'b-7'],
    ],
    [
      ['a', '!=', 'a-7'],
      ['b', '=~', '(b-1)?'],
      ['id', '=~', '.*(11|22|33).*'],
    ],
  ];
  const asked = sets.map((set) =>
    found(
      role,
      set.map((each) => planned(...each)),
    ),
  );
  // they do not see what comes meanwhile, or they do: it has no id that counts
  await push(
    shard,
    Array.from({ length: 5000 }, (_, i) => ({ __name__: 'other', id: 'none', z: String(i) })),
  );
  for (const [i, set] of sets.entries()) {
    const matchers = set.map((each) => LabelMatcher.of(...each));
    const want = all
      .filter((labels: Record<string, string>) => matchers.every((each) => each.matches(labels[each.name] ?? '')))
      .map(({ id }) => id);
    assert.deepEqual(
      (await asked[i]!).filter((id) => id !== 'none'),
      want.sort(),
    );
  }
  const names = await role.labels({ tenant: 't', matchers: [], ...EVERYTHING });
  assert.deepEqual([...names].sort(), ['__name__', 'a', 'b', 'id', 'z']);
  const values = await role.labels({
    tenant: 't',
    name: 'b',
    matchers: [[planned('__name__', '=', 'm_1')], [planned('__name__', '=', 'm_2')]],
    ...EVERYTHING,
  });
  assert.equal(values.length, 100);
  await shard.close({ checkpoint: false });
});

test('a long list of alternatives is not compiled by the shard', async () => {
  const { shard, role } = await openShard();
  await push(
    shard,
    Array.from({ length: 300 }, (_, i) => ({ __name__: 'up', id: String(i), ip: `10.0.${i >> 8}.${i & 255}:9100` })),
  );
  const ips = Array.from({ length: 200_000 }, (_, i) => `10\\.${i >> 16}\\.${(i >> 8) & 255}\\.${i & 255}:9100`);
  const plan = planned('ip', '=~', ips.slice(1).join('|'));
  assert.equal(plan.plan?.program, undefined);
  assert.equal((await found(role, [plan])).length, 299);
  await shard.close({ checkpoint: false });
});

test('tenants have their turns one after another, whoever asks most', async () => {
  const turns = new MatchTurns(systemClock);
  const order: string[] = [];
  const work = async (tenant: string) => {
    const turn = turns.begin(tenant);
    for (let i = 0; i < 3; i++) {
      await turn.pause();
      order.push(tenant);
    }
  };
  await Promise.all([work('a'), work('a'), work('a'), work('b')]);
  assert.ok(order.lastIndexOf('b') <= 6, order.join(''));
});

test('a shard of the series has those whose hash is its own, and the shards have all', async () => {
  const { shard, role } = await openShard();
  const series = Array.from({ length: 3000 }, (_, i) => ({ __name__: 'm', id: `${i}`, odd: `${i % 2}` }));
  await push(shard, series);
  for (const count of [1, 2, 3, 4, 6, 16]) {
    const all: string[] = [];
    for (let index = 0; index < count; index++) {
      const of = { index, count };
      const ids = await found(role, [planned('odd', '=~', '1')], of);
      const own = series.filter(
        ({ odd, ...labels }) => odd === '1' && shardHas(of, labelsHash(encodeLabels(Labels.of({ odd, ...labels })))),
      );
      assert.deepEqual(ids, own.map(({ id }) => id).sort());
      all.push(...ids);
    }
    assert.equal(all.length, 1500);
  }
  await shard.close({ checkpoint: false });
});

test('what was matched before is not looked at again, and series that come and go are seen', async () => {
  const { shard, role } = await openShard();
  const series = (from: number, to: number, name = 'm') =>
    Array.from({ length: to - from }, (_, i) => ({ __name__: name, id: `${from + i}`, odd: `${(from + i) % 2}` }));
  const odds = (from: number, to: number) =>
    series(from, to)
      .filter(({ odd }) => odd === '1')
      .map(({ id }) => id)
      .sort();
  await push(shard, series(0, 10_000));
  const matchers = [planned('__name__', '=', 'm'), planned('odd', '=~', '1|3')];
  const matching = new HeadMatching(shard.head);
  const stepsOf = async () => {
    const turn: MatchTurn = { steps: 0, isDue: () => false, pause: async () => {} };
    const refs = await matching.select(shard.head.tenant('t')!, matchers, -1e15, 1e15, turn);
    return { steps: -turn.steps, count: refs.length };
  };
  const first = await stepsOf();
  assert.equal(first.count, 5000);
  const again = await stepsOf();
  assert.equal(again.count, 5000);
  assert.ok(again.steps < first.steps / 2, `${again.steps} steps of ${first.steps}`);
  await push(shard, series(10_000, 10_100));
  assert.equal((await stepsOf()).count, 5050);
  assert.deepEqual(await found(role, matchers), odds(0, 10_100));

  await role.deleteTenant({ tenant: 't' });
  assert.deepEqual(await found(role, matchers), []);
  await push(shard, series(300, 400));
  assert.deepEqual(await found(role, matchers), odds(300, 400));
  await shard.close({ checkpoint: false });
});

test('long patterns, of which only the plan travels, are not taken for one another', async () => {
  const { shard, role } = await openShard();
  await push(shard, [
    { __name__: 'm', id: '1', ip: 'a' },
    { __name__: 'm', id: '2', ip: 'b' },
  ]);
  const others = Array.from({ length: 1000 }, (_, i) => `10\\.0\\.0\\.${i}:9100`).join('|');
  const matched = (last: string) => {
    const sent = { ...planned('ip', '=~', `${others}|${last}`), value: '' };
    return found(role, [planned('__name__', '=', 'm'), sent]);
  };
  assert.deepEqual(await matched('a'), ['1']);
  assert.deepEqual(await matched('b'), ['2']);
  assert.deepEqual(await matched('c'), []);
  await shard.close({ checkpoint: false });
});

test('matches that are kept are of the same series only, and bounded', () => {
  const kept = new KeptMatches();
  const list = new RefList();
  for (let ref = 0; ref < 1000; ref++) list.push(ref);
  const put = (key: string) =>
    kept.put(key, { list, removals: list.removals, looked: list.length, refs: new Uint32Array(1000) });
  put('a');
  assert.equal(kept.get('a', list)?.looked, 1000);
  assert.equal(kept.get('a', new RefList()), undefined, 'another list of the same metric');
  put('a');
  list.removeWhere((ref) => ref === 7);
  assert.equal(kept.get('a', list), undefined, 'one of its series went');
  for (let i = 0; i < 5000; i++) {
    put(`${i}`);
    kept.get('0', list);
  }
  assert.ok(kept.get('0', list) !== undefined, 'asked for again and again');
  assert.equal(kept.get('1', list), undefined);
});

test('several selects in one message are answered as by themselves, and one that fails fails alone', async () => {
  const { shard, role } = await openShard();
  await push(
    shard,
    Array.from({ length: 100 }, (_, i) => ({ __name__: 'm', id: `${i}`, v: `${i % 3}` })),
  );
  const of = (value: string) => ({ tenant: 't', matchers: [planned('v', '=', value)], ...EVERYTHING });
  const wrong = { ...of('1'), shard: { index: 5, count: 3 } };
  const { value } = await role.selects({ requests: [of('0'), wrong, of('2'), of('none')] });
  const idsOf = (bytes: Uint8Array) => {
    const ids: string[] = [];
    for (const one = new SliceView(bytes); one.next(); )
      ids.push(decodeLabels(bytes, one.labelsFrom, one.labelsTo).get('id'));
    return ids.sort();
  };
  const plain = await Promise.all(['0', '2', 'none'].map((v) => found(role, [planned('v', '=', v)])));
  assert.deepEqual(
    value.map((slice) => slice && idsOf(slice.bytes)),
    [plain[0], undefined, plain[1], plain[2]],
  );
  await shard.close({ checkpoint: false });
});

test('matchers that say other things have other keys, whatever characters they have', () => {
  const one = matchersKey([{ name: 'a', op: '=', value: 'x\0b\0=\0y' }]);
  const two = matchersKey([
    { name: 'a', op: '=', value: 'x' },
    { name: 'b', op: '=', value: 'y' },
  ]);
  assert.notEqual(one, two);
  assert.notEqual(
    matchersKey([{ name: 'a', op: '=', value: '1:b' }]),
    matchersKey([{ name: 'a=3:1', op: '=', value: 'b' }]),
  );
  assert.equal(matchersKey([{ name: 'a', op: '=', value: 'x'.repeat(2000) }]), undefined);
});
