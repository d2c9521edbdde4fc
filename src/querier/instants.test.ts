import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InstantRequest } from '../contract/query.ts';
import { systemClock } from '../lib/clock.ts';
import { type BatchQueries, instantsBy } from './instants.ts';
import { KeptTexts } from './kept-texts.ts';

const { signal } = new AbortController();

function requestsOf(count: number): readonly InstantRequest[] {
  return Array.from({ length: count }, (_, i) => ({ expr: String(i), timeMs: 0 }));
}

/** Queries of which some wait; the expressions of those that were begun and that were answered. */
function queriesOf(isSlow: (expr: string) => boolean, waits: 'prepare' | 'instant') {
  const gate = Promise.withResolvers<void>();
  const begun: number[] = [];
  const answered: string[] = [];
  let atOnce = 0;
  let mostAtOnce = 0;
  const queries: BatchQueries = {
    async prepare({ expr }) {
      begun.push(Number(expr));
      if (waits === 'prepare' && isSlow(expr)) await gate.promise;
      return !isSlow(expr);
    },
    async instant({ expr }) {
      mostAtOnce = Math.max(mostAtOnce, ++atOnce);
      if (waits === 'instant' && isSlow(expr)) await gate.promise;
      atOnce--;
      answered.push(expr);
      if (expr === '5') throw new Error('it fails');
      const statistics = { fetchedBytes: 0 } as Awaited<ReturnType<BatchQueries['instant']>>['statistics'];
      return { value: { type: 'string', value: expr, timeMs: 0 }, statistics };
    },
  };
  return { queries, begun, answered, open: () => gate.resolve(), most: () => mostAtOnce };
}

test('a request that takes long, to be prepared or evaluated, holds up no other of its batch', async () => {
  for (const waits of ['prepare', 'instant'] as const) {
    const requests = requestsOf(500);
    const { queries, answered, open } = queriesOf((expr) => Number(expr) % 50 === 3, waits);
    const all = instantsBy(queries, requests, { signal }, systemClock, new KeptTexts());
    for (let turns = 0; answered.length < 490 && turns < 10_000; turns++) await systemClock.turn();
    assert.equal(answered.length, 490, waits);
    open();
    const outcomes = await all;
    assert.equal(outcomes.length, 500);
    for (const [i, outcome] of outcomes.entries()) {
      if ('failure' in outcome) assert.deepEqual([i, outcome.failure.text], [5, 'it fails']);
      else assert.deepEqual(outcome.result, { type: 'string', value: String(i), timeMs: 0 });
    }
  }
});

test('those that wait for something are bounded, those that do not are evaluated one by one and asked for together', async () => {
  const slow = queriesOf(() => true, 'instant');
  const all = instantsBy(slow.queries, requestsOf(100), { signal }, systemClock, new KeptTexts());
  for (let i = 0; i < 20; i++) await systemClock.turn();
  assert.deepEqual([slow.begun.length, slow.most()], [16, 16]);
  slow.open();
  await all;
  assert.equal(slow.most(), 16);
  const quick = queriesOf(() => false, 'instant');
  const begunWhen: number[] = [];
  const { prepare } = quick.queries;
  quick.queries.prepare = (request) => {
    begunWhen.push(quick.answered.length);
    return prepare(request);
  };
  await instantsBy(quick.queries, requestsOf(200), { signal }, systemClock, new KeptTexts());
  assert.equal(quick.most(), 1);
  assert.deepEqual([...new Set(begunWhen)], [0, 16, 80, 144]);
});

test('a batch that nobody waits for ends with the reason, once what is under way has ended', async () => {
  const ending = new AbortController();
  const { queries, begun, answered, open } = queriesOf(() => true, 'prepare');
  const all = instantsBy(queries, requestsOf(100), { signal: ending.signal }, systemClock, new KeptTexts());
  let isOver = false;
  const over = assert.rejects(all, /nobody waits/).then(() => {
    isOver = true;
  });
  await systemClock.turn();
  ending.abort(new Error('nobody waits'));
  await systemClock.turn();
  assert.equal(isOver, false);
  open();
  await over;
  assert.deepEqual([begun.length, answered.length], [16, 0]);
});
