import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isRestartTurn } from './restart-turn.ts';

const LOOK_MS = 15_000;

test('members that are to be started again have turns one behind the other, and each has one', () => {
  const members = ['c', 'a', 'b'];
  const turns: string[] = [];
  for (let nowMs = 0; nowMs < 6 * 60_000; nowMs += LOOK_MS) {
    const may = members.filter((id) => isRestartTurn(id, members, nowMs));
    assert.equal(may.length, 1);
    if (may[0] !== turns.at(-1)) turns.push(may[0]!);
  }
  assert.deepEqual(turns, ['a', 'b', 'c']);
});

test('other processes are spread, and a look falls into the turn of each', () => {
  const names = Array.from({ length: 8 }, (_, i) => `querier-${i}`);
  const mayAt = Array.from({ length: 32 }, (_, i) =>
    names.filter((name) => isRestartTurn(name, ['a', 'b'], i * LOOK_MS)),
  );
  assert.ok(mayAt.every((may) => may.length < names.length / 2));
  assert.deepEqual(new Set(mayAt.flat()), new Set(names));
});
