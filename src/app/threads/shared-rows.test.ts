import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../lib/manual-clock.ts';
import { SharedRows } from './shared-rows.ts';

const never = new AbortController().signal;
const ROWS = new Uint8Array(100);

function setUp(bytesMax?: number) {
  const clock = new ManualClock();
  return { clock, rows: new SharedRows(clock, bytesMax) };
}

test('rows are made by the first who asks, and the others wait for them', async () => {
  const { rows } = setUp();
  assert.equal(await rows.get('a', true, never), undefined);
  assert.equal(await rows.get('b', true, never), undefined, 'other rows are nobody else to wait for');
  const waiting = [rows.get('a', true, never), rows.get('a', true, never)];
  rows.keep('t', 'a', ROWS);
  assert.deepEqual(await Promise.all(waiting), [ROWS, ROWS]);
  assert.equal(await rows.get('a', true, never), ROWS);
});

test('where they do not come to be, those who wait make them', async () => {
  const { clock, rows } = setUp();
  await rows.get('a', true, never);
  const first = rows.get('a', true, never);
  rows.giveUp('a');
  assert.equal(await first, undefined);

  // nobody says what became of them
  const late = rows.get('a', true, never);
  await clock.advance(1001);
  assert.equal(await late, undefined);
  const next = rows.get('a', true, never);
  rows.keep('t', 'a', ROWS);
  assert.equal(await next, ROWS, 'whoever waited too long is waited for');
});

test('who is waited for waits for nobody, and is still the one who makes them', async () => {
  const { rows } = setUp();
  await rows.get('a', true, never);
  assert.equal(await rows.get('a', false, never), undefined);
  const waiting = rows.get('a', true, never);
  assert.equal(await rows.get('b', false, never), undefined);
  const other = rows.get('b', true, never);
  rows.keep('t', 'a', ROWS);
  rows.keep('t', 'b', ROWS);
  assert.deepEqual(await Promise.all([waiting, other]), [ROWS, ROWS]);
  assert.equal(await rows.get('a', false, never), ROWS);
});

test('whoever goes away waits for nothing, and is not waited for', async () => {
  const { rows } = setUp();
  await rows.get('a', true, never);
  const away = new AbortController();
  const left = rows.get('a', true, away.signal);
  away.abort();
  assert.equal(await left, undefined);
  const other = rows.get('a', true, never);
  rows.keep('t', 'a', ROWS);
  assert.equal(await other, ROWS);
});

test('rows are bounded by their bytes, and go when no more come', async () => {
  const { clock, rows } = setUp(4000);
  const keys = Array.from({ length: 20 }, (_, i) => `${i}`);
  for (const key of keys) rows.keep('t', key, ROWS);
  const had = async () => {
    let count = 0;
    for (const key of keys) if ((await rows.get(key, true, never)) !== undefined) count++;
    return count;
  };
  assert.equal(await had(), Math.floor(4000 / 356));
  for (const key of keys) rows.giveUp(key);
  await clock.advance(60_001);
  assert.equal(await had(), 0);
});
