import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testSources } from '../../api/test-sources.ts';
import { systemClock } from '../../lib/clock.ts';
import { Engine } from '../../promql/engine.ts';
import { QueryTurns } from '../../querier/turns.ts';
import { warmUp } from './warm-up.ts';

test('every question of the warm-up finds something, and it ends in time', async () => {
  const started = performance.now();
  const lengths = await warmUp(
    testSources([]),
    { engine: new Engine(), turns: new QueryTurns(systemClock), timeoutMs: 10_000, clock: systemClock },
    1000,
  );
  assert.ok(performance.now() - started < 5000);
  assert.ok(lengths.length >= 20, `${lengths.length} answers`);
  // {"status":"success","data":{"resultType":"matrix","result":[]}}
  for (const [i, length] of lengths.entries()) assert.ok(length > 70, `question ${i}: ${length} bytes`);
});
