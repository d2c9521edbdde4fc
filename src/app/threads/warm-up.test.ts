import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testSources } from '../../api/test-sources.ts';
import { warmUp } from './warm-up.ts';

test('every question of the warm-up finds something, and it ends in time', async () => {
  const started = performance.now();
  const lengths = await warmUp(testSources([]), 1000);
  assert.ok(performance.now() - started < 5000);
  assert.ok(lengths.length >= 20, `${lengths.length} answers`);
  // {"status":"success","data":{"resultType":"matrix","result":[]}}
  for (const [i, length] of lengths.entries()) assert.ok(length > 70, `question ${i}: ${length} bytes`);
});
