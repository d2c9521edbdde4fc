import { highWord, isStale, lowWord, STALE_HIGH, STALE_LOW } from '../lib/float-bits.ts';
import { equalBounds, type FloatHistogram, type ResetHint, usesCustomBuckets } from '../model/histogram.ts';
import { copyToSchema } from '../model/histogram-add.ts';
import { countsOfDeltas, type Histogram, isIntegerHistogram } from '../model/histogram-integer.ts';
import type { Side } from '../model/histogram-side.ts';
import { type SampleColumns, STALE_HISTOGRAM } from '../storage/columns.ts';
import { BitReader, BitWriter } from './bits.ts';
import { FloatBody, type HistogramBody, type HistogramNumbers, IntegerBody } from './histogram-body.ts';
import {
  bucketCount,
  compareLayouts,
  type HistogramLayout,
  type LayoutChange,
  readLayout,
  spread,
  writeLayout,
} from './histogram-layout.ts';
import { Int64 } from './int64.ts';
import { safeTime } from './sample-out.ts';
import { StartReader } from './start-reader.ts';
import { CHUNK_SAMPLES_MAX } from './xor.ts';

/** Which of the two encodings: of whole counts, or of floats. */
export type HistogramKind = 'histogram' | 'floathistogram';

/** Reset hint of a chunk's first sample, as the upper two bits of the header have it. */
const HEADERS: Readonly<Record<ResetHint, number>> = { unknown: 0, not_reset: 0x40, reset: 0x80, gauge: 0xc0 };
const HINTS: readonly ResetHint[] = ['unknown', 'not_reset', 'reset', 'gauge'];

/** Two bytes of count, one with the reset header. */
const HEADER_BYTES = 3;
const FLAGS = 2;

/** With starts the third byte tells of these, and the reset header has the upper two bits of the count. */
const STARTS = 2;
const COUNT_WITH_STARTS = 0x3fff;

/** The outcome of appending a histogram. */
export type HistogramAppended =
  /** It is in the chunk; `recoded`: all of which was written anew, because there were new buckets. */
  | { readonly outcome: 'appended' | 'recoded' }
  /** It does not fit: a reset, another layout, or the chunk is full. `next` is a new chunk that begins with it. */
  | { readonly outcome: 'cut'; readonly next: HistogramWriter };

const APPENDED: HistogramAppended = { outcome: 'appended' };
const RECODED: HistogramAppended = { outcome: 'recoded' };

/** A sample in the form that both encodings work with. */
interface Observation {
  readonly resetHint: ResetHint;
  readonly layout: HistogramLayout;
  readonly numbers: HistogramNumbers;
  readonly stale: boolean;
}

const NO_LAYOUT: HistogramLayout = {
  schema: 0,
  zeroThreshold: 0,
  positiveSpans: [],
  negativeSpans: [],
  customValues: [],
};

const STALE_MARKER: Observation = {
  resetHint: 'unknown',
  layout: NO_LAYOUT,
  numbers: { count: 0, zeroCount: 0, sumHigh: STALE_HIGH, sumLow: STALE_LOW, positive: [], negative: [] },
  stale: true,
};

/**
 * Native histograms of one layout in Prometheus' encodings. A chunk of counters has no reset within.
 * Source: Prometheus `tsdb/chunkenc/{histogram,float_histogram,histogram_meta}.go`.
 */
export class HistogramWriter {
  readonly kind: HistogramKind;
  /** The chunk before, where there is one of the same kind: it tells whether this one begins with a reset. */
  #previous: HistogramWriter | undefined;
  #bits: BitWriter;
  #body: HistogramBody;
  #count = 0;
  #header: ResetHint = 'unknown';
  #layout = NO_LAYOUT;
  #last: HistogramNumbers = STALE_MARKER.numbers;

  private constructor(kind: HistogramKind, bits: BitWriter, body: HistogramBody) {
    this.kind = kind;
    this.#bits = bits;
    this.#body = body;
  }

  static create(kind: HistogramKind, previous?: HistogramWriter): HistogramWriter {
    const writer = new HistogramWriter(kind, emptyBits(), newBody(kind));
    writer.#previous = previous?.kind === kind ? previous : undefined;
    return writer;
  }

  /** Continues a chunk. @throws AppError chunk-corrupt */
  static resume(kind: HistogramKind, chunk: Uint8Array): HistogramWriter {
    const reader = new HistogramReader(kind, chunk);
    while (reader.next());
    const writer = new HistogramWriter(kind, BitWriter.resume(chunk, reader.bitLength), reader.body);
    writer.#count = reader.count;
    writer.#header = reader.header;
    if (reader.count > 0) {
      writer.#layout = reader.layout;
      writer.#last = reader.numbers();
    }
    return writer;
  }

  get count(): number {
    return this.#count;
  }

  get byteLength(): number {
    return this.#bits.byteLength;
  }

  /** Reset hint in the header: whether the first sample began with a reset, or whether all are gauges. */
  get header(): ResetHint {
    return this.#header;
  }

  /** @param histogram valid, and of this chunk's kind */
  append(timeMs: number, histogram: Histogram | FloatHistogram): HistogramAppended {
    return this.appendBits(givenTime.setNumber(timeMs), histogram, highWord(histogram.sum), lowWord(histogram.sum));
  }

  /** A histogram at any time, with any bits of its sum. */
  appendBits(time: Int64, histogram: Histogram | FloatHistogram, sumHigh: number, sumLow: number): HistogramAppended {
    return this.#append(time, observationOf(histogram, sumHigh, sumLow));
  }

  /** The series ends. */
  appendStale(timeMs: number): HistogramAppended {
    return this.#append(givenTime.setNumber(timeMs), STALE_MARKER);
  }

  #append(time: Int64, sample: Observation): HistogramAppended {
    if (this.#count === 0) {
      this.#writeFirst(time, sample);
      this.#setHeader(this.#firstHeader(sample));
      return APPENDED;
    }
    if (this.#count === CHUNK_SAMPLES_MAX) return this.#cut(time, sample, this.#judge(sample).header);
    return sample.resetHint === 'gauge' ? this.#appendGauge(time, sample) : this.#appendCounter(time, sample);
  }

  #firstHeader(sample: Observation): ResetHint {
    const previous = this.#previous;
    this.#previous = undefined;
    if (sample.resetHint === 'gauge' || sample.resetHint === 'reset') return sample.resetHint;
    if (previous === undefined) return 'unknown';
    const { header } = previous.#judge(sample);
    // a float chunk says of what is not seen to be a reset that there was none
    return this.kind === 'floathistogram' && header !== 'reset' ? 'not_reset' : header;
  }

  /** Whether a counter fits this chunk, and what header a new one would get. */
  #judge(sample: Observation): { fits: boolean; header: ResetHint; positive?: LayoutChange; negative?: LayoutChange } {
    const { layout, numbers } = sample;
    const float = this.kind === 'floathistogram';
    if (this.#count > 0 && this.#header === 'gauge') return { fits: false, header: float ? 'unknown' : 'not_reset' };
    if (sample.resetHint === 'reset') return { fits: false, header: 'reset' };
    if (sample.stale) return { fits: true, header: 'not_reset' };
    if (isStale(this.#last.sumHigh, this.#last.sumLow)) return { fits: false, header: 'unknown' };
    if (numbers.count < this.#last.count) return { fits: false, header: 'reset' };
    if (!this.#sameResolution(layout)) return { fits: false, header: 'unknown' };
    if (!this.#sameBounds(layout) || numbers.zeroCount < this.#last.zeroCount) return { fits: false, header: 'reset' };
    const { positive, negative } = this.#changes(sample);
    if (positive.reset || negative.reset) return { fits: false, header: 'reset' };
    return { fits: true, header: 'not_reset', positive, negative };
  }

  #sameResolution({ schema, zeroThreshold }: HistogramLayout): boolean {
    return schema === this.#layout.schema && zeroThreshold === this.#layout.zeroThreshold;
  }

  #sameBounds(layout: HistogramLayout): boolean {
    return !usesCustomBuckets(layout) || equalBounds(layout.customValues, this.#layout.customValues);
  }

  #changes({ layout, numbers }: Observation): { positive: LayoutChange; negative: LayoutChange } {
    const chunk = sidesOf(this.#layout, this.#last);
    const sample = sidesOf(layout, numbers);
    return {
      positive: compareLayouts(chunk.positive, sample.positive),
      negative: compareLayouts(chunk.negative, sample.negative),
    };
  }

  #appendCounter(time: Int64, sample: Observation): HistogramAppended {
    const { fits, header, positive, negative } = this.#judge(sample);
    if (!fits) return this.#cut(time, sample, header);
    if (positive === undefined || negative === undefined) {
      this.#write(time, sample.numbers, sample.stale);
      return APPENDED;
    }
    if (positive.chunkLacks || negative.chunkLacks) {
      const { positiveSpans, negativeSpans } = sample.layout;
      this.#recode(
        positive.sampleLacks ? positive.union : positiveSpans,
        negative.sampleLacks ? negative.union : negativeSpans,
      );
      this.#write(time, this.#inLayout(sample), false);
      return RECODED;
    }
    this.#write(time, this.#inLayout(sample), false);
    return APPENDED;
  }

  #appendGauge(time: Int64, sample: Observation): HistogramAppended {
    const lastIsStale = isStale(this.#last.sumHigh, this.#last.sumLow);
    if (this.#header !== 'gauge') return this.#cut(time, sample, 'gauge');
    if (sample.stale) {
      this.#write(time, sample.numbers, true);
      return APPENDED;
    }
    if (lastIsStale || !this.#sameResolution(sample.layout) || !this.#sameBounds(sample.layout)) {
      return this.#cut(time, sample, 'gauge');
    }
    const { positive, negative } = this.#changes(sample);
    if (positive.chunkLacks || negative.chunkLacks) {
      const lacks = positive.sampleLacks || negative.sampleLacks;
      this.#recode(
        lacks ? positive.union : sample.layout.positiveSpans,
        lacks ? negative.union : sample.layout.negativeSpans,
      );
      this.#write(time, this.#inLayout(sample), false);
      return RECODED;
    }
    this.#write(time, this.#inLayout(sample), false);
    return APPENDED;
  }

  /** The numbers of a sample with those buckets of the chunk that it lacks. */
  #inLayout({ layout, numbers }: Observation): HistogramNumbers {
    const { positive, negative } = sidesOf(layout, numbers);
    return {
      ...numbers,
      positive: spread(positive, this.#layout.positiveSpans),
      negative: spread(negative, this.#layout.negativeSpans),
    };
  }

  #cut(time: Int64, sample: Observation, header: ResetHint): HistogramAppended {
    const next = HistogramWriter.create(this.kind);
    next.#writeFirst(time, sample);
    next.#setHeader(sample.resetHint === 'gauge' ? 'gauge' : header);
    return { outcome: 'cut', next };
  }

  /** Writes all samples anew with the given buckets, which are all that there are and more. */
  #recode(positiveSpans: HistogramLayout['positiveSpans'], negativeSpans: HistogramLayout['negativeSpans']): void {
    const reader = new HistogramReader(this.kind, this.toBytes());
    const layout: HistogramLayout = { ...this.#layout, positiveSpans, negativeSpans };
    this.#bits = emptyBits();
    this.#body = newBody(this.kind);
    this.#count = 0;
    while (reader.next()) {
      const old = reader.numbers();
      const { positive, negative } = sidesOf(reader.layout, old);
      const numbers = {
        ...old,
        positive: spread(positive, positiveSpans),
        negative: spread(negative, negativeSpans),
      };
      const time = recodedTime.set(reader.body.time);
      if (this.#count === 0) this.#writeFirst(time, { resetHint: this.#header, layout, numbers, stale: false });
      else this.#write(time, numbers, false);
    }
    this.#setHeader(this.#header);
  }

  #writeFirst(time: Int64, { layout, numbers }: Observation): void {
    this.#layout = layout;
    writeLayout(this.#bits, layout);
    this.#body.writeFirst(this.#bits, time, numbers);
    this.#wrote(numbers);
  }

  #write(time: Int64, numbers: HistogramNumbers, stale: boolean): void {
    this.#body.write(this.#bits, time, numbers, stale);
    this.#wrote(numbers);
  }

  #wrote(numbers: HistogramNumbers): void {
    this.#last = numbers;
    this.#count++;
    this.#bits.setByte(0, this.#count >> 8);
    this.#bits.setByte(1, this.#count & 0xff);
  }

  #setHeader(header: ResetHint): void {
    this.#header = header;
    this.#bits.setByte(FLAGS, HEADERS[header]);
  }

  toBytes(): Uint8Array {
    return this.#bits.toBytes();
  }
}

const givenTime = new Int64();
const recodedTime = new Int64();

function emptyBits(): BitWriter {
  const bits = new BitWriter();
  bits.writeBits(0, HEADER_BYTES * 8);
  return bits;
}

function newBody(kind: HistogramKind): HistogramBody {
  return kind === 'histogram' ? new IntegerBody() : new FloatBody();
}

function observationOf(histogram: Histogram | FloatHistogram, sumHigh: number, sumLow: number): Observation {
  if (isStale(sumHigh, sumLow)) return { ...STALE_MARKER, resetHint: histogram.resetHint };
  const integer = isIntegerHistogram(histogram);
  const { count, zeroCount } = histogram;
  const positive = integer ? countsOfDeltas(histogram.positiveDeltas) : histogram.positiveBuckets;
  const negative = integer ? countsOfDeltas(histogram.negativeDeltas) : histogram.negativeBuckets;
  return {
    resetHint: histogram.resetHint,
    layout: histogram,
    numbers: { count, zeroCount, sumHigh, sumLow, positive, negative },
    stale: false,
  };
}

function sidesOf(layout: HistogramLayout, numbers: HistogramNumbers): { positive: Side; negative: Side } {
  return {
    positive: { spans: layout.positiveSpans, buckets: numbers.positive },
    negative: { spans: layout.negativeSpans, buckets: numbers.negative },
  };
}

/** Reads a chunk sample by sample. */
export class HistogramReader {
  readonly count: number;
  readonly header: ResetHint;
  readonly body: HistogramBody;
  /** Absent in an encoding without them. */
  readonly starts: StartReader | undefined;
  #layout = NO_LAYOUT;
  readonly #reader: BitReader;
  #read = 0;

  /** @throws AppError chunk-corrupt; so does `next` */
  constructor(kind: HistogramKind, chunk: Uint8Array, withStarts = false) {
    this.#reader = new BitReader(chunk, HEADER_BYTES, kind);
    if (chunk.length < HEADER_BYTES) this.#reader.fail('it has no header');
    const count = (chunk[0]! << 8) | chunk[1]!;
    this.count = withStarts ? count & COUNT_WITH_STARTS : count;
    this.header = HINTS[chunk[withStarts ? 0 : FLAGS]! >> 6]!;
    this.starts = withStarts ? new StartReader(chunk[STARTS]!) : undefined;
    this.body = newBody(kind);
  }

  /** Bits up to the end of the current sample. */
  get bitLength(): number {
    return this.#reader.bitPosition;
  }

  /** After the first `next`. */
  get layout(): HistogramLayout {
    return this.#layout;
  }

  next(): boolean {
    if (this.#read === this.count) return false;
    const at = this.#read++;
    if (at === 0) {
      this.#layout = readLayout(this.#reader);
      const { positiveSpans, negativeSpans } = this.#layout;
      this.body.readFirst(this.#reader, bucketCount(positiveSpans), bucketCount(negativeSpans));
      this.starts?.readFirst(this.#reader, this.body.time);
      return true;
    }
    before.set(this.body.time);
    this.body.read(this.#reader);
    this.starts?.read(this.#reader, at, before);
    return true;
  }

  get isStale(): boolean {
    return this.body.sum.isStale;
  }

  /** Reset hint of the current sample. The first is unknown unless a gauge: the chunk before it may be gone. */
  get resetHint(): ResetHint {
    if (this.header === 'gauge') return 'gauge';
    return this.#read > 1 && !this.isStale ? 'not_reset' : 'unknown';
  }

  numbers(): HistogramNumbers {
    const { count, zeroCount, sum } = this.body;
    const { high, low } = sum;
    const stale = this.isStale;
    return {
      count,
      zeroCount,
      sumHigh: high,
      sumLow: low,
      positive: stale ? [] : this.body.positive(),
      negative: stale ? [] : this.body.negative(),
    };
  }

  /** The current sample, which is no stale marker. Shares spans and bounds with the others. */
  histogram(): FloatHistogram {
    const { count, zeroCount, sum } = this.body;
    const histogram: FloatHistogram = {
      resetHint: this.resetHint,
      schema: this.#layout.schema,
      zeroThreshold: this.#layout.zeroThreshold,
      zeroCount,
      count,
      sum: sum.value,
      positiveSpans: this.#layout.positiveSpans,
      positiveBuckets: this.body.positive(),
      negativeSpans: this.#layout.negativeSpans,
      negativeBuckets: this.body.negative(),
      customValues: this.#layout.customValues,
    };
    return histogram.schema > 8 ? copyToSchema(histogram, 8) : histogram;
  }
}

const before = new Int64();

/** Appends all samples of a chunk. @throws AppError chunk-corrupt, also for times beyond ±2^53 ms, which no store takes in */
export function readHistograms(kind: HistogramKind, chunk: Uint8Array, out: SampleColumns, withStarts = false): void {
  const reader = new HistogramReader(kind, chunk, withStarts);
  out.reserve(out.count + Math.min(reader.count, chunk.length * 2));
  while (reader.next()) {
    const timeMs = safeTime(reader.body.time, kind);
    if (reader.isStale) out.pushStale(timeMs, STALE_HISTOGRAM);
    else out.pushHistogram(timeMs, reader.histogram());
    const start = reader.starts?.start;
    if (start !== undefined && !start.isZero) out.setStart(safeTime(start, kind));
  }
}
