import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InstantOutcome } from '../contract/query.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { encodeOutcomes } from './batch-wire.ts';
import { type AskBatch, JobBatches } from './job-batches.ts';
import { decodeRequest } from './job-shapes.ts';

const REQUESTS = ['a', 'b', 'c'].map((expr) => ({ expr, timeMs: 5 }));
const AWAY: InstantOutcome = { failure: { text: 'the store is away', http: 503 } };
const SEVEN: InstantOutcome = { result: { type: 'scalar', timeMs: 5, value: 7 } };
const { signal } = new AbortController();

/** Batches whose queriers answer each expression as told; `asked` has what each was asked for. */
function batchesOf(outcomeOf: (expr: string, avoided: boolean) => InstantOutcome) {
  const asked: string[] = [];
  const ask: AskBatch = async (_tenant, payload, avoid) => {
    const request = decodeRequest(payload);
    assert.ok(request.kind === 'rules');
    const exprs = request.requests.map(({ expr }) => expr);
    asked.push(exprs.join());
    return { querier: 'q', bytes: encodeOutcomes(exprs.map((expr) => outcomeOf(expr, avoid.length > 0))) };
  };
  return { asked, batches: new JobBatches({ ask, timeoutMs: 60_000, clock: new ManualClock() }) };
}

test('where the store is away one expression of a batch is asked for again', async () => {
  const { asked, batches } = batchesOf(() => AWAY);
  assert.deepEqual(await batches.instants('t', REQUESTS, { signal }), [AWAY, AWAY, AWAY]);
  assert.deepEqual(asked, ['a,b,c', 'a']);
});

test('where one querier fails all of a batch another is asked for all of it', async () => {
  const { asked, batches } = batchesOf((_, avoided) => (avoided ? SEVEN : AWAY));
  assert.deepEqual(await batches.instants('t', REQUESTS, { signal }), [SEVEN, SEVEN, SEVEN]);
  assert.deepEqual(asked, ['a,b,c', 'a', 'b,c']);
});

test('a batch has its time once, whatever is asked for again', async () => {
  const clock = new ManualClock();
  let asks = 0;
  const batches = new JobBatches({
    async ask(_tenant, _payload, avoid, ends) {
      asks++;
      await clock.sleep(avoid.length > 0 ? 1e9 : 50_000, ends);
      return { querier: 'q', bytes: encodeOutcomes([SEVEN, AWAY, SEVEN]) };
    },
    timeoutMs: 60_000,
    clock,
  });
  let outcomes: readonly InstantOutcome[] | undefined;
  const done = batches.instants('t', REQUESTS, { signal }).then((all) => {
    outcomes = all;
  });
  for (let ms = 0; ms < 60_000; ms += 1_000) await clock.advance(1_000);
  await done;
  assert.deepEqual([outcomes, asks], [[SEVEN, AWAY, SEVEN], 2]);
});
