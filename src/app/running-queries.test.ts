import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { QueriesOfProcess } from '../contract/running-queries.ts';
import { decodeValue, encodeValue } from '../kit/rpc/codec.ts';
import type { RpcCaller } from '../kit/rpc/role.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { queriesRole, remoteQueries } from '../peer/queries-role.ts';
import { QueryBook } from '../querier/query-book.ts';
import { ownQueries, RunningQueries } from '../querier/running-queries.ts';

const { signal } = new AbortController();

/** The other end of a role, with all on its way as bytes. */
function callerOf(own: QueriesOfProcess): RpcCaller {
  const role = queriesRole(own);
  return {
    async call(method, head) {
      const given = { head: decodeValue(encodeValue(head)), body: new Uint8Array(0) };
      const { head: answer, body = new Uint8Array(0) } = await role[method]!(given, { signal, peer: 'x' });
      return { head: answer === undefined ? undefined : decodeValue(encodeValue(answer)), body };
    },
    stream: () => assert.fail('it is no stream'),
  };
}

/** Two processes that know each other, and one that does not answer. */
function cluster() {
  const clock = new ManualClock();
  const books = { a: new QueryBook(clock), b: new QueryBook(clock) };
  const away: QueriesOfProcess = {
    running: async () => Promise.reject(new Error('it is away')),
    cancel: async () => Promise.reject(new Error('it is away')),
  };
  const process = (self: 'a' | 'b', hasAway: boolean) => {
    const other = self === 'a' ? 'b' : 'a';
    const others = new Map([[other as string, remoteQueries(callerOf(ownQueries(books[other], clock)))]]);
    if (hasAway) others.set('c', away);
    return new RunningQueries(ownQueries(books[self], clock), () => ({ self, others }), clock);
  };
  const cancelled: string[] = [];
  const begin = (at: 'a' | 'b', tenant: string, query: string) =>
    books[at].begin({ tenant, method: 'GET', path: '/api/v1/query', params: [['query', query]] }, undefined, () =>
      cancelled.push(query),
    );
  return { clock, process, begin, cancelled };
}

test('queries of all processes are told to their tenant, those of all tenants to operators', async () => {
  const { clock, process, begin } = cluster();
  begin('a', 'one', 'oldest');
  clock.set(1_000);
  begin('b', 'one', 'elsewhere');
  begin('b', 'two', 'secret');
  clock.set(3_000);
  const { queries, warnings } = await process('a', false).running('one', signal);
  assert.deepEqual(
    queries.map(({ id, process: at, query, forMs }) => [id, at, query, forMs]),
    [
      ['1@a', 'a', 'oldest', 3_000],
      ['1@b', 'b', 'elsewhere', 2_000],
    ],
  );
  assert.deepEqual(warnings, []);
  const all = await process('a', true).running(undefined, signal);
  assert.deepEqual(
    all.queries.map(({ tenant, query }) => [tenant, query]),
    [
      ['one', 'oldest'],
      ['one', 'elsewhere'],
      ['two', 'secret'],
    ],
  );
  assert.deepEqual(all.warnings, ['c does not tell its queries: it is away']);
});

test('a query is cancelled where it runs, whichever process is asked, and by its tenant only', async () => {
  const { process, begin, cancelled } = cluster();
  begin('b', 'one', 'elsewhere');
  const [a, b] = [process('a', false), process('b', false)];
  for (const asked of [a, b]) assert.equal(await asked.cancel('two', '1@b', signal), false);
  for (const wrong of ['1', '1@a', '2@b', '1@nobody', 'b', '-1@b', `${'9'.repeat(20)}@b`, '']) {
    assert.equal(await a.cancel('one', wrong, signal), false, wrong);
  }
  assert.deepEqual(cancelled, []);
  assert.equal(await a.cancel('one', '1@b', signal), true);
  assert.equal(await b.cancel('one', '1@b', signal), true);
  assert.equal(await b.cancel('one', '1', signal), true, 'by the id alone where it runs');
  assert.deepEqual(cancelled, ['elsewhere', 'elsewhere', 'elsewhere']);
});

test('a process that is alone has no names, and what another says of other tenants is left out', async () => {
  const { clock } = cluster();
  const book = new QueryBook(clock);
  book.begin({ tenant: 'one', method: 'GET', path: '/api/v1/query', params: [['query', 'up']] });
  const alone = await new RunningQueries(ownQueries(book, clock), () => undefined, clock).running('one', signal);
  assert.deepEqual(
    alone.queries.map(({ id, process }) => [id, process]),
    [['1', '']],
  );
  const [told] = await ownQueries(book, clock).running('one', signal);
  const loose = remoteQueries(callerOf({ running: async () => [told!], cancel: async () => true }));
  assert.deepEqual(await loose.running('other', signal), []);
  const odd = remoteQueries(callerOf({ running: async () => [{ ...told!, id: -1 }], cancel: async () => true }));
  await assert.rejects(odd.running('one', signal), /id/);
});
