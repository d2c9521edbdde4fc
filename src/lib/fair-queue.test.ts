import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FairQueue } from './fair-queue.ts';
import { SharedRoom } from './shared-room.ts';

function drain(queue: FairQueue<string>, mayHaveTurn?: (owner: string) => boolean): string[] {
  const items: string[] = [];
  for (let item = queue.shift(mayHaveTurn); item !== undefined; item = queue.shift(mayHaveTurn)) items.push(item);
  return items;
}

test('owners have turns, each in its own order', () => {
  const queue = new FairQueue<string>({ capacity: 100 });
  for (const item of ['a1', 'a2', 'a3', 'a4', 'b1', 'c1', 'b2']) assert.ok(queue.push(item[0]!, item));
  queue.remove('a', 'a2');
  queue.remove('a', 'nothing');
  assert.deepEqual([queue.size, queue.sizeOf('a')], [6, 3]);
  assert.equal(queue.shift(), 'a1');
  assert.ok(queue.push('d', 'd1'));
  assert.deepEqual(drain(queue), ['b1', 'c1', 'a3', 'd1', 'b2', 'a4']);
  assert.equal(queue.size, 0);
});

test('an owner that may not have a turn is passed by', () => {
  const queue = new FairQueue<string>({ capacity: 100 });
  for (const item of ['a1', 'a2', 'b1']) queue.push(item[0]!, item);
  assert.deepEqual(
    drain(queue, (owner) => owner !== 'a'),
    ['b1'],
  );
  assert.equal(queue.sizeOf('a'), 2);
});

test('items of an owner come by their rank, and what finds no place is passed by', () => {
  const queue = new FairQueue<string>({ capacity: 100 });
  for (const [item, rank] of [
    ['a5', 5],
    ['a1', 1],
    ['b9', 9],
    ['a1 too', 1],
    ['a3', 3],
  ] as const) {
    assert.ok(queue.push(item[0]!, item, rank));
  }
  const small = (item: string) => item !== 'a1' && item !== 'b9';
  assert.equal(queue.shift(undefined, small), 'a1 too');
  queue.remove('a', 'a3');
  assert.deepEqual(drain(queue), ['b9', 'a1', 'a5']);
  assert.equal(queue.size, 0);
});

test('one owner fills its share, and others still find room', () => {
  const queue = new FairQueue<string>({ capacity: 100 });
  while (queue.push('a', 'a'));
  assert.equal(queue.size, 75);
  while (queue.push('b', 'b'));
  assert.equal(queue.sizeOf('b'), 18);
  assert.ok(queue.push('c', 'c'));
  const small = new FairQueue<string>({ capacity: 1 });
  assert.ok(small.push('a', 'a'));
  assert.ok(!small.push('b', 'b'));
  assert.ok(!new FairQueue<string>({ capacity: 0 }).push('a', 'a'));
});

test('what is given back is there for others', () => {
  const room = new SharedRoom(1000);
  assert.ok(room.take('a', 750));
  assert.ok(!room.take('a', 1));
  assert.ok(!room.take('b', 200));
  assert.ok(room.take('b', 187));
  room.give('a', 750);
  assert.ok(room.take('b', 400));
  assert.deepEqual([room.held, room.heldBy('a'), room.heldBy('b')], [587, 0, 587]);
});
