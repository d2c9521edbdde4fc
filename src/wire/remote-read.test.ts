import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { readHistograms } from '../chunk/histogram.ts';
import { readXor } from '../chunk/xor.ts';
import { crc32c } from '../lib/crc32c.ts';
import { seededRandom } from '../lib/random.ts';
import { AppError } from '../model/errors.ts';
import { floatHistogram } from '../model/histogram.ts';
import { Labels } from '../model/labels.ts';
import { HISTOGRAM, SampleColumns, STALE, STALE_HISTOGRAM } from '../storage/columns.ts';
import { decodeReadRequest, encodeReadFrame, ReadResponseWriter } from './remote-read.ts';
import { decodeRemoteWrite1 } from './remote-write-1.ts';

const runs = Number(process.env.PALLIUM_FUZZ_RUNS ?? 300);

function request(...matchers: [type: number, name: string, value: string][]): Uint8Array {
  const out = new BinaryWriter().tag(1, WireType.LengthDelimited).fork();
  out.tag(1, WireType.Varint).int64(-5).tag(2, WireType.Varint).int64(1000);
  for (const [type, name, value] of matchers) {
    out.tag(3, WireType.LengthDelimited).fork();
    out.tag(1, WireType.Varint).uint32(type);
    out.tag(2, WireType.LengthDelimited).string(name).tag(3, WireType.LengthDelimited).string(value).join();
  }
  out.tag(4, WireType.LengthDelimited).bytes(Uint8Array.of(8, 1)); // hints
  out.join().tag(2, WireType.LengthDelimited).bytes(Uint8Array.of(1, 0));
  return out.finish();
}

function mixed(): SampleColumns {
  const samples = new SampleColumns();
  for (let i = 0; i < 130; i++) samples.pushFloat(i * 1000, i);
  samples.pushStale(130_000);
  const histogram = floatHistogram({
    count: 2,
    sum: 3,
    positiveSpans: [{ offset: 0, length: 1 }],
    positiveBuckets: [2],
  });
  samples.pushHistogram(131_000, histogram);
  samples.pushHistogram(132_000, { ...histogram, schema: 2 });
  samples.pushStale(133_000, STALE_HISTOGRAM);
  return samples;
}

const labels = Labels.of({ __name__: 'up', job: 'a' });

test('a request gives its ranges and matchers', () => {
  const { queries, takesChunks } = decodeReadRequest(request([0, '__name__', 'up'], [3, 'job', 'a|b']));
  assert.equal(takesChunks, true);
  assert.deepEqual(
    queries.map(({ startMs, endMs }) => [startMs, endMs]),
    [[-5, 1000]],
  );
  assert.deepEqual(queries[0]!.matchers.map(String), ['__name__="up"', 'job!~"a|b"']);
  assert.throws(() => decodeReadRequest(request([7, 'a', 'b'])), /a matcher has type 7/);
  assert.throws(() => decodeReadRequest(request([2, 'a', '('])), /the pattern \( is not a regular expression/);
});

test('an answer of samples has the form of written series', () => {
  const writer = new ReadResponseWriter();
  writer.nextQuery();
  writer.series(labels, mixed());
  writer.nextQuery();
  const reader = new BinaryReader(writer.finish());
  assert.deepEqual(reader.tag(), [1, WireType.LengthDelimited]);
  const { series } = decodeRemoteWrite1(reader.bytes());
  assert.deepEqual(series[0]!.pairs, labels.pairs);
  const { samples, histograms } = series[0]!;
  assert.deepEqual(
    [samples.count, samples.times[129], samples.value(129), samples.isStale(130)],
    [131, 129_000, 129, true],
  );
  assert.deepEqual(
    histograms.map((one) => [one.timeMs, one.stale, one.histogram.count]),
    [
      [131_000, false, 2],
      [132_000, false, 2],
      [133_000, true, 0],
    ],
  );
  assert.deepEqual([reader.tag()[0], reader.bytes().length], [1, 0]);
});

test('a streamed answer has chunks behind a length and a checksum', () => {
  const frame = encodeReadFrame(3, labels, mixed());
  const head = new BinaryReader(frame);
  const length = head.uint32();
  const message = frame.subarray(head.pos + 4);
  assert.equal(message.length, length);
  assert.equal(new DataView(frame.buffer).getUint32(head.pos), crc32c(message));
  const reader = new BinaryReader(message);
  reader.tag();
  const series = new BinaryReader(reader.bytes());
  assert.deepEqual([reader.tag()[0], Number(reader.int64())], [2, 3]);
  const out = new SampleColumns();
  const encodings: number[] = [];
  while (series.pos < series.len) {
    const [field] = series.tag();
    const chunk = new BinaryReader(series.bytes());
    if (field !== 2) continue;
    while (chunk.pos < chunk.len) {
      const [number] = chunk.tag();
      if (number === 3) encodings.push(chunk.uint32());
      else if (number !== 4) chunk.int64();
      else if (encodings.at(-1) === 1) readXor(chunk.bytes(), out);
      else readHistograms('floathistogram', chunk.bytes(), out);
    }
  }
  assert.deepEqual(encodings, [1, 1, 3, 3]);
  assert.equal(out.count, 134);
  assert.deepEqual(out.times.subarray(0, 134), mixed().times.subarray(0, 134));
  assert.deepEqual([...out.kinds.subarray(130, 134)], [STALE, HISTOGRAM, HISTOGRAM, STALE_HISTOGRAM]);
});

test('the checksum is that of Castagnoli', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
});

test('damaged requests are an error with a name, or other requests', () => {
  const random = seededRandom(1);
  for (let run = 0; run < runs * 10; run++) {
    const body = request([0, '__name__', 'up'], [2, 'job', 'a.*']).slice();
    for (let flips = random() * 4; flips > 0; flips--)
      body[Math.floor(random() * body.length)]! ^= 1 << Math.floor(random() * 8);
    try {
      decodeReadRequest(body.subarray(0, random() < 0.2 ? Math.floor(random() * body.length) : body.length));
    } catch (thrown) {
      assert.ok(thrown instanceof AppError && thrown.facts.id === 'read-request-invalid', String(thrown));
    }
  }
});
