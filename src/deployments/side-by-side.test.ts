import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareSides, sidesCase } from '../../test/deployments/sides.ts';
import { isWorseFirst } from '../../test/deployments/worse.ts';

test('while both versions run, instances of the new one are compared with those of the old one', async () => {
  const worse = sidesCase(1, true);
  const result = await compareSides(worse);
  assert.ok(result !== undefined && result.newer > 0 && result.older > 0);
  assert.ok(isWorseFirst(worse.worse, result.findings), JSON.stringify(result.findings[0]));
  const alike = (await compareSides(sidesCase(1, false)))!.findings;
  assert.deepEqual(
    alike.filter(({ verdict }) => verdict !== 'changed'),
    [],
  );
});

test('nothing is compared before instances of both versions are warm', async () => {
  const one = sidesCase(1, true);
  assert.equal(await compareSides({ ...one, nowMs: one.deployment.beginMs + 8 * 60_000 }), undefined);
  assert.equal(await compareSides({ ...one, nowMs: one.deployment.beginMs - 60_000 }), undefined);
});
