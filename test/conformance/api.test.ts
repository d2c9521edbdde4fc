import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Pallium } from '../harness/pallium.ts';
import { loadConformanceData, readCases, skipWithoutConformance } from './api-data.ts';
import { apiDifferences, type Differences, unexplained } from './api-differences.ts';
import { type ApiCase, replayAll } from './api-replay.ts';

describe('the API over HTTP answers as Prometheus 3.14', { skip: skipWithoutConformance }, () => {
  let server: Pallium;
  before(async () => {
    server = await Pallium.start();
    await loadConformanceData(`${server.url}/api/v1/push`);
  });
  after(() => server[Symbol.asyncDispose]());

  const run = async () => {
    const wrong: string[] = [];
    for (const { name, cases, differences } of sets()) {
      const { equal, varied, differing } = await replayAll(server.url, cases);
      console.log(`${name}: ${equal} equal, ${differing.size} differ, ${varied} vary`);
      wrong.push(...unexplained(name, differences, differing));
    }
    assert.deepEqual(wrong, []);
  };

  test('from the head', run);

  test('from the store, after a flush', async () => {
    await server.flush();
    await run();
  });
});

function sets(): { name: string; cases: ApiCase[]; differences: Differences }[] {
  return [
    { name: 'api-static.jsonl', cases: readCases<ApiCase>('api-static.jsonl'), differences: apiDifferences },
    {
      name: 'promqlcompliance.jsonl',
      cases: readCases<ComplianceCase>('promqlcompliance.jsonl').map(rangeQuery),
      differences: { intended: {}, missing: {} },
    },
  ];
}

interface ComplianceCase {
  readonly query: string;
  readonly status: number;
  readonly json: unknown;
}

function rangeQuery({ query, status, json }: ComplianceCase): ApiCase {
  const params = new URLSearchParams({ query, start: '1767230280', end: '1767230880', step: '10' });
  return { name: query, method: 'GET', url: `/api/v1/query_range?${params}`, status, json, order: 'any' };
}
