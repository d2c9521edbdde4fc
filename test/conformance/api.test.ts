import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Pallium } from '../harness/pallium.ts';
import { loadConformanceData, readCases, skipWithoutConformance } from './api-data.ts';
import { type ApiCase, replayAll } from './api-replay.ts';

/** Answers of the API that differ from Prometheus' on purpose, and why. */
const INTENDED: Readonly<Record<string, string>> = {};

describe('the API over HTTP answers as Prometheus 3.14', { skip: skipWithoutConformance }, () => {
  let server: Pallium;
  before(async () => {
    server = await Pallium.start();
    await loadConformanceData(`${server.url}/api/v1/push`);
  });
  after(() => server[Symbol.asyncDispose]());

  const sets = (): [string, ApiCase[]][] => [
    ['api-static.jsonl', readCases<ApiCase>('api-static.jsonl')],
    ['promqlcompliance.jsonl', readCases<ComplianceCase>('promqlcompliance.jsonl').map(rangeQuery)],
  ];
  const run = async (name: string, cases: readonly ApiCase[]) => {
    const { equal, varied, differing } = await replayAll(server.url, cases);
    console.log(`${name}: ${equal} equal, ${differing.size} differ, ${varied} vary`);
    for (const [each, why] of differing) console.log(`  ${each}: ${INTENDED[each] ?? why}`);
    const unintended = [...differing.keys()].filter((each) => INTENDED[each] === undefined);
    assert.deepEqual(unintended, []);
  };

  test('from the head', async () => {
    for (const [name, cases] of sets()) await run(name, cases);
  });

  test('from the store, after a flush', async () => {
    await server.flush();
    for (const [name, cases] of sets()) await run(name, cases);
  });
});

interface ComplianceCase {
  readonly query: string;
  readonly status: number;
  readonly json: unknown;
}

function rangeQuery({ query, status, json }: ComplianceCase): ApiCase {
  const params = new URLSearchParams({ query, start: '1767230280', end: '1767230880', step: '10' });
  return { name: query, method: 'GET', url: `/api/v1/query_range?${params}`, status, json, order: 'any' };
}
