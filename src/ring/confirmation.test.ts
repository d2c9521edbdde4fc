import assert from 'node:assert/strict';
import { test } from 'node:test';
import { confirmedNumber, lostBelow, nextFloor } from './confirmation.ts';
import { changed } from './placement.ts';
import { childOf, memberOf, membersOf, ringOf } from './test-ring.ts';
import { ownersOf, type RingVersion } from './version.ts';

const id = (number: number) => memberOf(number, 0).id;

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
