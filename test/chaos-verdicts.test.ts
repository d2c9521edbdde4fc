import assert from 'node:assert/strict';
import { test } from 'node:test';
import { storeErrors } from '../src/model/errors-store.ts';
import { isStoreAway } from './chaos/checker.ts';
import { type RefusalVerdict, refusalVerdict } from './chaos/refusal-verdict.ts';
import { storedFault } from './chaos/stored.ts';

test('writes that stop for an outage of the store are seen, however short it is', () => {
  const refusals = [{ startMs: 1_000, endMs: 6_000 }];
  const outage = { startMs: 100_000, endMs: 148_000 };
  const cases: [startMs: number, endMs: number, expected: Partial<RefusalVerdict>][] = [
    [101_000, 148_500, { longestMs: 47_500, storeAwayMs: 47_000, storeAwayMsMax: 24_000, isWell: false }],
    // drivers' tries are over after twelve seconds
    [112_000, 148_500, { storeAwayMs: 36_000, isWell: false }],
    // most of it was before the outage, of something else
    [80_000, 110_000, { longestMs: 30_000, storeAwayMs: 10_000, isWell: true }],
    [10_000, 71_000, { longestMs: 61_000, storeAwayMs: 0, isWell: false }],
  ];
  for (const [startMs, endMs, expected] of cases) {
    assert.partialDeepStrictEqual(refusalVerdict([...refusals, { startMs, endMs }], [outage], 60_000), expected);
  }
  assert.partialDeepStrictEqual(refusalVerdict(refusals, [], 60_000), { storeAwayMsMax: undefined, isWell: true });
  const long = { startMs: 0, endMs: 1_800_000 };
  assert.equal(refusalVerdict(refusals, [long], 60_000).storeAwayMsMax, 60_000);
});

test('a query is excused by the store that is away, and by nobody else', () => {
  const answer = (error: string) => `503 ${JSON.stringify({ status: 'error', errorType: 'unavailable', error })}`;
  const call = { backend: 'cassandra', operation: 'query', table: 'index_1', reason: 'refused' };
  assert.equal(isStoreAway(answer(storeErrors.storeUnavailable({ ...call, tries: 4 }).message)), true);
  assert.equal(isStoreAway(answer(storeErrors.storeUnavailable({ ...call, tries: 1 }).message)), true);
  assert.equal(isStoreAway(answer('1 of 3 owners answered, 2 are wanted')), false);
  assert.equal(isStoreAway('422 failed after 4 tries: no'), false);
});

test('a store that lacks samples is seen, and one that has too many of them twice', () => {
  assert.match(storedFault(99, 100, undefined)!, /99 samples of 100/);
  assert.equal(storedFault(300, 100, undefined), undefined);
  assert.equal(storedFault(110, 100, 0.1), undefined);
  assert.match(storedFault(111, 100, 0.1)!, /11.0 % more than 100.*at most 10.0 %/);
});
