import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../lib/manual-clock.ts';
import { QueryBook } from './query-book.ts';

test('queries that run and that ran are told to their tenant only, equal ones added up', () => {
  const clock = new ManualClock();
  const book = new QueryBook(clock);
  const begin = (tenant: string, path: string, params: Record<string, string>) =>
    book.begin({ tenant, method: 'GET', path, params: Object.entries(params) });
  const range = { query: 'up', start: '100', end: '160', step: '15' };
  const ends = [
    begin('a', '/api/v1/query_range', range),
    begin('a', '/api/v1/query_range', range),
    begin('a', '/api/v1/query', { query: 'up' }),
    begin('b', '/api/v1/query', { query: 'secret' }),
    begin('a', '/api/v1/labels', {}),
  ];
  assert.deepEqual(
    book.active('a').map(({ query, step }) => [query, step]),
    [
      ['up', '15'],
      ['up', '15'],
      ['up', ''],
    ],
  );
  clock.set(2000);
  for (const end of ends) end();
  assert.deepEqual(book.active('a'), []);
  assert.deepEqual(book.ended('a', 10_000), [
    { query: 'up', timeRangeSeconds: 60, count: 2, sumDurationSeconds: 4 },
    { query: 'up', timeRangeSeconds: 0, count: 1, sumDurationSeconds: 2 },
  ]);
  clock.set(60_000);
  assert.deepEqual(book.ended('a', 10_000), [], 'too long ago');
  for (let i = 0; i < 10_000; i++) begin('a', '/api/v1/query', { query: 'x'.repeat(5000) })();
  const [top] = book.ended('a', 10_000);
  assert.equal(top!.count, 4096, 'bounded');
  assert.equal(top!.query.length, 2048);
});

test('who begins a query may hear of its end', () => {
  const book = new QueryBook(new ManualClock(1000));
  const heard: string[] = [];
  const request = { tenant: 'a', method: 'GET', path: '/api/v1/query', params: [['query', 'up']] } as const;
  const end = book.begin(request, ({ query, startedMs }) => heard.push(`${query} ${startedMs}`));
  assert.deepEqual(heard, []);
  end();
  assert.deepEqual(heard, ['up 1000']);
});

test('a query is ended by its id, by its tenant alone', () => {
  const book = new QueryBook(new ManualClock());
  const request = { tenant: 'a', method: 'GET', path: '/api/v1/query', params: [['query', 'up']] } as const;
  const canceled: string[] = [];
  const end = book.begin(request, undefined, () => canceled.push('up'));
  const [{ id } = { id: 0 }] = book.active('a');
  assert.ok(!book.cancel('b', id) && !book.cancel('a', id + 1));
  assert.deepEqual(canceled, []);
  assert.ok(book.cancel('a', id));
  assert.deepEqual(canceled, ['up']);
  end();
  assert.ok(!book.cancel('a', id));
});

test("a query that runs names its caller's trace", () => {
  const book = new QueryBook(new ManualClock());
  const params = [['query', 'up']] as const;
  const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  let told: string | undefined;
  const end = book.begin({ tenant: 'a', method: 'GET', path: '/api/v1/query', params, trace }, ({ traceId }) => {
    told = traceId;
  });
  assert.equal(book.active('a')[0]!.traceId, '4bf92f3577b34da6a3ce929d0e0e4736');
  end();
  assert.equal(told, '4bf92f3577b34da6a3ce929d0e0e4736');
});
