import assert from 'node:assert/strict';
import { test } from 'node:test';
import { after, memberOf, membersOf, ringOf } from './test-ring.ts';
import { encodeVersion, hashOfVersion } from './version.ts';
import { type RingSource, RingView } from './view.ts';

test('a view writes to the owners of the newest version and reads those of older ones too', () => {
  const first = ringOf(membersOf(3, 3), 64, 3);
  const second = after(first, { kind: 'join', member: memberOf(3, 3) });
  const newcomer = memberOf(3, 3).id;
  const view = new RingView({
    chain: [first, second],
    hash: hashOfVersion(encodeVersion(second)),
    confirmations: new Map(first.members.map(({ id }) => [id, 2])),
    words: new Map(),
  });
  const source: RingSource = { current: () => view, onChange: () => () => {} };
  assert.equal(source.current()?.confirmed, 1, 'the newcomer has not confirmed');
  const moved = Array.from({ length: 64 }, (_, arc) => arc).filter((arc) => view.ownersOf(arc).includes(newcomer));
  assert.equal(moved.length, 32);
  const asks = view.asksOf(moved[0]!);
  assert.deepEqual(
    asks.map(({ version, quorum }) => [version, quorum]),
    [
      [2, 2],
      [1, 2],
    ],
  );
});
