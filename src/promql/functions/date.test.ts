import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dayOfMonth, dayOfWeek, dayOfYear, daysInMonth, hour, minute, month, year } from './date.ts';

/** Seconds; year, month, day of the month, of the week and of the year, hour, minute, days in the month: as Go says. */
const CASES: readonly (readonly [seconds: number, parts: string])[] = [
  [0, '1970 1 1 4 1 0 0 31'],
  [-1.5, '1969 12 31 3 365 23 59 31'],
  [1e10, '2286 11 20 6 324 17 46 30'],
  // a year that JavaScript's own shorthand takes for one of the last century
  [-60_000_000_000, '68 9 3 1 247 13 20 30'],
  [-62_135_596_801, '0 12 31 0 366 23 59 31'],
  [8.64e12, '275760 9 13 6 257 0 0 30'],
  [8.64e12 + 1, '275760 9 13 6 257 0 0 30'],
  [1e13, '318857 5 20 0 140 17 46 31'],
  [-1e13, '-314918 8 13 0 225 6 13 31'],
  [1e17, '3168875820 9 6 3 250 9 46 30'],
  [-1e17, '-3168871881 4 27 4 117 14 13 30'],
  [9.2e18, '291536396232 8 31 5 244 11 33 31'],
  [-9e18, '-285198644592 9 12 1 256 8 0 30'],
  // before the first year that Go counts
  [-9.223372036854775e18, '292277026596 12 4 0 339 15 47 31'],
  [1e19, '292277026596 12 4 0 339 15 30 31'],
  [Number.NaN, '292277026596 12 4 0 339 15 30 31'],
  [-Infinity, '292277026596 12 4 0 339 15 30 31'],
];

test('every second has a date', () => {
  for (const [seconds, parts] of CASES) {
    const found = [year, month, dayOfMonth, dayOfWeek, dayOfYear, hour, minute, daysInMonth].map((of) => of(seconds));
    assert.equal(found.join(' '), parts, String(seconds));
  }
});
