import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type HealVerdict, healVerdict, type JudgedHeal } from './chaos/heal-verdict.ts';

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
