import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DELETED, type FrameLimits, type KnownDeletion } from '../../contract/ingest.ts';
import { ManualClock } from '../../lib/manual-clock.ts';
import { decodeRefusals } from '../../wire/frame-refusals.ts';

import { testFrames } from './test-frames.ts';
import { testShard } from './test-shard.ts';

const NOW_MS = 1_700_000_000_000;
const HOUR_MS = 3_600_000;
const LIMITS: FrameLimits = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0, exemplarsMax: 0 };

async function shardWith(deletions: readonly KnownDeletion[]) {
  const clock = new ManualClock(NOW_MS);
  const shard = await testShard(clock, { windowMs: 2 * HOUR_MS });
  shard.deletions.set('a', deletions);
  return { shard, clock };
}

const OF_JOB: KnownDeletion = {
  matchers: [{ name: 'job', op: '=~', value: 'x|y' }],
  startMs: NOW_MS - HOUR_MS,
  endMs: NOW_MS - 1000,
  untilMs: NOW_MS + HOUR_MS,
};
const series = (job: string, ...times: number[]) => ({
  labels: { __name__: 'm', job },
  samples: times.map((timeMs) => [NOW_MS + timeMs, 1] as const),
});

test('samples that a delete request covers are refused, frame by frame, and all others kept', async () => {
  const { shard } = await shardWith([OF_JOB]);
  const frames = testFrames([series('x', -5000, -500, 0), series('z', -5000), series('y', -1000), series('x', 1)]);
  const result = await shard.push('a', frames, LIMITS, true);
  assert.deepEqual([result.counts[0], result.deleted], [4, 2]);
  assert.deepEqual(
    [result.first?.answer, result.first?.labels.get('job'), result.first?.timeMs, result.first?.newestMs],
    [DELETED, 'x', NOW_MS - 5000, OF_JOB.untilMs],
  );
  assert.deepEqual(
    decodeRefusals(result.refusals!).map(({ frame, reason, samples }) => [frame, reason, samples]),
    [
      [0, DELETED, 1],
      [2, DELETED, 1],
    ],
  );
  assert.equal(shard.head.seriesCount, 2, 'a series of which nothing is kept is not made');
  const ofOther = await shard.push('b', testFrames([series('x', -5000)]), LIMITS);
  assert.deepEqual([ofOther.counts[0], ofOther.deleted], [1, undefined]);
});

test('what is covered may come again once the request is forgotten', async () => {
  const { shard, clock } = await shardWith([OF_JOB]);
  const push = async () => (await shard.push('a', testFrames([series('x', -5000)]), LIMITS)).counts[0];
  assert.equal(await push(), 0);
  clock.set(OF_JOB.untilMs);
  assert.equal(await push(), 1);
  shard.deletions.set('a', []);
  assert.equal((await shard.push('a', testFrames([series('y', -5000)]), LIMITS)).counts[0], 1);
});

test('a tenant has a bounded number of delete requests', async () => {
  const { shard } = await shardWith([]);
  assert.throws(
    () =>
      shard.deletions.set(
        'a',
        Array.from({ length: 1001 }, () => OF_JOB),
      ),
    /tenant_deletions_max/,
  );
});
