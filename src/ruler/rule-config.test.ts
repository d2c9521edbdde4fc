import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Documents } from '../chunkstore/documents/documents.ts';
import { TenantTables } from '../chunkstore/documents/tables.ts';
import { Schema } from '../chunkstore/schema.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { systemBytes } from '../lib/random.ts';
import { MemoryTableStore } from '../table/memory.ts';
import { RuleConfigs } from './rule-config.ts';
import { RULES, ruleDocument } from './rule-source.ts';

const LIMITS = { rulerMaxRulesPerRuleGroup: 0, rulerMaxRuleGroupsPerTenant: 0, rulerMinRuleEvaluationIntervalMs: 0 };

test('a group has versions with their users, and two editors do not overwrite each other', async () => {
  const period = {
    fromMs: Number.NEGATIVE_INFINITY,
    tables: new MemoryTableStore(),
    tablePrefix: 'p_',
    tableMs: 86_400_000,
  };
  const clock = new ManualClock(Date.UTC(2026, 10, 5));
  const tables = await TenantTables.open(new Schema([period]));
  const documents = new Documents(tables, clock, systemBytes);
  const configs = new RuleConfigs(documents, {});
  const { signal } = new AbortController();
  const put = async (expr: string, user: string, expected?: number) => {
    const group = await configs.read('a', `name: g\nrules: [{record: r, expr: ${expr}}]`, LIMITS, signal);
    const change = { limits: LIMITS, user, ...(expected !== undefined && { expected }) };
    await configs.put('a', 'space', group, change, signal);
  };
  const exprOf = async () => {
    const [rule] = (await configs.group('a', 'space', 'g', signal))?.rules ?? [];
    return rule?.expr;
  };
  await put('up', 'ann', 0);
  await put('sum(up)', 'bob', 1);
  await assert.rejects(put('max(up)', 'ann', 1), /other version|version 1|changed/);
  assert.equal(await exprOf(), 'sum(up)');
  await put('max(up)', 'ann');
  assert.equal(await exprOf(), 'max(up)');
  const versions = await documents.versions({ tenant: 'a', kind: RULES, name: ruleDocument('space', 'g') }, signal);
  assert.deepEqual(
    versions.map(({ number, user }) => [number, user]),
    [
      [1, 'ann'],
      [2, 'bob'],
      [3, 'ann'],
    ],
  );
});
