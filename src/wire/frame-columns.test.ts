import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Kernel } from '../chunk/kernel.ts';
import { BytesError, ByteWriter } from '../lib/bytes.ts';
import { type Random, seededRandom } from '../lib/random.ts';
import { encodeLabels } from '../model/canonical.ts';
import { Labels } from '../model/labels.ts';
import { FrameDecoder, FrameEncoder } from './frame-columns.ts';
import { writeFrameExemplar } from './frame-exemplars.ts';
import {
  FRAME_ASIDE,
  FRAME_EXEMPLARS,
  FRAME_FLAGS_AT,
  FRAME_KEY,
  FRAME_LABELS_HASH_AT,
  FRAME_METRIC_HASH_AT,
  FRAME_SAMPLES_AT,
  SAMPLE_BYTES,
} from './frame-layout.ts';
import { FrameWriter } from './frames.ts';
import { writeRichSample } from './rich-samples.ts';

const kernel = Kernel.create();
const NOW_MS = 1_790_000_000_000;

interface Keyed {
  readonly metric: number;
  readonly labels?: number;
  readonly samples: readonly (readonly [timeMs: number, value: number | bigint])[];
}

function keyedFrame(random: Random, { metric, labels = 0, samples }: Keyed): Uint8Array {
  const bytes = new Uint8Array(40 + samples.length * SAMPLE_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint32(4, 16, true);
  view.setUint32(FRAME_SAMPLES_AT, samples.length, true);
  view.setUint32(FRAME_FLAGS_AT, FRAME_KEY, true);
  view.setUint32(FRAME_METRIC_HASH_AT, metric, true);
  view.setUint32(FRAME_LABELS_HASH_AT, labels, true);
  for (let i = 24; i < 40; i++) bytes[i] = random() * 256;
  for (const [i, [timeMs, value]] of samples.entries()) {
    view.setBigInt64(40 + 16 * i, BigInt(timeMs), true);
    if (typeof value === 'bigint') view.setBigUint64(48 + 16 * i, value, true);
    else view.setFloat64(48 + 16 * i, value, true);
  }
  return bytes;
}

function labelledFrames(writer: FrameWriter, i: number): Uint8Array {
  writer.clear();
  const labels = encodeLabels(Labels.of({ __name__: `m_${i}`, host: `höst-${i}`, path: '/a' }));
  const metric = Buffer.from(`m_${i}`);
  writer.series(labels, metric, 2);
  writer.sample(NOW_MS, 0x7ff00000, 2);
  writer.sample(NOW_MS + 1, 0, 0);
  const payload = new ByteWriter();
  writeRichSample(payload, { timeMs: NOW_MS + 2, startMs: NOW_MS, high: 1, low: 2 });
  writer.aside(labels, metric, 1, payload.done(), FRAME_ASIDE);
  payload.clear();
  writeFrameExemplar(payload, { timeMs: NOW_MS, value: 1, labels: encodeLabels(Labels.of({ trace: 'x' })) });
  writer.aside(labels, metric, 1, payload.done(), FRAME_EXEMPLARS);
  return writer.bytes.slice();
}

const VALUES: readonly (number | bigint)[] = [
  0,
  -0,
  1,
  17,
  1e6,
  1e9,
  0.1,
  -5e-324,
  Number.NaN,
  0x7ff0000000000002n,
  Infinity,
];

test('frames come out as they went in, byte by byte', () => {
  const encoder = new FrameEncoder();
  const decoder = new FrameDecoder();
  const writer = new FrameWriter(kernel);
  for (let seed = 0; seed < 200; seed++) {
    const random = seededRandom(seed);
    const pick = (below: number) => Math.floor(random() * below);
    const hasHashes = random() < 0.3;
    const frames: Uint8Array[] = [];
    for (let i = pick(60); i > 0; i--) {
      if (random() < 0.1) frames.push(labelledFrames(writer, pick(10)));
      const samples = Array.from({ length: random() < 0.7 ? 1 : 1 + pick(200) }, () => {
        const timeMs = random() < 0.6 ? NOW_MS : pick(2 ** 51) - 2 ** 50;
        return [timeMs, random() < 0.5 ? VALUES[pick(VALUES.length)]! : random() * 1e9] as const;
      });
      frames.push(keyedFrame(random, { metric: pick(3), labels: hasHashes ? pick(2 ** 32) : 0, samples }));
    }
    const all = Buffer.concat(frames);
    const sent = encoder.encode(all);
    assert.ok(all.equals(decoder.decode(sent)), `seed ${seed}`);
  }
});

test('a scrape of known series takes at most 30 bytes a sample', () => {
  const encoder = new FrameEncoder();
  const random = seededRandom(3);
  const size = (series: number, perMetric: number, value: () => number) => {
    const frames = Array.from({ length: series }, (_, i) =>
      keyedFrame(random, { metric: (Math.floor(i / perMetric) * 2654435761) >>> 0, samples: [[NOW_MS, value()]] }),
    );
    return encoder.encode(Buffer.concat(frames)).length / series;
  };
  // values that nothing makes shorter, each series of a metric of its own
  assert.ok(size(500, 1, random) < 29.4);
  assert.ok(size(500, 8, random) < 25.1);
  // counters as they are
  assert.ok(size(500, 4, () => Math.floor(random() * 1e6)) < 22);
});

test('bytes that are changed are no frames, or frames that a shard can take', () => {
  const encoder = new FrameEncoder();
  const decoder = new FrameDecoder();
  const writer = new FrameWriter(kernel);
  const random = seededRandom(7);
  const pick = (below: number) => Math.floor(random() * below);
  const keyed = Array.from({ length: 20 }, (_, i) =>
    keyedFrame(random, {
      metric: i >> 2,
      samples: Array.from({ length: 1 + (i % 3) }, (_, j) => [NOW_MS + j, random()]),
    }),
  );
  const whole = encoder.encode(Buffer.concat([...keyed.slice(0, 10), labelledFrames(writer, 1), ...keyed.slice(10)]));
  let taken = 0;
  for (let round = 0; round < 20_000; round++) {
    const bytes = whole.slice(0, random() < 0.1 ? pick(whole.length) : whole.length);
    for (let i = 1 + pick(3); i > 0 && bytes.length > 0; i--) {
      const at = pick(bytes.length);
      bytes[at] = random() < 0.5 ? pick(256) : bytes[at]! ^ (1 << pick(8));
    }
    try {
      const frames = decoder.decode(bytes).slice();
      taken++;
      // what was taken can be told again, and is the same
      assert.ok(Buffer.from(decoder.decode(encoder.encode(frames))).equals(frames));
    } catch (error) {
      if (!(error instanceof BytesError)) throw error;
    }
  }
  // keys and values are any bytes
  assert.ok(taken > 1000 && taken < 19_000, `${taken}`);
});
