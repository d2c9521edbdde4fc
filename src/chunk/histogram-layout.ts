import { powerOfTwo } from '../lib/exp2.ts';
import { floatOfWords, highWord, lowWord } from '../lib/float-bits.ts';
import { CUSTOM_BUCKETS_SCHEMA, type Span } from '../model/histogram.ts';
import { type Side, SideBuilder, SideCursor } from '../model/histogram-side.ts';
import type { BitReader, BitWriter } from './bits.ts';
import { readVarbitNumber, readVarbitUnsignedNumber, writeVarbitNumber, writeVarbitUnsignedNumber } from './varbit.ts';

/** The layout that all histograms of a chunk have in common; it stands in front of the first. */
export interface HistogramLayout {
  readonly schema: number;
  readonly zeroThreshold: number;
  readonly positiveSpans: readonly Span[];
  readonly negativeSpans: readonly Span[];
  readonly customValues: readonly number[];
}

/** Schemas that may come to be; those above 8 are read in resolution 8. */
const SCHEMA_MIN = -9;
const SCHEMA_MAX = 52;

export function writeLayout(to: BitWriter, layout: HistogramLayout): void {
  writeZeroThreshold(to, layout.zeroThreshold);
  writeVarbitNumber(to, layout.schema);
  writeSpans(to, layout.positiveSpans);
  writeSpans(to, layout.negativeSpans);
  if (layout.schema !== CUSTOM_BUCKETS_SCHEMA) return;
  writeVarbitUnsignedNumber(to, layout.customValues.length);
  for (const bound of layout.customValues) writeBound(to, bound);
}

/** @throws AppError chunk-corrupt, also for a layout that no histogram has */
export function readLayout(from: BitReader): HistogramLayout {
  const zeroThreshold = readZeroThreshold(from);
  const schema = readVarbitNumber(from);
  if (schema !== CUSTOM_BUCKETS_SCHEMA && !(schema >= SCHEMA_MIN && schema <= SCHEMA_MAX)) {
    from.fail(`its histograms have schema ${schema}`);
  }
  const positiveSpans = readSpans(from);
  const negativeSpans = readSpans(from);
  const customValues = schema === CUSTOM_BUCKETS_SCHEMA ? readBounds(from) : [];
  return { schema, zeroThreshold, positiveSpans, negativeSpans, customValues };
}

function writeSpans(to: BitWriter, spans: readonly Span[]): void {
  writeVarbitUnsignedNumber(to, spans.length);
  for (const { offset, length } of spans) {
    writeVarbitUnsignedNumber(to, length);
    writeVarbitNumber(to, offset);
  }
}

function readSpans(from: BitReader): Span[] {
  const count = readVarbitUnsignedNumber(from);
  // each takes two bits at least
  if (count > from.bitsLeft / 2) from.fail(`${count} spans in ${from.bitsLeft} bits`);
  const spans: Span[] = [];
  let end = 0;
  let buckets = 0;
  for (let i = 0; i < count; i++) {
    const length = readVarbitUnsignedNumber(from);
    const offset = readVarbitNumber(from);
    end += offset + length;
    buckets += length;
    if (i > 0 && offset < 0) from.fail(`span ${i + 1} has offset ${offset}`);
    if (offset < -(2 ** 31) || end > 2 ** 31) from.fail(`span ${i + 1} ends at bucket ${end}`);
    // each bucket of the first histogram takes a bit at least
    if (buckets > from.bitsLeft) from.fail(`${buckets} buckets in ${from.bitsLeft} bits`);
    spans.push({ offset, length });
  }
  return spans;
}

function readBounds(from: BitReader): number[] {
  const count = readVarbitUnsignedNumber(from);
  if (count > from.bitsLeft / 5) from.fail(`${count} bounds in ${from.bitsLeft} bits`);
  const bounds: number[] = [];
  for (let i = 0; i < count; i++) bounds.push(readBound(from));
  return bounds;
}

/** 0 as a byte 0; a power of two from 2^−243 to 2^10 as one of 1 to 254; all else in full behind a byte 255. */
function writeZeroThreshold(to: BitWriter, threshold: number): void {
  const high = highWord(threshold);
  const low = lowWord(threshold);
  const exponent = (high >>> 20) - 1023;
  if (threshold === 0) to.writeBits(0, 8);
  else if ((high & 0xfffff) === 0 && low === 0 && exponent >= -243 && exponent <= 10) to.writeBits(exponent + 244, 8);
  else {
    to.writeBits(255, 8);
    to.writeLong(high, low, 64);
  }
}

function readZeroThreshold(from: BitReader): number {
  const byte = from.readBits(8);
  if (byte === 0) return 0;
  if (byte < 255) return powerOfTwo(byte - 244);
  from.readLong(64);
  return floatOfWords(from.high, from.low);
}

/** Thousandths up to 33554.430 as their number plus 1; all else in full behind a 0. */
const THOUSANDTHS_MAX = 33_554_430;

function writeBound(to: BitWriter, bound: number): void {
  const thousandths = bound * 1000;
  const whole = Math.round(thousandths);
  if (thousandths >= 0 && thousandths <= THOUSANDTHS_MAX && whole / 1000 === bound) {
    writeVarbitUnsignedNumber(to, whole + 1);
    return;
  }
  to.writeBit(0);
  to.writeLong(highWord(bound), lowWord(bound), 64);
}

function readBound(from: BitReader): number {
  const thousandths = readVarbitUnsignedNumber(from);
  if (thousandths !== 0) return (thousandths - 1) / 1000;
  from.readLong(64);
  return floatOfWords(from.high, from.low);
}

export function bucketCount(spans: readonly Span[]): number {
  let count = 0;
  for (const { length } of spans) count += length;
  return count;
}

/** How the buckets of a new histogram relate to those of the chunk. */
export interface LayoutChange {
  /** The chunk has no place for some bucket of the new histogram. */
  readonly chunkLacks: boolean;
  /** The new histogram lacks some bucket of the chunk. */
  readonly sampleLacks: boolean;
  /** A count fell, or a populated bucket is gone. */
  readonly reset: boolean;
  /** All buckets of both, in as few spans as possible. */
  readonly union: readonly Span[];
}

export function compareLayouts(chunk: Side, sample: Side): LayoutChange {
  if (isSameLayout(chunk.spans, sample.spans)) {
    let reset = false;
    for (let i = 0; i < chunk.buckets.length && !reset; i++) reset = chunk.buckets[i]! > sample.buckets[i]!;
    return { chunkLacks: false, sampleLacks: false, reset, union: sample.spans };
  }
  const before = new SideCursor(chunk.spans, chunk.buckets);
  const now = new SideCursor(sample.spans, sample.buckets);
  const union = new SideBuilder();
  let chunkLacks = false;
  let sampleLacks = false;
  let reset = false;
  let hasBefore = before.next();
  let hasNow = now.next();
  while (hasBefore || hasNow) {
    if (hasBefore && (!hasNow || before.index < now.index)) {
      sampleLacks = true;
      if (before.count !== 0) reset = true;
      union.push(before.index, 0);
      hasBefore = before.next();
    } else if (hasNow && (!hasBefore || now.index < before.index)) {
      chunkLacks = true;
      union.push(now.index, 0);
      hasNow = now.next();
    } else {
      if (before.count > now.count) reset = true;
      union.push(now.index, 0);
      hasBefore = before.next();
      hasNow = now.next();
    }
  }
  return { chunkLacks, sampleLacks, reset, union: union.finish().spans };
}

/** The common case: a layout seldom changes. */
function isSameLayout(a: readonly Span[], b: readonly Span[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i]!.offset !== b[i]!.offset || a[i]!.length !== b[i]!.length) return false;
  return true;
}

/** The buckets of a side in a layout that has all of them; the others are empty. */
export function spread(side: Side, spans: readonly Span[]): readonly number[] {
  if (isSameLayout(side.spans, spans)) return side.buckets;
  const out = new Array<number>(bucketCount(spans)).fill(0);
  const from = new SideCursor(side.spans, side.buckets);
  const to = new SideCursor(spans, out);
  while (from.next()) {
    while (to.next() && to.index < from.index);
    out[to.at] = from.count;
  }
  return out;
}
