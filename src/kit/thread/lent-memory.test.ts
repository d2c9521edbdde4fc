import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../lib/manual-clock.ts';
import { giveBack, LentMemory } from './lent-memory.ts';

const MIB = 1024 * 1024;

test('memory is lent again when all readers of a piece have given it back, and not before', () => {
  const memory = new LentMemory(new ManualClock(0));
  const [a, b] = [memory.lend(100)!, memory.lend(50)!];
  assert.deepEqual([a.length, b.length, a.buffer === b.buffer], [100, 50, true]);
  assert.ok(a.byteOffset + a.length <= b.byteOffset && b.byteOffset % 8 === 0);
  giveBack(a);
  const c = memory.lend(100)!;
  assert.ok(c.byteOffset >= b.byteOffset + b.length);
  const large = memory.lend(MIB)!;
  assert.notEqual(large.buffer, a.buffer);
  giveBack(b);
  giveBack(c);
  giveBack(large);
  assert.equal(memory.lend(MIB)!.buffer, large.buffer);
  assert.equal(memory.lend(MIB)!.buffer, a.buffer);
});

test('it is bounded: what is too much is not lent, and what nobody gives back is not used again', () => {
  const clock = new ManualClock(0);
  const memory = new LentMemory(clock);
  assert.equal(memory.lend(MIB + 1), undefined);
  const lost = Array.from({ length: 8 }, () => memory.lend(MIB)!);
  assert.equal(new Set(lost.map(({ buffer }) => buffer)).size, 8);
  assert.equal(memory.lend(1), undefined);
  clock.advance(61_000);
  const later = Array.from({ length: 8 }, () => memory.lend(MIB)!);
  assert.equal(new Set([...lost, ...later].map(({ buffer }) => buffer)).size, 16);
  assert.equal(memory.lend(1), undefined);
});

test('what is not lent is freed where it is much and alone in its buffer, and left alone otherwise', () => {
  const [few, many] = [new Uint8Array(8), new Uint8Array(40_000)];
  const shared = new Uint8Array(80_000);
  for (const own of [few, many, shared.subarray(0, 40_000)]) giveBack(own);
  assert.deepEqual([few.length, many.length, shared.length], [8, 0, 80_000]);
});
