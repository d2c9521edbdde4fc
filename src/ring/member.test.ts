import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeRow } from './row.ts';
import { type Broken, TestWorld } from './test-world.ts';

async function begun(members: number, seed = 1): Promise<TestWorld> {
  const world = new TestWorld(seed);
  for (let i = 0; i < members; i++) world.add();
  await world.run(30_000);
  return world;
}

const numberOf = (world: TestWorld) => world.followers[0]!.ring.current()?.newest.number;

test('members without history begin a ring, and others join it one by one', async () => {
  const world = new TestWorld(1);
  world.add();
  world.add();
  await world.run(60_000);
  assert.equal(numberOf(world), undefined, 'two are too few');
  world.add();
  await world.run(30_000);
  const view = world.followers[0]!.ring.current()!;
  assert.equal(view.newest.number, 1);
  assert.equal(view.confirmed, 1);
  assert.equal(view.newest.members.length, 3);
  const secrets = new Set(world.nodes.map(({ member }) => Buffer.from(member!.secret!).toString('hex')));
  assert.equal(secrets.size, 1, 'all have the secret of the cluster');
  world.add();
  world.add();
  await world.run(20_000);
  const grown = world.followers[0]!.ring.current()!;
  assert.deepEqual([grown.newest.number, grown.confirmed, grown.newest.members.length], [3, 3, 5]);
  for (const { member } of world.nodes) assert.equal(member!.current()!.hash, grown.hash);
  await world.end();
});

test('a member that drains owns nothing, and leaves when the store has all that it held', async () => {
  const world = await begun(5);
  const node = world.nodes[1]!;
  const { member } = node;
  member!.drain();
  await world.run(30_000);
  const view = world.followers[0]!.ring.current()!;
  const indexes = view.newest.members.findIndex(({ id }) => id === member!.id);
  assert.equal(view.newest.members[indexes]?.state, 'draining');
  assert.ok(!view.newest.owners.includes(indexes));
  assert.equal(member!.writeGate(view.confirmed), 'it drains');
  assert.equal(member!.readGate(), undefined);
  member!.giveWord(member!.refusedUpTo());
  member!.leave();
  await world.run(30_000);
  assert.equal(world.followers[0]!.ring.current()!.newest.members.length, 4);
  assert.equal(world.followers[0]!.ring.current()!.words.get(member!.id), view.newest.number, 'its word stays');
  await world.end();
});

test('a member that drains and is asked to stay has arcs again, and drains on after a restart where it is not', async () => {
  const world = await begun(5);
  const node = world.nodes[1]!;
  const { id } = node.member!;
  const state = () => world.followers[0]!.ring.current()!.newest.members.find((each) => each.id === id)?.state;
  await world.nodes[0]!.member!.change({ kind: 'drain', id });
  await world.run(30_000);
  assert.equal(node.member!.wants, 'drain', 'the wish of an operator elsewhere is its own');
  await world.crash(node);
  world.begin(node);
  await world.run(60_000);
  assert.deepEqual([state(), node.member!.standing], ['draining', 'drained']);
  node.member!.join();
  await world.run(30_000);
  const { newest, confirmed } = world.followers[0]!.ring.current()!;
  assert.deepEqual([state(), node.member!.standing, confirmed], ['active', 'member', newest.number]);
  const own = newest.members.findIndex((each) => each.id === id);
  assert.ok(newest.owners.filter((owner) => owner === own).length >= 8, 'half of what its zone has');
  assert.equal(node.member!.writeGate(confirmed), undefined);
  await world.end();
});

test('a member that an operator elsewhere gives arcs again keeps them, unless it has asked for them itself and drains anew', async () => {
  const world = await begun(5);
  const { member } = world.nodes[1]!;
  const { id } = member!;
  const state = () => world.followers[0]!.ring.current()!.newest.members.find((each) => each.id === id)?.state;
  const change = (kind: 'drain' | 'return') => world.nodes[0]!.member!.change({ kind, id });
  await change('drain');
  await world.run(30_000);
  await change('return');
  await world.run(60_000);
  assert.deepEqual([state(), member!.wants, member!.standing], ['active', 'join', 'member']);
  member!.drain();
  await world.run(30_000);
  assert.equal(state(), 'draining');
  // back and forth before it has them
  member!.join();
  await world.run(1000, 1000);
  await change('return').catch(() => {});
  member!.drain();
  await world.run(60_000);
  assert.deepEqual([state(), member!.wants], ['draining', 'drain']);
  await world.end();
});

test('a member that drained and stays takes no writes of the versions that it said it refuses', async () => {
  const world = await begun(5);
  const { member } = world.nodes[1]!;
  const active = numberOf(world)!;
  assert.equal(member!.writeGate(active), undefined);
  member!.drain();
  await world.run(30_000);
  // noted with what is owed by then: a word follows when the store has that
  const noted = member!.refusedUpTo();
  assert.equal(noted, active + 1);
  member!.join();
  await world.run(30_000);
  const { newest, confirmed } = member!.current()!;
  assert.deepEqual([member!.standing, confirmed], ['member', newest.number]);
  assert.equal(member!.writeGate(confirmed), undefined);
  assert.equal(member!.writeGate(active), `version ${active} of the ring is too old`);
  assert.equal(member!.refusedUpTo(), noted);
  member!.giveWord(noted);
  await world.run(30_000);
  assert.equal(world.followers[0]!.ring.current()!.words.get(member!.id), noted);
  await world.end();
});

test('versions below the floor and rows of those that are gone are removed from the store', async () => {
  const world = await begun(5);
  const gone = world.nodes[4]!;
  const { id } = gone.member!;
  gone.member!.drain();
  await world.run(30_000);
  world.flush(gone);
  await world.run(30_000);
  assert.equal(gone.member!.standing, 'out');
  await world.crash(gone);
  await world.run(400_000);
  for (const node of world.nodes) world.flush(node);
  await world.run(120_000);
  const { newest, chain } = world.followers[0]!.ring.current()!;
  assert.ok(newest.floor >= 3, `floor ${newest.floor}`);
  assert.ok(world.kv.saved().has(`ring/member/${id}`), 'as long as it may only be away');
  await world.run(900_000, 5000);
  const keys = [...world.kv.saved().keys()];
  assert.equal(keys.filter((key) => key.startsWith('ring/version/')).length, chain.length);
  assert.ok(!keys.includes(`ring/member/${id}`));
  assert.equal(keys.filter((key) => key.startsWith('ring/member/')).length, 4);
  // who comes back does not take it for a store that lost something
  world.begin(gone);
  await world.run(60_000);
  assert.equal(world.followers[0]!.ring.current()!.newest.members.length, 5);
  await world.end();
});

test('who starts learns that a version counts from any member, though the row of a dead one is lost', async () => {
  const world = await begun(4);
  const before = numberOf(world)!;
  await world.crash(world.nodes[3]!);
  world.kv.restore(new Map());
  await world.run(60_000);
  const rows = [...world.kv.saved().keys()].filter((key) => key.startsWith('ring/member/'));
  assert.equal(rows.length, 3, 'nobody puts the row of the dead one back');
  const late = world.follow();
  await world.run(30_000);
  assert.deepEqual([late.ring.current()?.newest.number, late.ring.current()?.confirmed], [before, before]);
  await world.end();
});

test('who starts beside a store that lacks a version takes none above it, until a member has put it back', async () => {
  const world = await begun(3);
  world.add();
  world.add();
  await world.run(30_000);
  const { chain, hash } = world.followers[0]!.ring.current()!;
  assert.deepEqual([chain.length, chain[2]?.floor], [3, 1]);
  for (const lacking of ['lost', 'damaged']) {
    const entries = new Map(world.kv.saved());
    const key = `ring/version/${chain[2]!.parent}`;
    const entry = entries.get(key)!;
    if (lacking === 'lost') entries.delete(key);
    else entries.set(key, { ...entry, value: entry.value.with(20, entry.value[20]! ^ 1) });
    world.kv.restore(entries);
    const late = world.follow();
    await world.run(1000, 1000);
    assert.equal(late.ring.current(), undefined, `${lacking}: owners under version 1 may have what nobody else has`);
    await world.run(90_000);
    assert.deepEqual([late.ring.current()?.hash, late.ring.current()?.chain.length], [hash, 3], lacking);
  }
  await world.end();
});

test('the word of one that left is put back where the store lost it', async () => {
  const world = await begun(5);
  const early = world.kv.saved();
  const gone = world.nodes[4]!;
  const { id } = gone.member!;
  gone.member!.drain();
  await world.run(30_000);
  world.flush(gone);
  await world.run(30_000);
  const word = world.followers[0]!.ring.current()!.words.get(id);
  assert.ok(word !== undefined && gone.member!.standing === 'out');
  await world.crash(gone);
  for (const entries of [new Map(), early]) {
    world.kv.restore(entries);
    await world.run(30_000);
    const late = world.follow();
    await world.run(10_000);
    assert.equal(late.ring.current()?.words.get(id), word);
  }
  await world.end();
});

test('of two processes with one folder the one that was started first takes nothing any more', async () => {
  const world = await begun(4);
  const node = world.nodes[0]!;
  const first = node.member!;
  world.begin(node);
  await world.run(30_000);
  const number = numberOf(world)!;
  assert.match(String(first.writeGate(number)), /^another process is ingester-0-[0-9a-f]{12}, and was started later/);
  assert.match(String(first.readGate()), /^another process is/);
  assert.equal(node.member!.writeGate(number), undefined);
  await first.stop();
  await world.end();
});

test('nobody drains where fewer members than owners would be left', async () => {
  const world = await begun(3);
  world.nodes[0]!.member!.drain();
  await world.run(60_000);
  assert.equal(numberOf(world), 1);
  await world.end();
});

test('a member that is away too long is taken out; it comes back, serves nothing, and joins when its log is stored', async () => {
  const world = await begun(6);
  const node = world.nodes[2]!;
  const { id } = node.member!;
  node.held.add(1);
  await world.crash(node);
  await world.run(900_000);
  const isIn = () => world.followers[0]!.ring.current()!.newest.members.some((each) => each.id === id);
  assert.equal(isIn(), false);
  world.begin(node);
  await world.run(60_000);
  assert.equal(node.member!.id, id, 'the same member');
  assert.equal(isIn(), false, 'it joins when it has said so');
  assert.equal(node.member!.readGate(), 'it is no member of the ring any more');
  assert.equal(node.member!.writeGate(numberOf(world)!), 'it is no member of the ring');
  node.member!.giveWord(node.member!.refusedUpTo());
  node.member!.join();
  await world.run(60_000);
  assert.equal(isIn(), true);
  await world.end();
});

test('nobody is taken out while another owner of its arcs is away too, or the heartbeats of who would do it are not written', async () => {
  const world = await begun(3);
  world.add();
  await world.run(30_000);
  const before = numberOf(world);
  await world.crash(world.nodes[0]!);
  await world.crash(world.nodes[1]!);
  await world.run(3_600_000, 30_000);
  assert.equal(numberOf(world), before);
  await world.end();

  const frozen = await begun(5);
  const [first, ...others] = frozen.nodes;
  const versionBefore = numberOf(frozen);
  // all but one stand still for hours; the store is away for all of it
  frozen.kv.isAway = true;
  for (const each of others) each.isPaused = true;
  await frozen.run(7_200_000, 60_000);
  frozen.kv.isAway = false;
  await frozen.run(10_000);
  for (const each of others) each.isPaused = false;
  await frozen.run(60_000);
  assert.equal(numberOf(frozen), versionBefore);
  assert.equal(first!.member!.lastError, undefined);
  await frozen.end();
});

test('an empty folder under the name of a member is another member, and takes the arcs of the one before', async () => {
  const world = await begun(4);
  const node = world.nodes[0]!;
  const { id } = node.member!;
  await world.crash(node);
  node.disk.files.clear();
  world.begin(node);
  assert.notEqual(node.member!.id, id);
  await world.run(120_000);
  const ids = world.followers[0]!.ring.current()!.newest.members.map((each) => each.id);
  assert.ok(ids.includes(node.member!.id) && !ids.includes(id));
  assert.equal(ids.length, 4);
  await world.end();
});

test('what the store lost is put back, and no version is made before all members have shown what they know', async () => {
  const world = await begun(4);
  const early = world.kv.saved();
  const before = numberOf(world)!;
  world.add();
  await world.run(30_000);
  const view = world.followers[0]!.ring.current()!;
  assert.equal(view.newest.number, before + 1);
  const away = world.nodes[3]!;
  away.isPaused = true;
  for (const entries of [new Map(), early]) {
    world.kv.restore(entries);
    await world.run(30_000);
    for (const { member } of world.nodes) assert.equal(member!.current()!.hash, view.hash);
    const { member } = world.nodes[0]!;
    const drain = member!.change({ kind: 'drain', id: world.nodes[1]!.member!.id });
    await assert.rejects(drain, new RegExp(`waiting for a heartbeat of ${away.member!.id}, or force it`));
  }
  away.isPaused = false;
  await world.run(30_000);
  await world.nodes[0]!.member!.change({ kind: 'drain', id: world.nodes[1]!.member!.id });
  await world.run(30_000);
  assert.equal(numberOf(world), before + 2);
  await world.end();
});

test('writes of a version are refused five minutes after the next one counts, and no sooner', async () => {
  const world = await begun(4);
  const { member } = world.nodes[0]!;
  const before = numberOf(world)!;
  world.add();
  await world.run(30_000);
  assert.equal(member!.current()!.confirmed, before + 1);
  assert.equal(member!.writeGate(before), undefined);
  assert.equal(member!.refusedUpTo() < before, true);
  member!.giveWord(before);
  await world.run(10_000);
  assert.equal(world.followers[0]!.ring.current()!.words.get(member!.id), undefined, 'no word while writes are taken');
  await world.run(290_000);
  assert.equal(member!.writeGate(before), `version ${before} of the ring is too old`);
  assert.equal(member!.writeGate(before + 1), undefined);
  assert.equal(member!.refusedUpTo(), before);
  for (const node of world.nodes) world.flush(node);
  await world.run(120_000);
  assert.equal(world.followers[0]!.ring.current()!.newest.floor, before + 1, 'the floor rises over what the store has');
  await world.end();
});

test('tenants that grow are spread by the sizes that members report', async () => {
  const world = await begun(3);
  const size = { series: 150_000, metrics: new Map([['large_total', 60_000]]) };
  for (const { member } of world.nodes)
    await member!.reportSizes(
      new Map([
        ['large', size],
        ['small', { series: 100, metrics: new Map() }],
      ]),
    );
  await world.run(120_000);
  const { tenants } = world.followers[0]!.ring.current()!.newest;
  assert.deepEqual([...tenants.keys()], ['large']);
  assert.deepEqual(tenants.get('large'), { buckets: 16, splits: new Map([['large_total', 16]]) });
  await world.end();
});

test('a log that is too old is refused until it is said to be taken, and a folder has one name', async () => {
  const world = await begun(3);
  const node = world.nodes[0]!;
  await world.crash(node);
  node.held.add(1);
  node.clock.setWall(node.clock.nowMs() + 31 * 86_400_000);
  assert.throws(() => world.begin(node), /above -ingester.wal-age-max \(2592000000 ms\)/);
  node.name = 'another';
  assert.throws(
    () => world.begin(node),
    /the data folder is that of ingester-0-[0-9a-f]{12}, and the member's name is now another/,
  );
  await world.end();
});

/** One seed: members come, go, stand still and are cut off, the store is away and goes back, while others write, read and flush. */
async function live(seed: number, broken?: Broken): Promise<TestWorld> {
  const world = new TestWorld(seed, broken, { heartbeatMs: 15_000 });
  const { random, kv, nodes, followers } = world;
  for (let i = 0; i < 4; i++) world.add();
  await world.run(60_000);
  const saved = [kv.saved()];
  const one = () => nodes[Math.floor(random() * nodes.length)]!;
  const isBad = () => nodes.some(({ member, isPaused }) => member === undefined || isPaused);
  try {
    for (let step = 0; step < 40; step++) {
      const node = one();
      const what = random();
      if (what < 0.1 && nodes.length < 7) world.add();
      else if (what < 0.15) node.member?.drain();
      else if (what < 0.25 && node.member !== undefined && !isBad()) await world.crash(node);
      else if (what < 0.35) for (const each of nodes) if (each.member === undefined) world.begin(each);
      if (what >= 0.35 && what < 0.45 && !isBad()) node.isPaused = true;
      else if (what < 0.55) for (const each of [...nodes, ...followers]) each.isPaused = false;
      else if (what < 0.65) followers[Math.floor(random() * 3)]!.isPaused = true;
      else if (what < 0.7) kv.isAway = random() < 0.5;
      else if (what < 0.75 && random() < 0.3)
        kv.restore(random() < 0.3 ? new Map() : saved[Math.floor(random() * saved.length)]!);
      else if (what < 0.9) for (const each of nodes) world.flush(each);
      for (const each of [...nodes, ...followers]) if (random() < 0.15) each.isCut = random() < 0.6;
      kv.lostAnswers = random() < 0.2 ? 0.2 : 0;
      for (let i = 0; i < 6; i++) await (random() < 0.5 ? world.write() : world.read());
      await world.run([1000, 20_000, 60_000, 400_000][Math.floor(random() ** 2 * 4)]!, 20_000);
      for (let i = 0; i < 6; i++) await (random() < 0.5 ? world.write() : world.read());
      world.checkVersions();
      saved.push(kv.saved());
    }
    // faults end: all know one version, it counts, and answers are whole
    kv.isAway = false;
    kv.lostAnswers = 0;
    for (const each of [...nodes, ...followers]) Object.assign(each, { isPaused: false, isCut: false });
    for (const each of nodes) if (each.member === undefined) world.begin(each);
    kv.wake();
    await world.run(400_000, 5000);
    for (const each of nodes) world.flush(each);
    await world.run(1_200_000, 20_000);
    const { hash, confirmed, newest } = followers[0]!.ring.current()!;
    for (const { member } of nodes) assert.equal(member!.current()!.hash, hash);
    assert.equal(confirmed, newest.number);
    const reads = world.reads;
    for (let i = 0; i < 10; i++) await world.read();
    assert.equal(world.reads, reads + 10);
    return world;
  } finally {
    await world.end();
  }
}

test('one that is given up does not join again before it has heard of it', async () => {
  const world = await begun(4);
  const [dead, other] = world.nodes;
  const { id } = dead!.member!;
  await world.crash(dead!);
  const isIn = () => world.followers[0]!.ring.current()!.newest.members.some((each) => each.id === id);
  await other!.member!.change({ kind: 'remove', id }, { force: true });
  await world.run(30_000);
  assert.ok(!isIn(), 'its row still says that it wishes to be a member');
  world.begin(dead!);
  await world.run(60_000);
  // it has heard of it, and owes nothing
  world.flush(dead!);
  await world.run(60_000);
  assert.ok(isIn());
  await world.end();
});

const SEEDS = Number(process.env.SEEDS ?? 4);
const FROM = Number(process.env.SEED ?? 1);

test(`acknowledged samples are in every whole answer, and all come to one version when faults end (${SEEDS} seeds)`, async () => {
  let [reads, acknowledged] = [0, 0];
  for (let seed = FROM; seed < FROM + SEEDS; seed++) {
    const world = await live(seed).catch((error) => {
      throw new Error(`seed ${seed}: ${error.message}`, { cause: error });
    });
    reads += world.reads;
    acknowledged += world.acknowledged.size;
  }
  assert.ok(reads > 50 * SEEDS && acknowledged > 30 * SEEDS, `${reads} reads, ${acknowledged} samples`);
});

for (const broken of ['reads of the newest version alone', 'versions go to nobody with requests'] as const) {
  test(`some seed finds it when a rule is broken: ${broken}`, async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const found = await live(seed, broken).then(
        () => false,
        (error: Error) => /acknowledged samples of tenant-\d are missing/.test(error.message),
      );
      if (found) return;
    }
    assert.fail('12 seeds found nothing');
  });
}

test('a row that its member hands over is news at once, and shows that it lives; what is none is left', async () => {
  const world = await begun(3);
  const [{ member }] = world.nodes as [(typeof world.nodes)[0]];
  const row = {
    ...member!.rows.get(member!.id)!,
    id: 'late-1a2b3c',
    boot: 'a',
    beat: 9,
    version: 0,
    hash: '',
    counts: 0,
  };
  const others = world.nodes.map((node) => node.member!);
  for (const other of others) {
    other.hearRow(Buffer.from('no row'));
    other.hearRow(encodeRow({ ...row, id: 'x'.repeat(300) }));
    other.hearRow(encodeRow(row));
    other.hearRow(encodeRow({ ...row, beat: 8, wants: 'nothing' }));
  }
  await world.run(10_000);
  const { newest } = world.followers[0]!.ring.current()!;
  assert.deepEqual([newest.number, newest.members.some(({ id }) => id === row.id)], [2, true]);
  assert.equal(member!.rows.get(row.id)?.wants, 'join');
  assert.deepEqual(
    [...member!.rows.keys()].filter((id) => id.startsWith('x')),
    [],
  );
  assert.equal(JSON.parse(Buffer.from(member!.toldRow!).toString()).id, member!.id);
  await world.end();
});
