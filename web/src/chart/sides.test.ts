import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Unit } from '../model/units.ts';
import { sidesOf } from './sides.ts';

test('values of another unit have an axis of their own, at the right', () => {
  const sides = (unit: Unit, units: readonly Unit[], isStacked = false) => {
    const { left, right, isRight } = sidesOf(unit, units, isStacked);
    return [left, right, units.map((_, place) => isRight(place))];
  };
  assert.deepEqual(sides('seconds', ['seconds', 'seconds']), ['seconds', undefined, [false, false]]);
  assert.deepEqual(sides('seconds', ['seconds', 'bytes', 'bytes']), ['seconds', 'bytes', [false, true, true]]);
  // all have the other one: it is that of the only axis
  assert.deepEqual(sides('seconds', ['bytes', 'bytes']), ['bytes', undefined, [false, false]]);
  // two axes are all there is room for
  assert.deepEqual(sides('seconds', ['bytes', 'seconds', 'percent']), ['seconds', 'bytes', [true, false, false]]);
  assert.deepEqual(sides('seconds', ['seconds', 'bytes'], true), ['seconds', undefined, [false, false]]);
  assert.deepEqual(sides('seconds', []), ['seconds', undefined, []]);
});
