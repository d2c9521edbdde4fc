import { assert } from '../../lib/assert.ts';
import { ByteReader, BytesError, ByteWriter } from '../../lib/bytes.ts';
import type { FloatHistogram, ResetHint, Span } from '../../model/histogram.ts';
import { HISTOGRAM, STALE_HISTOGRAM } from '../../storage/columns.ts';
import type { ColumnReader, ColumnSource } from './column-reader.ts';
import { COLUMN_VALUES_MAX, type ColumnSetEncoder } from './column-set.ts';
import { readPlanes, writePlanes } from './planes.ts';
import type { GroupSeries } from './series.ts';

const HINTS: readonly ResetHint[] = ['unknown', 'reset', 'not_reset', 'gauge'];
/** Count, zero count and sum stand before the buckets. */
const FIELDS = 3;
const BUCKETS_MAX = 1 << 20;
/** Doubles that the histograms of one block may make: a small block must not inflate without bound. */
export const HISTOGRAM_VALUES_MAX = 1 << 25;

/** Histograms that follow one another in a series and have all but their numbers in common. */
interface Segment {
  readonly schema: number;
  readonly zeroThreshold: number;
  readonly positiveSpans: readonly Span[];
  readonly negativeSpans: readonly Span[];
  readonly customValues: readonly number[];
  readonly histograms: FloatHistogram[];
}

/** Doubles that the histograms of a series need, and columns: how large a block will be. */
export function histogramSize(series: GroupSeries): { columns: number; values: number } {
  let columns = 0;
  let values = 0;
  for (const segment of segmentsOf(series)) {
    const width = FIELDS + bucketCount(segment.positiveSpans) + bucketCount(segment.negativeSpans);
    columns += width;
    values += width * segment.histograms.length;
  }
  return { columns, values };
}

function bucketCount(spans: readonly Span[]): number {
  return spans.reduce((sum, span) => sum + span.length, 0);
}

function segmentsOf(series: GroupSeries): Segment[] {
  const segments: Segment[] = [];
  let last: Segment | undefined;
  series.kinds?.forEach((kind, i) => {
    if (kind !== HISTOGRAM) return;
    const h = series.histograms?.[i];
    assert(h !== undefined, 'a histogram sample without a histogram');
    if (last === undefined || !sameLayout(last, h)) {
      const { schema, zeroThreshold, positiveSpans, negativeSpans, customValues } = h;
      assert(
        bucketCount(positiveSpans) === h.positiveBuckets.length &&
          bucketCount(negativeSpans) === h.negativeBuckets.length,
        'a histogram whose spans do not fit its buckets',
      );
      last = { schema, zeroThreshold, positiveSpans, negativeSpans, customValues, histograms: [] };
      segments.push(last);
    }
    last.histograms.push(h);
  });
  return segments;
}

function sameLayout(a: Segment, b: FloatHistogram): boolean {
  return (
    a.schema === b.schema &&
    Object.is(a.zeroThreshold, b.zeroThreshold) &&
    sameSpans(a.positiveSpans, b.positiveSpans) &&
    sameSpans(a.negativeSpans, b.negativeSpans) &&
    a.customValues.length === b.customValues.length &&
    a.customValues.every((value, i) => Object.is(value, b.customValues[i]))
  );
}

function sameSpans(a: readonly Span[], b: readonly Span[]): boolean {
  return (
    a === b ||
    (a.length === b.length && a.every((span, i) => span.offset === b[i]!.offset && span.length === b[i]!.length))
  );
}

/**
 * The histograms of a run of series, and the kinds of all samples of the series that have any.
 * @param run the series with their index in the run of the value block
 */
export function encodeHistogramBlock(
  encoder: ColumnSetEncoder,
  run: readonly (readonly [number, GroupSeries])[],
): Uint8Array {
  const out = new ByteWriter();
  const firsts: number[] = [];
  out.uvarint(run.length);
  const size = { columns: 0, values: 0 };
  for (const [, series] of run) {
    const { columns, values } = histogramSize(series);
    size.columns += columns;
    size.values += values;
  }
  encoder.begin(size.columns, size.values);
  for (const [index, series] of run) {
    out.uvarint(index);
    out.uvarint(series.times.length);
    writeRuns(out, series.kinds!);
    const segments = segmentsOf(series);
    out.uvarint(segments.length);
    for (const segment of segments) writeSegment(out, encoder, segment, firsts);
  }
  writePlanes(out, Float64Array.from(firsts));
  out.bytes(encoder.finish());
  return out.done();
}

function writeSegment(out: ByteWriter, encoder: ColumnSetEncoder, segment: Segment, firsts: number[]): void {
  const { histograms } = segment;
  out.uvarint(histograms.length);
  out.varint(segment.schema);
  out.f64(segment.zeroThreshold);
  writeRuns(
    out,
    histograms.map((h) => HINTS.indexOf(h.resetHint)),
  );
  for (const spans of [segment.positiveSpans, segment.negativeSpans]) {
    out.uvarint(spans.length);
    for (const span of spans) {
      out.varint(span.offset);
      out.uvarint(span.length);
    }
  }
  out.uvarint(segment.customValues.length);
  for (const bound of segment.customValues) out.f64(bound);
  const column = (get: (h: FloatHistogram) => number) => {
    encoder.add(Float64Array.from(histograms, get));
    firsts.push(get(histograms[0]!));
  };
  column((h) => h.count);
  column((h) => h.zeroCount);
  column((h) => h.sum);
  for (let i = 0; i < histograms[0]!.positiveBuckets.length; i++) column((h) => h.positiveBuckets[i]!);
  for (let i = 0; i < histograms[0]!.negativeBuckets.length; i++) column((h) => h.negativeBuckets[i]!);
}

/** Values of two bits as runs: uvarint length · 4 + value. */
function writeRuns(out: ByteWriter, values: ArrayLike<number>): void {
  let from = 0;
  for (let i = 1; i <= values.length; i++) {
    if (i < values.length && values[i] === values[from]) continue;
    out.uvarint((i - from) * 4 + values[from]!);
    from = i;
  }
}

function readRuns(from: ByteReader, count: number): Uint8Array {
  const values = new Uint8Array(count);
  for (let at = 0; at < count; ) {
    const run = from.uvarint();
    const length = Math.floor(run / 4);
    if (length === 0 || length > count - at) throw new BytesError(`a run of ${length} where ${count - at} are left`);
    values.fill(run % 4, at, at + length);
    at += length;
  }
  return values;
}

interface ReadSegment {
  readonly count: number;
  readonly schema: number;
  readonly zeroThreshold: number;
  readonly hints: Uint8Array;
  readonly positiveSpans: readonly Span[];
  readonly negativeSpans: readonly Span[];
  readonly customValues: readonly number[];
  readonly firstColumn: number;
}

interface ReadSeries {
  readonly kinds: Uint8Array;
  readonly segments: readonly ReadSegment[];
}

/** The histograms of a run of series, ready to be decoded series by series. */
export class HistogramBlock {
  readonly #columns: ColumnSource;
  readonly #bySeries = new Map<number, ReadSeries>();

  /**
   * @param counts of every series of the run
   * @param name of group and block, for errors of later reads
   * @throws BytesError
   */
  constructor(raw: Uint8Array, counts: Uint32Array, name: ColumnSource['name'], part: string) {
    const from = new ByteReader(raw);
    const seriesCount = from.count(3);
    const columnCounts: number[] = [];
    let values = 0;
    for (let i = 0; i < seriesCount; i++) {
      const index = from.uvarint(counts.length - 1);
      const count = from.uvarint(COLUMN_VALUES_MAX);
      if (count !== counts[index]) throw new BytesError(`${count} kinds for ${counts[index]} samples`);
      const kinds = readRuns(from, count);
      const segments: ReadSegment[] = [];
      let left = kinds.reduce((sum, kind) => sum + (kind === HISTOGRAM ? 1 : 0), 0);
      for (let k = from.count(12); k > 0; k--) {
        const segment = readSegment(from, columnCounts);
        left -= segment.count;
        values += segment.count * (columnCounts.length - segment.firstColumn);
        if (values > HISTOGRAM_VALUES_MAX) throw new BytesError(`${values} values and more`);
        segments.push(segment);
      }
      if (left !== 0) throw new BytesError('segments that do not fit the kinds');
      this.#bySeries.set(index, { kinds, segments });
    }
    const firsts = readPlanes(from, columnCounts.length);
    this.#columns = { block: from.take(from.left), counts: Uint32Array.from(columnCounts), firsts, name, part };
  }

  /** FLOAT … STALE_HISTOGRAM of each sample of a series; undefined where it has no histograms. */
  kinds(series: number): Uint8Array | undefined {
    return this.#bySeries.get(series)?.kinds;
  }

  /** Puts the histograms of a series at the indexes of its samples, from `at` on. */
  read(series: number, reader: ColumnReader, out: (FloatHistogram | undefined)[], at: number): void {
    const read = this.#bySeries.get(series);
    if (read === undefined) return;
    let index = 0;
    for (const segment of read.segments) {
      const { schema, zeroThreshold, positiveSpans, negativeSpans, customValues, firstColumn } = segment;
      const positive = bucketCount(positiveSpans);
      const columns: Float64Array[] = [];
      for (let k = 0; k < FIELDS + positive + bucketCount(negativeSpans); k++) {
        columns.push(reader.read(this.#columns, firstColumn + k));
      }
      for (let i = 0; i < segment.count; i++) {
        while (read.kinds[index] !== HISTOGRAM) index++;
        const row = columns.map((column) => column[i]!);
        out[at + index++] = {
          resetHint: HINTS[segment.hints[i]!]!,
          schema,
          zeroThreshold,
          count: row[0]!,
          zeroCount: row[1]!,
          sum: row[2]!,
          positiveSpans,
          positiveBuckets: row.slice(FIELDS, FIELDS + positive),
          negativeSpans,
          negativeBuckets: row.slice(FIELDS + positive),
          customValues,
        };
      }
    }
  }
}

function readSegment(from: ByteReader, columnCounts: number[]): ReadSegment {
  const count = from.uvarint(COLUMN_VALUES_MAX);
  if (count === 0) throw new BytesError('an empty segment');
  const schema = from.varint();
  const zeroThreshold = from.f64();
  const hints = readRuns(from, count);
  const positiveSpans = readSpans(from);
  const negativeSpans = readSpans(from);
  const customValues = Array.from({ length: from.count(8) }, () => from.f64());
  const firstColumn = columnCounts.length;
  const columns = FIELDS + bucketCount(positiveSpans) + bucketCount(negativeSpans);
  // each column has a first value of eight bytes and three bytes more in what follows
  if (columnCounts.length + columns > from.left / 11) throw new BytesError(`${columns} columns in ${from.left} bytes`);
  for (let i = 0; i < columns; i++) columnCounts.push(count);
  return { count, schema, zeroThreshold, hints, positiveSpans, negativeSpans, customValues, firstColumn };
}

function readSpans(from: ByteReader): Span[] {
  return Array.from({ length: from.count(2) }, () => ({ offset: from.varint(), length: from.uvarint(BUCKETS_MAX) }));
}

/** Whether a series needs a place in a histogram block. */
export function hasHistograms(series: GroupSeries): boolean {
  return series.kinds?.some((kind) => kind === HISTOGRAM || kind === STALE_HISTOGRAM) ?? false;
}
