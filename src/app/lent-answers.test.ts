import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Kernel } from '../chunk/kernel.ts';
import type { HeadSlice } from '../contract/ingester.ts';
import { HeldRange } from '../ingester/head/held-range.ts';
import { MemoryDisk } from '../ingester/log/test-disk.ts';
import { Shard } from '../ingester/shard/shard.ts';
import { ShardsClient } from '../ingester/shard/shard-client.ts';
import type { ShardRole } from '../ingester/shard/shard-messages.ts';
import { shardRole } from '../ingester/shard/shard-role.ts';
import { testFrames } from '../ingester/shard/test-frames.ts';
import { connectInThread } from '../kit/thread/channel.ts';
import { systemClock } from '../lib/clock.ts';
import { HeadSource } from '../querier/head-source.ts';
import { SampleColumns } from '../storage/columns.ts';
import type { SourceSeries } from '../storage/source.ts';
import { unlimited } from '../storage/unlimited.ts';

const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0, exemplarsMax: 0 };
const T = 1_700_000_000_000;
const SERIES = 100;
const ALL = { matchers: [], startMs: T, endMs: T + 60_000 };

/** A shard that has the same series of two tenants, whose values are their own. */
async function twoTenants() {
  const shard = new Shard({
    folder: 'shard',
    windowMs: 7_200_000,
    headBytesMax: 1e9,
    fsync: 'interval',
    fsyncIntervalMs: 3_600_000,
    keepFlushedMs: 900_000,
    disk: new MemoryDisk(),
    clock: systemClock,
    log: () => {},
    fatal: (error) => assert.fail(error),
  });
  await shard.ready;
  for (const [tenant, value] of [
    ['a', 1],
    ['b', 2],
  ] as const) {
    const series = Array.from({ length: SERIES }, (_, i) => ({
      labels: { __name__: 'm', i: String(i) },
      samples: [[T, value]] as [number, number][],
    }));
    await shard.push(tenant, testFrames(series), LIMITS);
  }
  const link = connectInThread<ShardRole>(shardRole(shard, systemClock));
  const client = new ShardsClient([{ channel: link.channel, held: HeldRange.everything() }], true);
  return {
    client,
    async [Symbol.asyncDispose]() {
      link.close();
      await shard.close({ checkpoint: false });
    },
  };
}

function valuesOf(found: SourceSeries): number[] {
  const out = new SampleColumns();
  return found.labels.map((_, i) => {
    found.read(i, out);
    return out.values[0]!;
  });
}

test('an answer that is held is not written over by those of others, and cannot be read once it is closed', async () => {
  await using world = await twoTenants();
  const source = new HeadSource(world.client, Kernel.create());
  const held = await source.select('a', ALL, unlimited());
  for (let i = 0; i < 100; i++) {
    const other = await source.select('b', ALL, unlimited());
    if (i % 20 === 0) assert.deepEqual(valuesOf(other), new Array(SERIES).fill(2));
    if (i % 2 === 0) other.close();
  }
  assert.deepEqual(valuesOf(held), new Array(SERIES).fill(1));
  held.close();
  assert.throws(() => valuesOf(held));
});

test('memory of answers is used again when they are given back, in a batch too', async () => {
  await using world = await twoTenants();
  const { signal } = new AbortController();
  const slicesOf = async (tenant: string): Promise<HeadSlice[]> => {
    const slices: HeadSlice[] = [];
    for await (const slice of world.client.select({ tenant, labelsOnly: false, ...ALL }, signal)) slices.push(slice);
    return slices;
  };
  const places = new Set<string>();
  for (let i = 0; i < 10; i++) {
    const [[a], [b]] = (await Promise.all([slicesOf('a'), slicesOf('b')])) as [[HeadSlice], [HeadSlice]];
    for (const { bytes } of [a, b]) {
      assert.ok(bytes.buffer instanceof SharedArrayBuffer);
      places.add(`${bytes.byteOffset} ${bytes.length}`);
    }
    assert.notEqual(a.bytes.byteOffset, b.bytes.byteOffset);
    for (const { giveBack } of [a, b, a]) giveBack!();
  }
  assert.equal(places.size, 2);
});

test('an answer that nobody takes is given back', async () => {
  await using world = await twoTenants();
  const { signal } = new AbortController();
  const first = async () => {
    for await (const { bytes, giveBack } of world.client.select({ tenant: 'a', labelsOnly: false, ...ALL }, signal)) {
      giveBack!();
      return bytes.byteOffset;
    }
    return undefined;
  };
  assert.equal(await first(), await first());
});
