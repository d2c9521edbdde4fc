import { assert } from '../../lib/assert.ts';
import { ROW_ENTRY_WORDS, ROW_FROM, ROW_OTHERWISE, ROW_SLOTS } from '../../storage/row-layout.ts';
import type { RowBatch, RowProgram } from '../../storage/series-rows.ts';
import type { Kernel } from '../kernel.ts';
import { Region } from '../region.ts';
import { ROW_SAMPLES_MAX, RowPrograms } from '../row-programs.ts';
import type { Chunk } from './chunk.ts';
import type { ColumnReader } from './column-reader.ts';
import { decodeBytes } from './column-set.ts';
import { FLAG_HISTOGRAMS, FLAG_SPECIAL, FLAG_STARTS } from './series.ts';

/** Samples that one call decodes: some 2 ms of work. */
const SAMPLES_AT_ONCE = 1024 * 1024;
/** Series with one of these are read as columns. */
const FLAGS_RARE = FLAG_SPECIAL | FLAG_HISTOGRAMS | FLAG_STARTS;
/** Behind a column the kernel writes so many bytes that mean nothing. */
const SLACK_SAMPLES = decodeBytes(0) / 8;

/** A list of times in the kernel; whether their windows have no gaps. */
interface Slot {
  readonly slot: number;
  readonly isWhole: boolean;
}

/** Chunks of a series, ascending, none overlapping. Series with the same times have the same number. */
export interface RowChunks {
  readonly chunks: readonly Chunk[];
  readonly timesId: number;
}

/** Rows of stored series, made in the kernel from their columns. One serves a thread. */
export class ColumnRows {
  readonly #kernel: Kernel;
  readonly #reader: ColumnReader;
  readonly #entries: Region;
  readonly #programs: RowPrograms;
  readonly #rows: Region;
  /** Slots by the number of their times, in the order in which they were filled. */
  readonly #slots = new Map<number, Slot>();

  constructor(kernel: Kernel, reader: ColumnReader) {
    this.#kernel = kernel;
    this.#reader = reader;
    this.#entries = new Region(kernel);
    this.#programs = new RowPrograms(kernel);
    this.#rows = new Region(kernel);
  }

  /**
   * Fills the rows of the series at [from, to), as many as one call may take.
   * @param chunksOf chunks of the series at a place; undefined: it is to be read otherwise
   * @returns the first place that was not filled
   * @throws errors.groupCorrupt
   */
  read(
    program: RowProgram,
    startMs: number,
    endMs: number,
    from: number,
    to: number,
    chunksOf: (place: number) => RowChunks | undefined,
    out: RowBatch,
  ): number {
    if (this.#programs.begin(program, startMs, endMs)) this.#slots.clear();
    const { steps } = program;
    const entries = this.#entries.ensure(4 * ROW_ENTRY_WORDS * (to - from));
    const rows = this.#rows.ensure(8 * steps * (to - from));
    let samples = 0;
    let end = from;
    for (; end < to && samples < SAMPLES_AT_ONCE; end++) {
      const entry = entries + 4 * ROW_ENTRY_WORDS * (end - from);
      const own = chunksOf(end);
      const count = own === undefined ? 0 : countOf(own.chunks);
      if (count > 0 && this.#fill(own!, count, entry, rows + 8 * steps * (end - from))) samples += count;
      else this.#kernel.u32[entry / 4 + ROW_FROM] = ROW_OTHERWISE;
    }
    const count = end - from;
    const { u32, f64 } = this.#kernel;
    out.entries.set(u32.subarray(entries / 4, entries / 4 + count * ROW_ENTRY_WORDS));
    out.values.set(f64.subarray(rows / 8, rows / 8 + count * steps));
    return end;
  }

  /** False: it is to be read otherwise. */
  #fill({ chunks, timesId }: RowChunks, count: number, entry: number, row: number): boolean {
    const { exports } = this.#kernel;
    const { slot, isWhole } = this.#slotOf(chunks, timesId, count);
    if (!isWhole) return false;
    const needFrom = exports.rowsNeedFrom(slot);
    const needTo = exports.rowsNeedTo(slot);
    const blocks = exports.rowsBlocks(slot);
    const place = exports.rowsValuesAt();
    let at = 0;
    for (const { time, values, column } of chunks) {
      if (at < needTo && at + time.count > needFrom) {
        const to = Math.min(time.count, needTo - at);
        // bits of blocks are those of the first chunk
        this.#reader.decodeTo(place + 8 * at, values, column, Math.max(0, needFrom - at), to, at === 0 ? blocks : 0);
      }
      at += time.count;
    }
    exports.rowsFill(slot, entry, row);
    return true;
  }

  /** The slot that has the times of the chunks. */
  #slotOf(chunks: readonly Chunk[], timesId: number, count: number): Slot {
    const known = this.#slots.get(timesId);
    if (known !== undefined) return known;
    const { exports } = this.#kernel;
    const slot = this.#slots.size < ROW_SLOTS ? this.#slots.size : this.#takeOldest();
    const place = exports.rowsTimesAt(slot);
    let at = 0;
    try {
      for (const { time } of chunks) {
        this.#reader.decodeTo(place + 8 * at, time.source, time.column);
        at += time.count;
      }
    } catch (error) {
      // a slot is half filled that no list has: all are found anew
      this.#programs.forget();
      throw error;
    }
    const filled = { slot, isWhole: exports.rowsWindows(slot, count) !== 0 };
    this.#slots.set(timesId, filled);
    return filled;
  }

  #takeOldest(): number {
    const [oldest] = this.#slots;
    assert(oldest !== undefined, 'no slot is taken');
    this.#slots.delete(oldest[0]);
    return oldest[1].slot;
  }
}

/** Samples of chunks that rows may be made of; 0: of these not. */
function countOf(chunks: readonly Chunk[]): number {
  let count = 0;
  for (const { time, flags, values, column } of chunks) {
    if ((flags & FLAGS_RARE) !== 0 || values.counts[column] !== time.count) return 0;
    count += time.count;
  }
  return count + SLACK_SAMPLES <= ROW_SAMPLES_MAX ? count : 0;
}
