import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type QueryFacts, QueryPriority, QueryRejection } from './query-rules.ts';

const NOW_MS = 1_700_000_000_000;
const DAY_MS = 86_400_000;
const FACTS: QueryFacts = {
  apiType: 'query_range',
  query: 'sum(rate(http_requests_total[5m]))',
  startMs: NOW_MS - DAY_MS,
  endMs: NOW_MS,
  stepMs: 60_000,
  userAgent: 'Grafana/11',
  dashboardUid: 'abc',
  panelId: '7',
};

function rejects(attributes: object, facts: Partial<QueryFacts> = {}): boolean {
  return QueryRejection.parse({ enabled: true, query_attributes: [attributes] }).rejects(
    { ...FACTS, ...facts },
    NOW_MS,
  );
}

test('queries are refused by kind, text, times, step and who asks', () => {
  assert.ok(rejects({ api_type: 'query_range' }));
  assert.ok(!rejects({ api_type: 'query' }));
  assert.ok(rejects({ regex: 'rate\\(http' }));
  assert.ok(rejects({ regex: 'rate' }, { query: 'sum(\nrate(x[1m]))' }));
  assert.ok(!rejects({ regex: '^rate' }));
  assert.ok(rejects({ time_range_limit: { min: '1d' } }));
  assert.ok(!rejects({ time_range_limit: { min: '2d' } }));
  assert.ok(!rejects({ time_range_limit: { max: '12h' } }));
  assert.ok(rejects({ query_step_limit: { max: '1m' } }));
  assert.ok(!rejects({ query_step_limit: { max: '1m' } }, { stepMs: 0 }));
  assert.ok(rejects({ time_window: { start: '25h' } }));
  assert.ok(!rejects({ time_window: { start: '23h' } }));
  assert.ok(!rejects({ time_window: { end: '1h' } }));
  assert.ok(rejects({ user_agent_regex: '(?i)grafana', dashboard_uid: 'abc', panel_id: '7' }));
  assert.ok(!rejects({ user_agent_regex: '(?i)grafana', dashboard_uid: 'abd' }));
  // all of a rule has to hold, and a rule of nothing is none
  assert.ok(!rejects({ api_type: 'query_range', regex: 'up' }));
  assert.ok(!rejects({}));
  assert.ok(!QueryRejection.parse({ enabled: false, query_attributes: [{ regex: '.*' }] }).rejects(FACTS, NOW_MS));
});

test('the highest priority whose rule matches holds', () => {
  const priority = QueryPriority.parse({
    enabled: true,
    default_priority: 1,
    priorities: [
      { priority: 2, query_attributes: [{ regex: 'rate' }] },
      { priority: 5, query_attributes: [{ regex: 'up' }, { dashboard_uid: 'abc' }] },
    ],
  });
  assert.equal(priority.of(FACTS, NOW_MS), 5);
  assert.equal(priority.of({ ...FACTS, dashboardUid: '' }, NOW_MS), 2);
  assert.equal(priority.of({ ...FACTS, dashboardUid: '', query: 'x' }, NOW_MS), 1);
  assert.equal(QueryPriority.none.of(FACTS, NOW_MS), 0);
});

test('what is not known is refused', () => {
  const wrong = (value: unknown, message: RegExp) => assert.throws(() => QueryRejection.parse(value), message);
  wrong({ enabled: 1 }, /enabled: true or false is wanted/);
  wrong({ query_attributes: [{ regexp: 'x' }] }, /query_attributes: \[0\]: unknown key "regexp"/);
  wrong({ query_attributes: [{ regex: '(' }] }, /missing closing \)/);
  wrong({ query_attributes: [{ time_window: { start: 'soon' } }] }, /start: a duration is wanted/);
  const priorities = (reserved_queriers: unknown) => [{ priority: 1, reserved_queriers, query_attributes: [] }];
  const priority = (reserved: unknown) => QueryPriority.parse({ enabled: true, priorities: priorities(reserved) });
  assert.throws(() => priority(-1), /reserved_queriers: a number of queriers, or a part of them below 1 is wanted/);
  assert.throws(() => priority('2'), /reserved_queriers/);
  assert.deepEqual(priority(0.2).reserved, [{ priority: 1, queriers: 0.2 }]);
  assert.deepEqual(priority(0).reserved, []);
});
