import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../kit/config/load.ts';
import { cacheAgeMs, lateAfterMs } from './cache-age.ts';
import { sections } from './config.ts';

const HOUR_MS = 3_600_000;

function agesOf(...args: string[]) {
  const config = loadConfig(sections, { args, env: {} }).values;
  return { cached: cacheAgeMs(config), late: lateAfterMs(config) };
}

test('samples are late at half the age from which answers are cached, in one process', () => {
  const { cached, late } = agesOf();
  assert.equal(late, cached! / 2);
  assert.deepEqual(agesOf('-querier.cache-results=false'), { cached: undefined, late: undefined });
});

test('in a cluster no front end caches what an ingester of other settings does not tell of', () => {
  const settings = [[], ['-ingester.window=10m'], ['-ingester.flush-delay=5h'], ['-querier.cache-results=false']];
  const ingesters = settings.map((flags) => agesOf('-target=ingester', ...flags).late!);
  const frontends = settings.map((flags) => agesOf('-target=query-frontend', ...flags).cached);
  const youngest = Math.min(...frontends.map((ageMs) => ageMs ?? Number.POSITIVE_INFINITY));
  assert.ok(Math.max(...ingesters) <= youngest / 2, `${ingesters} ${frontends}`);
  assert.ok(youngest >= 2 * HOUR_MS);
  assert.equal(frontends[3], undefined);
});
