import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { addDigest, DIGEST_BYTES } from '../../chunk/group/digest.ts';
import { GroupEncoder } from '../../chunk/group/encode.ts';
import { labelParts, metricOf } from '../../chunk/group/series.ts';
import { ChunkDecoder } from '../../chunk/head-chunk.ts';
import { Kernel } from '../../chunk/kernel.ts';
import { canonicalSeries } from '../../chunkstore/canonical-series.ts';
import { PLACEMENT_DEFAULT, type Placement, slotOf } from '../../chunkstore/placement.ts';
import { connectInThread } from '../../kit/thread/channel.ts';
import { ManualClock } from '../../lib/manual-clock.ts';
import { Pacer } from '../../lib/pacer.ts';
import { seededRandom } from '../../lib/random.ts';
import { encodeLabels } from '../../model/canonical.ts';
import { Labels } from '../../model/labels.ts';
import { SampleColumns } from '../../storage/columns.ts';
import { FRAME_ASIDE } from '../../wire/frame-layout.ts';
import { FrameWriter } from '../../wire/frames.ts';
import { SliceView } from '../../wire/slices.ts';

import type { ShardExport, ShardRole } from '../shard/shard-messages.ts';
import { shardRole } from '../shard/shard-role.ts';
import { type TestSeries, testFrames } from '../shard/test-frames.ts';
import { testShard } from '../shard/test-shard.ts';
import type { HeldDigest } from './held-digests.ts';
import { richPayload } from './test-rich.ts';

const HOUR_MS = 3_600_000;
const START_MS = 1_700_000_000_000 - (1_700_000_000_000 % HOUR_MS);
const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: HOUR_MS, exemplarsMax: 0 };
const kernel = Kernel.create();
const ALL = { placement: PLACEMENT_DEFAULT, phases: [0, 1] as const };
const SPREAD: Placement = { version: 1, buckets: 16, splits: new Map([['split', 4]]) };

async function shardOf(t: TestContext) {
  const clock = new ManualClock(START_MS + HOUR_MS);
  const shard = await testShard(clock);
  const link = connectInThread<ShardRole>(shardRole(shard, clock));
  t.after(async () => {
    link.close();
    await shard.close({ checkpoint: false });
  });
  const push = async (series: readonly TestSeries[]) => {
    for (let at = 0; at < series.length; at += 500) {
      const { counts } = await shard.push('t', testFrames(series.slice(at, at + 500)), LIMITS);
      const samples = series.slice(at, at + 500).reduce((sum, each) => sum + each.samples.length, 0);
      assert.equal(counts[0], samples);
    }
  };
  const arenaOf = (startMs: number) =>
    shard.arenas().find(({ window }) => window === Math.floor(startMs / HOUR_MS))!.id;
  return { shard, channel: link.channel, push, arenaOf };
}

type Channel = Awaited<ReturnType<typeof shardOf>>['channel'];

/** Digests by slot as groups have them that are made of what is exported. */
async function encoded(channel: Channel, request: ShardExport): Promise<HeldDigest[]> {
  const encoder = new GroupEncoder(kernel);
  const decoder = new ChunkDecoder(kernel);
  const columns = new SampleColumns();
  const slots = new Map<string, { digest: Uint8Array; samples: number }>();
  for (let slice = await channel.call('export', request); ; ) {
    for (const series = new SliceView(slice.bytes); series.next(); ) {
      decoder.read(series.chunks, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, columns);
      const slot = Buffer.from(slotOf(request.placement, series.labels)).toString('hex');
      encoder.begin({ windowStartMs: START_MS, windowMs: HOUR_MS, seriesDigests: false });
      encoder.add(canonicalSeries(series.labels, columns));
      const { digest, sampleCount } = encoder.finish();
      const sum = slots.get(slot) ?? { digest: new Uint8Array(DIGEST_BYTES), samples: 0 };
      addDigest(sum.digest, digest);
      sum.samples += sampleCount;
      slots.set(slot, sum);
      assert.notEqual(metricOf(labelParts(series.labels)), '');
    }
    if (slice.cursor === 0) break;
    slice = await channel.call('selectNext', { cursor: slice.cursor });
  }
  return bySlot([...slots].map(([slot, sum]) => ({ slot, ...sum })));
}

function bySlot(digests: readonly HeldDigest[]): HeldDigest[] {
  return digests
    .map(({ slot, digest, samples }) => ({ slot, digest: new Uint8Array(digest), samples }))
    .sort((a, b) => (a.slot < b.slot ? -1 : 1));
}

/** Series with packed chunks and without, stale markers, values of all kinds. */
function mixedSeries(count: number, samples: number): TestSeries[] {
  const random = seededRandom(7);
  return Array.from({ length: count }, (_, i) => ({
    labels: {
      __name__: i % 5 === 0 ? 'split' : `m${i % 23}`,
      host: `h${i}`,
      ...(i % 3 === 0 && { zone: 'z'.repeat(i % 17) }),
    },
    samples: Array.from({ length: 1 + ((i * 37) % samples) }, (_, k) => {
      const value =
        random() < 0.05 ? undefined : random() < 0.1 ? -0 : random() < 0.5 ? Math.floor(random() * 1e6) : random();
      return [START_MS + k * 1000 + (i % 7), value] as const;
    }),
  }));
}

test('digests of what a head holds are those of the groups that it would be written as', async (t) => {
  const { channel, push, arenaOf } = await shardOf(t);
  await push(mixedSeries(600, 700));
  // another window does not count
  await push([{ labels: { __name__: 'm1', host: 'h1' }, samples: [[START_MS + HOUR_MS, 1]] }]);
  for (const slots of [
    ALL,
    { placement: SPREAD, phases: [0, 1] as const },
    { placement: SPREAD, phases: [0, 0.4] as const },
  ]) {
    const request = { arena: arenaOf(START_MS), tenant: 't', ...slots };
    const expected = await encoded(channel, request);
    assert.ok(expected.length > 0);
    assert.deepEqual(bySlot(await channel.call('digests', request)), expected);
    const found = await channel.call('slots', request);
    assert.deepEqual(
      [...found.slots].sort(),
      expected.map(({ slot }) => slot),
    );
    if (slots === ALL) assert.equal(found.series, 600);
    const only = new Set(expected.slice(0, 1).map(({ slot }) => slot));
    assert.deepEqual(bySlot(await channel.call('digests', { ...request, only })), expected.slice(0, 1));
    assert.deepEqual(await encoded(channel, { ...request, only }), expected.slice(0, 1));
  }
  assert.deepEqual(await channel.call('digests', { arena: 1, tenant: 'nobody', ...ALL }), []);
  const late = await channel.call('slots', { arena: arenaOf(START_MS + HOUR_MS), tenant: 't', ...ALL });
  assert.equal(late.series, 1);
});

test('series of many samples do not hold the shard for longer', async (t) => {
  const stepsOf = async (samples: number) => {
    const { channel, push, arenaOf } = await shardOf(t);
    const each = Array.from({ length: samples }, (_, k) => [START_MS + k, k] as const);
    for (let i = 0; i < 40; i++) await push([{ labels: { __name__: 'm', host: `h${i}` }, samples: each }]);
    const step = t.mock.method(Pacer.prototype, 'step');
    const request = { arena: arenaOf(START_MS), tenant: 't', ...ALL };
    const told = await channel.call('digests', request);
    step.mock.restore();
    assert.deepEqual(
      told.map((slot) => slot.samples),
      [40 * samples],
    );
    assert.deepEqual(bySlot(told), await encoded(channel, request));
    return step.mock.callCount();
  };
  const few = await stepsOf(10);
  const many = await stepsOf(8_000);
  // of some 65,536 samples each
  assert.ok(many >= few + 4, `${few} and ${many} pieces`);
});

test('slots with histograms, start timestamps, late samples or very many are not told; others are', async (t) => {
  const start = { timeMs: START_MS, startMs: START_MS - 1, high: 0, low: 0 };
  const histogram = { timeMs: START_MS, startMs: 0, histogram: undefined };
  for (const odd of ['start', 'histogram', 'late', 'many', 'none']) {
    const { shard, channel, push, arenaOf } = await shardOf(t);
    await push(mixedSeries(200, 100));
    const labels = { __name__: 'odd', host: 'a' };
    if (odd === 'late') for (const at of [9, 5]) await push([{ labels, samples: [[START_MS + at, 1]] }]);
    if (odd === 'many') {
      await push([{ labels, samples: Array.from({ length: 16_385 }, (_, k) => [START_MS + k, k] as const) }]);
    }
    if (odd === 'start' || odd === 'histogram') {
      const frames = new FrameWriter(kernel);
      const own = Labels.of(labels);
      const sample = odd === 'start' ? start : histogram;
      frames.aside(encodeLabels(own), Buffer.from('odd'), 1, richPayload([sample]), FRAME_ASIDE);
      assert.equal((await shard.push('t', frames.bytes.slice(), LIMITS)).counts[0], 1);
    }
    const request = { arena: arenaOf(START_MS), tenant: 't', placement: SPREAD, phases: [0, 1] as const };
    const oddSlot = Buffer.from(slotOf(SPREAD, encodeLabels(Labels.of(labels)))).toString('hex');
    const expected = (await encoded(channel, request)).filter(({ slot }) => odd === 'none' || slot !== oddSlot);
    assert.deepEqual(bySlot(await channel.call('digests', request)), expected, odd);
    if (odd !== 'none') assert.ok((await channel.call('slots', request)).slots.has(oddSlot), odd);
    assert.ok(expected.length > 5);
  }
});
