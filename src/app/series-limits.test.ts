import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Edge } from '../distributor/edge.ts';
import { DistributorService } from '../distributor/service.ts';
import { MemoryDisk } from '../ingester/log/test-disk.ts';
import { Shard } from '../ingester/shard/shard.ts';
import type { ShardRole } from '../ingester/shard/shard-messages.ts';
import { shardRole } from '../ingester/shard/shard-role.ts';
import { Registry } from '../kit/observe/metrics.ts';
import { connectInThread } from '../kit/thread/channel.ts';
import { systemClock } from '../lib/clock.ts';
import { DEFAULT_LIMITS, type TenantLimits } from '../limits/limits.ts';

const SHARDS = 4;
const NOW_MS = Date.now();

/** Four shards and an edge in this thread. */
async function fourShards(t: TestContext, limits: Partial<TenantLimits>) {
  const disk = new MemoryDisk();
  const clock = systemClock;
  const shards = await Promise.all(
    Array.from({ length: SHARDS }, async (_, i) => {
      const shard = new Shard({
        folder: `shard-${i}`,
        windowMs: 7_200_000,
        headBytesMax: 1 << 30,
        fsync: 'interval',
        fsyncIntervalMs: 60_000,
        keepFlushedMs: 60_000,
        disk,
        clock,
        log: () => {},
        fatal: (error) => assert.fail(error),
      });
      const link = connectInThread<ShardRole>(shardRole(shard, clock));
      t.after(async () => {
        link.close();
        await shard.close({ checkpoint: false });
      });
      while (shard.state === 'replaying') await clock.turn();
      return link.channel;
    }),
  );
  const edges = new Edge({
    clock,
    rawBytesMax: 1 << 20,
    targets: shards.map((shard) => ({
      push: (request) => shard.call('push', request, { transfer: [request.frames] }),
      setMetadata: (request) => shard.call('setMetadata', request),
    })),
  });
  const distributor = new DistributorService({
    edges,
    clock,
    registry: new Registry(),
    limits: () => ({ ...DEFAULT_LIMITS, ...limits }),
  });
  let timeMs = NOW_MS;
  const push = (names: readonly string[]) => {
    timeMs++;
    const series = names.map((name) => ({
      pairs: ['__name__', ...name.split('/i/').flatMap((p, i) => (i ? ['i', p] : [p]))],
      samples: [{ timeMs, value: 1 }],
    }));
    return distributor.pushSeries({ tenant: 'a', series });
  };
  const held = async () => {
    const none = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0, exemplarsMax: 0 };
    const asked = shards.map((shard) =>
      shard.call('push', { tenant: 'a', frames: new ArrayBuffer(0), bytes: 0, limits: none }),
    );
    return (await Promise.all(asked)).reduce((sum, { tenantSeries }) => sum + tenantSeries!, 0);
  };
  return { push, held };
}

const metrics = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `m${from + i}`);

for (const name of ['maxSeriesPerUser', 'maxGlobalSeriesPerUser'] as const) {
  test(`${name} counts the series of all shards, in one request and in several`, async (t) => {
    const { push, held } = await fourShards(t, { [name]: 50 });
    const key = name === 'maxSeriesPerUser' ? 'max_series_per_user' : 'max_global_series_per_user';
    assert.equal((await push(metrics(0, 20))).status, 204);
    const refused = await push(metrics(20, 220));
    assert.equal(refused.status, 400);
    assert.match(refused.text, new RegExp(`per-user series limit of 50 exceeded \\(${key}\\)`));
    assert.equal(await held(), 50);
    assert.equal((await push(metrics(0, 20))).status, 204, 'series that are there go on');
    assert.equal((await push(['n'])).status, 400);
  });

  test(`${name}: requests at the same time do not pass it together`, async (t) => {
    const { push, held } = await fourShards(t, { [name]: 50 });
    const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => push(metrics(i * 10, i * 10 + 10))));
    assert.equal(await held(), 50);
    assert.equal(answers.filter(({ status }) => status === 204).length, 5);
  });
}

test('max_global_series_per_metric holds a metric, the lower of two limits is named', async (t) => {
  const { push, held } = await fourShards(t, { maxGlobalSeriesPerMetric: 3, maxSeriesPerMetric: 4 });
  const { status, text } = await push(['g/i/1', 'g/i/2', 'g/i/3', 'g/i/4', 'h/i/1']);
  assert.equal(status, 400);
  assert.match(text, /^per-metric series limit of 3 exceeded \(max_global_series_per_metric\): .*i="4"/);
  assert.equal(await held(), 4);
});
