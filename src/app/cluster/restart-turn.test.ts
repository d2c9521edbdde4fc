import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isRestartTurn } from './restart-turn.ts';

const UNHEALTHY_MS = 60_000;
const LOOK_MS = 15_000;

test('members that are to be started again have turns one behind the other, and each has one', () => {
  const members = ['c', 'a', 'b'];
  const turns: string[] = [];
  for (let nowMs = 0; nowMs < 6 * 60_000; nowMs += LOOK_MS) {
    const may = members.filter((id) => isRestartTurn(id, members, nowMs, UNHEALTHY_MS));
    assert.ok(may.length <= 1);
    if (may.length === 1 && may[0] !== turns.at(-1)) turns.push(may[0]!);
  }
  assert.deepEqual(turns, ['a', 'b', 'c']);
});

test('a member that ended and is not back is unhealthy before the next one may end', () => {
  const members = ['a', 'b', 'c'];
  let last: { readonly id: string; readonly atMs: number } | undefined;
  for (let nowMs = 0; nowMs < 12 * 60_000; nowMs += 1_000) {
    const id = members.find((each) => isRestartTurn(each, members, nowMs, UNHEALTHY_MS));
    if (id === undefined) continue;
    if (last !== undefined && last.id !== id) assert.ok(nowMs - last.atMs > UNHEALTHY_MS, `${last.id}, then ${id}`);
    last = { id, atMs: nowMs };
  }
});

test('other processes are spread, and a look falls into the turn of each', () => {
  const names = Array.from({ length: 8 }, (_, i) => `querier-${i}`);
  const mayAt = Array.from({ length: 32 }, (_, i) =>
    names.filter((name) => isRestartTurn(name, ['a', 'b'], i * LOOK_MS, UNHEALTHY_MS)),
  );
  assert.ok(mayAt.every((may) => may.length < names.length / 2));
  assert.deepEqual(new Set(mayAt.flat()), new Set(names));
});
