import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../lib/manual-clock.ts';
import { heldVersion, RingBook } from './book.ts';
import { meet, met } from './meeting.ts';
import { childOf, membersOf, ringOf } from './test-ring.ts';
import { encodeVersion, type RingVersion } from './version.ts';

function chainOf(length: number): RingVersion[] {
  const chain = [ringOf(membersOf(3, 3), 16, 3)];
  while (chain.length < length) chain.push(childOf(chain.at(-1)!, {}));
  return chain;
}

function bookOf(versions: readonly RingVersion[]): RingBook {
  const book = new RingBook(new ManualClock());
  for (const version of versions) book.take(heldVersion(encodeVersion(version)), version.floor);
  return book;
}

/** Two processes that meet over a wire: what goes to and fro is copied. */
function meeting(caller: RingBook, callee: RingBook): Promise<void> {
  return meet(caller, async (known) => structuredClone(met(callee, structuredClone(known))));
}

test('whichever side knows the newer version hands it over, and what counts with it', async () => {
  const chain = chainOf(40);
  for (const [mine, others] of [
    [1, 40],
    [40, 1],
    [40, 40],
    [40, 0],
    [0, 40],
    [3, 20],
  ] as const) {
    const [caller, callee] = [bookOf(chain.slice(0, mine)), bookOf(chain.slice(0, others))];
    for (const book of [caller, callee]) if (book.newest?.version.number === 40) book.count(17);
    await meeting(caller, callee);
    assert.equal(caller.newest!.hash, callee.newest!.hash);
    assert.equal(caller.newest!.version.number, Math.max(mine, others));
    assert.equal(caller.current()!.confirmed, callee.current()!.confirmed);
  }
});

test('a member of another cluster or of another branch is told nothing that it follows, and changes nothing', async () => {
  const chain = chainOf(3);
  const other = bookOf(chain.map((version) => ({ ...version, cluster: 'f'.repeat(32) })).slice(0, 1));
  const branch = childOf(chain[1]!, { tenants: new Map([['t', { buckets: 16, splits: new Map() }]]) });
  for (const callee of [
    other,
    bookOf([...chain.slice(0, 2), branch]),
    bookOf([...chain.slice(0, 2), branch, childOf(branch, {})]),
  ]) {
    const caller = bookOf(chain);
    const [before, theirs] = [caller.newest!.hash, callee.newest!.hash];
    const answer = meeting(caller, callee);
    await assert.rejects(answer, /version 3 of the ring is not followed by this member, which is at version/);
    assert.deepEqual([caller.newest!.hash, callee.newest!.hash], [before, theirs]);
  }
});

test('who is behind the floor takes the ring from there on, and whatever is no version is left', async () => {
  const chain = chainOf(6);
  const late = childOf(chain[5]!, { floor: 5 });
  const caller = bookOf([...chain, late]);
  assert.deepEqual(
    caller.chain.map(({ version }) => version.number),
    [5, 6, 7],
  );
  assert.equal(caller.current()!.confirmed, 5, 'no floor is above what counts');
  const callee = bookOf(chain.slice(0, 2));
  await meeting(caller, callee);
  assert.equal(callee.newest!.version.number, 7);
  assert.equal(callee.current()!.chain[0]!.number, 5);
  const before = caller.newest!.hash;
  caller.learn({ number: 9, hash: 'x', floor: 9, confirmed: 9, documents: [new Uint8Array(10)] });
  caller.learn({ number: 9, hash: 'x', floor: 9, confirmed: 9, documents: [encodeVersion(chain[0]!)] });
  assert.equal(caller.newest!.hash, before);
  assert.equal(caller.current()!.confirmed, 5);
});
