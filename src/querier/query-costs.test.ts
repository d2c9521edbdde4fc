import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { QueryFacts } from '../limits/query-rules.ts';
import { QueryCosts } from './query-costs.ts';

const DAY_MS = 86_400_000;
const facts = (query: string, days = 1, endMs = 50 * DAY_MS): QueryFacts => ({
  apiType: 'query_range',
  query,
  startMs: endMs - days * DAY_MS,
  endMs,
  stepMs: 60_000,
  userAgent: '',
  dashboardUid: '',
  panelId: '',
});

test('a query costs what it took before, and by its length where it is not known', () => {
  const costs = new QueryCosts();
  assert.ok(costs.of('t', facts('x', 30)) > 10 * costs.of('t', facts('x', 1)));
  costs.note('t', facts('x', 30), 3);
  assert.equal(costs.of('t', facts('x', 30, 51 * DAY_MS)), 3);
  assert.notEqual(costs.of('u', facts('x', 30)), 3);
  // it was held up once, or has become dear
  costs.note('t', facts('x', 30), 1000);
  assert.equal(costs.of('t', facts('x', 30)), 6);
  for (let i = 0; i < 10; i++) costs.note('t', facts('x', 30), 1000);
  assert.equal(costs.of('t', facts('x', 30)), 1000);
  for (let i = 0; i < 5000; i++) costs.note('t', facts(`y${i}`), 7);
  assert.notEqual(costs.of('t', facts('x', 30)), 1000, 'the oldest are forgotten');
  assert.equal(costs.of('t', facts('y4999')), 7);
});
