import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from './config/load.ts';
import { groupKeyOf, groupLabelsOf, matchingRoutes } from './route.ts';

const { route } = loadConfig(`
route:
  receiver: default
  group_by: [alertname]
  group_wait: 10s
  labels: { team: all }
  routes:
    - matchers: ['severity=~"page|ticket"']
      continue: true
      receiver: pager
      routes:
        - match: { team: db }
          receiver: db
          group_by: ['...']
          labels: { room: one }
    - match_re: { severity: 'page|x' }
      group_wait: 0s
      group_by: []
    - matchers: [severity="page"]
      receiver: never
receivers: [{ name: default }, { name: pager }, { name: db }, { name: never }]
`);

const labels = (given: Record<string, string>) => new Map(Object.entries(given));

test('routes of an alert: depth first, siblings only where one continues', () => {
  const receivers = (given: Record<string, string>) => matchingRoutes(route, labels(given)).map(({ id }) => id);
  assert.deepEqual(receivers({ a: 'b' }), ['{}']);
  assert.deepEqual(receivers({ severity: 'ticket' }), ['{}/{severity=~"page|ticket"}/0']);
  assert.deepEqual(receivers({ severity: 'page', team: 'db' }), [
    '{}/{severity=~"page|ticket"}/0/{team="db"}/0',
    '{}/{severity=~"page|x"}/1',
  ]);
});

test('what a route has from its parents', () => {
  const [db, other] = matchingRoutes(route, labels({ severity: 'page', team: 'db' }));
  assert.deepEqual(
    [db!.receiver, db!.groupWaitMs, db!.repeatIntervalMs, [...db!.labels]],
    [
      'db',
      10_000,
      14_400_000,
      [
        ['team', 'all'],
        ['room', 'one'],
      ],
    ],
  );
  assert.deepEqual([other!.receiver, other!.groupWaitMs, other!.groupBy?.size], ['default', 0, 0]);
});

test('groups and their keys', () => {
  const alert = labels({ alertname: 'Down', severity: 'page', team: 'db' });
  const keys = matchingRoutes(route, alert).map((each) => groupKeyOf(each, groupLabelsOf(each, alert)));
  assert.deepEqual(keys, [
    '{}/{severity=~"page|ticket"}/{team="db"}:{alertname="Down", severity="page", team="db"}',
    '{}/{severity=~"page|x"}:{}',
  ]);
  assert.equal(groupKeyOf(route, groupLabelsOf(route, alert)), '{}:{alertname="Down"}');
});
