import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteReader, BytesError, ByteWriter } from '../lib/bytes.ts';
import { seededRandom } from '../lib/random.ts';
import { floatHistogram } from '../model/histogram.ts';
import { integerHistogram } from '../model/histogram-integer.ts';
import { type RichSample, readRichSample, writeRichSample } from './rich-samples.ts';

const SAMPLES: readonly RichSample[] = [
  { timeMs: -(2 ** 51), startMs: 0, high: 0x7ff00000, low: 2 },
  { timeMs: 1_700_000_000_000, startMs: 1_600_000_000_001, high: -1, low: -2 },
  { timeMs: 0, startMs: -5, histogram: undefined },
  { timeMs: 1, startMs: 0, histogram: integerHistogram({}) },
  {
    timeMs: 2,
    startMs: 1,
    histogram: integerHistogram({
      resetHint: 'gauge',
      schema: -4,
      zeroThreshold: 2 ** -128,
      zeroCount: 2 ** 51,
      count: 2 ** 51,
      sum: Number.NaN,
      positiveSpans: [
        { offset: -(2 ** 31), length: 1 },
        { offset: 2 ** 31 - 1, length: 2 },
      ],
      positiveDeltas: [2 ** 51, -(2 ** 51), 7],
      negativeSpans: [{ offset: 0, length: 1 }],
      negativeDeltas: [3],
    }),
  },
  {
    timeMs: 3,
    startMs: 0,
    histogram: floatHistogram({
      resetHint: 'reset',
      schema: -53,
      count: 0.1,
      sum: -0,
      positiveSpans: [{ offset: 1, length: 2 }],
      positiveBuckets: [0.25, Number.POSITIVE_INFINITY],
      customValues: [-1, 2.5],
    }),
  },
];

function bytesOf(samples: readonly RichSample[]): Uint8Array {
  const out = new ByteWriter();
  for (const sample of samples) writeRichSample(out, sample);
  return out.done().slice();
}

test('samples are read as they were written', () => {
  const from = new ByteReader(bytesOf(SAMPLES));
  for (const sample of SAMPLES) assert.deepEqual(readRichSample(from), sample);
  assert.equal(from.left, 0);
});

test('whatever the bytes, reading ends: with samples, or with an error that says why', () => {
  const random = seededRandom(3);
  const good = bytesOf(SAMPLES);
  for (let i = 0; i < 20_000; i++) {
    const bytes = good.slice(Math.floor(random() * 40), good.length - Math.floor(random() * 40));
    for (let k = 0; k < 1 + random() * 4; k++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    const from = new ByteReader(bytes);
    try {
      while (from.left > 0) readRichSample(from);
    } catch (error) {
      assert.ok(error instanceof BytesError, String(error));
    }
  }
});
