import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KnownQueries } from './known-queries.ts';

const REFUSED_MS = 30_000;

function known() {
  let nowMs = 0;
  const queries = new KnownQueries(() => nowMs);
  return {
    queries,
    later(ms: number) {
      nowMs += ms;
    },
  };
}

test('a query is tried once a query thread has answered it', () => {
  const { queries } = known();
  assert.equal(queries.mayTry('a'), false);
  queries.see('a');
  assert.equal(queries.mayTry('a'), true);
  assert.equal(queries.mayTry('b'), false);
});

test('one that was not small is left to query threads for a while', () => {
  const { queries, later } = known();
  queries.see('a');
  queries.tried('a', 'not small');
  queries.see('a');
  assert.equal(queries.mayTry('a'), false);
  later(REFUSED_MS - 1);
  assert.equal(queries.mayTry('a'), false);
  later(1);
  assert.equal(queries.mayTry('a'), true);
});

test('one that takes long now and then is tried on, one that mostly does is not', () => {
  const { queries } = known();
  queries.see('a');
  for (let i = 0; i < 200; i++) queries.tried('a', i % 2 === 0 ? 'long' : 'small');
  assert.equal(queries.mayTry('a'), true);
  for (let i = 0; i < 200; i++) queries.tried('a', i % 4 === 0 ? 'small' : 'long');
  assert.equal(queries.mayTry('a'), false);
});

test('there are a bounded number, and those tried last stay', () => {
  const { queries } = known();
  queries.see('t first');
  queries.see('t second');
  for (let i = 0; i < 2_047; i++) {
    queries.mayTry('t first');
    queries.see(`t q${i}`);
  }
  assert.equal(queries.mayTry('t first'), true);
  assert.equal(queries.mayTry('t second'), false);
});

test('a tenant that asks many leaves those of others', () => {
  const { queries } = known();
  queries.see('other up');
  for (let i = 0; i < 5_000; i++) queries.see(`flood q${i}`);
  assert.equal(queries.mayTry('other up'), true);
  assert.equal(queries.mayTry('flood q4999'), true);
  assert.equal(queries.mayTry('flood q1'), false);
  for (let i = 0; i < 300; i++) queries.see(`other q${i}`);
  assert.equal(queries.mayTry('other q299'), true);
});

test('only short instant queries of one tenant have a key, and no tenant has that of another', () => {
  const { queries } = known();
  const keyOf = (path: string, tenant: string, query: string, more = 0, value = '') =>
    queries.keyOf({
      path,
      tenant,
      params: [['query', query], ...Array.from({ length: more }, (): [string, string] => ['x', value])],
    });
  assert.notEqual(keyOf('/api/v1/query', 'a', 'up'), undefined);
  assert.notEqual(keyOf('/api/v1/query', 'a', 'up'), keyOf('/api/v1/query', 'b', 'up'));
  assert.equal(keyOf('/api/v1/query_range', 'a', 'up'), undefined);
  assert.equal(keyOf('/api/v1/query_explain', 'a', 'up'), undefined);
  assert.equal(keyOf('/api/v1/query', 'a|b', 'up'), undefined);
  assert.equal(keyOf('/api/v1/query', 'a', ''), undefined);
  assert.equal(keyOf('/api/v1/query', 'a', 'u'.repeat(513)), undefined);
  assert.equal(keyOf('/api/v1/query', 'a', 'up', 16), undefined);
  assert.equal(
    queries.keyOf({
      path: '/api/v1/query',
      tenant: 'a',
      params: [
        ['query', 'up'],
        ['partial_response', ''],
      ],
    }),
    undefined,
  );
  assert.equal(keyOf('/api/v1/query', 'a', 'up', 1, 'x'.repeat(513)), undefined);
});
