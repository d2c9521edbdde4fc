import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Kernel } from '../../chunk/kernel.ts';
import { connectInThread } from '../../kit/thread/channel.ts';
import { systemClock } from '../../lib/clock.ts';
import { encodeLabels } from '../../model/canonical.ts';
import { Labels } from '../../model/labels.ts';
import { FRAME_ASIDE } from '../../wire/frame-layout.ts';
import { FrameWriter } from '../../wire/frames.ts';
import { MemoryDisk } from '../log/test-disk.ts';
import { Shard } from '../shard/shard.ts';
import { ShardsClient } from '../shard/shard-client.ts';
import type { ShardRole } from '../shard/shard-messages.ts';
import { shardRole } from '../shard/shard-role.ts';
import { testFrames } from '../shard/test-frames.ts';
import { HeldRange } from './held-range.ts';
import { richPayload } from './test-rich.ts';

const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0, exemplarsMax: 0 };
const SIGNAL = new AbortController().signal;
const HOUR_MS = 3_600_000;
const START_MS = 1000 * HOUR_MS;
const EVERYTHING = [{ name: '__name__', op: '!=', value: '' }] as const;

function openShard(folder: string): Shard {
  return new Shard({
    folder,
    windowMs: 2 * HOUR_MS,
    headBytesMax: 1e9,
    fsync: 'interval',
    fsyncIntervalMs: 60_000,
    keepFlushedMs: 900_000,
    disk: new MemoryDisk(),
    clock: systemClock,
    log: () => {},
    fatal: (error) => assert.fail(error),
  });
}

/** Samples from some minute on, each some seconds, for an hour. */
const hour = (minute: number, everyS: number) =>
  Array.from({ length: 3600 / everyS + 1 }, (_, i) => [START_MS + minute * 60_000 + i * everyS * 1000, i] as const);

test('the size of a selection is told by its chunks, of all shards', async (t) => {
  const shards = [openShard('a'), openShard('b')];
  const links = shards.map((shard) => connectInThread<ShardRole>(shardRole(shard, systemClock)));
  t.after(async () => {
    for (const { close } of links) close();
    for (const shard of shards) await shard.close({ checkpoint: false });
  });
  for (const shard of shards) await shard.ready;
  const client = new ShardsClient(links.map(({ channel }) => ({ channel, held: HeldRange.everything() })));
  const push = (shard: Shard, labels: Record<string, string>, samples: readonly (readonly [number, number])[]) =>
    shard.push('t', testFrames([{ labels, samples }]), LIMITS);
  // packed chunks, and one that is open
  await push(shards[0]!, { __name__: 'x', i: 'often' }, hour(0, 15));
  await push(shards[0]!, { __name__: 'x', i: 'late' }, hour(30, 15));
  await push(shards[1]!, { __name__: 'x', i: 'seldom' }, hour(0, 60));
  await push(shards[1]!, { __name__: 'y' }, [[START_MS, 1]]);
  const size = (from: number, to: number, coverFrom: number, matchers: readonly object[] = EVERYTHING) =>
    client.size(
      {
        tenant: 't',
        matchers: matchers as typeof EVERYTHING,
        startMs: START_MS + from * 60_000,
        endMs: START_MS + to * 60_000,
        coverFromMs: START_MS + coverFrom * 60_000,
        spacingMs: 15_000,
      },
      SIGNAL,
    );
  const minutes = async (...asked: Parameters<typeof size>) => Math.round((await size(...asked)).coveredMs / 60_000);
  // an hour, an hour, and a quarter of one: samples each minute stand for 15 s
  const all = await size(-60, 120, -60);
  assert.equal(all.series, 2);
  assert.ok(all.coveredMs <= 135.5 * 60_000 && all.coveredMs > 133 * 60_000, `${all.coveredMs / 60_000}`);
  const often = [{ name: 'i', op: '=', value: 'often' }];
  assert.deepEqual([(await size(0, 120, 0, often)).series, await minutes(0, 120, 0, often)], [1, 60]);
  assert.equal(await minutes(0, 120, 45, often), 15);
  assert.equal(await minutes(0, 20, 10, often), 10);
  // what looks back has series, and nothing at steps before
  assert.deepEqual(await size(61, 90, 62, often), { series: 0, coveredMs: 0 });
  assert.deepEqual(await size(50, 90, 62, often), { series: 1, coveredMs: 0 });
  assert.equal(await minutes(0, 90, 0, [{ name: 'i', op: '=', value: 'late' }]), 60);
  const nobody = { tenant: 'none', matchers: EVERYTHING, startMs: 0, endMs: 1e15, coverFromMs: 0, spacingMs: 15_000 };
  assert.deepEqual(await client.size(nobody, SIGNAL), { series: 0, coveredMs: 0 });

  const frames = new FrameWriter(Kernel.create());
  const labels = encodeLabels(Labels.of({ __name__: 'z' }));
  const payload = richPayload([{ timeMs: START_MS, startMs: START_MS - 1, high: 0, low: 0 }]);
  frames.aside(labels, Buffer.from('z'), 1, payload, FRAME_ASIDE);
  await shards[0]!.push('t', frames.bytes.slice(), LIMITS);
  const rich = [{ name: '__name__', op: '=', value: 'z' }];
  assert.deepEqual(await size(0, 1, 0, rich), { series: 1, coveredMs: 0 });
});
