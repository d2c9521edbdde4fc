import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scoreOf } from './deployments/score.ts';

// the whole proof is `npm run test:deployments`
test('deployments of three days of a fleet are found, and nothing else', { timeout: 60_000 }, async () => {
  for (const seed of [0, 3]) {
    const { truths, missed, wrong } = await scoreOf(seed);
    assert.ok(truths > 10);
    assert.deepEqual({ missed, wrong }, { missed: [], wrong: [] });
  }
});
