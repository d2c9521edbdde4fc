import { type Chunk, isRich } from '../chunk/group/chunk.ts';
import type { RowChunks } from '../chunk/group/column-rows.ts';
import type { GroupDecoder } from '../chunk/group/decode.ts';
import type { TimeColumn } from '../chunk/group/time-column.ts';
import { highWord, lowWord } from '../lib/float-bits.ts';
import { histogramBytes } from '../model/histogram-bytes.ts';
import type { Labels } from '../model/labels.ts';
import { FLOAT, HISTOGRAM, nextTimesId, SampleColumns } from '../storage/columns.ts';
import type { SeriesSet } from '../storage/queryable.ts';
import type { RowBatch, RowProgram } from '../storage/series-rows.ts';
import type { SourceSeries } from '../storage/source.ts';
import type { RowsRecorder } from './kept-rows.ts';

/** The chunks of one series, from all groups. */
export interface StoreSeries {
  readonly labels: Labels;
  /** Ascending by first time. */
  readonly chunks: readonly Chunk[];
  /** Samples that were deleted: both ends included. */
  readonly deleted: readonly { readonly startMs: number; readonly endMs: number }[];
}

/** The times that series of a target have in common. */
interface SharedTimes {
  /** Chunks of one of the series. */
  readonly chunks: readonly Chunk[];
  readonly id: number;
  /** Samples of each chunk that are in the range of the set; undefined: nobody has asked yet. */
  ranges: readonly IndexRange[] | undefined;
}

/** Lists of times that are remembered: those of the targets whose series alternate. */
const TIMES_KEPT = 1024;

/** Series that the store has for a selector: everything is fetched, nothing decoded. */
export class StoreSeriesSet implements SeriesSet {
  readonly series: readonly Labels[];
  readonly warnings: readonly string[] = [];
  readonly #all: readonly StoreSeries[];
  readonly #decoder: GroupDecoder;
  readonly #startMs: number;
  readonly #endMs: number;
  readonly #onClose: () => void;
  readonly #recorder: RowsRecorder | undefined;
  #closed = false;
  /** By the times of their first chunk, which are one column for all series of a target. */
  readonly #times = new Map<TimeColumn | undefined, SharedTimes>();

  /**
   * @param all ascending by labels, none twice
   * @param recorder gets all rows that are made
   */
  constructor(
    all: readonly StoreSeries[],
    decoder: GroupDecoder,
    startMs: number,
    endMs: number,
    onClose: () => void,
    recorder?: RowsRecorder,
  ) {
    this.#all = all;
    this.series = all.map((each) => each.labels);
    this.#decoder = decoder;
    this.#startMs = startMs;
    this.#endMs = endMs;
    this.#onClose = onClose;
    this.#recorder = recorder;
  }

  asSource(): SourceSeries {
    return {
      labels: this.series,
      warnings: this.warnings,
      read: (index, out) => this.read(index, out),
      rows: (...asked) => this.rows(...asked),
      close: () => this.close(),
    };
  }

  /** The encoded chunks of a series, for who decodes them itself. Samples outside of the range may be in them. */
  chunks(index: number): StoreSeries {
    return this.#all[index]!;
  }

  /** @throws errors.groupCorrupt */
  read(index: number, out: SampleColumns): void {
    const { chunks, deleted } = this.#all[index]!;
    if (overlap(chunks)) {
      out.clear();
      mergeChunks(chunks, this.#decoder, out);
      keepRange(out, this.#startMs, this.#endMs);
    } else {
      this.#readInOrder(chunks, out);
    }
    for (const { startMs, endMs } of deleted) removeTimes(out, startMs, endMs);
  }

  #readInOrder(chunks: readonly Chunk[], out: SampleColumns): void {
    const shared = this.#timesOf(chunks);
    // of a series with the same times as the one before, these stand where that has left them
    const known = out.timesId === shared.id;
    out.clear();
    if (chunks.some(isRich)) {
      for (const chunk of chunks) this.#decoder.append(chunk, out);
      keepRange(out, this.#startMs, this.#endMs);
    } else {
      shared.ranges ??= chunks.map(({ time }) => this.#rangeOf(time));
      for (let i = 0; i < chunks.length; i++) {
        const { from, to } = shared.ranges[i]!;
        this.#decoder.appendRange(chunks[i]!, from, to, out, known);
      }
    }
    out.timesId = shared.id;
  }

  /** As `ReadRows`. @throws errors.groupCorrupt */
  rows(program: RowProgram, indexes: Uint32Array | undefined, from: number, to: number, out: RowBatch): number {
    const chunksOf = (place: number): RowChunks | undefined => {
      const { chunks, deleted } = this.#all[indexes === undefined ? place : indexes[place]!]!;
      if (deleted.length > 0 || overlap(chunks)) return undefined;
      return { chunks, timesId: this.#timesOf(chunks).id };
    };
    const end = this.#decoder.rows.read(program, this.#startMs, this.#endMs, from, to, chunksOf, out);
    this.#recorder?.take(program, indexes, from, end, out);
    return end;
  }

  #rangeOf(time: TimeColumn): IndexRange {
    if (time.firstMs >= this.#startMs && time.lastMs <= this.#endMs) return { from: 0, to: time.count };
    return rangeOf(time.times, time.count, this.#startMs, this.#endMs);
  }

  /** Series of a target share their time columns, and then all that is found from times. */
  #timesOf(chunks: readonly Chunk[]): SharedTimes {
    const key = chunks[0]?.time;
    const known = this.#times.get(key);
    if (known !== undefined && haveEqualTimes(known.chunks, chunks)) return known;
    const shared: SharedTimes = { chunks, id: nextTimesId(), ranges: undefined };
    if (this.#times.size >= TIMES_KEPT) this.#times.clear();
    this.#times.set(key, shared);
    return shared;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onClose();
  }
}

function haveEqualTimes(a: readonly Chunk[], b: readonly Chunk[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i]!.time !== b[i]!.time) return false;
  return true;
}

function overlap(chunks: readonly Chunk[]): boolean {
  for (let i = 1; i < chunks.length; i++) if (chunks[i - 1]!.time.lastMs >= chunks[i]!.time.firstMs) return true;
  return false;
}

/** The samples of chunks that overlap, each time once: a histogram before a float, then the larger bits. */
function mergeChunks(chunks: readonly Chunk[], decoder: GroupDecoder, out: SampleColumns): void {
  const sources = chunks.map((chunk) => {
    const columns = new SampleColumns(chunk.time.count);
    decoder.append(chunk, columns);
    return columns;
  });
  const at = sources.map(() => 0);
  for (;;) {
    let best = -1;
    for (let i = 0; i < sources.length; i++) {
      if (at[i]! >= sources[i]!.count) continue;
      if (best < 0) best = i;
      else {
        const order = sources[i]!.times[at[i]!]! - sources[best]!.times[at[best]!]!;
        if (order < 0 || (order === 0 && preferred(sources[i]!, at[i]!, sources[best]!, at[best]!))) best = i;
      }
    }
    if (best < 0) return;
    const source = sources[best]!;
    copySample(source, at[best]!, out);
    const time = source.times[at[best]!]!;
    for (let i = 0; i < sources.length; i++) {
      if (at[i]! < sources[i]!.count && sources[i]!.times[at[i]!] === time) at[i]!++;
    }
  }
}

/** Whether of two samples of one time the first is kept. */
export function preferred(a: SampleColumns, i: number, b: SampleColumns, j: number): boolean {
  const aHistogram = a.kindAt(i) === HISTOGRAM;
  const bHistogram = b.kindAt(j) === HISTOGRAM;
  if (aHistogram !== bHistogram) return aHistogram;
  if (aHistogram) {
    return Buffer.compare(histogramBytes(a.histograms[i]!), histogramBytes(b.histograms[j]!)) > 0;
  }
  const x = a.values[i]!;
  const y = b.values[j]!;
  const high = (highWord(x) >>> 0) - (highWord(y) >>> 0);
  return high !== 0 ? high > 0 : lowWord(x) >>> 0 > lowWord(y) >>> 0;
}

export function copySample(from: SampleColumns, i: number, to: SampleColumns): void {
  const at = to.count;
  to.reserve(at + 1);
  to.times[at] = from.times[i]!;
  to.values.set(from.values.subarray(i, i + 1), at); // by bits
  const kind = from.kindAt(i);
  to.kinds[at] = kind;
  if (kind !== FLOAT) to.plain = false;
  if (kind === HISTOGRAM) {
    const histogram = from.histograms[i]!;
    // what came before it is another sample now
    const known = histogram.resetHint === 'gauge' || histogram.resetHint === 'unknown';
    to.histograms[at] = known ? histogram : { ...histogram, resetHint: 'unknown' };
  }
  to.count = at + 1;
  const start = from.hasStarts ? from.starts[i]! : 0;
  if (start !== 0) to.setStart(start);
  else if (to.hasStarts) to.starts[at] = 0;
}

/** From `from` up to but not including `to`. */
interface IndexRange {
  readonly from: number;
  readonly to: number;
}

/** The samples from `startMs` to `endMs`. */
function rangeOf(times: Float64Array, count: number, startMs: number, endMs: number): IndexRange {
  const from = count > 0 && times[0]! < startMs ? lowerBound(times, count, startMs) : 0;
  const to = count > 0 && times[count - 1]! > endMs ? lowerBound(times, count, endMs + 1) : count;
  return { from: Math.min(from, to), to };
}

/** Keeps the samples from `startMs` to `endMs`. */
function keepRange(columns: SampleColumns, startMs: number, endMs: number): void {
  const { from, to } = rangeOf(columns.times, columns.count, startMs, endMs);
  if (to < columns.count) removeRange(columns, to, columns.count);
  if (from > 0) removeRange(columns, 0, from);
}

/** Removes the samples from `startMs` to `endMs`. */
export function removeTimes(columns: SampleColumns, startMs: number, endMs: number): void {
  const from = lowerBound(columns.times, columns.count, startMs);
  const to = lowerBound(columns.times, columns.count, endMs + 1);
  if (to > from) removeRange(columns, from, to);
}

function removeRange(columns: SampleColumns, from: number, to: number): void {
  const { count } = columns;
  columns.timesId = 0;
  columns.times.copyWithin(from, to, count);
  columns.values.copyWithin(from, to, count);
  columns.kinds.copyWithin(from, to, count);
  if (columns.hasStarts) columns.starts.copyWithin(from, to, count);
  if (columns.histograms.length > from) columns.histograms.splice(from, to - from);
  columns.count = count - (to - from);
  if (!columns.plain) columns.plain = !columns.kinds.subarray(0, columns.count).some((kind) => kind !== FLOAT);
}

/** Index of the first time at or after `timeMs`. */
export function lowerBound(times: Float64Array, count: number, timeMs: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle]! < timeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}
