import { type BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { STALE_HIGH, STALE_LOW } from '../lib/float-bits.ts';
import type { FloatHistogram, Span } from '../model/histogram.ts';
import { type Histogram, isIntegerHistogram } from '../model/histogram-integer.ts';
import { RESET_HINTS } from './write-histogram.ts';
import type { WriteHistogram } from './write-request.ts';

// Parts that the messages of remote write and remote read have in common.

/** Label messages, as field 1 of series, exemplars and so on. */
export function writeLabels(out: BinaryWriter, pairs: readonly string[]): void {
  for (let i = 0; i < pairs.length; i += 2) {
    out.tag(1, WireType.LengthDelimited).fork();
    writeText(out, 1, pairs[i]!);
    writeText(out, 2, pairs[i + 1]!);
    out.join();
  }
}

export function writeText(out: BinaryWriter, field: number, text: string): void {
  if (text !== '') out.tag(field, WireType.LengthDelimited).string(text);
}

/** Unix ms; 0 is left out. */
export function writeTime(out: BinaryWriter, field: number, timeMs: number): void {
  if (timeMs !== 0) out.tag(field, WireType.Varint).int64(BigInt(timeMs));
}

/** A Histogram message; start timestamps have a place only in remote write 2.0. */
export function writeHistogram(out: BinaryWriter, field: number, sample: WriteHistogram, withStart: boolean): void {
  const { histogram, stale } = sample;
  out.tag(field, WireType.LengthDelimited).fork();
  if (isIntegerHistogram(histogram)) writeIntegerNumbers(out, histogram);
  else writeFloatNumbers(out, histogram);
  out.tag(3, WireType.Bit64);
  if (stale) out.fixed32(STALE_LOW).fixed32(STALE_HIGH);
  else out.double(histogram.sum);
  out.tag(4, WireType.Varint).sint32(histogram.schema);
  out.tag(5, WireType.Bit64).double(histogram.zeroThreshold);
  writeSpans(out, 8, histogram.negativeSpans);
  writeSpans(out, 11, histogram.positiveSpans);
  out.tag(14, WireType.Varint).uint32(RESET_HINTS.indexOf(histogram.resetHint));
  writeTime(out, 15, sample.timeMs);
  writeDoubles(out, 16, histogram.customValues);
  if (withStart) writeTime(out, 17, sample.startMs);
  out.join();
}

function writeIntegerNumbers(out: BinaryWriter, histogram: Histogram): void {
  out.tag(1, WireType.Varint).uint64(histogram.count);
  out.tag(6, WireType.Varint).uint64(histogram.zeroCount);
  writeDeltas(out, 9, histogram.negativeDeltas);
  writeDeltas(out, 12, histogram.positiveDeltas);
}

function writeFloatNumbers(out: BinaryWriter, histogram: FloatHistogram): void {
  out.tag(2, WireType.Bit64).double(histogram.count);
  out.tag(7, WireType.Bit64).double(histogram.zeroCount);
  writeDoubles(out, 10, histogram.negativeBuckets);
  writeDoubles(out, 13, histogram.positiveBuckets);
}

function writeSpans(out: BinaryWriter, field: number, spans: readonly Span[]): void {
  for (const { offset, length } of spans) {
    out.tag(field, WireType.LengthDelimited).fork();
    out.tag(1, WireType.Varint).sint32(offset);
    out.tag(2, WireType.Varint).uint32(length);
    out.join();
  }
}

function writeDeltas(out: BinaryWriter, field: number, deltas: readonly number[]): void {
  if (deltas.length === 0) return;
  out.tag(field, WireType.LengthDelimited).fork();
  for (const delta of deltas) out.sint64(delta);
  out.join();
}

function writeDoubles(out: BinaryWriter, field: number, values: readonly number[]): void {
  if (values.length === 0) return;
  out.tag(field, WireType.LengthDelimited).fork();
  for (const value of values) out.double(value);
  out.join();
}
