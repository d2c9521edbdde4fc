import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BatchRunner, InstantOutcome } from '../contract/query.ts';
import { systemClock } from '../lib/clock.ts';
import { BatchedRuleQuery, RuleQueryError } from './rule-query.ts';

const { signal } = new AbortController();

function queryOver(instants: BatchRunner['instants']) {
  return new BatchedRuleQuery({ instants }, 'a', systemClock, signal).of(1000);
}

test('what rules ask in one turn is one call, and each hears of its own', async () => {
  const calls: string[] = [];
  const query = queryOver(async (tenant, requests) => {
    calls.push(`${tenant} ${requests.map(({ expr, timeMs, timeoutMs }) => `${expr}@${timeMs}/${timeoutMs}`).join()}`);
    return requests.map(({ expr }): InstantOutcome => {
      if (expr === 'wrong') return { failure: { text: 'too many series', http: 422 } };
      if (expr === 'away') return { failure: { text: 'the store is away', http: 503 } };
      return { result: { type: 'scalar', timeMs: 0, value: 7 } };
    });
  });
  const faultOf = (expr: string) =>
    query.instant(expr, 5).then(
      (samples) => samples.map(({ value }) => value),
      (error: RuleQueryError) => `${error.message}: ${error.isUsers ? 'user' : 'operator'}`,
    );
  assert.deepEqual(await Promise.all(['ok', 'wrong', 'away'].map(faultOf)), [
    [7],
    'too many series: user',
    'the store is away: operator',
  ]);
  assert.deepEqual(calls, ['a ok@5/1000,wrong@5/1000,away@5/1000']);
});

test('a call that fails as a whole is no fault of the rules', async () => {
  const query = queryOver(() => Promise.reject(new Error('no querier')));
  const isOperators = (error: unknown) => error instanceof RuleQueryError && !error.isUsers;
  await assert.rejects(query.instant('a', 1), isOperators);
  await assert.rejects(query.packed('a', 1), isOperators);
});
