import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../lib/manual-clock.ts';
import { answerUnder, askUnderNewest, exchange, writingNumber } from './asking.ts';
import { heldVersion, RingBook } from './book.ts';
import { after, childOf, memberOf, membersOf, ringOf } from './test-ring.ts';
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

/** A question over a wire: what goes to and fro is copied. */
function asked(caller: RingBook, callee: RingBook): Promise<number> {
  return exchange(caller, async (known) =>
    structuredClone(await answerUnder(callee, structuredClone(known), async (view) => view.newest.number)),
  );
}

test('whichever side knows the newer version hands it over', async () => {
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
    const answer = await asked(caller, callee);
    assert.equal(answer, Math.max(mine, others), 'the callee answers under no version that it does not know');
    // what is more than one answer holds comes with the next
    while (caller.newest!.version.number < others) await asked(caller, callee);
    assert.equal(caller.newest!.hash, callee.newest!.hash);
  }
});

test('a member of another cluster or of another branch answers nothing and changes nothing', async () => {
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
    const answer = asked(caller, callee);
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
  assert.equal(await asked(caller, callee), 7);
  assert.equal(callee.current()!.chain[0]!.number, 5);
  const before = caller.newest!.hash;
  caller.learn({ number: 9, hash: 'x', floor: 9, confirmed: 9, documents: [new Uint8Array(10)] });
  caller.learn({ number: 9, hash: 'x', floor: 9, confirmed: 9, documents: [encodeVersion(chain[0]!)] });
  assert.equal(caller.newest!.hash, before);
  assert.equal(caller.current()!.confirmed, 5);
});

test('a question is asked again until the ring did not move on meanwhile', async () => {
  const chain = chainOf(12);
  const [caller, callee] = [bookOf(chain.slice(0, 1)), bookOf(chain.slice(0, 2))];
  const under: number[] = [];
  const answer = await askUnderNewest(caller, async (view) => {
    under.push(view.newest.number);
    return asked(caller, callee);
  });
  assert.deepEqual([answer, under], [2, [1, 2]]);

  // one that failed under an old version, too
  const fails = bookOf(chain.slice(0, 1));
  const recovered = await askUnderNewest(fails, async (view) => {
    if (view.newest.number === 2) return 'answered';
    await asked(fails, callee);
    throw new Error('no quorum of the old owners');
  });
  assert.equal(recovered, 'answered');
  await assert.rejects(
    askUnderNewest(fails, async () => {
      throw new Error('no quorum');
    }),
    /^Error: no quorum$/,
  );

  // and it ends
  const moving = bookOf(chain.slice(0, 1));
  const moved = askUnderNewest(moving, async (view) =>
    moving.take(heldVersion(encodeVersion(chain[view.newest.number]!)), 1),
  );
  await assert.rejects(moved, /asked 8 times, and each time the ring moved on meanwhile, at last to version 9/);
  await assert.rejects(
    askUnderNewest(bookOf([]), async () => 1),
    /no version of the ring is known here yet/,
  );
});

test('a writer asks again when another version counts, not when one is merely made', async () => {
  const first = ringOf(membersOf(3, 3), 16, 3);
  const second = after(first, { kind: 'join', member: memberOf(3, 3) });
  const third = childOf(second, {});
  const book = bookOf([first, second]);
  const everyone = (number: number) => new Map(second.members.map(({ id }) => [id, number]));
  book.hear(everyone(1), new Map());
  const under: number[] = [];
  const write = () =>
    askUnderNewest(
      book,
      async (view) => {
        under.push(view.writing.number);
        if (under.length === 1) book.hear(everyone(2), new Map());
        else book.take(heldVersion(encodeVersion(third)), 1);
      },
      writingNumber,
    );
  await write();
  assert.deepEqual(under, [1, 2]);
});
