import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { floatHistogram } from '../model/histogram.ts';
import { Labels } from '../model/labels.ts';
import { ApiJsonWriter, formatApiValue } from './api-json.ts';
import { formatTimestamp } from './timestamp-text.ts';

function written(write: (out: ApiJsonWriter) => void): string {
  const out = new ApiJsonWriter();
  write(out);
  return new TextDecoder().decode(out.finish());
}

test('what is no UTF-8 is one replacement for each byte', () => {
  const broken = 'a\udcff\udc80é😀\\udcff';
  const whole = '"a\ufffd\ufffdé😀\\\\udcff"';
  assert.equal(
    written((out) => out.string(broken)),
    whole,
  );
  assert.equal(
    written((out) => out.labels(Labels.of({ [broken]: broken }))),
    `{${whole}:${whole}}`,
  );
  assert.equal(
    written((out) => out.json([broken])),
    `[${whole}]`,
  );
});

test('values are printed as Prometheus does', () => {
  for (const [value, text] of [
    [0, '0'],
    [-0, '-0'],
    [4, '4'],
    [1.5, '1.5'],
    [1e20, '100000000000000000000'],
    [1e21, '1e+21'],
    [1e-6, '0.000001'],
    [1e-7, '1e-07'],
    [-2.5e-9, '-2.5e-09'],
    [1e100, '1e+100'],
    [Number.MAX_VALUE, '1.7976931348623157e+308'],
    [5e-324, '5e-324'],
    [Number.NaN, 'NaN'],
    [Infinity, '+Inf'],
    [-Infinity, '-Inf'],
  ] as const) {
    assert.equal(formatApiValue(value), text);
  }
});

test('every finite value reads back as itself', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) =>
      Object.is(Number(formatApiValue(value)), value),
    ),
  );
});

test('timestamps have three digits or none', () => {
  for (const [timeMs, text] of [
    [0, '0'],
    [1767231000000, '1767231000'],
    [1767231000123, '1767231000.123'],
    [1767225600100, '1767225600.100'],
    [5, '0.005'],
    [-1000, '-1'],
    [-9223372036854, '-9223372036.854'],
  ] as const) {
    assert.equal(formatTimestamp(timeMs), text);
  }
});

test('labels are quoted as JSON', () => {
  const labels = Labels.of({ __name__: 'm', text: 'a"b\nü😀' });
  assert.deepEqual(JSON.parse(written((out) => out.labels(labels))), labels.toJSON());
});

test('points of many series share the texts of their times', () => {
  const times = Float64Array.of(1000, 2000, 3000);
  const text = written((out) => {
    out.raw('[');
    out.points(times, Float64Array.of(1, 2, 3));
    out.raw('] [');
    out.points(Float64Array.from(times), Float64Array.of(4, Number.NaN, 6), (i) => i === 0);
    out.raw('] [');
    out.points(Float64Array.of(1500), Float64Array.of(9));
    out.raw(']');
  });
  assert.equal(text, '[[1,"1"],[2,"2"],[3,"3"]] [[2,"NaN"],[3,"6"]] [[1.500,"9"]]');
});

test('an exponential histogram has its buckets from below, the zero bucket between', () => {
  const histogram = floatHistogram({
    schema: 0,
    zeroThreshold: 0.001,
    zeroCount: 3,
    count: 9,
    sum: 4.5,
    negativeSpans: [{ offset: 0, length: 2 }],
    negativeBuckets: [1, 2],
    positiveSpans: [
      { offset: 0, length: 1 },
      { offset: 1, length: 2 },
    ],
    positiveBuckets: [2, 0, 1],
  });
  assert.deepEqual(JSON.parse(written((out) => out.histogram(histogram))), {
    count: '9',
    sum: '4.5',
    buckets: [
      [1, '-2', '-1', '2'],
      [1, '-1', '-0.5', '1'],
      [3, '-0.001', '0.001', '3'],
      [0, '0.5', '1', '2'],
      [0, '4', '8', '1'],
    ],
  });
  assert.equal(
    written((out) => out.histogram(floatHistogram({}))),
    '{"count":"0","sum":"0"}',
  );
});

test('custom buckets begin at −Inf, which belongs to the first', () => {
  const histogram = floatHistogram({
    schema: -53,
    count: 3,
    sum: 1,
    customValues: [1, 2],
    positiveSpans: [{ offset: 0, length: 3 }],
    positiveBuckets: [1, 1, 1],
  });
  assert.deepEqual(JSON.parse(written((out) => out.histogram(histogram))).buckets, [
    [3, '-Inf', '1', '1'],
    [0, '1', '2', '1'],
    [0, '2', '+Inf', '1'],
  ]);
});

test('long answers arrive whole, and can be ended while they grow', () => {
  const text = 'ü'.repeat(100_000);
  assert.equal(
    written((out) => out.string(text)),
    JSON.stringify(text),
  );
  const limited = new ApiJsonWriter((bytes) => {
    if (bytes > 1000) throw new RangeError('too long');
  });
  assert.throws(() => limited.raw('x'.repeat(50_000)), /too long/);
});
