import { assert } from '../../lib/assert.ts';
import { BytesError } from '../../lib/bytes.ts';
import type { Kernel, KernelExports } from '../kernel.ts';
import { Region } from '../region.ts';
import { inflateTo } from './inflate.ts';

/** A column has at most so many values: what one series may have in one group. */
export const COLUMN_VALUES_MAX = 65536;

// Fields of the encoder's state in kernel memory (kernel/cold-encode.ts), in this order, four bytes each.
const CODECS = 0;
const EXPONENTS = 1;
const SHIFTS = 2;
const WIDTHS = 3;
const PACKED = 4;
const BITMAPS = 5;
const CHANGES = 6;
const EXCEPTIONS = 7;
const SCRATCH = 8;
const STATE_BYTES = 48;
const DESCRIPTOR_BYTES = 32;
/** The kernel may read so far behind a block and write so far behind a column. */
const SLACK_BYTES = 512;

/** Encodes columns of doubles one after another into one block (docs/formats/group.md, "Column set"). */
export class ColumnSetEncoder {
  readonly #kernel: Kernel;
  readonly #exports: KernelExports;
  readonly #region: Region;
  readonly #input: Region;
  #state = 0;
  #starts: number[] = [];
  #planes = 0;
  #valuesMax = 0;
  #columnsMax = 0;
  #values = 0;
  columns = 0;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#exports = kernel.exports;
    this.#region = new Region(kernel);
    this.#input = new Region(kernel);
  }

  /** Begins a block of at most so many columns with so many values in all. */
  begin(columnsMax: number, valuesMax: number): void {
    const blocks = Math.ceil(valuesMax / 32) + columnsMax;
    const sizes = [
      columnsMax,
      columnsMax,
      columnsMax,
      blocks,
      256 * blocks,
      Math.ceil(valuesMax / 8) + columnsMax,
      8 * valuesMax,
      13 * valuesMax + 5 * columnsMax,
      8 * COLUMN_VALUES_MAX + 256,
      8 * valuesMax,
    ].map((bytes) => (bytes + 15) & ~15);
    const total = sizes.reduce((sum, bytes) => sum + bytes, STATE_BYTES) + SLACK_BYTES;
    let at = this.#region.ensure(total);
    this.#state = at;
    at += STATE_BYTES;
    this.#starts = [];
    const { view } = this.#kernel;
    sizes.forEach((bytes, field) => {
      this.#starts.push(at);
      if (field <= SCRATCH) view.setUint32(this.#state + 4 * field, at, true);
      else this.#planes = at;
      at += bytes;
    });
    this.#valuesMax = valuesMax;
    this.#columnsMax = columnsMax;
    this.#values = 0;
    this.columns = 0;
  }

  /** Where in kernel memory to put the `n` values of the next column, for `addInput`. */
  input(n: number): number {
    assert(n > 0 && n <= COLUMN_VALUES_MAX, 'a column of no or too many values');
    return this.#input.ensure(8 * n + SLACK_BYTES);
  }

  /** Adds the `n` values that stand at `input(n)`. @returns the kernel's flags of it */
  addInput(n: number): number {
    this.#values += n;
    this.columns++;
    assert(this.#values <= this.#valuesMax && this.columns <= this.#columnsMax, 'a column set over its bounds');
    return this.#exports.coldEncode(this.#state, this.input(n), n);
  }

  add(values: Float64Array): number {
    const at = this.input(values.length);
    this.#kernel.f64.set(values, at / 8);
    return this.addInput(values.length);
  }

  /** Bytes of the block so far, before zstd. */
  get rawBytes(): number {
    let bytes = 20;
    for (let field = CODECS; field < SCRATCH; field++) bytes += this.#length(field);
    return bytes;
  }

  #length(field: number): number {
    return this.#kernel.view.getUint32(this.#state + 4 * field, true) - this.#starts[field]!;
  }

  /** The block; first values and counts are not in it. A copy. */
  finish(): Uint8Array {
    const changes = this.#length(CHANGES) / 8;
    this.#exports.coldPlanes(this.#starts[CHANGES]!, changes, this.#planes);
    const out = new Uint8Array(this.rawBytes);
    const { u8 } = this.#kernel;
    let at = 0;
    const put = (from: number, bytes: number) => {
      out.set(u8.subarray(from, from + bytes), at);
      at += bytes;
    };
    for (const field of [CODECS, EXPONENTS, SHIFTS]) put(this.#starts[field]!, this.columns);
    const view = new DataView(out.buffer);
    const lengths = [
      this.#length(WIDTHS),
      this.#length(PACKED),
      this.#length(BITMAPS),
      changes,
      this.#length(EXCEPTIONS),
    ];
    for (const length of lengths) {
      view.setUint32(at, length, true);
      at += 4;
    }
    for (const field of [WIDTHS, PACKED, BITMAPS]) put(this.#starts[field]!, this.#length(field));
    put(this.#planes, 8 * changes);
    put(this.#starts[EXCEPTIONS]!, this.#length(EXCEPTIONS));
    return out;
  }
}

/** A block as it is stored: inflated when it is loaded. */
export interface StoredColumns {
  readonly stored: Uint8Array;
  readonly rawBytes: number;
}

const REASONS = [
  '',
  'too short',
  'lengths that do not add up',
  'an unknown codec',
  'an exponent or a shift out of range',
  'a width out of range',
  'a stream that ends early',
  'a stream with bytes left',
  'exceptions out of order',
  'an empty column',
];

/** A block of columns in kernel memory, checked, each column ready to be decoded. */
export class ColumnSet {
  readonly #kernel: Kernel;
  readonly #exports: KernelExports;
  readonly #region: Region;
  #descriptors = 0;
  #firsts = 0;
  #planes = 0;
  #changes = 0;
  #at = 0;
  #length = 0;
  counts: Uint32Array = new Uint32Array(0);

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#exports = kernel.exports;
    this.#region = new Region(kernel);
  }

  /**
   * Takes a block in; what was loaded before is gone.
   * @param counts values of each column; `firsts` the first value of each
   * @param place in kernel memory, which has room for `loadBytes`; absent: a place of its own
   * @throws BytesError
   */
  load(block: Uint8Array | StoredColumns, counts: Uint32Array, firsts: Float64Array, place?: number): void {
    const columns = counts.length;
    for (const count of counts) {
      if (count > COLUMN_VALUES_MAX) throw new BytesError(`a column of ${count} values`);
    }
    const length = block instanceof Uint8Array ? block.length : block.rawBytes;
    const start = place ?? this.#region.ensure(loadBytes(columns, length));
    this.#descriptors = start;
    this.#firsts = start + columns * DESCRIPTOR_BYTES;
    const countsAt = this.#firsts + columns * 8;
    const at = countsAt + ((columns * 4 + 15) & ~15);
    const { u8, f64 } = this.#kernel;
    f64.set(firsts, this.#firsts / 8);
    u8.set(new Uint8Array(counts.buffer, counts.byteOffset, columns * 4), countsAt);
    if (block instanceof Uint8Array) u8.set(block, at);
    else inflateTo(block.stored, length, u8, at);
    const refused = this.#exports.coldIndex(at, length, columns, countsAt, start);
    if (refused !== 0) {
      this.counts = new Uint32Array(0);
      throw new BytesError(REASONS[refused]!);
    }
    this.counts = counts;
    this.#at = at;
    this.#length = length;
    const view = this.#kernel.view;
    const lengths = at + 3 * columns;
    this.#changes = view.getUint32(lengths + 12, true);
    this.#planes =
      lengths +
      20 +
      view.getUint32(lengths, true) +
      view.getUint32(lengths + 4, true) +
      view.getUint32(lengths + 8, true);
  }

  /** The block, inflated, where it lies in kernel memory. */
  get raw(): Uint8Array {
    return this.#kernel.u8.subarray(this.#at, this.#at + this.#length);
  }

  /** Decodes one column into kernel memory at `out`, which has room for `decodeBytes(n)`: its values from `from` to `to`, each in its place. */
  decode(column: number, out: number, scratch: number, from = 0, to = this.counts[column]!, blocks = 0): void {
    assert(column < this.counts.length, 'a column that is not there');
    this.#exports.coldDecode(
      this.#descriptors + column * DESCRIPTOR_BYTES,
      this.#firsts + column * 8,
      this.#planes,
      this.#changes,
      from,
      to,
      out,
      scratch,
      blocks,
    );
  }
}

/** Room that a block of so many bytes and columns is loaded into. */
export function loadBytes(columns: number, length: number): number {
  return columns * (DESCRIPTOR_BYTES + 12) + length + 64 + SLACK_BYTES;
}

/** Room that a column of `n` values needs to be decoded into, and as much as scratch. */
export function decodeBytes(n: number): number {
  return 8 * n + SLACK_BYTES;
}
