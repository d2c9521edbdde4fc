import assert from 'node:assert/strict';
import test from 'node:test';
import zlib from 'node:zlib';
import fc from 'fast-check';
import { ByteReader, BytesError, ByteWriter } from '../../lib/bytes.ts';
import { AppError } from '../../model/errors.ts';
import type { FloatHistogram } from '../../model/histogram.ts';
import { FLOAT, HISTOGRAM, SampleColumns, STALE, STALE_HISTOGRAM } from '../../storage/columns.ts';
import { Kernel } from '../kernel.ts';
import { GroupDecoder } from './decode.ts';
import { Digester } from './digest.ts';
import { type EncodedGroup, GroupEncoder } from './encode.ts';
import { compress, encodeHeader, openBlock, parseHeader } from './header.ts';
import { inflate, inflaterOfNode, inflateTo } from './inflate.ts';
import { readGroup } from './read.ts';
import type { GroupSeries } from './series.ts';

const kernel = Kernel.create();
const encoder = new GroupEncoder(kernel);
const decoder = new GroupDecoder(kernel);
const digester = new Digester(kernel);

function labelBytes(labels: Readonly<Record<string, string>>): Uint8Array {
  const out = new ByteWriter();
  for (const name of Object.keys(labels).sort()) {
    for (const part of [name, labels[name]!]) {
      const bytes = Buffer.from(part);
      out.uvarint(bytes.length);
      out.bytes(bytes);
    }
  }
  return out.done().slice();
}

interface ReadSeries {
  times: Float64Array;
  bits: BigUint64Array;
  kinds: Uint8Array;
  starts: Float64Array | undefined;
  histograms: (FloatHistogram | undefined)[];
}

function decode(header: Uint8Array, body: Uint8Array): Map<string, ReadSeries> {
  const parsed = parseHeader(header, 'test');
  assert.equal(parsed.headerBytes, header.length);
  const read = new Map<string, ReadSeries>();
  const out = new SampleColumns(1);
  for (const labels of readGroup(decoder, digester, parsed.header, body, 'test', out)) {
    read.set(Buffer.from(labels).toString('hex'), {
      times: out.times.slice(0, out.count),
      bits: new BigUint64Array(out.values.slice(0, out.count).buffer),
      kinds: out.kinds.slice(0, out.count),
      starts: out.hasStarts ? out.starts.slice(0, out.count) : undefined,
      histograms: Array.from({ length: out.count }, (_, i) => out.histograms[i]),
    });
  }
  return read;
}

function encode(series: readonly GroupSeries[], seriesDigests = true): EncodedGroup {
  return encoder.encode({ windowStartMs: 0, windowMs: 7_200_000, series, seriesDigests });
}

function roundTrips(series: readonly GroupSeries[]): EncodedGroup {
  const group = encode(series);
  const read = decode(group.header, group.body);
  assert.equal(read.size, series.length);
  for (const each of series) {
    const got = read.get(Buffer.from(each.labels).toString('hex'));
    assert.ok(got, 'the series is there');
    assert.deepEqual(got.times, each.times);
    const kinds = each.kinds ?? new Uint8Array(each.times.length);
    const bits = new BigUint64Array(each.values.slice().buffer);
    kinds.forEach((kind, i) => {
      const isStale = kind === FLOAT && bits[i] === 0x7ff0000000000002n;
      assert.equal(got.kinds[i], isStale ? STALE : kind);
      if (kind === FLOAT) assert.equal(got.bits[i], bits[i]);
      assert.deepEqual(got.histograms[i], kind === HISTOGRAM ? each.histograms![i] : undefined);
    });
    assert.deepEqual(got.starts, each.starts);
  }
  return group;
}

const BASE = 1_767_225_600_000;
const times = (count: number, step = 15_000) => Float64Array.from({ length: count }, (_, i) => BASE + i * step);

test('series of several metrics come back, with times stored once', () => {
  const shared = times(480);
  const series: GroupSeries[] = [];
  for (let i = 0; i < 700; i++) {
    series.push({
      labels: labelBytes({
        __name__: `metric_${i % 7}`,
        instance: `host-${i}`,
        ...(i % 3 ? { zone: `z${i % 5}` } : {}),
      }),
      times: i % 2 === 0 ? shared : shared.slice(),
      values: Float64Array.from({ length: 480 }, (_, k) => (i % 4 === 0 ? Math.sin(i + k) : i * k)),
    });
  }
  const group = roundTrips(series);
  const { header } = parseHeader(group.header, 'test');
  assert.deepEqual(
    header.metrics.map(({ name, count }) => [name, count]),
    Array.from({ length: 7 }, (_, i) => [`metric_${i}`, 100]),
  );
  assert.equal(header.sampleCount, 700 * 480);
  assert.equal(
    header.blocks.filter((block) => block.kind === 2).reduce((sum, block) => sum + block.count, 0),
    1,
  );
  assert.deepEqual([header.firstMs, header.lastMs], [shared[0], shared[479]]);
});

test('the digest does not depend on how samples are spread over groups', () => {
  const labels = labelBytes({ __name__: 'a' });
  const t = times(10);
  const values = Float64Array.from({ length: 10 }, (_, i) => i / 3);
  const whole = encode([{ labels, times: t, values }]);
  const halves = [0, 5].map((from) => ({
    labels,
    times: t.slice(from, from + 5),
    values: values.slice(from, from + 5),
  }));
  const sum = new Uint8Array(16);
  for (const half of halves) digester.add(half, sum);
  assert.deepEqual(sum, whole.digest);
  const other = encode([{ labels: labelBytes({ __name__: 'b' }), times: t, values }]);
  assert.notDeepEqual(other.digest, whole.digest);
});

const histogram = (i: number, more: Partial<FloatHistogram> = {}): FloatHistogram => ({
  resetHint: i === 0 ? 'unknown' : 'not_reset',
  schema: 3,
  zeroThreshold: 2 ** -128,
  zeroCount: i,
  count: 12 * i,
  sum: i * 0.37,
  positiveSpans: [
    { offset: -3, length: 2 },
    { offset: 4, length: 1 },
  ],
  positiveBuckets: [i, 2 * i, 3 * i],
  negativeSpans: [{ offset: 0, length: 1 }],
  negativeBuckets: [5 * i],
  customValues: [],
  ...more,
});

test('a histogram that makes the memory grow while its digest is taken has that of any other', () => {
  const large = histogram(1, {
    positiveSpans: [{ offset: 0, length: 40_000 }],
    positiveBuckets: Array.from({ length: 40_000 }, (_, i) => i),
  });
  const series: GroupSeries = {
    labels: labelBytes({ __name__: 'large' }),
    times: Float64Array.of(1000),
    values: Float64Array.of(Number.NaN),
    kinds: Uint8Array.of(HISTOGRAM),
    histograms: [large],
  };
  const small = new Digester(Kernel.create());
  const [first, again] = [new Uint8Array(16), new Uint8Array(16)];
  small.add(series, first);
  small.add(series, again);
  assert.deepEqual(first, again);
});

test('histograms of every kind, mixed with floats and stale markers, come back', () => {
  const n = 40;
  const kinds = Uint8Array.from(
    { length: n },
    (_, i) => [HISTOGRAM, HISTOGRAM, FLOAT, HISTOGRAM, STALE_HISTOGRAM, STALE][i % 6]!,
  );
  const custom = {
    schema: -53,
    customValues: [0.5, 1, 2.5],
    positiveSpans: [{ offset: 0, length: 4 }],
    positiveBuckets: [1.5, 0, 2, -0],
  };
  const histograms = Array.from(kinds, (kind, i) => {
    if (kind !== HISTOGRAM) return undefined;
    return i < 20
      ? histogram(i)
      : i < 30
        ? histogram(i, custom)
        : histogram(i, { resetHint: 'gauge', sum: Number.NaN });
  });
  const values = Float64Array.from({ length: n }, (_, i) => i * 1.5);
  const group = [
    { labels: labelBytes({ __name__: 'h', a: '1' }), times: times(n), values, kinds, histograms },
    { labels: labelBytes({ __name__: 'h', a: '2' }), times: times(n), values },
    {
      labels: labelBytes({ __name__: 'h', a: '3' }),
      times: times(n),
      values,
      kinds,
      histograms,
      starts: times(n, 60_000),
    },
    { labels: labelBytes({ __name__: 'h', a: '4' }), times: times(n), values, starts: new Float64Array(n).fill(BASE) },
    {
      labels: labelBytes({ __name__: 's' }),
      times: times(n),
      values,
      kinds: Uint8Array.from({ length: n }, (_, i) => (i % 9 === 8 ? STALE : FLOAT)),
    },
  ];
  const read = decode(...headerAndBody(encode(group)));
  assert.equal(read.size, 5);
  const got = read.get(Buffer.from(group[0]!.labels).toString('hex'))!;
  assert.deepEqual([...got.kinds], [...kinds]);
  assert.deepEqual(got.histograms, histograms);
  const starts = read.get(Buffer.from(group[2]!.labels).toString('hex'))!;
  assert.deepEqual(starts.starts, group[2]!.starts);
  assert.deepEqual(starts.histograms, histograms);
  const stale = read.get(Buffer.from(group[4]!.labels).toString('hex'))!;
  assert.deepEqual([...stale.kinds], [...group[4]!.kinds!]);
});

function headerAndBody(group: EncodedGroup): [Uint8Array, Uint8Array] {
  return [group.header, group.body];
}

const anyValues = (length: number) =>
  fc.oneof(
    fc.bigInt64Array({ minLength: length, maxLength: length }).map((bits) => new Float64Array(bits.slice().buffer)),
    fc.array(fc.double(), { minLength: length, maxLength: length }).map((values) => Float64Array.from(values)),
    fc
      .array(fc.integer({ min: -50, max: 10_000 }), { minLength: length, maxLength: length })
      .map((values) => Float64Array.from(values, (x) => x / 10)),
    fc.double().map((value) => new Float64Array(length).fill(value)),
  );

const anyTimes = fc.oneof(
  fc
    .tuple(
      fc.integer({ min: -(2 ** 40), max: 2 ** 41 }),
      fc.array(fc.integer({ min: 1, max: 100_000 }), { maxLength: 150 }),
    )
    .map(([first, steps]) => {
      let at = first;
      return Float64Array.from([first, ...steps.map((step) => (at += step))]);
    }),
  fc
    .uniqueArray(fc.maxSafeInteger(), { minLength: 1, maxLength: 20 })
    .map((all) => Float64Array.from(all.sort((a, b) => a - b))),
);

const anyLabels = fc.dictionary(
  fc.oneof(fc.constantFrom('__name__', 'a', 'job'), fc.string({ minLength: 1, maxLength: 3 })),
  fc.oneof(fc.constantFrom('x', 'y', 'z'), fc.string({ minLength: 1, maxLength: 8, unit: 'grapheme' })),
  { maxKeys: 6 },
);

const anySeries = fc.tuple(anyLabels, anyTimes).chain(([labels, columns]) =>
  fc.record({
    labels: fc.constant(utf8Sorted(labels)),
    times: fc.constant(columns),
    values: anyValues(columns.length),
    starts: fc.option(anyValues(columns.length), { nil: undefined, freq: 5 }),
  }),
);

/** Label bytes with names in the order of their UTF-8 bytes. */
function utf8Sorted(labels: Readonly<Record<string, string>>): Uint8Array {
  const out = new ByteWriter();
  const names = Object.keys(labels).map((name) => Buffer.from(name));
  for (const name of names.sort(Buffer.compare)) {
    const value = Buffer.from(labels[name.toString()] ?? 'v');
    out.uvarint(name.length);
    out.bytes(name);
    out.uvarint(value.length);
    out.bytes(value);
  }
  return out.done().slice();
}

test('any series come back', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(anySeries, {
        minLength: 1,
        maxLength: 12,
        selector: (series) => Buffer.from(series.labels).toString('hex'),
      }),
      (series) => {
        roundTrips(series);
      },
    ),
    { numRuns: 400 },
  );
});

test('a damaged group is refused by name', () => {
  const n = 60;
  const kinds = Uint8Array.from({ length: n }, (_, i) => (i % 3 === 0 ? HISTOGRAM : FLOAT));
  const histograms = Array.from(kinds, (kind, i) => (kind === HISTOGRAM ? histogram(i) : undefined));
  const series: GroupSeries[] = [
    { labels: labelBytes({ __name__: 'h' }), times: times(n), values: new Float64Array(n), kinds, histograms },
    ...Array.from({ length: 20 }, (_, i) => ({
      labels: labelBytes({ __name__: `m${i % 4}`, i: `${i}` }),
      times: times(n),
      values: Float64Array.from({ length: n }, (_, k) => (i % 2 === 0 ? k * i : Math.cos(k))),
      starts: i === 3 ? times(n) : undefined,
    })),
  ];
  const { header, body } = encode(series);
  const whole = Buffer.concat([header, body]);
  const refuses = (bad: Uint8Array, cutAt: number) => {
    const parsed = parseHeader(bad.subarray(0, cutAt), 'row 7');
    const out = new SampleColumns();
    for (const _ of readGroup(decoder, digester, parsed.header, bad.subarray(parsed.headerBytes, cutAt), 'row 7', out));
  };
  // Also where checksums were made to fit: in the inflated content of the header and of every sub-block.
  const parsed = parseHeader(header, 'row 7');
  const raws = parsed.header.blocks.map((block) =>
    openBlock(block, body.subarray(block.offset, block.offset + block.bytes), ''),
  );
  const refits = (block: number, change: (raw: Uint8Array) => Uint8Array) => {
    const blocks = parsed.header.blocks.map((ref, i) => {
      const raw = i === block ? change(raws[i]!) : raws[i]!;
      return { ...ref, rawBytes: raw.length, stored: compress(raw) };
    });
    const metrics = parsed.header.metrics.map(({ name, count }) => ({ name, count }));
    return Buffer.concat([encodeHeader(parsed.header, metrics, blocks), ...blocks.map((each) => each.stored)]);
  };
  assert.deepEqual(
    refits(-1, (raw) => raw),
    whole,
  );
  fc.assert(
    fc.property(
      fc.nat(raws.length - 1),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 3 }),
      fc.option(fc.nat(), { freq: 4 }),
      (block, flips, cut) => {
        const bad = refits(block, (raw) => {
          const changed = Uint8Array.from(cut === null ? raw : raw.subarray(0, cut % raw.length));
          for (const [at, mask] of flips) if (changed.length > 0) changed[at % changed.length]! ^= mask;
          return changed;
        });
        try {
          refuses(bad, bad.length);
        } catch (error) {
          assert.ok(error instanceof AppError && error.facts.id === 'group-corrupt', String(error));
        }
      },
    ),
    { numRuns: 3000 },
  );
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 255 }), (at, mask) => {
      const from = new ByteReader(header);
      from.u8();
      const rawBytes = from.uvarint();
      from.uvarint();
      from.u32();
      const raw = Uint8Array.from(inflate(from.take(from.left), rawBytes));
      raw[at % raw.length]! ^= mask;
      const out = new ByteWriter();
      const stored = compress(raw);
      out.u8(1);
      out.uvarint(raw.length);
      out.uvarint(stored.length);
      out.u32(zlib.crc32(stored));
      out.bytes(stored);
      const bad = Buffer.concat([out.done(), body]);
      try {
        refuses(bad, bad.length);
      } catch (error) {
        assert.ok(error instanceof AppError && error.facts.id === 'group-corrupt', String(error));
      }
    }),
    { numRuns: 3000 },
  );
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), fc.boolean(), (at, mask, cut) => {
      const bad = Uint8Array.from(whole);
      bad[at]! ^= mask;
      assert.throws(
        () => refuses(cut ? whole : bad, cut ? at : bad.length),
        (error) => error instanceof AppError && error.facts.id === 'group-corrupt' && error.message.includes('row 7'),
      );
    }),
    { numRuns: 2000 },
  );
});

test('what is inflated to a place is what is inflated to a buffer, and bytes that do not fit are refused', () => {
  const raw = Uint8Array.from({ length: 10_000 }, (_, i) => (i * i) % 251);
  const stored = compress(raw);
  const memory = new Uint8Array(raw.length + 101);
  inflateTo(stored, raw.length, memory, 100);
  assert.deepEqual(memory.subarray(100, 100 + raw.length), raw);
  const damaged = Uint8Array.from(stored);
  damaged[0]! ^= 255;
  for (const [bytes, rawBytes] of [
    [damaged, raw.length],
    [stored.subarray(0, stored.length - 10), raw.length],
    [stored, raw.length - 1],
    [stored, raw.length + 1],
  ] as const) {
    assert.throws(() => inflate(bytes, rawBytes), BytesError);
    assert.throws(() => inflateTo(bytes, rawBytes, new Uint8Array(rawBytes + 1), 0), BytesError);
    inflateTo(stored, raw.length, memory, 0);
    assert.deepEqual(memory.subarray(0, raw.length), raw);
  }
});

test('a handle of a stream is used of versions of Node that are known, and of no others', () => {
  assert.notEqual(inflaterOfNode('24.21.0'), null);
  for (const version of ['2.4.0', '25.0.0', '240.1.0', '']) assert.equal(inflaterOfNode(version), null);
});

test('stale markers are told of a series whose times nobody has read before', () => {
  const stale = new Float64Array(new BigUint64Array([0x7ff0000000000002n]).buffer);
  const values = Float64Array.from({ length: 100 }, (_, i) => i * 1.5);
  for (const at of [0, 50, 99]) values.set(stale, at);
  const { header, body } = encode([{ labels: labelBytes({ __name__: 'a' }), times: times(100), values }]);
  const [read] = decode(header, body).values();
  assert.deepEqual(
    [...read!.kinds.keys()].filter((i) => read!.kinds[i] === STALE),
    [0, 50, 99],
  );
});
