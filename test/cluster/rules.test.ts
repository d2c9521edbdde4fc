import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RULES, type Rule } from './rules.ts';
import { type ScenarioName, simulate } from './simulation.ts';

/** A seed that finds that a rule is missing, by rule. Rules that no seed is known for yet are not listed. */
const FINDS: readonly { readonly rule: Rule; readonly scenario: ScenarioName; readonly seed: number }[] = [
  { rule: 'write quorum', scenario: 'three', seed: 3 },
  { rule: 'read quorum', scenario: 'three', seed: 2 },
  { rule: 'losses are told', scenario: 'three', seed: 13 },
  { rule: 'replaying counts not', scenario: 'three', seed: 7 },
  { rule: 'keep what is stored', scenario: 'three', seed: 2 },
  { rule: 'each holder owes', scenario: 'three', seed: 2 },
  { rule: 'lists expire first', scenario: 'three', seed: 1 },
  { rule: 'older versions are asked', scenario: 'growing', seed: 5 },
  { rule: 'the store has it before the word', scenario: 'growing', seed: 6 },
  { rule: 'an empty folder is another member', scenario: 'growing', seed: 5 },
];

for (const { rule, scenario, seed } of FINDS) {
  test(`without a rule somebody notices: ${rule} (else ${RULES[rule]})`, { timeout: 120_000 }, async () => {
    const { failure } = await simulate({ scenario, seed, broken: rule });
    assert.equal(failure?.name, 'Wrong', failure?.message);
  });
}
