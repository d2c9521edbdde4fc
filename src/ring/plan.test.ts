import assert from 'node:assert/strict';
import { test } from 'node:test';
import { areOthersWell, changedParts } from './plan.ts';
import type { MemberRow } from './row.ts';
import { after, childOf, memberOf, membersOf, ringOf } from './test-ring.ts';
import type { RingVersion } from './version.ts';
import { RingView } from './view.ts';

const [A, B, C, D, E] = membersOf(5, 0).map(({ id }) => id) as [string, string, string, string, string];

/** Whether A, which is dead, may be taken out; all others live and are complete. */
function mayGo(chain: readonly RingVersion[], words: Readonly<Record<string, number>>): boolean {
  const view = new RingView({
    chain,
    hash: '',
    confirmed: chain.length,
    words: new Map(Object.entries(words)),
    wordMs: 0,
  });
  const rows = new Map([B, C, D, E].map((id) => [id, { id, complete: true, lost: false } as MemberRow]));
  return areOthersWell({ view, rows, ageMs: (id) => (id === A ? 100_000 : 0), unhealthyMs: 60_000 }, A);
}

test('a dead member stays where others were given up that held an arc with it, and nobody else has', () => {
  const first = ringOf(membersOf(3, 0), 16, 3);
  const second = after(first, { kind: 'remove', id: B }, true);
  assert.ok(mayGo([first, second], {}), 'C has all of it');
  const third = after(second, { kind: 'remove', id: C }, true);
  const fourth = after(third, { kind: 'join', member: memberOf(3, 0) });
  const chain = [first, second, third, fourth];
  assert.ok(!mayGo(chain, {}), 'D has arcs with it only since it joined');
  assert.ok(mayGo(chain, { [A]: 3 }), 'the store has what it held alone');
});

test('a dead member goes where those that held an arc with it left and the store has all of theirs', () => {
  const chain = [ringOf(membersOf(3, 0), 16, 3)];
  const add = (...changes: Parameters<typeof after>[1][]) => {
    for (const change of changes) chain.push(after(chain.at(-1)!, change));
  };
  add({ kind: 'join', member: memberOf(3, 0) }, { kind: 'join', member: memberOf(4, 0) });
  add({ kind: 'remove', id: B }, { kind: 'remove', id: C });
  assert.ok(mayGo(chain, { [B]: 3, [C]: 4 }));
  assert.ok(!mayGo(chain, { [B]: 3 }), 'what C and it have alone');
});

test('by force one is given up that is no member any more, once, as long as readers may ask for what it held', () => {
  const first = ringOf(membersOf(4, 0), 16, 3);
  const second = after(first, { kind: 'remove', id: A });
  const viewOf = (...chain: RingVersion[]) =>
    new RingView({ chain, hash: '', confirmed: chain.at(-1)!.number, words: new Map(), wordMs: 0 });
  const remove = { kind: 'remove', id: A } as const;
  const unknown = /the ring has no member/;
  assert.throws(() => changedParts(viewOf(first, second), remove, false, 7), unknown);
  assert.deepEqual(changedParts(viewOf(first, second), remove, true, 7), { givenUp: [A], givenUpMs: 7 });
  assert.throws(() => changedParts(viewOf(second), remove, true, 7), unknown, 'nobody asks for it any more');
  const third = childOf(second, { givenUp: [A], givenUpMs: 7 });
  assert.throws(() => changedParts(viewOf(first, second, third), remove, true, 8), unknown, 'it was given up');
  assert.throws(() => changedParts(viewOf(first, second), { kind: 'drain', id: A }, true, 7), unknown);
});
