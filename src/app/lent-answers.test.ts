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
/** More than the pieces of memory that a shard lends. */
const ROUNDS = 12;

function selectOf(tenant: string) {
  return { tenant, labelsOnly: false, ...ALL };
}

async function shardOf(wide: boolean): Promise<Shard> {
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
      labels: { __name__: 'm', i: String(i), ...(wide && { wide: 'w'.repeat(20_000) }) },
      samples: [[T, value]] as [number, number][],
    }));
    await shard.push(tenant, testFrames(series), LIMITS);
  }
  return shard;
}

/**
 * Shards that have the same series of two tenants, whose values are their own.
 * @param wide they are more than one slice
 */
async function twoTenants({ shards: count = 1, wide = false } = {}) {
  const shards = await Promise.all(Array.from({ length: count }, () => shardOf(wide)));
  const links = shards.map((shard) => connectInThread<ShardRole>(shardRole(shard, systemClock)));
  const client = new ShardsClient(
    links.map(({ channel }) => ({ channel, held: HeldRange.everything() })),
    true,
  );
  return {
    client,
    async [Symbol.asyncDispose]() {
      for (const { close } of links) close();
      for (const shard of shards) await shard.close({ checkpoint: false });
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
    for await (const slice of world.client.select(selectOf(tenant), signal)) slices.push(slice);
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

/** Whether answers are lent still: what is not given back is not lent again for a minute. */
async function isLent(client: ShardsClient): Promise<boolean> {
  for await (const { bytes, giveBack } of client.select(selectOf('a'), new AbortController().signal)) {
    giveBack?.();
    return bytes.buffer instanceof SharedArrayBuffer;
  }
  assert.fail('there are no series');
}

test('slices that nobody takes are given back: of a reader that leaves, and of a shard whose turn does not come', async () => {
  await using world = await twoTenants({ shards: 2, wide: true });
  const { signal } = new AbortController();
  for (let i = 0; i < ROUNDS; i++) {
    for await (const { giveBack, isAll } of world.client.select(selectOf('a'), signal)) {
      giveBack?.();
      assert.equal(isAll, false, 'the next slice is under way');
      break;
    }
  }
  assert.equal(await isLent(world.client), true);
});

test('answers to selects that were cancelled are given back, alone and of those in one message', async () => {
  await using world = await twoTenants({ wide: true });
  for (const together of [1, 2, 3]) {
    for (let i = 0; i < ROUNDS; i++) {
      const leaves = Array.from({ length: together }, () => new AbortController());
      const stays = together === 3 ? [new AbortController()] : [];
      const reads = [...leaves, ...stays].map(async ({ signal }) => {
        for await (const { giveBack } of world.client.select(selectOf('a'), signal)) giveBack?.();
      });
      // the messages are under way
      await Promise.resolve();
      await Promise.resolve();
      for (const leave of leaves) leave.abort(new Error('enough'));
      const ended = await Promise.allSettled(reads);
      // an answer to a later message comes after those that nobody takes
      await world.client.losses(T, T);
      assert.deepEqual(
        ended.map(({ status }) => status),
        [...leaves.map(() => 'rejected'), ...stays.map(() => 'fulfilled')],
      );
    }
    assert.equal(await isLent(world.client), true, `${together} in one message`);
  }
});
