import type { FloatHistogram } from './histogram.ts';

/** Where it is put together. */
let bytes = new Uint8Array(1024);
let view = new DataView(bytes.buffer);
let length = 0;

/**
 * A histogram as bytes in one canonical form: equal bytes, equal histogram. The reset hint is not in it, since it says something
 * of the sample before and not of this one. Also the order between histograms of one time.
 */
export function histogramBytes(h: FloatHistogram): Uint8Array {
  const { positiveSpans, negativeSpans, positiveBuckets, negativeBuckets, customValues } = h;
  reserve(
    128 +
      16 * (positiveSpans.length + negativeSpans.length) +
      8 * (positiveBuckets.length + negativeBuckets.length + customValues.length),
  );
  length = 0;
  varint(h.schema);
  f64(h.zeroThreshold);
  f64(h.zeroCount);
  f64(h.count);
  f64(h.sum);
  for (const spans of [positiveSpans, negativeSpans]) {
    uvarint(spans.length);
    for (const span of spans) {
      varint(span.offset);
      uvarint(span.length);
    }
  }
  for (const values of [positiveBuckets, negativeBuckets, customValues]) {
    uvarint(values.length);
    for (const value of values) f64(value);
  }
  return bytes.slice(0, length);
}

function reserve(size: number): void {
  if (size <= bytes.length) return;
  bytes = new Uint8Array(size * 2);
  view = new DataView(bytes.buffer);
}

function f64(value: number): void {
  view.setFloat64(length, value, true);
  length += 8;
}

function uvarint(value: number): void {
  let left = value;
  while (left >= 128) {
    bytes[length++] = (left % 128) | 128;
    left = Math.floor(left / 128);
  }
  bytes[length++] = left;
}

function varint(value: number): void {
  uvarint(value < 0 ? -2 * value - 1 : 2 * value);
}
