import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { type HistogramKind, HistogramReader, HistogramWriter } from '../../src/chunk/histogram.ts';
import { Int64 } from '../../src/chunk/int64.ts';
import { XorReader, XorWriter } from '../../src/chunk/xor.ts';
import { Xor2Reader, Xor2Writer } from '../../src/chunk/xor2.ts';
import { floatOfWords } from '../../src/lib/float-bits.ts';
import type { FloatHistogram, ResetHint } from '../../src/model/histogram.ts';
import { type Histogram, toIntegerHistogram } from '../../src/model/histogram-integer.ts';

const VECTORS = new URL('../../../shared/conformance/vectors/', import.meta.url);
/** Made by start-timestamps.go. */
const DATA = new URL('data/', import.meta.url);
const skip = fs.existsSync(VECTORS) ? false : 'there is no ../shared/conformance';

interface FloatVector {
  readonly name: string;
  readonly n: number;
  /** Time, and bits as hex. */
  readonly samples: readonly (readonly [time: string, bits: string])[];
  readonly start_timestamps?: readonly string[];
  readonly hex: string;
}

function vectors<T>(file: string, folder = VECTORS): T[] {
  return fs
    .readFileSync(new URL(file, folder), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}

function words(hex: string): [high: number, low: number] {
  return [Number.parseInt(hex.slice(0, 8), 16) | 0, Number.parseInt(hex.slice(8), 16) | 0];
}

function hexOf(high: number, low: number): string {
  return (high >>> 0).toString(16).padStart(8, '0') + (low >>> 0).toString(16).padStart(8, '0');
}

const int = (text: string) => new Int64().setBigInt(BigInt(text));

test('XOR chunks are those of Prometheus, byte for byte', { skip }, () => {
  const all = vectors<FloatVector>('chunks-xor.jsonl');
  for (const { name, samples, hex } of all) {
    let writer = XorWriter.create();
    const resumeAt = samples.length >> 1;
    for (const [i, [time, bits]] of samples.entries()) {
      if (i === resumeAt && i > 1) writer = XorWriter.resume(writer.toBytes());
      assert.ok(writer.appendBits(int(time), ...words(bits)));
    }
    assert.equal(Buffer.from(writer.toBytes()).toString('hex'), hex, name);
    const reader = new XorReader(Buffer.from(hex, 'hex'));
    const read: [string, string][] = [];
    while (reader.next()) read.push([String(reader.time.toBigInt()), hexOf(reader.bits.high, reader.bits.low)]);
    assert.deepEqual(read, samples, name);
  }
  assert.ok(all.length >= 51);
});

test('XOR2 chunks are those of Prometheus, byte for byte', { skip }, () => {
  const all = vectors<FloatVector>('chunks-xor2.jsonl');
  for (const { name, samples, start_timestamps, hex } of all) {
    let writer = Xor2Writer.create();
    const resumeAt = samples.length >> 1;
    const starts = start_timestamps ?? samples.map(() => '0');
    for (const [i, [time, bits]] of samples.entries()) {
      if (i === resumeAt && i > 1) writer = Xor2Writer.resume(writer.toBytes());
      assert.ok(writer.appendBits(int(time), ...words(bits), int(starts[i]!)));
    }
    assert.equal(Buffer.from(writer.toBytes()).toString('hex'), hex, name);
    const reader = new Xor2Reader(Buffer.from(hex, 'hex'));
    for (const [i, [time, bits]] of samples.entries()) {
      assert.ok(reader.next(), name);
      assert.deepEqual(
        [
          String(reader.time.toBigInt()),
          hexOf(reader.bits.high, reader.bits.low),
          String(reader.starts.start.toBigInt()),
        ],
        [time, bits, starts[i]],
        name,
      );
    }
    assert.equal(reader.next(), false);
  }
  assert.ok(all.length >= 86);
});

interface HistogramJson {
  readonly t: string;
  readonly kind: 'int' | 'float';
  readonly hint: ResetHint;
  readonly schema: number;
  readonly zero_threshold_bits: string;
  readonly zero_count: string;
  readonly count: string;
  readonly sum_bits: string;
  readonly positive_spans: readonly (readonly [offset: number, length: number])[];
  readonly negative_spans: readonly (readonly [offset: number, length: number])[];
  readonly positive: readonly string[];
  readonly negative: readonly string[];
  readonly custom_values_bits?: readonly string[];
}

interface HistogramVector {
  readonly name: string;
  readonly input: readonly HistogramJson[];
  readonly steps: readonly { readonly new_chunk: boolean; readonly recoded: boolean }[];
  readonly chunks: readonly {
    readonly encoding: HistogramKind;
    readonly hex: string;
    readonly decoded: readonly HistogramJson[];
  }[];
}

const float = (hex: string) => floatOfWords(...words(hex));

function histogramOf(json: HistogramJson): Histogram | FloatHistogram {
  const number = json.kind === 'int' ? Number : float;
  const common = {
    resetHint: json.hint,
    schema: json.schema,
    zeroThreshold: float(json.zero_threshold_bits),
    zeroCount: number(json.zero_count),
    count: number(json.count),
    sum: float(json.sum_bits),
    positiveSpans: json.positive_spans.map(([offset, length]) => ({ offset, length })),
    negativeSpans: json.negative_spans.map(([offset, length]) => ({ offset, length })),
    customValues: (json.custom_values_bits ?? []).map(float),
  };
  const positive = json.positive.map(number);
  const negative = json.negative.map(number);
  return json.kind === 'int'
    ? { ...common, positiveDeltas: positive, negativeDeltas: negative }
    : { ...common, positiveBuckets: positive, negativeBuckets: negative };
}

test('histogram chunks are those of Prometheus, byte for byte, and are cut where it cuts them', { skip }, () => {
  const all = vectors<HistogramVector>('chunks-histogram.jsonl');
  for (const { name, input, steps, chunks } of all) {
    const kind: HistogramKind = input[0]!.kind === 'int' ? 'histogram' : 'floathistogram';
    let writer = HistogramWriter.create(kind);
    const done: HistogramWriter[] = [];
    for (const [i, json] of input.entries()) {
      if (i === input.length >> 1 && i > 0) writer = HistogramWriter.resume(kind, writer.toBytes());
      const appended = writer.appendBits(int(json.t), histogramOf(json), ...words(json.sum_bits));
      const { new_chunk, recoded } = steps[i]!;
      assert.equal(appended.outcome, new_chunk ? 'cut' : recoded ? 'recoded' : 'appended', `${name}, sample ${i}`);
      if (appended.outcome !== 'cut') continue;
      done.push(writer);
      writer = appended.next;
    }
    done.push(writer);
    const hexes = done.map((chunk) => Buffer.from(chunk.toBytes()).toString('hex'));
    assert.deepEqual(
      hexes,
      chunks.map((chunk) => chunk.hex),
      name,
    );
    for (const chunk of chunks) {
      assert.equal(chunk.encoding, kind);
      const reader = new HistogramReader(kind, Buffer.from(chunk.hex, 'hex'));
      for (const json of chunk.decoded) {
        assert.ok(reader.next(), name);
        assert.equal(String(reader.body.time.toBigInt()), json.t, name);
        assert.equal(hexOf(reader.body.sum.high, reader.body.sum.low), json.sum_bits, name);
        if (reader.isStale) continue;
        const read = reader.histogram();
        assert.deepEqual(kind === 'histogram' ? toIntegerHistogram(read) : read, histogramOf(json), name);
      }
      assert.equal(reader.next(), false);
    }
  }
  assert.ok(all.length >= 42);
});

interface StartsVector {
  readonly name: string;
  readonly encoding: 5 | 6;
  readonly hex: string;
  /** The same samples in the encoding without starts. */
  readonly plain: string;
  readonly starts: readonly number[];
}

test('histogram chunks of Prometheus with start timestamps are read: the samples of one without, and the starts', () => {
  const all = vectors<StartsVector>('chunks-histogram-starts.jsonl', DATA);
  for (const { name, encoding, hex, plain, starts } of all) {
    const kind: HistogramKind = encoding === 5 ? 'histogram' : 'floathistogram';
    const reader = new HistogramReader(kind, Buffer.from(hex, 'hex'), true);
    const other = new HistogramReader(kind, Buffer.from(plain, 'hex'));
    assert.deepEqual([reader.count, reader.header], [starts.length, other.header], name);
    for (const start of starts) {
      assert.ok(reader.next() && other.next(), name);
      assert.equal(reader.body.time.toNumber(), other.body.time.toNumber(), name);
      assert.equal(reader.starts!.start.toNumber(), start, name);
      assert.deepEqual(reader.numbers(), other.numbers(), name);
      if (!reader.isStale) assert.deepEqual(reader.histogram(), other.histogram(), name);
    }
    assert.equal(reader.next(), false);
  }
  assert.equal(all.length, 146);
});
