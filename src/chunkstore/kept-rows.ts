import { hash } from 'node:crypto';
import { assert } from '../lib/assert.ts';
import type { Labels } from '../model/labels.ts';
import type { SampleColumns } from '../storage/columns.ts';
import type { SelectRequest } from '../storage/queryable.ts';
import { ROW_ENTRY_WORDS, ROW_FROM, ROW_OTHERWISE } from '../storage/row-layout.ts';
import { areSamePrograms, type RowBatch, type RowProgram } from '../storage/series-rows.ts';
import type { SourceSeries } from '../storage/source.ts';
import type { Matches } from './store-matching.ts';

/** Keeps the rows of selects, for panels that ask for the same. Owned by the chunk store; what it loses is made again. */
export interface RowCache {
  /** Whether rows are worth a place, by their bytes and by those of what they are made of, as it is stored. */
  isWorth(bytes: number, storedBytes: number): boolean;
  /** Undefined: who asks makes them. */
  get(key: string, signal: AbortSignal): Promise<Uint8Array | undefined>;
  set(tenant: string, key: string, rows: Uint8Array): void;
}

const VERSION = 1;
const HEADER_WORDS = 4;
const U32_MAX = 2 ** 32 - 1;

/**
 * All that rows depend on: the groups, which never change, the selector, the range, and the program.
 * @param groups names of their rows, which are of one tenant, in order
 */
export function rowsKey(
  tenant: string,
  { matchers, startMs, endMs }: SelectRequest,
  program: RowProgram,
  groups: readonly string[],
): string {
  const { func, steps, firstEndMs, stepMs, backMs, rangeSeconds } = program;
  const selector = matchers.map(({ name, op, value }) => [name, op, value]);
  const asked = [VERSION, func, steps, firstEndMs, stepMs, backMs, rangeSeconds, startMs, endMs, tenant, selector];
  return hash('sha256', JSON.stringify([asked, groups]), 'base64');
}

/**
 * The rows of all series of a select, as they are kept: a header of four u32 (version, series, steps, bytes of chunks), the number of each
 * series among all that match, ROW_ENTRY_WORDS of each, then values, (series, step) row-major.
 */
class Rows {
  readonly bytes: Uint8Array;
  readonly header: Uint32Array;
  readonly numbers: Uint32Array;
  readonly entries: Uint32Array;
  readonly values: Float64Array;

  constructor(bytes: Uint8Array, series: number, steps: number) {
    const { buffer, byteOffset } = bytes;
    this.bytes = bytes;
    this.header = new Uint32Array(buffer, byteOffset, HEADER_WORDS);
    this.numbers = new Uint32Array(buffer, byteOffset + 4 * HEADER_WORDS, series);
    this.entries = new Uint32Array(buffer, byteOffset + 4 * (HEADER_WORDS + series), series * ROW_ENTRY_WORDS);
    this.values = new Float64Array(buffer, byteOffset + valuesAt(series), series * steps);
  }
}

function valuesAt(series: number): number {
  return (4 * (HEADER_WORDS + series * (1 + ROW_ENTRY_WORDS)) + 7) & ~7;
}

/** Bytes of the rows of so many series. */
export function rowsBytes(series: number, steps: number): number {
  return valuesAt(series) + 8 * series * steps;
}

/** Puts the rows that are made for a query together. */
export class RowsRecorder {
  readonly #program: RowProgram;
  readonly #rows: Rows;
  readonly #done: (rows: Uint8Array) => void;
  readonly #has: Uint8Array;
  #left: number;
  #otherwise = 0;

  /**
   * @param numbers of the series, in their order, among all that match
   * @param done called when all of them are there, unless most have no rows
   */
  constructor(program: RowProgram, numbers: Uint32Array, chunkBytes: number, done: (rows: Uint8Array) => void) {
    const { length } = numbers;
    this.#program = program;
    // for all threads; of the bytes that it was made of, which are more, V8 hears enough
    const bytes = new Uint8Array(new SharedArrayBuffer(rowsBytes(length, program.steps)));
    this.#rows = new Rows(bytes, length, program.steps);
    this.#rows.header.set([VERSION, length, program.steps, chunkBytes]);
    this.#rows.numbers.set(numbers);
    this.#has = new Uint8Array(length);
    this.#left = length;
    this.#done = done;
  }

  /** Whether what rows were made of can be told with them. */
  static holds(chunkBytes: number): boolean {
    return chunkBytes <= U32_MAX;
  }

  /** Takes the rows of the series at [from, to) of `indexes`. */
  take(program: RowProgram, indexes: Uint32Array | undefined, from: number, to: number, batch: RowBatch): void {
    assert(areSamePrograms(program, this.#program), 'rows of another program');
    const { steps } = program;
    const { entries, values } = this.#rows;
    for (let place = from; place < to; place++) {
      const index = indexes === undefined ? place : indexes[place]!;
      const at = (place - from) * ROW_ENTRY_WORDS;
      if (this.#has[index] === 1) continue;
      this.#has[index] = 1;
      if (batch.entries[at + ROW_FROM] === ROW_OTHERWISE) this.#otherwise++;
      this.#left--;
      entries.set(batch.entries.subarray(at, at + ROW_ENTRY_WORDS), index * ROW_ENTRY_WORDS);
      values.set(batch.values.subarray((place - from) * steps, (place - from + 1) * steps), index * steps);
    }
    if (this.#left === 0 && 2 * this.#otherwise <= this.#has.length) this.#done(this.#rows.bytes);
  }
}

/** Rows that were kept. */
export class KeptRows {
  readonly #program: RowProgram;
  readonly #rows: Rows;
  /** Numbers of the series that have no rows. */
  readonly #otherwise = new Set<number>();

  private constructor(program: RowProgram, rows: Rows) {
    this.#program = program;
    this.#rows = rows;
    for (const [index, number] of rows.numbers.entries()) {
      if (rows.entries[index * ROW_ENTRY_WORDS + ROW_FROM] === ROW_OTHERWISE) this.#otherwise.add(number);
    }
  }

  /** Undefined: they are of another version. */
  static of(bytes: Uint8Array, program: RowProgram): KeptRows | undefined {
    const [version, series, steps] = new Uint32Array(bytes.buffer, bytes.byteOffset, HEADER_WORDS);
    if (version !== VERSION || steps !== program.steps || bytes.length !== rowsBytes(series!, steps)) return undefined;
    return new KeptRows(program, new Rows(bytes, series!, steps));
  }

  get heldBytes(): number {
    return this.#rows.bytes.length;
  }

  /** Bytes of the chunks that they were made of. */
  get chunkBytes(): number {
    return this.#rows.header[3]!;
  }

  /** Those of the series that have no rows. */
  without({ indexes, numbers }: Matches): Matches {
    const some: Matches = { indexes: [], numbers: [] };
    if (this.#otherwise.size === 0) return some;
    for (let i = 0; i < indexes.length; i++) {
      if (!this.#otherwise.has(numbers[i]!)) continue;
      some.indexes.push(indexes[i]!);
      some.numbers.push(numbers[i]!);
    }
    return some;
  }

  /**
   * @param matched labels of all series that match, by number
   * @param rest the series that have no rows, closed with them
   * @param giveBack as of `SourceSeries`
   */
  series(matched: readonly Labels[], rest: SourceSeries, giveBack: () => void): SourceSeries {
    const labels = Array.from(this.#rows.numbers, (number) => matched[number]!);
    const places = new Map(rest.labels.map((each, place) => [each, place]));
    const read = (index: number, out: SampleColumns): void => {
      const place = places.get(labels[index]!);
      assert(place !== undefined, 'samples of a series that has rows');
      rest.read(place, out);
    };
    return { labels, warnings: [], read, rows: this.#read, giveBack, close: rest.close };
  }

  readonly #read = (
    program: RowProgram,
    indexes: Uint32Array | undefined,
    from: number,
    to: number,
    out: RowBatch,
  ): number => {
    assert(areSamePrograms(program, this.#program), 'rows of another program');
    const { steps } = program;
    const { entries, values } = this.#rows;
    if (indexes === undefined) {
      out.entries.set(entries.subarray(from * ROW_ENTRY_WORDS, to * ROW_ENTRY_WORDS));
      out.values.set(values.subarray(from * steps, to * steps));
      return to;
    }
    for (let place = from; place < to; place++) {
      const index = indexes[place]!;
      const at = index * ROW_ENTRY_WORDS;
      out.entries.set(entries.subarray(at, at + ROW_ENTRY_WORDS), (place - from) * ROW_ENTRY_WORDS);
      out.values.set(values.subarray(index * steps, (index + 1) * steps), (place - from) * steps);
    }
    return to;
  };
}
