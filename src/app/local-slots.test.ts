import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Edge } from '../distributor/edge.ts';
import { LocalSlotSizes } from '../distributor/local-slots.ts';
import { DistributorService } from '../distributor/service.ts';
import { MemoryDisk } from '../ingester/log/test-disk.ts';
import { Shard } from '../ingester/shard/shard.ts';
import type { ShardRole } from '../ingester/shard/shard-messages.ts';
import { shardRole } from '../ingester/shard/shard-role.ts';
import { Registry } from '../kit/observe/metrics.ts';
import { connectInThread } from '../kit/thread/channel.ts';
import { systemClock } from '../lib/clock.ts';
import { DEFAULT_LIMITS, type TenantLimits } from '../limits/limits.ts';
import { encodeRemoteWrite1 } from '../wire/remote-write-encode.ts';
import { deflateSnappy } from '../wire/snappy.ts';
import { WriteSamples } from '../wire/write-request.ts';

const SHARDS = 4;
const NOW_MS = Date.now();
const HEADERS = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' };

/** Four shards behind a distributor, without a ring. */
async function fourShards(t: TestContext, limits: Partial<TenantLimits> = {}) {
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
      await shard.ready;
      return { shard, channel: link.channel };
    }),
  );
  const slots = new LocalSlotSizes({ shards: SHARDS, file: { load: () => undefined, save: () => {} }, clock });
  const edges = new Edge({
    clock,
    rawBytesMax: 1 << 25,
    targets: shards.map(({ channel }) => ({
      push: (request) => channel.call('push', request, { transfer: [request.frames] }),
      setMetadata: (request) => channel.call('setMetadata', request),
    })),
  });
  const all = () => ({ ...DEFAULT_LIMITS, ...limits });
  const distributor = new DistributorService({ edges, clock, slots, registry: new Registry(), limits: all });
  await distributor.start();
  let timeMs = NOW_MS;
  const push = (tenant: string, metrics: number, from: number, to: number) => {
    timeMs++;
    const raw = encodeRemoteWrite1({
      series: Array.from({ length: to - from }, (_, i) => ({
        pairs: ['__name__', `m${(from + i) % metrics}`, 'i', `${from + i}`],
        labelsFault: undefined,
        samples: WriteSamples.of([{ timeMs, value: 1 }]),
        histograms: [],
        exemplars: [],
      })),
      metadata: Array.from({ length: metrics }, (_, i) => ({
        metric: `m${i}`,
        type: 'gauge',
        help: 'Help.',
        unit: '',
      })),
    });
    return distributor.push({ tenant, headers: HEADERS, body: deflateSnappy(raw).slice() });
  };
  const held = (tenant: string) =>
    shards.map(({ shard }) => ({
      series: shard.head.tenant(tenant)?.seriesCount ?? 0,
      metadata: shard.metadata.of(tenant).length,
    }));
  return { push, held };
}

test('a small tenant is in one shard, with its metadata; tenants are in different ones', async (t) => {
  const { push, held } = await fourShards(t);
  const seen = new Set<number>();
  for (let n = 0; n < 20; n++) {
    assert.equal((await push(`t${n}`, 10, 0, 50)).status, 204);
    const at = held(`t${n}`).findIndex(({ series }) => series > 0);
    assert.deepEqual(
      held(`t${n}`),
      Array.from({ length: SHARDS }, (_, i) => (i === at ? { series: 50, metadata: 10 } : { series: 0, metadata: 0 })),
    );
    seen.add(at);
  }
  assert.equal(seen.size, SHARDS);
});

test('a tenant that grows is spread, and what is counted twice meanwhile costs it nothing', async (t) => {
  const { push, held } = await fourShards(t, { maxGlobalSeriesPerUser: 26_000 });
  assert.equal((await push('a', 64, 0, 20_001)).status, 204);
  assert.deepEqual(held('a').filter(({ series }) => series > 0).length, 1);
  assert.equal((await push('a', 64, 0, 20_001)).status, 204, 'the same series, now in all shards');
  const spread = held('a').map(({ series }) => series);
  assert.ok(Math.min(...spread) > 1_000, spread.join());
  assert.ok(spread.reduce((sum, series) => sum + series) > 26_000);
  // each metric's metadata lies with its series
  assert.ok(held('a').every(({ series, metadata }) => series === 20_001 || metadata > 0));
  assert.equal((await push('a', 64, 20_001, 24_000)).status, 204);
  const over = await push('a', 64, 24_000, 60_000);
  assert.equal(over.status, 400);
  assert.match(over.text, /^per-user series limit of 26000 exceeded \(max_global_series_per_user\)/);
});
