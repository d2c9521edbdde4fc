import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type HealVerdict, healVerdict, type JudgedHeal } from './chaos/heal-verdict.ts';
import { Journal } from './chaos/journal.ts';

const quick: JudgedHeal = { ms: 500, isStarved: false };
const slow: JudgedHeal = { ms: 12_000, isStarved: false };
const starved: JudgedHeal = { ms: 12_000, isStarved: true };

test('heals that are too slow on a starved machine are left out, and show nothing where most are', () => {
  const cases: [heals: JudgedHeal[], expected: Partial<HealVerdict>][] = [
    [[], { judged: 0, isWell: true }],
    [[quick, quick, starved], { judged: 2, leftOut: 1, slowestMs: 500, isWell: true }],
    [[quick, quick, slow], { judged: 3, leftOut: 0, slowestMs: 12_000, isWell: false }],
    [[starved], { judged: 0, leftOut: 1, isWell: false }],
    [[quick, starved], { judged: 1, leftOut: 1, isWell: false }],
  ];
  for (const [heals, expected] of cases) assert.partialDeepStrictEqual(healVerdict(heals, 10_000, 0), expected);
});

test('a run that judged fewer heals than are wanted has not shown them', () => {
  assert.equal(healVerdict([quick, quick, starved], 10_000, 3).isWell, false);
  assert.equal(healVerdict([quick, quick, quick, starved], 10_000, 3).isWell, true);
});

test('a short run whose only heals were slow on a starved machine has not failed, one that had none has', () => {
  const cases: [heals: JudgedHeal[], isWell: boolean][] = [
    [[], false],
    [[quick], true],
    [[starved], true],
    [[starved, starved, quick], true],
    [[slow], false],
    [[starved, slow], false],
  ];
  for (const [heals, isWell] of cases) assert.equal(healVerdict(heals, 10_000, 1, true).isWell, isWell);
  assert.equal(healVerdict([starved], 10_000, 3).isWell, false);
});

test('a request that the next fault ended is none of the fault before it, unless it had been under way for long', () => {
  const healsOf = (failures: readonly [startMs: number, atMs: number][]) => {
    const journal = new Journal();
    journal.faults.push(
      { what: 'i3: kill', single: true, startMs: 10_000, endMs: 14_000 },
      { what: 'q2: kill', single: true, startMs: 30_000, endMs: 31_000 },
    );
    for (const [startMs, atMs] of failures) journal.failures.push({ startMs, atMs, kind: 'query', why: '' });
    return journal.heals().map(({ ms }) => ms);
  };
  assert.deepEqual(healsOf([]), [0, 0]);
  assert.deepEqual(healsOf([[12_000, 12_100]]), [2_000, 0]);
  assert.deepEqual(healsOf([[29_400, 29_500]]), [19_400, 0]);
  assert.deepEqual(
    healsOf([
      [11_000, 11_500],
      [29_400, 30_100],
    ]),
    [1_000, 0],
  );
  assert.deepEqual(healsOf([[24_000, 35_000]]), [14_000, 0]);
});
