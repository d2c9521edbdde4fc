import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RoutePaths } from './route-paths.ts';

test('a route is found by its path, decoded segment by segment', () => {
  const paths = new RoutePaths<string>();
  for (const path of ['/', '/api/v1/query', '/api/v1/label/:name/values', '/api/v1/dashboards/:id'])
    paths.add(path, path);
  const found: [string, string | undefined][] = [
    ['/', '/'],
    ['/?a=/api/v1/query', '/'],
    ['/api/v1/query', '/api/v1/query'],
    ['/api/v1/%71uery?query=up', '/api/v1/query'],
    ['/api/v1/label/job/values', '/api/v1/label/:name/values'],
    ['/api/v1/label/a%2Fb/values', '/api/v1/label/:name/values'],
    ['/api/v1/label//values', undefined],
    ['/api/v1%2Fquery', undefined],
    ['/api/v1/query/', undefined],
    ['/api/v1/dashboards', undefined],
    ['/api/v1/dashboards/', undefined],
    ['/api/v1/dashboards/%', '/api/v1/dashboards/:id'],
    ['', undefined],
  ];
  for (const [target, expected] of found) assert.equal(paths.find(target), expected, target);
});
