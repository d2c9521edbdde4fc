import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../../kit/config/load.ts';
import { QueryPriority } from '../../limits/query-rules.ts';
import { sections } from '../config.ts';
import { checkQueryPath, idleLimits } from './query-path.ts';

function configOf(...args: string[]) {
  return loadConfig(sections, { args, env: {} }).values;
}

test('settings of who asks whom are refused where they do nothing', () => {
  const refuses = (message: RegExp, ...args: string[]) =>
    assert.throws(() => checkQueryPath(configOf(...args)), message);
  refuses(/-frontend.scheduler-address is refused with -target all/, '-frontend.scheduler-address=a:1');
  refuses(/-querier.frontend-address is refused/, '-querier.frontend-address=a:1');
  refuses(/-querier.scheduler-address is refused/, '-querier.scheduler-address=a:1');
  refuses(/-ruler.frontend-address is refused/, '-ruler.frontend-address=a:1');
  refuses(/-querier.id is refused/, '-querier.id=q');
  refuses(/-query-scheduler.querier-forget-delay is refused/, '-query-scheduler.querier-forget-delay=1m');
  refuses(/together/, '-target=querier', '-querier.frontend-address=a:1', '-querier.scheduler-address=b:1');
  refuses(/both answer queries/, '-target=query-frontend,querier');
  // one file may serve all processes of a cluster
  const shared = ['-frontend.scheduler-address=a:1', '-querier.scheduler-address=a:1'];
  for (const target of ['ingester', 'querier', 'query-frontend', 'query-scheduler']) {
    checkQueryPath(configOf(`-target=${target}`, ...shared));
  }
});

test('reserved queriers are refused in one process, for all tenants and for one', () => {
  const priorities = [{ priority: 1, reserved_queriers: 2, query_attributes: [] }];
  const queryPriority = QueryPriority.parse({ enabled: true, priorities });
  assert.match(idleLimits(configOf(), { queryPriority }) ?? '', /reserved_queriers is refused in one process/);
  assert.equal(idleLimits(configOf('-target=query-scheduler'), { queryPriority }), undefined);
  assert.equal(idleLimits(configOf(), {}), undefined);
});
