import { ByteReader, BytesError, ByteWriter } from '../../lib/bytes.ts';
import { copyBytes } from '../../lib/copy.ts';
import { COLUMN_VALUES_MAX } from './column-set.ts';
import { readPlanes, writePlanes, xorBits } from './planes.ts';
import { FLAGS_KNOWN } from './series.ts';

/** Columns of equal length, one row a series: all that a series block says of a series beside its labels. */
export interface SeriesTable {
  /** Which time column of the group each series has. */
  readonly timeColumns: Uint32Array;
  readonly flags: Uint8Array;
  readonly counts: Uint32Array;
  /** First and last value, as bits. */
  readonly firsts: Float64Array;
  readonly lasts: Float64Array;
}

/** A label name's column in a section: for series i the value `dictionary[indexes[i]]`, symbol 0 where it lacks the label. */
export interface LabelColumn {
  /** Symbols are indexes into `SeriesBlock.symbols`. */
  readonly name: number;
  readonly dictionary: Uint32Array;
  /** Absent where the dictionary has one entry. */
  readonly indexes: Uint8Array | Uint16Array | Uint32Array | undefined;
}

/** Neighbouring series of one metric that have their label names in common, more or less. */
export interface Section {
  readonly first: number;
  readonly count: number;
  /** Ascending by name. */
  readonly columns: readonly LabelColumn[];
}

// A section is closed rather than let it have more than so many cells for each label that is there.
const CELLS_PER_LABEL_MAX = 4;
const CELLS_FREE = 4096;

/** @param parts of each series its label parts (`labelParts`), in the order of the group */
export function encodeSeriesBlock(parts: readonly (readonly string[])[], table: SeriesTable): Uint8Array {
  const labels = encodeLabels(parts);
  const out = new ByteWriter();
  out.uvarint(labels.length);
  out.bytes(labels);
  const { timeColumns, flags, counts, firsts, lasts } = table;
  const lowest = timeColumns.reduce((least, id) => Math.min(least, id), 0xffffffff);
  const width = widthOf(timeColumns.reduce((most, id) => Math.max(most, id), 0) - lowest + 1);
  out.uvarint(lowest);
  out.u8(width);
  if (width > 0) {
    out.bytes(
      packed(
        width,
        timeColumns.map((id) => id - lowest),
      ),
    );
  }
  out.bytes(flags);
  for (const count of counts) out.uvarint(count);
  writePlanes(out, firsts);
  writePlanes(out, xorBits(firsts, lasts));
  return out.done();
}

function encodeLabels(parts: readonly (readonly string[])[]): Uint8Array {
  const out = new ByteWriter();
  const symbols = new Map<string, number>([['', 0]]);
  for (const series of parts) for (const part of series) symbols.set(part, 0);
  symbols.delete('');
  const sorted = [...symbols.keys()].sort();
  sorted.forEach((symbol, i) => {
    symbols.set(symbol, i + 1);
  });
  out.uvarint(parts.length);
  out.uvarint(sorted.length);
  for (const symbol of sorted) out.uvarint(symbol.length);
  out.bytes(Buffer.from(sorted.join(''), 'latin1'));

  for (let from = 0; from < parts.length; ) {
    const to = sectionEnd(parts, from);
    encodeSection(out, parts.slice(from, to), symbols);
    from = to;
  }
  return out.done();
}

function sectionEnd(parts: readonly (readonly string[])[], from: number): number {
  const metric = nameOf(parts[from]!);
  const names = new Set<string>();
  let labels = 0;
  for (let i = from; i < parts.length; i++) {
    const series = parts[i]!;
    let added = 0;
    for (let k = 0; k < series.length; k += 2) if (!names.has(series[k]!)) added++;
    labels += series.length / 2;
    const cells = (names.size + added) * (i + 1 - from);
    if (i > from && (nameOf(series) !== metric || cells > CELLS_PER_LABEL_MAX * labels + CELLS_FREE)) return i;
    if (added > 0) for (let k = 0; k < series.length; k += 2) names.add(series[k]!);
  }
  return parts.length;
}

function nameOf(parts: readonly string[]): string {
  for (let i = 0; i < parts.length; i += 2) if (parts[i] === '__name__') return parts[i + 1]!;
  return '';
}

function encodeSection(
  out: ByteWriter,
  parts: readonly (readonly string[])[],
  symbols: ReadonlyMap<string, number>,
): void {
  const columns = new Map<string, Uint32Array>();
  parts.forEach((series, i) => {
    for (let k = 0; k < series.length; k += 2) {
      let column = columns.get(series[k]!);
      if (column === undefined) {
        column = new Uint32Array(parts.length);
        columns.set(series[k]!, column);
      }
      column[i] = symbols.get(series[k + 1]!)!;
    }
  });
  out.uvarint(parts.length);
  out.uvarint(columns.size);
  for (const name of [...columns.keys()].sort()) {
    const column = columns.get(name)!;
    out.uvarint(symbols.get(name)!);
    const dictionary = [...new Set(column)].sort((a, b) => a - b);
    out.uvarint(dictionary.length);
    let before = 0;
    for (const symbol of dictionary) {
      out.uvarint(symbol - before);
      before = symbol;
    }
    if (dictionary.length === 1) continue;
    const indexOf = new Map(dictionary.map((symbol, i) => [symbol, i]));
    out.bytes(
      packed(
        widthOf(dictionary.length),
        column.map((symbol) => indexOf.get(symbol)!),
      ),
    );
  }
}

/** Bytes that indexes below `size` take. */
function widthOf(size: number): 0 | 1 | 2 | 4 {
  return size <= 1 ? 0 : size <= 256 ? 1 : size <= 65536 ? 2 : 4;
}

function packed(width: number, values: Uint32Array): Uint8Array {
  const narrow = width === 1 ? Uint8Array.from(values) : width === 2 ? Uint16Array.from(values) : values;
  return new Uint8Array(narrow.buffer, narrow.byteOffset, narrow.byteLength);
}

function unpacked(from: ByteReader, width: number, count: number): Uint8Array | Uint16Array | Uint32Array {
  // a copy, since the bytes need not be aligned
  const bytes = copyBytes(from.take(width * count));
  if (width === 1) return bytes;
  return width === 2 ? new Uint16Array(bytes.buffer) : new Uint32Array(bytes.buffer);
}

/** The labels of a run of series, as columns; immutable. */
export class LabelBlock {
  /** The part of the raw block it was made from: equal bytes, equal labels. */
  readonly raw: Uint8Array;
  readonly count: number;
  /** Bytes of symbol i between `symbolEnds[i - 1]` and `symbolEnds[i]`; symbol 0 is empty. */
  readonly #symbolBytes: Buffer;
  readonly #symbolEnds: Uint32Array;
  readonly #texts: (string | undefined)[] = [];
  readonly sections: readonly Section[];

  private constructor(raw: Uint8Array) {
    const from = new ByteReader(raw);
    this.raw = raw;
    this.count = from.uvarint(0xffffff);
    const symbolCount = from.count(1);
    const ends = new Uint32Array(symbolCount + 1);
    let end = 0;
    for (let i = 1; i <= symbolCount; i++) {
      end += from.uvarint(raw.length);
      ends[i] = end;
    }
    if (end > raw.length) throw new BytesError('symbols longer than the block');
    const bytes = from.take(end);
    this.#symbolBytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#symbolEnds = ends;
    const sections: Section[] = [];
    for (let first = 0; first < this.count; ) {
      const section = readSection(from, first, this.count, symbolCount);
      sections.push(section);
      first += section.count;
    }
    from.end();
    this.sections = sections;
  }

  /** @throws BytesError */
  static parse(raw: Uint8Array): LabelBlock {
    return new LabelBlock(raw);
  }

  symbol(symbol: number): string {
    let text = this.#texts[symbol];
    if (text === undefined) {
      text = this.#symbolBytes.toString(
        'utf8',
        symbol === 0 ? 0 : this.#symbolEnds[symbol - 1]!,
        this.#symbolEnds[symbol]!,
      );
      this.#texts[symbol] = text;
    }
    return text;
  }

  /** The label bytes of series `index` of the block, as they were encoded. */
  labelBytes(index: number): Uint8Array {
    const section = this.sections.find((each) => index < each.first + each.count)!;
    const out = new ByteWriter();
    const put = (symbol: number) => {
      const from = this.#symbolEnds[symbol - 1]!;
      const to = this.#symbolEnds[symbol]!;
      out.uvarint(to - from);
      out.bytes(this.#symbolBytes.subarray(from, to));
    };
    for (const column of section.columns) {
      const value = symbolAt(column, index - section.first);
      if (value === 0) continue;
      put(column.name);
      put(value);
    }
    return out.done();
  }

  /** Bytes that the labels of all series take, spelt for each of them. */
  labelBytesOfAll(): number {
    const bytesOf = (symbol: number) => (symbol === 0 ? 0 : this.#symbolEnds[symbol]! - this.#symbolEnds[symbol - 1]!);
    let bytes = 0;
    for (const { count, columns } of this.sections) {
      for (const column of columns) {
        bytes += count * bytesOf(column.name);
        const { dictionary, indexes } = column;
        if (indexes === undefined) bytes += count * bytesOf(dictionary[0]!);
        else for (const index of indexes) bytes += bytesOf(dictionary[index]!);
      }
    }
    return bytes;
  }

  /** name, value, … of the series at `index` of the section: what `Labels.fromSortedPairs` takes. */
  pairs(section: Section, index: number): string[] {
    const pairs: string[] = [];
    for (const column of section.columns) {
      const value = symbolAt(column, index);
      if (value !== 0) pairs.push(this.symbol(column.name), this.symbol(value));
    }
    return pairs;
  }
}

/** The value's symbol of the series at `index` of the column's section. */
export function symbolAt(column: LabelColumn, index: number): number {
  return column.dictionary[column.indexes === undefined ? 0 : column.indexes[index]!]!;
}

function readSection(from: ByteReader, first: number, total: number, symbols: number): Section {
  const count = from.uvarint(total - first);
  if (count === 0) throw new BytesError('an empty section');
  const columnCount = from.count(3);
  const columns: LabelColumn[] = [];
  let before = 0;
  for (let k = 0; k < columnCount; k++) {
    const name = from.uvarint(symbols);
    if (name <= before) throw new BytesError('label names that do not ascend');
    before = name;
    const size = from.count(1);
    if (size === 0 || size > count) throw new BytesError(`a dictionary of ${size} for ${count} series`);
    const dictionary = new Uint32Array(size);
    let symbol = 0;
    for (let i = 0; i < size; i++) {
      const step = from.uvarint(symbols);
      if (step === 0 && i > 0) throw new BytesError('a symbol twice in a dictionary');
      symbol += step;
      if (symbol > symbols) throw new BytesError('a symbol that is not there');
      dictionary[i] = symbol;
    }
    const indexes = size === 1 ? undefined : unpacked(from, widthOf(size), count);
    if (indexes?.some((index) => index >= size)) throw new BytesError('an index beyond its dictionary');
    columns.push({ name, dictionary, indexes });
  }
  return { first, count, columns };
}

/** A series block: labels and table of a run of series. */
export interface SeriesBlock extends SeriesTable {
  readonly labels: LabelBlock;
}

/**
 * @param count of series, as the header has it
 * @param labelsOf gives the labels for their raw bytes; pass one that remembers, windows mostly repeat them
 * @throws BytesError
 */
export function parseSeriesBlock(
  raw: Uint8Array,
  count: number,
  labelsOf: (raw: Uint8Array) => LabelBlock = LabelBlock.parse,
): SeriesBlock {
  const from = new ByteReader(raw);
  const labels = labelsOf(from.take(from.count(1)));
  if (labels.count !== count) throw new BytesError(`labels of ${labels.count} series where ${count} are announced`);
  const lowest = from.uvarint(0xffffffff);
  const width = from.u8();
  if (width > 4 || width === 3) throw new BytesError(`time columns of ${width} bytes`);
  const timeColumns = new Uint32Array(count).fill(lowest);
  if (width > 0) {
    const ids = unpacked(from, width, count);
    for (let i = 0; i < count; i++) timeColumns[i]! += ids[i]!;
  }
  const flags = from.take(count);
  if (flags.some((flag) => (flag & ~FLAGS_KNOWN) !== 0)) throw new BytesError('an unknown flag');
  const counts = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    counts[i] = from.uvarint(COLUMN_VALUES_MAX);
    if (counts[i] === 0) throw new BytesError('a series without samples');
  }
  const firsts = readPlanes(from, count);
  const lasts = xorBits(firsts, readPlanes(from, count));
  from.end();
  return { labels, timeColumns, flags, counts, firsts, lasts };
}
