import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Random, seededRandom } from '../lib/random.ts';
import { AppError } from '../model/errors.ts';
import { floatHistogram } from '../model/histogram.ts';
import { integerHistogram } from '../model/histogram-integer.ts';
import { decodeRemoteWrite1 } from './remote-write-1.ts';
import { decodeRemoteWrite2 } from './remote-write-2.ts';
import { encodeRemoteWrite1, encodeRemoteWrite2 } from './remote-write-encode.ts';
import { type WriteRequest, WriteSamples, type WriteSeries } from './write-request.ts';

const runs = Number(process.env.PALLIUM_FUZZ_RUNS ?? 300);

function series(parts: Partial<WriteSeries> & { pairs: readonly string[] }): WriteSeries {
  return { labelsFault: undefined, samples: WriteSamples.none, histograms: [], exemplars: [], ...parts };
}

const spans = [{ offset: -2, length: 2 }];

/** Some of everything; `starts` only where the version has them. */
function everything(starts: boolean): WriteRequest {
  const startMs = starts ? 500 : 0;
  const samples = WriteSamples.of([{ timeMs: 1000, value: 1.5, startMs }]);
  samples.push(-1, 0x7ff80000, 0x1234, 0);
  samples.push(2000, 0x7ff00000, 2, startMs);
  const exemplar = { pairs: ['trace_id', 'abc'], labelsFault: undefined, value: 2, timeMs: 900 };
  const histograms = [
    {
      timeMs: 1000,
      startMs,
      stale: false,
      histogram: integerHistogram({
        resetHint: 'not_reset',
        schema: 3,
        zeroThreshold: 0.001,
        zeroCount: 1,
        count: 6,
        sum: -4.5,
        positiveSpans: spans,
        positiveDeltas: [2, -1],
        negativeSpans: spans,
        negativeDeltas: [1, 0],
      }),
      fault: undefined,
    },
    {
      timeMs: 2000,
      startMs,
      stale: false,
      histogram: floatHistogram({
        schema: -53,
        count: 3.5,
        sum: 1,
        customValues: [1],
        positiveSpans: [{ offset: 0, length: 2 }],
        positiveBuckets: [1.5, 2],
      }),
      fault: undefined,
    },
    { timeMs: 3000, startMs, stale: true, histogram: floatHistogram({ sum: Number.NaN }), fault: undefined },
  ];
  return {
    series: [
      series({ pairs: ['__name__', 'up', 'job', 'größe'], samples, exemplars: [exemplar] }),
      series({ pairs: ['__name__', 'h'], histograms }),
      series({ pairs: [] }),
    ],
    metadata: [{ metric: 'up', type: 'gauge', help: 'Whether it is.', unit: '' }],
  };
}

function plain({ series, metadata }: WriteRequest): unknown {
  return {
    metadata,
    series: series.map(({ samples, ...rest }) => ({
      ...rest,
      samples: Array.from({ length: samples.count }, (_, i) => [
        samples.times[i],
        samples.high(i),
        samples.low(i),
        samples.starts[i],
      ]),
    })),
  };
}

test('both versions hold everything, to the bit', () => {
  const one = everything(false);
  assert.deepEqual(plain(decodeRemoteWrite1(encodeRemoteWrite1(one))), plain(one));
  const two = everything(true);
  assert.deepEqual(plain(decodeRemoteWrite2(encodeRemoteWrite2(two))), plain(two));
});

test('stale markers are known by their bits', () => {
  const [first] = decodeRemoteWrite1(encodeRemoteWrite1(everything(false))).series;
  assert.deepEqual(
    [0, 1, 2].map((i) => first!.samples.isStale(i)),
    [false, false, true],
  );
});

test('what is wrong with one series leaves the others', () => {
  const broken = Uint8Array.of(0x0a, 0x08, 0x0a, 0x06, 0x0a, 0x01, 0x61, 0x12, 0x01, 0xff);
  const good = encodeRemoteWrite1({ series: [series({ pairs: ['__name__', 'up'] })], metadata: [] });
  const { series: read } = decodeRemoteWrite1(Uint8Array.from([...broken, ...good]));
  assert.deepEqual(
    read.map((one) => one.labelsFault),
    ['the value \ufffd is not UTF-8', undefined],
  );
  // symbols "", "a"; references 1 and 7, then one reference alone
  const refs = Uint8Array.of(0x22, 0, 0x22, 1, 0x61, 0x2a, 4, 0x0a, 2, 1, 7, 0x2a, 3, 0x0a, 1, 1);
  const faults = decodeRemoteWrite2(refs).series.map((one) => one.labelsFault);
  assert.deepEqual(faults, ['reference to symbol 7 of 2', '1 references are no pairs']);
});

test('an invalid histogram has its fault, a finer one than is in use is made coarser', () => {
  const histogram = floatHistogram({
    schema: 9,
    count: 3,
    positiveSpans: [{ offset: 1, length: 2 }],
    positiveBuckets: [1, 2],
  });
  const bad = floatHistogram({ count: -1 });
  const samples = [histogram, bad].map((one) => ({
    timeMs: 1,
    startMs: 0,
    stale: false,
    histogram: one,
    fault: undefined,
  }));
  const body = encodeRemoteWrite1({ series: [series({ pairs: [], histograms: samples })], metadata: [] });
  const [finer, negative] = decodeRemoteWrite1(body).series[0]!.histograms;
  assert.deepEqual(finer!.histogram, {
    ...histogram,
    schema: 8,
    positiveSpans: [{ offset: 1, length: 1 }],
    positiveBuckets: [3],
  });
  assert.equal(negative!.fault?.kind, 'negative_count');
});

test('few bytes cannot become many objects', () => {
  const empty = new Uint8Array(2_000).map((_, i) => (i % 2 === 0 ? 0x0a : 0));
  assert.equal(decodeRemoteWrite1(empty).series.length, 1000);
  assert.throws(() => decodeRemoteWrite1(empty, 999), /remote-write 1.0 request: more than 999 series/);
});

function damaged(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = bytes.slice(0, random() < 0.2 ? Math.floor(random() * bytes.length) : bytes.length);
  for (let flips = random() * 6; flips > 0; flips--) {
    copy[Math.floor(random() * copy.length)]! ^= 1 << Math.floor(random() * 8);
  }
  return copy;
}

test('damaged requests are an error with a name, or other requests', () => {
  const random = seededRandom(1);
  const bodies = [encodeRemoteWrite1(everything(false)), encodeRemoteWrite2(everything(true))];
  for (let run = 0; run < runs * 10; run++) {
    for (const [i, decode] of [decodeRemoteWrite1, decodeRemoteWrite2].entries()) {
      try {
        decode(damaged(bodies[i]!, random));
      } catch (thrown) {
        assert.ok(thrown instanceof AppError && thrown.facts.id === 'write-request-invalid', String(thrown));
      }
    }
  }
});
