import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Random, seededRandom } from '../lib/random.ts';
import { AppError } from '../model/errors.ts';
import { type FloatHistogram, floatHistogram, type ResetHint } from '../model/histogram.ts';
import { toIntegerHistogram } from '../model/histogram-integer.ts';
import { HISTOGRAM, SampleColumns, STALE, STALE_HISTOGRAM } from '../storage/columns.ts';
import { type HistogramKind, HistogramWriter, readHistograms } from './histogram.ts';
import { readXor, XorWriter } from './xor.ts';
import { readXor2, Xor2Writer } from './xor2.ts';

const runs = Number(process.env.PALLIUM_FUZZ_RUNS ?? 300);

/** Reads whatever `bytes` are: they give samples, or the error of a damaged chunk. */
function survives(read: (bytes: Uint8Array, out: SampleColumns) => void, bytes: Uint8Array): void {
  const out = new SampleColumns(4);
  try {
    read(bytes, out);
  } catch (thrown) {
    assert.ok(thrown instanceof AppError && thrown.facts.id === 'chunk-corrupt', String(thrown));
  }
  assert.ok(out.count <= 0xffff);
}

function damaged(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = bytes.slice(0, random() < 0.3 ? Math.floor(random() * bytes.length) : bytes.length);
  const flips = Math.floor(random() * 6);
  for (let i = 0; i < flips && copy.length > 0; i++) {
    copy[Math.floor(random() * copy.length)]! ^= 1 << Math.floor(random() * 8);
  }
  return copy;
}

function randomBytes(random: Random): Uint8Array {
  return Uint8Array.from({ length: Math.floor(random() * 200) }, () => Math.floor(random() * 256));
}

/** Values as series have them: steady, whole, fractions, none. */
function randomValue(random: Random, last: number): number {
  const roll = random();
  if (roll < 0.4) return last;
  if (roll < 0.7) return Math.floor(random() * 1000);
  if (roll < 0.75) return Number.NaN;
  return roll < 0.8 ? -Infinity : (random() - 0.5) * 10 ** Math.floor(random() * 40 - 20);
}

function randomHistogram(random: Random, like: FloatHistogram | undefined, whole: boolean): FloatHistogram {
  if (like !== undefined && random() < 0.6) {
    const grown = like.positiveBuckets.map((count) => count + (random() < 0.5 ? 1 : 0));
    const count = grown.reduce((sum, bucket) => sum + bucket, 0);
    return { ...like, count, positiveBuckets: grown, resetHint: random() < 0.1 ? 'gauge' : like.resetHint };
  }
  const spans = Array.from({ length: Math.floor(random() * 4) }, (_, i) => ({
    offset: Math.floor(random() * 5) - (i === 0 ? 3 : 0),
    length: Math.floor(random() * 4),
  }));
  const buckets = spans.flatMap(({ length }) =>
    Array.from({ length }, () => (whole ? Math.floor(random() * 50) : random() * 50)),
  );
  const hints: ResetHint[] = ['unknown', 'unknown', 'gauge', 'reset'];
  return floatHistogram({
    resetHint: hints[Math.floor(random() * hints.length)]!,
    schema: Math.floor(random() * 3),
    zeroThreshold: random() < 0.9 ? 2 ** -128 : random(),
    count: buckets.reduce((sum, bucket) => sum + bucket, 0),
    sum: random() * 100,
    positiveSpans: spans,
    positiveBuckets: buckets,
  });
}

test('XOR and XOR2 give back what was written, over resumed chunks too', () => {
  const random = seededRandom(1);
  for (let run = 0; run < runs; run++) {
    const expected = new SampleColumns();
    let xor = XorWriter.create();
    let xor2 = Xor2Writer.create();
    const length = Math.floor(random() * 60);
    const withStarts = random() < 0.5;
    let time = Math.floor(random() * 2e12);
    let value = 0;
    for (let i = 0; i < length; i++) {
      time += random() < 0.7 ? 15_000 : Math.floor(random() * 10 ** Math.floor(random() * 10));
      value = randomValue(random, value);
      const start = withStarts && random() < 0.8 ? time - Math.floor(random() * 100_000) : 0;
      expected.pushFloat(time, value);
      if (start !== 0) expected.setStart(start);
      assert.ok(xor.append(time, value) && xor2.append(time, value, start));
      if (random() < 0.05) xor = XorWriter.resume(xor.toBytes());
      if (random() < 0.05) xor2 = Xor2Writer.resume(xor2.toBytes());
    }
    const plain = new SampleColumns(1);
    readXor(xor.toBytes(), plain);
    const started = new SampleColumns(1);
    readXor2(xor2.toBytes(), started);
    for (const read of [plain, started]) {
      assert.equal(read.count, length);
      assert.deepEqual(read.times.subarray(0, length), expected.times.subarray(0, length));
      assert.deepEqual(read.values.subarray(0, length), expected.values.subarray(0, length));
    }
    if (!expected.hasStarts) continue;
    assert.deepEqual(started.starts.subarray(0, length), expected.starts.subarray(0, length));
  }
});

test('a stale marker is a kind, whatever becomes of the bits of its NaN', () => {
  const writer = Xor2Writer.create();
  writer.append(1, 5);
  const bytes = writer.toBytes();
  bytes.set([0x7f, 0xf0, 0, 0, 0, 0, 0, 2], bytes.length - 8);
  const out = new SampleColumns();
  readXor2(bytes, out);
  assert.equal(out.kinds[0], STALE);
});

for (const kind of ['histogram', 'floathistogram'] as HistogramKind[]) {
  test(`${kind} chunks give back what was written, however often they are cut and recoded`, () => {
    const random = seededRandom(2);
    for (let run = 0; run < runs; run++) {
      const expected: { time: number; histogram: FloatHistogram | undefined }[] = [];
      const chunks: HistogramWriter[] = [HistogramWriter.create(kind)];
      let time = 1_767_225_600_000;
      let histogram: FloatHistogram | undefined;
      for (let i = 0; i < 20; i++) {
        time += random() < 0.8 ? 15_000 : Math.floor(random() * 1e6);
        const stale = random() < 0.05;
        if (!stale) histogram = randomHistogram(random, histogram, kind === 'histogram');
        expected.push({ time, histogram: stale ? undefined : histogram });
        const writer = chunks.at(-1)!;
        const appended = stale
          ? writer.appendStale(time)
          : writer.append(time, kind === 'histogram' ? toIntegerHistogram(histogram!) : histogram!);
        if (appended.outcome === 'cut') chunks.push(appended.next);
        else if (random() < 0.1) chunks[chunks.length - 1] = HistogramWriter.resume(kind, writer.toBytes());
      }
      const out = new SampleColumns();
      for (const chunk of chunks) readHistograms(kind, chunk.toBytes(), out);
      assert.equal(out.count, expected.length);
      for (const [i, sample] of expected.entries()) {
        assert.equal(out.times[i], sample.time);
        assert.equal(out.kinds[i], sample.histogram === undefined ? STALE_HISTOGRAM : HISTOGRAM);
        if (sample.histogram === undefined) continue;
        const read = out.histograms[i]!;
        assert.equal(read.count, sample.histogram.count);
        assert.equal(read.sum, sample.histogram.sum);
        const populated = (buckets: readonly number[]) => buckets.filter((count) => count !== 0);
        assert.deepEqual(populated(read.positiveBuckets), populated(sample.histogram.positiveBuckets));
      }
    }
  });
}

test('a new chunk knows from the one before whether it begins with a reset', () => {
  const one = (count: number) =>
    floatHistogram({ count, positiveSpans: [{ offset: 0, length: 1 }], positiveBuckets: [count] });
  const first = HistogramWriter.create('histogram');
  first.append(1, toIntegerHistogram(one(5)));
  const next = (count: number) => {
    const writer = HistogramWriter.create('histogram', first);
    writer.append(2, toIntegerHistogram(one(count)));
    return writer.header;
  };
  assert.deepEqual([first.header, next(6), next(4)], ['unknown', 'not_reset', 'reset']);
});

test('damaged chunks are an error with a name, or other samples', () => {
  const random = seededRandom(3);
  const xor = XorWriter.create();
  const xor2 = Xor2Writer.create();
  const whole = HistogramWriter.create('histogram');
  const float = HistogramWriter.create('floathistogram');
  const base = { schema: 3, positiveSpans: [{ offset: 2, length: 3 }], negativeSpans: [{ offset: 0, length: 1 }] };
  for (let i = 0; i < 50; i++) {
    const time = i * 15_000 + (i % 7);
    xor.append(time, i * 1.1);
    xor2.append(time, i * 1.1, i > 20 ? i : 0);
    const histogram = floatHistogram({ ...base, count: 4 * i, positiveBuckets: [i, i, i], negativeBuckets: [i] });
    whole.append(time, toIntegerHistogram(histogram));
    float.append(time, histogram);
  }
  const readers: [typeof readXor, Uint8Array][] = [
    [readXor, xor.toBytes()],
    [readXor2, xor2.toBytes()],
    [(bytes, out) => readHistograms('histogram', bytes, out), whole.toBytes()],
    [(bytes, out) => readHistograms('floathistogram', bytes, out), float.toBytes()],
    [(bytes, out) => readHistograms('histogram', bytes, out, true), whole.toBytes()],
    [(bytes, out) => readHistograms('floathistogram', bytes, out, true), float.toBytes()],
  ];
  for (const [read, bytes] of readers) {
    for (let run = 0; run < runs * 5; run++) {
      survives(read, random() < 0.3 ? randomBytes(random) : damaged(bytes, random));
    }
  }
});
