import assert from 'node:assert/strict';
import { test } from 'node:test';
import { getHeapStatistics } from 'node:v8';
import { freeMoved, movable } from './movable.ts';

test('whatever bytes are a view on, they can move, and nothing else moves with them', () => {
  const alone = new Uint8Array([1, 2, 3]);
  const larger = new Uint8Array([0, 1, 2, 3, 4]);
  const shared = new Uint8Array(new SharedArrayBuffer(3));
  shared.set([1, 2, 3]);
  for (const bytes of [
    alone,
    larger.subarray(1, 4),
    Buffer.from([1, 2, 3]), // of Node's pool
    Buffer.concat([Buffer.from([1, 2]), Buffer.from([3])]),
    Buffer.alloc(5, larger).subarray(1, 4),
    shared,
  ]) {
    const moved = movable(bytes);
    const there = structuredClone(moved, { transfer: [moved.buffer] });
    assert.deepEqual([...there], [1, 2, 3]);
    assert.equal(there.buffer.byteLength, 3);
  }
  assert.equal(alone.length, 0, 'what can move is not copied');
  assert.equal(larger.length, 5);
});

test('nothing is something too', () => {
  const moved = movable(Buffer.alloc(0));
  assert.equal(structuredClone(moved, { transfer: [moved.buffer] }).length, 0);
});

test('memory that moved is free as soon as nobody needs it', () => {
  const bytes = 32 * 2 ** 20;
  const moved = movable(new Uint8Array(bytes));
  const there = structuredClone(moved, { transfer: [moved.buffer] });
  const before = getHeapStatistics().external_memory;
  freeMoved(there);
  assert.ok(before - getHeapStatistics().external_memory >= bytes);
  assert.equal(there.length, 0);
  const shared = new Uint8Array(new SharedArrayBuffer(3));
  freeMoved(shared);
  assert.equal(shared.length, 3);
});

test('what moved on, or was freed before, is not freed again', () => {
  const freed = new Uint8Array(8);
  freeMoved(freed);
  assert.equal(freed.length, 0);
  freeMoved(freed);
  const moved = new Uint8Array(8);
  const there = structuredClone(moved, { transfer: [moved.buffer] });
  freeMoved(moved);
  assert.equal(there.length, 8);
});
