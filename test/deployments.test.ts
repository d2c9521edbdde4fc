import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scoreOf } from './deployments/score.ts';
import { compareCase, isFoundFirst, worseCase } from './deployments/worse.ts';

// the whole proof is `npm run test:deployments`
test('deployments of a day of some services are found, and nothing else', { timeout: 240_000 }, async () => {
  for (const seed of [0, 3]) {
    const { truths, missed, wrong } = await scoreOf(seed);
    assert.ok(truths > 10);
    assert.deepEqual({ missed, wrong }, { missed: [], wrong: [] });
  }
});

test('the handler that got slower comes first, and nothing where nothing changed', { timeout: 240_000 }, async () => {
  const worse = worseCase(4, true);
  assert.equal(worse.worse?.kind, 'latency');
  assert.ok(worse.worse.handler !== undefined);
  assert.ok(isFoundFirst(worse, await compareCase(worse)));
  assert.deepEqual((await compareCase(worseCase(4, false))).findings, []);
});
