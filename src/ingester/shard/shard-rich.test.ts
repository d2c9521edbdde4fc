import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scratchFolder } from '../../../test/harness/scratch-folder.ts';
import { ChunkDecoder } from '../../chunk/head-chunk.ts';
import { Kernel } from '../../chunk/kernel.ts';
import { REFUSED_PER_METRIC } from '../../contract/ingest.ts';
import { ByteWriter } from '../../lib/bytes.ts';
import { systemClock } from '../../lib/clock.ts';
import { encodeLabels } from '../../model/canonical.ts';
import { integerHistogram } from '../../model/histogram-integer.ts';
import { Labels } from '../../model/labels.ts';
import { HISTOGRAM, SampleColumns } from '../../storage/columns.ts';
import { writeFrameExemplar } from '../../wire/frame-exemplars.ts';
import { FRAME_ASIDE, FRAME_EXEMPLARS } from '../../wire/frame-layout.ts';
import { FrameWriter } from '../../wire/frames.ts';
import type { RichSample } from '../../wire/rich-samples.ts';
import { SliceView } from '../../wire/slices.ts';
import { richPayload } from '../head/test-rich.ts';
import { realDisk } from '../log/disk.ts';
import { Shard, type ShardOptions } from './shard.ts';
import { shardRole } from './shard-role.ts';

const WINDOW_MS = 60_000;
const T = 1_700_000_040_000; // a window begins
const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0, exemplarsMax: 10 };
const kernel = Kernel.create();
const decoder = new ChunkDecoder(kernel);

function open(folder: string, more: Partial<ShardOptions> = {}): Shard {
  return new Shard({
    folder,
    windowMs: WINDOW_MS,
    headBytesMax: 1e9,
    fsync: 'interval',
    fsyncIntervalMs: 1000,
    keepFlushedMs: 0,
    disk: realDisk,
    clock: systemClock,
    log: () => {},
    fatal: (error) => assert.fail(error),
    ...more,
  });
}

function histogram(timeMs: number, count: number): RichSample {
  const positiveSpans = [{ offset: 0, length: 1 }];
  return {
    timeMs,
    startMs: 0,
    histogram: integerHistogram({ count, sum: count, positiveSpans, positiveDeltas: [count] }),
  };
}

/** Frames in the order given: numbers are floats [time, value], the rest rich samples. */
function framesOf(
  series: readonly { name: string; host?: string; samples: readonly (RichSample | [number, number])[] }[],
) {
  const frames = new FrameWriter(kernel);
  const words = new Int32Array(2);
  for (const { name, host = 'h', samples } of series) {
    const labels = encodeLabels(Labels.of({ __name__: name, host }));
    const metric = new TextEncoder().encode(name);
    for (const sample of samples) {
      if (Array.isArray(sample)) {
        frames.series(labels, metric, 1);
        new Float64Array(words.buffer)[0] = sample[1];
        frames.sample(sample[0], words[1]!, words[0]!);
      } else frames.aside(labels, metric, 1, richPayload([sample]), FRAME_ASIDE);
    }
  }
  return frames.bytes.slice();
}

async function held(shard: Shard): Promise<Record<string, (readonly [number, number | string])[]>> {
  await shard.ready;
  const role = shardRole(shard, systemClock);
  const request = { tenant: 't', matchers: [], startMs: -1e15, endMs: 1e15, labelsOnly: false };
  const { bytes } = (await role.select(request)).value;
  const columns = new SampleColumns();
  const all: Record<string, (readonly [number, number | string])[]> = {};
  for (const series = new SliceView(bytes); series.next(); ) {
    const { labels, chunks } = series;
    decoder.read(chunks, -1e15, 1e15, columns);
    const name = Buffer.from(labels).toString('latin1').slice(10);
    all[name.slice(0, name.indexOf('\x04'))] = Array.from({ length: columns.count }, (_, i) => {
      const isHistogram = !columns.plain && columns.kinds[i] === HISTOGRAM;
      return [columns.times[i]! - T, isHistogram ? `histogram ${columns.histograms[i]!.count}` : columns.values[i]!];
    });
  }
  return all;
}

test('floats and histograms of a series follow one order; what is refused is said of the first', async () => {
  const folder = scratchFolder('rich');
  const shard = open(folder);
  await shard.ready;
  const mixed = framesOf([{ name: 'm', samples: [[T, 1], histogram(T + 1, 5), [T + 2, 3], histogram(T + 3, 9)] }]);
  const first = await shard.push('t', mixed, LIMITS);
  assert.deepEqual(first.counts, [4, 0, 0, 0, 0, 0]);
  assert.deepEqual((await shard.push('t', mixed, LIMITS)).counts, [0, 4, 0, 0, 0, 0], 'the same again is success');
  const wrong = await shard.push(
    't',
    framesOf([{ name: 'm', samples: [histogram(T + 2, 4), histogram(T + 3, 8), [T + 3, 9], [T + 1, 1]] }]),
    LIMITS,
  );
  assert.deepEqual(wrong.counts, [0, 0, 2, 2, 0, 0]);
  assert.equal(wrong.histogramsLost, 2);
  assert.deepEqual(
    { ...wrong.first, labels: undefined },
    {
      answer: 2,
      series: undefined,
      labels: undefined,
      timeMs: T + 2,
      newestMs: T + 3,
    },
  );
  const want = {
    m: [
      [0, 1],
      [1, 'histogram 5'],
      [2, 3],
      [3, 'histogram 9'],
    ],
  };
  assert.deepEqual(await held(shard), want);
  assert.deepEqual(await held(open(folder)), want, 'from the log');
  await shard.close({ checkpoint: false });
});

test('limits on series hold for those of histograms', async () => {
  const shard = open(scratchFolder('rich'));
  await shard.ready;
  const frames = framesOf(['a', 'b', 'c'].map((host) => ({ name: 'm', host, samples: [histogram(T, 1), [T + 1, 1]] })));
  const result = await shard.push('t', frames, { ...LIMITS, seriesPerMetricMax: 1 });
  assert.deepEqual(result.counts, [2, 0, 0, 0, 0, 0]);
  assert.equal(result.refused, 4);
  assert.equal(result.histogramsLost, 2);
  assert.equal(result.first?.series, REFUSED_PER_METRIC);
  assert.equal(result.first?.labels.get('host'), 'b');
  await shard.close({ checkpoint: false });
});

test('a full head takes no histograms, which are tried again', async () => {
  const shard = open(scratchFolder('rich'), { headBytesMax: 1 });
  await shard.ready;
  await assert.rejects(shard.push('t', framesOf([{ name: 'm', samples: [histogram(T, 1)] }]), LIMITS), /full|bytes/);
  await shard.close({ checkpoint: false });
});

test('a series stays while it has histograms, and goes with the last of them', async () => {
  const shard = open(scratchFolder('rich'));
  await shard.ready;
  const frames = framesOf([
    { name: 'm', samples: [[T, 1], histogram(T + WINDOW_MS, 1), histogram(T + WINDOW_MS + 1, 2)] },
  ]);
  await shard.push('t', frames, LIMITS);
  for (const [window, series] of [
    [0, 1],
    [1, 0],
  ] as const) {
    const sealed = await shard.seal(T + (window + 1) * WINDOW_MS);
    assert.equal(sealed.length, 1);
    const exported = shardRole(shard, systemClock);
    assert.equal((await exported.tenantsOf({ arena: sealed[0]!.id })).length, 1);
    await shard.confirmFlushed(sealed[0]!.sealLsn);
    await shard.dropFlushed();
    assert.equal(shard.stats().series, series);
  }
  assert.equal(shard.stats().richBytes, 0);
  await shard.close({ checkpoint: false });
});

test('what comes during replay is there afterwards, exemplars too', async () => {
  const folder = scratchFolder('rich');
  const before = open(folder);
  await before.ready;
  await before.push('t', framesOf([{ name: 'm', samples: [histogram(T + 5, 7)] }]), LIMITS);
  await before.close({ checkpoint: false });
  const shard = open(folder);
  assert.equal(shard.state, 'replaying');
  const frames = new FrameWriter(kernel);
  const labels = encodeLabels(Labels.of({ __name__: 'm', host: 'h' }));
  const metric = new TextEncoder().encode('m');
  frames.aside(labels, metric, 1, richPayload([histogram(T, 3)]), FRAME_ASIDE);
  const payload = new ByteWriter();
  writeFrameExemplar(payload, { timeMs: T, value: 2, labels: encodeLabels(Labels.of({ trace_id: 'x' })) });
  frames.aside(labels, metric, 1, payload.done(), FRAME_EXEMPLARS);
  await shard.push('t', frames.bytes.slice(), LIMITS);
  const want = {
    m: [
      [0, 'histogram 3'],
      [5, 'histogram 7'],
    ],
  };
  assert.deepEqual(await held(shard), want);
  const asked = { tenant: 't', matchers: [[{ name: 'host', op: '=' as const, value: 'h' }]], startMs: T, endMs: T };
  const exemplars = [
    { pairs: ['__name__', 'm', 'host', 'h'], exemplars: [{ timeMs: T, value: 2, pairs: ['trace_id', 'x'] }] },
  ];
  assert.deepEqual(await shardRole(shard, systemClock).exemplars(asked), exemplars);
  await shard.close({ checkpoint: true });
  const again = open(folder);
  assert.deepEqual(await held(again), want);
  assert.deepEqual(await shardRole(again, systemClock).exemplars(asked), exemplars);
  await again.close({ checkpoint: false });
});

test('late samples of a series cost what they weigh, however many there are and in whatever order', async () => {
  const shard = open(scratchFolder('rich'), { windowMs: 7_200_000 });
  await shard.ready;
  const from = Math.floor(T / 7_200_000) * 7_200_000;
  const limits = { ...LIMITS, outOfOrderMs: 7_200_000 };
  const float = (i: number): RichSample => ({ timeMs: from + i, startMs: from, high: 0x3ff00000, low: i });
  const count = 20_000;
  await shard.push('t', framesOf([{ name: 'm', samples: [float(count)] }]), limits);
  // coprime to the number of them: every time once, far from the one before
  const samples = Array.from({ length: count }, (_, i) => float((i * 7919) % count));
  const before = process.threadCpuUsage();
  assert.equal((await shard.push('t', framesOf([{ name: 'm', samples }]), limits)).counts[0], count);
  const again = await shard.push('t', framesOf([{ name: 'm', samples: samples.slice(-512) }]), limits);
  assert.equal(again.counts[1], 512, 'the same again is success');
  // it took 30 s when each was looked for in all chunks
  assert.ok(process.threadCpuUsage(before).user < 5e6);
  await shard.close({ checkpoint: false });
});

test('samples that the store does not have are counted, of all kinds, over restarts, and until it has them', async () => {
  const folder = scratchFolder('rich');
  const owed = async (shard: Shard) => {
    await shard.ready;
    return shard.stats().owedSamples;
  };
  const late = { ...LIMITS, outOfOrderMs: 3_600_000 };
  // 400 in order, so that chunks are cut and packed; two late ones, a histogram, and one of the window that follows
  const floats = Array.from({ length: 400 }, (_, i): [number, number] => [T + i * 10, i]);
  const inOrder = framesOf([{ name: 'm', samples: [...floats, histogram(T + 5_000, 5), [T + WINDOW_MS, 7]] }]);
  const afterwards = framesOf([
    {
      name: 'm',
      samples: [
        [T + 15, 1],
        [T + 25, 1],
      ],
    },
  ]);
  let shard = open(folder);
  await shard.ready;
  for (const counted of [0, 1]) {
    for (const frames of [inOrder, afterwards]) {
      const { counts } = await shard.push('t', frames, late);
      // the second time all are held already
      assert.ok(counts[counted]! >= 2 && counts[1 - counted] === 0, `${counts}`);
    }
    assert.equal(await owed(shard), 404);
  }
  await shard.close({ checkpoint: false });
  shard = open(folder);
  assert.equal(await owed(shard), 404, 'from the log');
  await shard.close({ checkpoint: true });
  shard = open(folder);
  assert.equal(await owed(shard), 404, 'from a checkpoint');
  const sealed = await shard.seal(T + WINDOW_MS);
  assert.equal(await owed(shard), 404, 'a window that is on its way is owed');
  for (const { sealLsn } of sealed) await shard.confirmFlushed(sealLsn);
  assert.equal(await owed(shard), 1);
  await shard.close({ checkpoint: false });
});
