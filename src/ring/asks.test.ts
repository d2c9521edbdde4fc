import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readAsks } from './asks.ts';
import { changed } from './placement.ts';
import { writeQuorum } from './quorum.ts';
import { metricHashOf, RingSlots } from './slots.ts';
import { childOf, memberOf, membersOf, ringOf } from './test-ring.ts';
import { encodeVersion, hashOfVersion, ownersOf, type RingVersion } from './version.ts';
import { RingView } from './view.ts';

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

/** The quorums that a read of an arc needs of one who knows these versions and words. */
function asksOf(chain: readonly RingVersion[], words: ReadonlyMap<string, number>, arc: number) {
  const newest = chain.at(-1)!;
  const slots = new RingSlots(newest);
  const tenant = Array.from({ length: 1000 }, (_, i) => `tenant-${i}`).find(
    (each) => slots.arcOf(each, metricHashOf('m'), 0) === arc,
  )!;
  const hash = hashOfVersion(encodeVersion(newest));
  const view = new RingView({ chain, hash, confirmed: newest.number, words, wordMs: 0 });
  return readAsks(view, tenant, ['m']).asks.map(({ version, owners, quorum }) => ({ version, owners, quorum }));
}

const wordsOf = (number: number, ids: readonly string[]) => new Map(ids.map((each) => [each, number]));

test('a reader asks the newest owners, and older ones until a quorum of them said that the store has all', () => {
  const [first, second] = chain();
  const arc = [...Array(16).keys()].find((each) => ownersOf(second, each).includes(id(4)))!;
  const [old, now] = [ownersOf(first, arc), ownersOf(second, arc)];
  const newest = { version: 2, owners: now, quorum: 2 };
  assert.deepEqual(asksOf([first, second], new Map(), arc), [newest, { version: 1, owners: old, quorum: 2 }]);
  assert.deepEqual(
    asksOf([first, second], wordsOf(1, old.slice(0, 1)), arc),
    [newest, { version: 1, owners: old.slice(1), quorum: 1 }],
    'the store is the answer of who gave its word',
  );
  assert.deepEqual(asksOf([first, second], wordsOf(1, old.slice(0, 2)), arc), [newest]);
  // an arc that did not move has one set of owners
  const still = [...Array(16).keys()].find((each) => !ownersOf(second, each).includes(id(4)))!;
  assert.deepEqual(
    asksOf([first, second], new Map(), still).map(({ version }) => version),
    [2],
  );
});

test('a read quorum of all owners of the newest version known is asked, whatever words were heard', () => {
  for (const version of chain()) {
    for (const arc of [0, 3, 7, 12]) {
      const owners = ownersOf(version, arc);
      for (const said of subsets(owners)) {
        for (const ahead of [0, 1, 9]) {
          const [newest] = asksOf([version], wordsOf(version.number + ahead, said), arc);
          assert.deepEqual(newest, { version: version.number, owners, quorum: 2 }, `${said} said ${ahead} ahead`);
        }
      }
    }
  }
});

test('whoever kept an acknowledged write and still owes it to the store is asked, in every case', () => {
  const versions = chain();
  for (const arc of [0, 3, 7, 12]) {
    for (const [at, version] of versions.entries()) {
      const owners = ownersOf(version, arc);
      for (const wrote of subsets(owners)) {
        if (wrote.length < writeQuorum(3)) continue;
        for (const said of subsets([0, 1, 2, 3, 4].map(id))) {
          // the store has it where one of those that wrote it said so
          if (wrote.some((each) => said.includes(each))) continue;
          const asks = asksOf(versions, wordsOf(version.number, said), arc);
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

test('a reader that does not know the newest version asks one that does, in every case', () => {
  const versions = chain();
  for (let known = 1; known < versions.length; known++) {
    // each version counted before the next was made: its members know it
    const knowing = versions[known]!.members.map((each) => each.id);
    for (const arc of [0, 3, 7, 12]) {
      for (const said of subsets([0, 1, 2, 3, 4].map(id))) {
        const asks = asksOf(versions.slice(0, known), wordsOf(known, said), arc);
        const met = asks.some(({ owners, quorum }) =>
          [...subsets(owners)]
            .filter((some) => some.length >= quorum)
            .every((some) => some.some((each) => knowing.includes(each))),
        );
        assert.ok(met, `arc ${arc}, version ${known}, said ${said}`);
      }
    }
  }
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
