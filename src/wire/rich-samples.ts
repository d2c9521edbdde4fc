import type { ByteReader, ByteWriter } from '../lib/bytes.ts';
import type { FloatHistogram, ResetHint, Span } from '../model/histogram.ts';
import { type Histogram, isIntegerHistogram } from '../model/histogram-integer.ts';

// Samples that are more than a time and a float: native histograms, and floats with a start timestamp. In frames and in the log:
//   u8 kind (bits 0–1), start follows (bit 2), reset hint (bits 4–5) · f64 time · f64 start
//   float: u32 low, u32 high word of the value
//   histogram: varint schema · f64 zero threshold, sum · count, zero count · positive, negative spans · positive, negative buckets ·
//   bounds. Whole counts and buckets (differences) are varints, the others f64; each list has its length in front.

export interface RichFloat {
  readonly timeMs: number;
  /** 0 where unknown. */
  readonly startMs: number;
  /** The value's bits. */
  readonly high: number;
  readonly low: number;
}

export interface RichHistogram {
  readonly timeMs: number;
  readonly startMs: number;
  /** Absent: the series ends. */
  readonly histogram: Histogram | FloatHistogram | undefined;
}

export type RichSample = RichFloat | RichHistogram;

export function isRichHistogram(sample: RichSample): sample is RichHistogram {
  return 'histogram' in sample;
}

const FLOAT = 0;
const INTEGER_HISTOGRAM = 1;
const FLOAT_HISTOGRAM = 2;
const STALE_HISTOGRAM = 3;
const HAS_START = 4;
const HINTS: readonly ResetHint[] = ['unknown', 'reset', 'not_reset', 'gauge'];

/** Times and starts further from 1970 than this are not taken: their differences must be exact. */
export const RICH_TIME_MAX_MS = 2 ** 51;

export function writeRichSample(out: ByteWriter, sample: RichSample): void {
  const histogram = isRichHistogram(sample) ? sample.histogram : undefined;
  const kind = !isRichHistogram(sample)
    ? FLOAT
    : histogram === undefined
      ? STALE_HISTOGRAM
      : isIntegerHistogram(histogram)
        ? INTEGER_HISTOGRAM
        : FLOAT_HISTOGRAM;
  const hint = histogram === undefined ? 0 : HINTS.indexOf(histogram.resetHint);
  out.u8(kind | (sample.startMs !== 0 ? HAS_START : 0) | (hint << 4));
  out.f64(sample.timeMs);
  if (sample.startMs !== 0) out.f64(sample.startMs);
  if (!isRichHistogram(sample)) {
    out.u32(sample.low >>> 0);
    out.u32(sample.high >>> 0);
  } else if (histogram !== undefined) writeHistogram(out, histogram);
}

function writeHistogram(out: ByteWriter, histogram: Histogram | FloatHistogram): void {
  const whole = isIntegerHistogram(histogram);
  out.varint(histogram.schema);
  out.f64(histogram.zeroThreshold);
  out.f64(histogram.sum);
  const count = (value: number) => (whole ? out.uvarint(value) : out.f64(value));
  count(histogram.count);
  count(histogram.zeroCount);
  for (const spans of [histogram.positiveSpans, histogram.negativeSpans]) {
    out.uvarint(spans.length);
    for (const { offset, length } of spans) {
      out.varint(offset);
      out.uvarint(length);
    }
  }
  if (whole) {
    for (const deltas of [histogram.positiveDeltas, histogram.negativeDeltas]) {
      out.uvarint(deltas.length);
      for (const delta of deltas) out.varint(delta);
    }
  } else for (const buckets of [histogram.positiveBuckets, histogram.negativeBuckets]) writeFloats(out, buckets);
  writeFloats(out, histogram.customValues);
}

function writeFloats(out: ByteWriter, values: readonly number[]): void {
  out.uvarint(values.length);
  for (const value of values) out.f64(value);
}

/** @throws BytesError */
export function readRichSample(from: ByteReader): RichSample {
  const head = from.u8();
  const timeMs = from.f64();
  const startMs = (head & HAS_START) === 0 ? 0 : from.f64();
  switch (head & 3) {
    case FLOAT: {
      const low = from.u32() | 0;
      return { timeMs, startMs, high: from.u32() | 0, low };
    }
    case STALE_HISTOGRAM:
      return { timeMs, startMs, histogram: undefined };
    default:
      return {
        timeMs,
        startMs,
        histogram: readHistogram(from, HINTS[(head >> 4) & 3]!, (head & 3) === INTEGER_HISTOGRAM),
      };
  }
}

function readHistogram(from: ByteReader, resetHint: ResetHint, whole: boolean): Histogram | FloatHistogram {
  const schema = from.varint();
  const zeroThreshold = from.f64();
  const sum = from.f64();
  const count = whole ? from.uvarint() : from.f64();
  const zeroCount = whole ? from.uvarint() : from.f64();
  const positiveSpans = readSpans(from);
  const negativeSpans = readSpans(from);
  const common = { resetHint, schema, zeroThreshold, zeroCount, count, sum, positiveSpans, negativeSpans };
  if (whole) {
    const positiveDeltas = readVarints(from);
    const negativeDeltas = readVarints(from);
    return { ...common, positiveDeltas, negativeDeltas, customValues: readFloats(from) };
  }
  const positiveBuckets = readFloats(from);
  const negativeBuckets = readFloats(from);
  return { ...common, positiveBuckets, negativeBuckets, customValues: readFloats(from) };
}

function readSpans(from: ByteReader): Span[] {
  const spans: Span[] = [];
  for (let left = from.count(2); left > 0; left--) {
    const offset = from.varint();
    spans.push({ offset, length: from.uvarint() });
  }
  return spans;
}

function readVarints(from: ByteReader): number[] {
  const numbers: number[] = [];
  for (let left = from.count(1); left > 0; left--) numbers.push(from.varint());
  return numbers;
}

function readFloats(from: ByteReader): number[] {
  const numbers: number[] = [];
  for (let left = from.count(8); left > 0; left--) numbers.push(from.f64());
  return numbers;
}
