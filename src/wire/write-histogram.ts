import type { WireType } from '@bufbuild/protobuf/wire';
import { isStale } from '../lib/float-bits.ts';
import { writeErrors } from '../model/errors-write.ts';
import { type FloatHistogram, floatHistogram, type ResetHint, type Span } from '../model/histogram.ts';
import { copyToSchema } from '../model/histogram-add.ts';
import { type Histogram, toFloatHistogram, toIntegerHistogram } from '../model/histogram-integer.ts';
import { floatHistogramFault, type HistogramFault, histogramFault } from '../model/histogram-validate.ts';
import type { MessageReader } from './message-reader.ts';
import { WEIGHT, type WriteHistogram } from './write-request.ts';

/** Reset hints by their number. */
export const RESET_HINTS: readonly ResetHint[] = ['unknown', 'reset', 'not_reset', 'gauge'];

/** The finest resolution that is known; those above 8 are read in resolution 8. */
const SCHEMA_RESERVED_MAX = 52;

/** Buckets of a histogram on one side, and its spans and bounds: far more than any client sends. */
const BUCKETS_MAX = 20_000;

/** The Histogram message, which both versions of remote write have alike. */
export function readHistogram(reader: MessageReader, end: number): WriteHistogram {
  let integer = false;
  let count = 0;
  let zeroCount = 0;
  let sum = 0;
  let sumIsStale = false;
  let schema = 0;
  let zeroThreshold = 0;
  let resetHint = 'unknown' as ResetHint;
  let timeMs = 0;
  let startMs = 0;
  const positiveSpans: Span[] = [];
  const negativeSpans: Span[] = [];
  const positiveDeltas: number[] = [];
  const negativeDeltas: number[] = [];
  const positiveBuckets: number[] = [];
  const negativeBuckets: number[] = [];
  const customValues: number[] = [];
  reader.fields(end, (field, wireType) => {
    switch (field) {
      case 1:
        integer = true;
        count = reader.uint64(wireType);
        return true;
      case 2:
        integer = false;
        count = reader.double(wireType);
        return true;
      case 3: {
        reader.doubleWords(wireType);
        sumIsStale = isStale(reader.high, reader.low);
        sum = floatOf(reader);
        return true;
      }
      case 4:
        schema = reader.sint32(wireType);
        return true;
      case 5:
        zeroThreshold = reader.double(wireType);
        return true;
      case 6:
        zeroCount = reader.uint64(wireType);
        return true;
      case 7:
        zeroCount = reader.double(wireType);
        return true;
      case 8:
        addSpan(negativeSpans, readSpan(reader, wireType, end));
        return true;
      case 9:
        reader.repeat(wireType, end, 'sint64', negativeDeltas, BUCKETS_MAX);
        return true;
      case 10:
        reader.repeat(wireType, end, 'double', negativeBuckets, BUCKETS_MAX);
        return true;
      case 11:
        addSpan(positiveSpans, readSpan(reader, wireType, end));
        return true;
      case 12:
        reader.repeat(wireType, end, 'sint64', positiveDeltas, BUCKETS_MAX);
        return true;
      case 13:
        reader.repeat(wireType, end, 'double', positiveBuckets, BUCKETS_MAX);
        return true;
      case 14:
        resetHint = RESET_HINTS[reader.uint32(wireType)] ?? 'unknown';
        return true;
      case 15:
        timeMs = reader.int64(wireType);
        return true;
      case 16:
        reader.repeat(wireType, end, 'double', customValues, BUCKETS_MAX);
        return true;
      case 17:
        startMs = reader.int64(wireType);
        return true;
      default:
        return false;
    }
  });
  if (sumIsStale) {
    const histogram = floatHistogram({ sum: Number.NaN, resetHint: resetHint === 'gauge' ? 'gauge' : 'unknown' });
    return { timeMs, startMs, stale: true, histogram, fault: undefined };
  }
  const common = {
    resetHint,
    schema,
    zeroThreshold,
    zeroCount,
    count,
    sum,
    positiveSpans,
    negativeSpans,
    customValues,
  };
  const { histogram, fault } = integer
    ? checkedInteger({ ...common, positiveDeltas, negativeDeltas })
    : checkedFloat({ ...common, positiveBuckets, negativeBuckets });
  return { timeMs, startMs, stale: false, histogram, fault };
}

function floatOf(reader: MessageReader): number {
  view.setInt32(0, reader.high);
  view.setInt32(4, reader.low);
  return view.getFloat64(0);
}

const view = new DataView(new ArrayBuffer(8));

function addSpan(spans: Span[], span: Span): void {
  if (spans.push(span) > BUCKETS_MAX)
    throw writeErrors.writeTooMany({ limit: BUCKETS_MAX, what: 'spans of a histogram' });
}

function readSpan(reader: MessageReader, wireType: WireType, end: number): Span {
  let offset = 0;
  let length = 0;
  reader.fields(reader.message(wireType, end, WEIGHT.span), (field, inner) => {
    if (field === 1) offset = reader.sint32(inner);
    else if (field === 2) length = reader.uint32(inner);
    else return false;
    return true;
  });
  return { offset, length };
}

type Checked<H> = { readonly histogram: H; readonly fault: HistogramFault | undefined };

function checkedInteger(histogram: Histogram): Checked<Histogram> {
  const { schema } = histogram;
  if (!isReserved(schema)) return { histogram, fault: histogramFault(histogram) };
  const fault = histogramFault({ ...histogram, schema: 8 });
  if (fault !== undefined) return { histogram, fault };
  return { histogram: toIntegerHistogram(copyToSchema(toFloatHistogram(histogram), 8)), fault };
}

function checkedFloat(histogram: FloatHistogram): Checked<FloatHistogram> {
  const { schema } = histogram;
  if (!isReserved(schema)) return { histogram, fault: floatHistogramFault(histogram) };
  const fault = floatHistogramFault({ ...histogram, schema: 8 });
  return { histogram: fault === undefined ? copyToSchema(histogram, 8) : histogram, fault };
}

/** Finer than the finest that is in use, but known how to be made coarser. */
function isReserved(schema: number): boolean {
  return schema > 8 && schema <= SCHEMA_RESERVED_MAX;
}
