import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Documents } from '../chunkstore/documents/documents.ts';
import { TenantTables } from '../chunkstore/documents/tables.ts';
import { Schema } from '../chunkstore/schema.ts';
import { RULES } from '../contract/rules.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { systemBytes } from '../lib/random.ts';
import { MemoryTableStore } from '../table/memory.ts';
import { RuleConfigs } from './rule-config.ts';
import { ruleDocument } from './rule-source.ts';

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
    const text = await configs.groupText('a', 'space', 'g', signal);
    return /expr: (.*)$/m.exec(text ?? '')?.[1];
  };
  await put('up', 'ann', 0);
  await put('sum(up)', 'bob', 1);
  await assert.rejects(put('max(up)', 'ann', 1), /other version|version 1|changed/);
  assert.equal(await exprOf(), 'sum(up)');
  await put('max(up)', 'ann');
  assert.equal(await exprOf(), 'max(up)');
  // comments are kept, and nothing else of how a text is written
  for (const [text, kept] of [
    ['name: g\nrules:\n- {record: r, expr: up} # of all\n', 'name: g\nrules:\n- {record: r, expr: up} # of all\n'],
    ["name: 'g'\nrules: [{record: r, expr: 'up{a=\"#\"}'}]", 'name: g\nrules:\n  - record: r\n    expr: up{a="#"}\n'],
  ] as const) {
    const group = await configs.read('a', text, LIMITS, signal);
    await configs.put('a', 'commented', group, { limits: LIMITS, user: 'ann', text }, signal);
    assert.equal(await configs.groupText('a', 'commented', 'g', signal), kept);
    assert.equal((await configs.namespaces('a', signal)).get('commented')?.length, 1);
  }
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
