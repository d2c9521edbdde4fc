import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemberPlaces, nameOfPlaces, PLACES_MAX } from './places.ts';
import { membersOf, ringOf, viewOf } from './test-ring.ts';

test('the newest word of a member counts, over restarts as well, and only another address is a change', () => {
  let changes = 0;
  const places = new MemberPlaces(() => changes++);
  places.take([{ id: 'a', address: 'x:1', beat: 7 }]);
  places.take([{ id: 'a', address: 'x:1', beat: 9 }]);
  assert.equal(changes, 1);
  places.take([{ id: 'a', address: 'x:2', beat: 250 }]);
  places.take([{ id: 'a', address: 'x:1', beat: 100 }]);
  assert.deepEqual([places.addressOf('a'), changes], ['x:2', 2]);
  assert.deepEqual([...places.addresses], [['a', 'x:2']]);
  places.keep(new Set(['b']));
  assert.equal(places.addressOf('a'), undefined);
});

test('members are told that listen elsewhere than the ring says, and two that know the same have one name for it', () => {
  const version = ringOf(membersOf(3, 0), 16, 3);
  const [first, second] = version.members;
  const view = viewOf(version);
  const one = new MemberPlaces(() => {});
  const other = new MemberPlaces(() => {});
  one.take([
    { ...first!, address: 'new:1', beat: 3 },
    { ...second!, beat: 4 },
    { id: 'stranger', address: 'z:1', beat: 1 },
  ]);
  other.take([{ ...first!, address: 'new:1', beat: 5 }]);
  assert.deepEqual(
    one.moved(view).map(({ id, address }) => [id, address]),
    [[first!.id, 'new:1']],
  );
  assert.equal(nameOfPlaces(one.moved(view)), nameOfPlaces(other.moved(view)));
  other.take([{ ...second!, address: 'new:2', beat: 5 }]);
  assert.notEqual(nameOfPlaces(one.moved(view)), nameOfPlaces(other.moved(view)));
});

test('places are bounded', () => {
  const places = new MemberPlaces(() => {});
  places.take(Array.from({ length: PLACES_MAX + 5 }, (_, i) => ({ id: `m${i}`, address: 'x:1', beat: 1 })));
  assert.equal(places.addresses.size, PLACES_MAX);
});
