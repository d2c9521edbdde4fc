import type { BitReader, BitWriter } from './bits.ts';
import { Int64 } from './int64.ts';
import {
  readVarbit,
  readVarbitNumber,
  readVarbitUnsignedNumber,
  writeVarbit,
  writeVarbitNumber,
  writeVarbitUnsignedNumber,
} from './varbit.ts';
import { XorValue } from './xor-value.ts';

/** The part of a histogram that changes within a chunk. Bucket counts are absolute, in the chunk's layout. */
export interface HistogramNumbers {
  readonly count: number;
  readonly zeroCount: number;
  readonly sumHigh: number;
  readonly sumLow: number;
  readonly positive: readonly number[];
  readonly negative: readonly number[];
}

/** Times as differences of differences, of which the first histogram's is written in full. */
class TimeCodec {
  readonly time = new Int64();
  readonly #delta = new Int64();

  writeFirst(to: BitWriter, time: Int64): void {
    this.time.set(time);
    writeVarbit(to, time);
  }

  write(to: BitWriter, time: Int64): void {
    const delta = nextDelta.setDifference(time, this.time);
    writeVarbit(to, change.setDifference(delta, this.#delta));
    this.#delta.set(delta);
    this.time.set(time);
  }

  readFirst(from: BitReader): void {
    readVarbit(from, this.time);
  }

  read(from: BitReader): void {
    readVarbit(from, change);
    this.#delta.setSum(this.#delta, change);
    this.time.setSum(this.time, this.#delta);
  }
}

const nextDelta = new Int64();
const change = new Int64();

/** An integer that is written as the difference of its differences; `value` may be negative where it is one itself. */
class DeltaCodec {
  value = 0;
  #delta = 0;

  set(value: number): void {
    this.value = value;
  }

  write(to: BitWriter, value: number): void {
    const delta = value - this.value;
    writeVarbitNumber(to, delta - this.#delta);
    this.#delta = delta;
    this.value = value;
  }

  read(from: BitReader): number {
    this.#delta += readVarbitNumber(from);
    this.value += this.#delta;
    if (!Number.isSafeInteger(this.value)) from.fail(`it holds the number ${this.value}`);
    return this.value;
  }

  /** A difference of nothing, as stale markers have it. */
  writeNone(to: BitWriter): void {
    writeVarbitNumber(to, 0);
  }
}

/** How the numbers of histograms are written and read; one for each chunk that is. */
export interface HistogramBody {
  readonly time: Int64;
  readonly sum: XorValue;
  writeFirst(to: BitWriter, time: Int64, numbers: HistogramNumbers): void;
  /** @param stale a stale marker: only time and sum count, and `positive` and `negative` are empty */
  write(to: BitWriter, time: Int64, numbers: HistogramNumbers, stale: boolean): void;
  /** @param positive number of positive buckets; of negative ones `negative` */
  readFirst(from: BitReader, positive: number, negative: number): void;
  read(from: BitReader): void;
  readonly count: number;
  readonly zeroCount: number;
  /** Copies, absolute. */
  positive(): number[];
  negative(): number[];
}

/**
 * Whole counts as differences of differences, buckets as such of their difference to the bucket before.
 * Source: Prometheus `tsdb/chunkenc/histogram.go`.
 */
export class IntegerBody implements HistogramBody {
  readonly #time = new TimeCodec();
  readonly sum = new XorValue();
  readonly #count = new DeltaCodec();
  readonly #zeroCount = new DeltaCodec();
  #positive: DeltaCodec[] = [];
  #negative: DeltaCodec[] = [];

  get time(): Int64 {
    return this.#time.time;
  }

  get count(): number {
    return this.#count.value;
  }

  get zeroCount(): number {
    return this.#zeroCount.value;
  }

  positive(): number[] {
    return absolute(this.#positive);
  }

  negative(): number[] {
    return absolute(this.#negative);
  }

  writeFirst(to: BitWriter, time: Int64, { count, zeroCount, sumHigh, sumLow, positive, negative }: HistogramNumbers) {
    this.#time.writeFirst(to, time);
    writeVarbitUnsignedNumber(to, count);
    this.#count.set(count);
    writeVarbitUnsignedNumber(to, zeroCount);
    this.#zeroCount.set(zeroCount);
    this.sum.writeFirst(to, sumHigh, sumLow);
    this.#positive = writeFirstBuckets(to, positive);
    this.#negative = writeFirstBuckets(to, negative);
  }

  write(to: BitWriter, time: Int64, numbers: HistogramNumbers, stale: boolean): void {
    this.#time.write(to, time);
    if (stale) {
      this.#count.writeNone(to);
      this.#zeroCount.writeNone(to);
    } else {
      this.#count.write(to, numbers.count);
      this.#zeroCount.write(to, numbers.zeroCount);
    }
    this.sum.write(to, numbers.sumHigh, numbers.sumLow);
    writeBuckets(to, this.#positive, numbers.positive);
    writeBuckets(to, this.#negative, numbers.negative);
  }

  readFirst(from: BitReader, positive: number, negative: number): void {
    if (positive + negative > from.bitsLeft) from.fail(`${positive + negative} buckets in ${from.bitsLeft} bits`);
    this.#time.readFirst(from);
    this.#count.set(readVarbitUnsignedNumber(from));
    this.#zeroCount.set(readVarbitUnsignedNumber(from));
    this.sum.readFirst(from);
    this.#positive = readFirstBuckets(from, positive);
    this.#negative = readFirstBuckets(from, negative);
  }

  read(from: BitReader): void {
    this.#time.read(from);
    this.#count.read(from);
    this.#zeroCount.read(from);
    this.sum.read(from);
    if (this.sum.isStale) return;
    for (const bucket of this.#positive) bucket.read(from);
    for (const bucket of this.#negative) bucket.read(from);
  }
}

function absolute(deltas: readonly DeltaCodec[]): number[] {
  const counts: number[] = [];
  let count = 0;
  for (const delta of deltas) {
    count += delta.value;
    counts.push(count);
  }
  return counts;
}

function writeFirstBuckets(to: BitWriter, counts: readonly number[]): DeltaCodec[] {
  let before = 0;
  return counts.map((count) => {
    const codec = new DeltaCodec();
    codec.set(count - before);
    writeVarbitNumber(to, count - before);
    before = count;
    return codec;
  });
}

function writeBuckets(to: BitWriter, codecs: readonly DeltaCodec[], counts: readonly number[]): void {
  let before = 0;
  for (let i = 0; i < counts.length; i++) {
    codecs[i]!.write(to, counts[i]! - before);
    before = counts[i]!;
  }
}

function readFirstBuckets(from: BitReader, length: number): DeltaCodec[] {
  const codecs: DeltaCodec[] = [];
  for (let i = 0; i < length; i++) {
    const codec = new DeltaCodec();
    codec.set(readVarbitNumber(from));
    codecs.push(codec);
  }
  return codecs;
}

/**
 * Counts and buckets as floats, each written as its difference to the one before.
 * Source: Prometheus `tsdb/chunkenc/float_histogram.go`.
 */
export class FloatBody implements HistogramBody {
  readonly #time = new TimeCodec();
  readonly sum = new XorValue();
  readonly #count = new XorValue();
  readonly #zeroCount = new XorValue();
  #positive: XorValue[] = [];
  #negative: XorValue[] = [];

  get time(): Int64 {
    return this.#time.time;
  }

  get count(): number {
    return this.#count.value;
  }

  get zeroCount(): number {
    return this.#zeroCount.value;
  }

  positive(): number[] {
    return this.#positive.map((bucket) => bucket.value);
  }

  negative(): number[] {
    return this.#negative.map((bucket) => bucket.value);
  }

  writeFirst(to: BitWriter, time: Int64, { count, zeroCount, sumHigh, sumLow, positive, negative }: HistogramNumbers) {
    this.#time.writeFirst(to, time);
    this.#count.writeFirstValue(to, count);
    this.#zeroCount.writeFirstValue(to, zeroCount);
    this.sum.writeFirst(to, sumHigh, sumLow);
    this.#positive = positive.map((value) => firstXor(to, value));
    this.#negative = negative.map((value) => firstXor(to, value));
  }

  write(to: BitWriter, time: Int64, numbers: HistogramNumbers): void {
    this.#time.write(to, time);
    this.#count.writeValue(to, numbers.count);
    this.#zeroCount.writeValue(to, numbers.zeroCount);
    this.sum.write(to, numbers.sumHigh, numbers.sumLow);
    for (const [i, value] of numbers.positive.entries()) this.#positive[i]!.writeValue(to, value);
    for (const [i, value] of numbers.negative.entries()) this.#negative[i]!.writeValue(to, value);
  }

  readFirst(from: BitReader, positive: number, negative: number): void {
    if ((positive + negative) * 64 > from.bitsLeft) {
      from.fail(`${positive + negative} float buckets in ${from.bitsLeft} bits`);
    }
    this.#time.readFirst(from);
    this.#count.readFirst(from);
    this.#zeroCount.readFirst(from);
    this.sum.readFirst(from);
    this.#positive = readFirstXors(from, positive);
    this.#negative = readFirstXors(from, negative);
  }

  read(from: BitReader): void {
    this.#time.read(from);
    this.#count.read(from);
    this.#zeroCount.read(from);
    this.sum.read(from);
    if (this.sum.isStale) return;
    for (const bucket of this.#positive) bucket.read(from);
    for (const bucket of this.#negative) bucket.read(from);
  }
}

function firstXor(to: BitWriter, value: number): XorValue {
  const xor = new XorValue();
  xor.writeFirstValue(to, value);
  return xor;
}

function readFirstXors(from: BitReader, length: number): XorValue[] {
  const values: XorValue[] = [];
  for (let i = 0; i < length; i++) {
    const value = new XorValue();
    value.readFirst(from);
    values.push(value);
  }
  return values;
}
