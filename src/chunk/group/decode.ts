import { ByteReader, BytesError } from '../../lib/bytes.ts';
import { FLOAT, HISTOGRAM, type SampleColumns } from '../../storage/columns.ts';
import type { Kernel, KernelExports } from '../kernel.ts';
import { Region } from '../region.ts';
import type { Chunk } from './chunk.ts';
import { ColumnReader, type ColumnSource } from './column-reader.ts';
import { ColumnRows } from './column-rows.ts';
import { COLUMN_VALUES_MAX } from './column-set.ts';
import { type BlockRef, blockName, guarded } from './header.ts';
import { HistogramBlock } from './histogram-block.ts';
import { readPlanes } from './planes.ts';
import { FLAG_HISTOGRAMS, FLAG_SPECIAL, FLAG_STARTS } from './series.ts';
import { TimeColumn } from './time-column.ts';

/** Decodes the sub-blocks of groups. One kernel serves any number of groups. */
export class GroupDecoder {
  readonly #kernel: Kernel;
  readonly #exports: KernelExports;
  readonly #stale: Region;
  /** The values decoded last, as they lie in kernel memory. */
  #decoded: Float64Array = new Float64Array(0);
  readonly reader: ColumnReader;
  readonly rows: ColumnRows;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#exports = kernel.exports;
    this.#stale = new Region(kernel);
    this.reader = new ColumnReader(kernel);
    this.rows = new ColumnRows(kernel, this.reader);
  }

  /** @throws errors.groupCorrupt */
  times(raw: Uint8Array, ref: BlockRef, name: string): readonly TimeColumn[] {
    const part = blockName(ref);
    return guarded(name, part, () => {
      const from = new ByteReader(raw);
      const counts = Uint32Array.from({ length: ref.count }, () => from.uvarint(COLUMN_VALUES_MAX));
      const gaps = Array.from({ length: ref.count }, () => from.f64());
      const firsts = readPlanes(from, ref.count);
      const source = { block: from.take(from.left), counts, firsts, name, part };
      return gaps.map((gapMs, column) => {
        const at = this.reader.decode(source, column);
        if (this.#exports.largestGap(at, counts[column]!) !== gapMs)
          throw new BytesError('times that do not ascend as announced');
        const lastMs = this.#kernel.f64[at / 8 + counts[column]! - 1]!;
        return new TimeColumn(this.reader, source, column, { lastMs, gapMs });
      });
    });
  }

  /** @param counts of the block's series and `firsts` their first values, from the series block */
  values(stored: Uint8Array, ref: BlockRef, counts: Uint32Array, firsts: Float64Array, name: string): ColumnSource {
    return { block: { stored, rawBytes: ref.rawBytes }, counts, firsts, name, part: blockName(ref) };
  }

  /** @throws errors.groupCorrupt */
  starts(raw: Uint8Array, ref: BlockRef, counts: Uint32Array, name: string): ColumnSource {
    const part = blockName(ref);
    return guarded(name, part, () => {
      const from = new ByteReader(raw);
      const firsts = readPlanes(from, ref.count);
      return { block: from.take(from.left), counts, firsts, name, part };
    });
  }

  /** @throws errors.groupCorrupt */
  histograms(raw: Uint8Array, ref: BlockRef, counts: Uint32Array, name: string): HistogramBlock {
    const part = blockName(ref);
    return guarded(name, part, () => new HistogramBlock(raw, counts, name, part));
  }

  /** Appends all samples of a chunk. @throws errors.groupCorrupt */
  append(chunk: Chunk, out: SampleColumns): void {
    this.appendRange(chunk, 0, chunk.time.count, out, false);
  }

  /**
   * Appends the samples from `from` to `to` of a chunk: of one that `isRich` all of them.
   *
   * @param timesThere `out` has the times where they go
   * @throws errors.groupCorrupt
   */
  appendRange(chunk: Chunk, from: number, to: number, out: SampleColumns, timesThere: boolean): void {
    const n = chunk.time.count;
    const count = to - from;
    const at = out.count;
    out.reserve(at + count);
    if (chunk.values.counts[chunk.column] !== n) {
      guarded(chunk.values.name, chunk.values.part, () => {
        throw new BytesError(`${chunk.values.counts[chunk.column]} values for ${n} times`);
      });
    }
    // they may have to be decoded, to where values stand then
    const times = timesThere ? undefined : chunk.time.times;
    const values = this.reader.decode(chunk.values, chunk.column, from, to) + 8 * from;
    out.values.set(this.#valuesAt(values, count), at);
    if (times !== undefined) out.times.set(count === n ? times : times.subarray(from, to), at);
    if ((chunk.flags & (FLAG_SPECIAL | FLAG_HISTOGRAMS)) === 0) out.kinds.fill(FLOAT, at, at + count);
    else this.#putKinds(chunk, values, count, out, at);
    if ((chunk.flags & FLAG_STARTS) !== 0 && chunk.starts !== undefined) this.#putStarts(chunk, out, at);
    else if (out.hasStarts) out.starts.fill(0, at, at + count);
    out.count = at + count;
  }

  /** One array for many series: they are often equally long, and decoded to the same place. */
  #valuesAt(from: number, n: number): Float64Array {
    const { f64 } = this.#kernel;
    const last = this.#decoded;
    if (last.length !== n || last.byteOffset !== from || last.buffer !== f64.buffer) {
      this.#decoded = f64.subarray(from / 8, from / 8 + n);
    }
    return this.#decoded;
  }

  #putKinds(chunk: Chunk, values: number, n: number, out: SampleColumns, at: number): void {
    const kinds = chunk.histograms?.kinds(chunk.histogramIndex);
    if (kinds !== undefined) {
      out.kinds.set(kinds, at);
      kinds.forEach((kind, i) => {
        if (kind === HISTOGRAM) out.values[at + i] = Number.NaN;
      });
      chunk.histograms!.read(chunk.histogramIndex, this.reader, out.histograms, at);
      out.plain = false;
      return;
    }
    const stale = this.#stale.ensure(n);
    const count = this.#exports.findStale(values, n, stale);
    // what the kernel wrote is 1 for a stale marker and 0 for all else: the kinds STALE and FLOAT
    out.kinds.set(this.#kernel.u8.subarray(stale, stale + n), at);
    if (count > 0) out.plain = false;
  }

  #putStarts(chunk: Chunk, out: SampleColumns, at: number): void {
    if (!out.hasStarts) {
      if (out.starts.length < out.times.length) out.starts = new Float64Array(out.times.length);
      out.starts.fill(0, 0, at);
      out.hasStarts = true;
    }
    this.reader.readInto(chunk.starts!, chunk.column, out.starts, at);
  }
}
