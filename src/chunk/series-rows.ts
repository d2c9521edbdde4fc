import { ROW_CHUNKS_FROM, ROW_CHUNKS_TO, ROW_ENTRY_WORDS } from '../storage/row-layout.ts';
import type { RowBatch, RowProgram } from '../storage/series-rows.ts';
import type { Kernel } from './kernel.ts';
import { Region } from './region.ts';
import { RowPrograms } from './row-programs.ts';

/** Bytes of chunks that one call decodes: 2 ms of work. */
const CHUNK_BYTES_MAX = 512 * 1024;
/** A piece is copied as a whole where it has at most so many times the bytes of the chunks. */
const WHOLE_TIMES_MAX = 4;
/** Bytes between the chunks of two series: the kernel changes some behind a chunk that it decodes. */
const GAP_BYTES = 16;

/** The chunks of a series: `bytes` from `from` to `to`, exclusive. Nothing between them: the series is to be read otherwise. */
export interface ChunksOfSeries {
  bytes: Uint8Array;
  from: number;
  to: number;
}

/** Rows of head series, made in the kernel from their chunks. One serves a thread. */
export class SeriesRows {
  readonly #kernel: Kernel;
  readonly #chunks: Region;
  readonly #entries: Region;
  readonly #programs: RowPrograms;
  readonly #rows: Region;
  readonly #at: ChunksOfSeries = { bytes: new Uint8Array(0), from: 0, to: 0 };

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#chunks = new Region(kernel);
    this.#entries = new Region(kernel);
    this.#programs = new RowPrograms(kernel);
    this.#rows = new Region(kernel);
  }

  /**
   * Fills the rows of the series at [from, to), as many as one call may take.
   * @param chunksOf says where the chunks of the series at a place lie
   * @returns the first place that was not filled
   */
  read(
    program: RowProgram,
    startMs: number,
    endMs: number,
    from: number,
    to: number,
    chunksOf: (place: number, out: ChunksOfSeries) => void,
    out: RowBatch,
  ): number {
    const at = this.#at;
    let bytes = 0;
    let end = from;
    /** The piece that all chunks lie in; undefined: there are several. */
    let whole: Uint8Array | undefined;
    let wholeFrom = 0;
    let wholeTo = 0;
    for (; end < to; end++) {
      chunksOf(end, at);
      const length = at.to - at.from;
      if (end > from && bytes + length > CHUNK_BYTES_MAX) break;
      bytes += length;
      if (end === from) {
        whole = at.bytes;
        wholeFrom = at.from;
        wholeTo = at.to;
      } else if (at.bytes !== whole) whole = undefined;
      wholeFrom = Math.min(wholeFrom, at.from);
      wholeTo = Math.max(wholeTo, at.to);
    }
    const count = end - from;
    this.#programs.begin(program, startMs, endMs);
    // mostly one copy does, labels and all
    if (wholeTo - wholeFrom > WHOLE_TIMES_MAX * bytes) whole = undefined;
    const chunks = this.#chunks.ensure(whole === undefined ? bytes + GAP_BYTES * count : wholeTo - wholeFrom);
    const entries = this.#entries.ensure(4 * ROW_ENTRY_WORDS * count);
    const rows = this.#rows.ensure(8 * program.steps * count);
    const { u8, u32 } = this.#kernel;
    if (whole !== undefined) u8.set(whole.subarray(wholeFrom, wholeTo), chunks);
    let free = chunks;
    for (let i = 0; i < count; i++) {
      chunksOf(from + i, at);
      const entry = entries / 4 + i * ROW_ENTRY_WORDS;
      const length = at.to - at.from;
      const start = whole === undefined ? free : chunks + at.from - wholeFrom;
      if (whole === undefined && length > 0) u8.set(at.bytes.subarray(at.from, at.to), start);
      u32[entry + ROW_CHUNKS_FROM] = start;
      u32[entry + ROW_CHUNKS_TO] = start + length;
      free += length + GAP_BYTES;
    }
    this.#kernel.exports.rowsRead(entries, count, rows);
    // the call may have grown the memory
    const { u32: words, f64 } = this.#kernel;
    out.entries.set(words.subarray(entries / 4, entries / 4 + count * ROW_ENTRY_WORDS));
    out.values.set(f64.subarray(rows / 8, rows / 8 + count * program.steps));
    return end;
  }
}
