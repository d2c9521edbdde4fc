import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asksOf, confirmedNumber, lostBelow, nextFloor } from './confirmation.ts';
import { changed } from './placement.ts';
import { writeQuorum } from './quorum.ts';
import { childOf, memberOf, membersOf, ringOf } from './test-ring.ts';
import { ownersOf, type RingVersion } from './version.ts';

const id = (number: number) => memberOf(number, 0).id;

/** Each sub-list of a list. */
function* subsets<T>(of: readonly T[]): Generator<T[]> {
  for (let mask = 0; mask < 2 ** of.length; mask++) yield of.filter((_, i) => (mask >> i) & 1);
}

/** Four members of RF 3; then a fifth joins; then the first leaves. */
function chain(): [RingVersion, RingVersion, RingVersion] {
  const first = ringOf(membersOf(4, 0), 16, 3);
  const second = childOf(first, changed({ kind: 'join', member: memberOf(4, 0) }, { since: [first] }));
  const third = childOf(second, changed({ kind: 'remove', id: id(0) }, { since: [second] }));
  return [first, second, third];
}

const said = (number: number, ...members: number[]) => new Map(members.map((n) => [id(n), number]));

test('a version counts when all its members have it, for every state in which five members may be', () => {
  const [first, second, third] = chain();
  for (let state = 0; state < 3 ** 5; state++) {
    const confirmations = new Map([0, 1, 2, 3, 4].map((n) => [id(n), 1 + (Math.floor(state / 3 ** n) % 3)]));
    const has = (numbers: number[], version: number) => numbers.every((n) => confirmations.get(id(n))! >= version);
    // the first was taken out since: it need not have confirmed
    const expected = has([1, 2, 3, 4], 3) ? 3 : has([0, 1, 2, 3, 4], 2) ? 2 : 1;
    assert.equal(confirmedNumber([first, second, third], confirmations), expected);
  }
  assert.equal(confirmedNumber([first, second], new Map()), 1);
});

test('a reader asks the newest owners, and older ones until a quorum of them said that the store has all', () => {
  const [first, second] = chain();
  const arc = [...Array(16).keys()].find((each) => ownersOf(second, each).includes(id(4)))!;
  const [old, now] = [ownersOf(first, arc), ownersOf(second, arc)];
  const both = [
    { version: 2, owners: now, quorum: 2 },
    { version: 1, owners: old, quorum: 2 },
  ];
  assert.deepEqual(asksOf([first, second], new Map(), arc), both);
  assert.deepEqual(asksOf([first, second], new Map([[old[0]!, 1]]), arc), both);
  assert.deepEqual(
    asksOf(
      [first, second],
      new Map([
        [old[0]!, 1],
        [old[1]!, 1],
      ]),
      arc,
    ),
    both.slice(0, 1),
  );
  // the newest is asked whatever they said
  assert.equal(asksOf([second], new Map(now.map((each) => [each, 9])), arc).length, 1);
  // an arc that did not move has one set of owners
  const still = [...Array(16).keys()].find((each) => !ownersOf(second, each).includes(id(4)))!;
  const once = asksOf([first, second], new Map(), still);
  assert.deepEqual(
    once.map(({ version }) => version),
    [2],
  );
});

test('whoever kept an acknowledged write and still owes it to the store is asked, in every case', () => {
  const [first, second, third] = chain();
  const versions = [first, second, third];
  for (const arc of [0, 3, 7, 12]) {
    for (const [at, version] of versions.entries()) {
      const owners = ownersOf(version, arc);
      for (const wrote of subsets(owners)) {
        if (wrote.length < writeQuorum(3)) continue;
        for (const said of subsets([0, 1, 2, 3, 4].map(id))) {
          const words = new Map(said.map((each) => [each, version.number]));
          // the store has it where one of those that wrote it said so
          if (wrote.some((each) => said.includes(each))) continue;
          const asks = asksOf(versions.slice(0), words, arc);
          // some set of owners that is asked meets the write in each of its quorums
          const met = asks.some(({ owners: asked, quorum }) =>
            [...subsets(asked)]
              .filter((some) => some.length >= quorum)
              .every((some) => some.some((o) => wrote.includes(o))),
          );
          assert.ok(met, `arc ${arc}, version ${at + 1}, wrote ${wrote}, said ${said}`);
        }
      }
    }
  }
});

test('the floor rises over versions that nobody has to ask, never over the confirmed one', () => {
  const [first, second, third] = chain();
  const all = [first, second, third];
  assert.equal(nextFloor(all, new Map(), 3), 1);
  assert.equal(nextFloor(all, said(1, 0, 1, 2, 3), 3), 2);
  assert.equal(nextFloor(all, said(2, 0, 1, 2, 3, 4), 3), 3);
  assert.equal(nextFloor(all, said(2, 0, 1, 2, 3, 4), 2), 2);
  assert.equal(nextFloor(all, said(3, 0, 1, 2, 3, 4), 1), 1);
  // of four members with three owners an arc, one that says nothing leaves two of each arc
  assert.equal(nextFloor(all, said(1, 1, 2, 3), 3), 2);
  assert.equal(nextFloor(all, said(1, 2, 3), 3), 1);
});

test('an owner that an operator gave up counts as having said it, for versions before that', () => {
  const first = ringOf(membersOf(4, 0), 16, 3);
  const remove = { kind: 'remove', id: id(0) } as const;
  const second = childOf(first, changed(remove, { since: [first], force: true }));
  const arc = [...Array(16).keys()].find((each) => ownersOf(first, each).includes(id(0)))!;
  const other = ownersOf(first, arc).find((each) => each !== id(0))!;
  assert.equal(asksOf([first, second], new Map([[other, 1]]), arc).length, 1);
  const unforced = childOf(first, changed(remove, { since: [first] }));
  assert.equal(asksOf([first, unforced], new Map([[other, 1]]), arc).length, 2);
});

test('the floor stays below a version of which one was given up until all others have said it', () => {
  const first = ringOf(membersOf(4, 0), 16, 3);
  const remove = { kind: 'remove', id: id(0) } as const;
  const second = childOf(first, changed(remove, { since: [first], force: true }));
  const chain = [first, second];
  assert.equal(
    nextFloor(chain, said(1, 1, 2), 2),
    1,
    'one owner of some arc may hold what the other, which is given up, had as well',
  );
  assert.equal(nextFloor(chain, said(1, 1, 2, 3), 2), 2);
});

test('who was given up is told of when its version is forgotten, where no quorum of the others had the samples, for a week', () => {
  const nowMs = Date.UTC(2026, 0, 2);
  const first = ringOf(membersOf(4, 0), 16, 3);
  const arc = 0;
  const [one, two, three] = ownersOf(first, arc) as [string, string, string];
  const giveUp = (parent: RingVersion, gone: string, atMs: number) =>
    childOf(parent, changed({ kind: 'remove', id: gone }, { since: [parent], force: true, nowMs: atMs }));
  const second = giveUp(first, one, nowMs);
  const words = new Map(membersOf(4, 0).map((each) => [each.id, each.id === one ? 0 : 1]));
  assert.deepEqual(
    lostBelow([first, second], words, { floor: 2, nowMs }),
    [],
    'two of three said that the store has all',
  );

  const third = giveUp(second, two, nowMs + 1);
  const both = [first, second, third];
  const left = new Map([...words, [two, 0], [three, 2]]);
  assert.deepEqual(lostBelow(both, left, { floor: 1, nowMs }), [], 'readers still ask under all versions');
  const lost = [
    { id: one, atMs: nowMs },
    { id: two, atMs: nowMs + 1 },
  ].sort((a, b) => (a.id < b.id ? -1 : 1));
  assert.deepEqual(lostBelow(both, left, { floor: 3, nowMs }), lost);

  const fourth = childOf(third, { floor: 4, lost });
  assert.deepEqual(lostBelow([fourth], left, { floor: 4, nowMs: nowMs + 6 * 86_400_000 }), lost, 'carried on');
  assert.deepEqual(lostBelow([fourth], left, { floor: 4, nowMs: nowMs + 8 * 86_400_000 }), []);
});
