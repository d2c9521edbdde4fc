import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../lib/manual-clock.ts';
import { type HeldVersion, heldVersion, RingBook } from './book.ts';
import { after, childOf, memberOf, membersOf, ringOf } from './test-ring.ts';
import { encodeVersion, type RingVersion } from './version.ts';

const held = (version: RingVersion): HeldVersion => heldVersion(encodeVersion(version));

const first = held(ringOf(membersOf(4, 3), 64, 3));
const second = held(after(first.version, { kind: 'join', member: memberOf(4, 3) }));
const third = held(after(second.version, { kind: 'join', member: memberOf(5, 3) }));

/** A book with these versions, the first of them whatever its number. */
function bookOf(...versions: readonly HeldVersion[]): RingBook {
  const book = new RingBook(new ManualClock());
  for (const each of versions) book.take(each, each.version.number);
  return book;
}

test('only what descends from the newest version known is taken, one after another', () => {
  const book = bookOf(first);
  assert.equal(book.take(third, 1), false, 'what lies between is kept by somebody');
  assert.ok(book.take(second, 1));
  assert.ok(book.take(third, 1));
  assert.ok(book.take(second, 1), 'it is known');
  assert.equal(book.newest!.hash, third.hash);

  const refused: [string, HeldVersion][] = [
    ['of another cluster', held(childOf(third.version, { cluster: 'f'.repeat(32) }))],
    ['of as high a number', held({ ...third.version, floor: 2 })],
    ['of another branch', held(childOf(childOf(second.version, { floor: 2 }), {}))],
    ['of a number too high', held({ ...childOf(third.version, {}), number: 7 })],
    ['without a parent', held(ringOf(membersOf(5, 3), 64, 3))],
  ];
  for (const [what, offered] of refused) {
    for (const floor of [1, 3]) {
      assert.equal(book.take(offered, floor), false, what);
      assert.equal(book.newest!.hash, third.hash, what);
    }
  }
  const lifted = held(childOf(first.version, { floor: 2 }));
  assert.equal(bookOf(first, lifted).take(held(childOf(lifted.version, { floor: 1 })), 1), false, 'a floor that falls');
  assert.ok(bookOf(first, lifted).take(held(childOf(lifted.version, {})), 2));
});

test('who is behind the floor takes the version there, and no other', () => {
  const far = held({ ...childOf(third.version, {}), number: 9, floor: 8 });
  const near = held({ ...childOf(third.version, {}), number: 8, floor: 3 });
  const book = bookOf(first, second);
  assert.equal(book.take(far, 8), false, 'not at the floor');
  assert.equal(book.take(held({ ...near.version, cluster: 'f'.repeat(32) }), 8), false, 'another cluster');
  assert.equal(book.take(near, 3), false, 'version 3 is kept by somebody');
  assert.ok(book.take(near, 8));
  assert.deepEqual([book.chain.length, book.current()!.confirmed], [1, 8]);
});

test('who knows nothing begins at the floor or below, and not above', () => {
  const book = new RingBook(new ManualClock());
  assert.equal(book.take(third, 1), false);
  assert.equal(book.current(), undefined);
  assert.ok(book.take(first, 1));
  assert.ok(new RingBook(new ManualClock()).take(second, 2));
});
