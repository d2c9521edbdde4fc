import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ANY_TIME_MS } from '../lib/day.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { listQueryable, type TestSeries } from '../storage/test-list.ts';
import { unlimited } from '../storage/unlimited.ts';
import { JobQueryable, runLookup } from './job-lookups.ts';
import { decodeRequest } from './job-shapes.ts';

const NOTHING_USED = { series: 0, chunks: 0, chunkBytes: 0, fetchedBytes: 0 };
const clock = new ManualClock(0);

test('the memory of an answer is given back when its values are taken', async () => {
  const list = Array.from(
    { length: 200 },
    (_, i): TestSeries => [{ __name__: 'm', a: `${i}`.padStart(50, 'v') }, [0, 1]],
  );
  const jobs = new JobQueryable(
    't',
    async (_, payload, ends) => {
      const request = decodeRequest(payload);
      assert.ok(request.kind === 'lookup');
      const budget = { ...unlimited().budget, ...NOTHING_USED };
      const bytes = await runLookup({ queryable: listQueryable(list), budget, clock }, request, ends);
      return { head: { workedMs: 0 }, bytes };
    },
    clock,
    ANY_TIME_MS,
  );
  let [held, most] = [0, 0];
  const addMemory = (bytes: number) => {
    held += bytes;
    most = Math.max(most, held);
  };
  const usual = unlimited();
  const context = { ...usual, budget: { ...usual.budget, addMemory } };
  const range = { matchers: [], startMs: 0, endMs: 1 };
  for (let i = 0; i < 5; i++) {
    assert.equal((await jobs.labelValues('a', range, context)).values.length, 200);
    assert.equal((await jobs.labelNames(range, context)).values.length, 2);
    assert.equal(held, 0);
  }
  assert.ok(most > 10_000 && most < 20_000);
});
