import { BytesError } from '../../../lib/bytes.ts';
import { BlockFile } from './block-file.ts';

export const INDEX_MAGIC = 0xbaaad700;
export const INDEX_VERSION = 2;
export const INDEX_HEAD_BYTES = 5;
/** Six offsets; the checksum comes behind. */
export const TOC_BYTES = 48;
export const SERIES_ALIGNED = 16;

/** Symbols are held in memory. */
const SYMBOLS_BYTES_MAX = 1 << 30;
const SERIES_BYTES_MAX = 1 << 26;
const UVARINT_BYTES_MAX = 10;

/** A series of a block, and where its chunks lie. */
export interface BlockSeries {
  /** The number by which tombstones name it. */
  readonly id: number;
  /** Where its entry begins. */
  readonly at: number;
  /** name, value, … as they stand. */
  readonly pairs: readonly string[];
  readonly chunks: readonly ChunkPlace[];
}

export interface ChunkPlace {
  readonly minMs: number;
  /** Included. */
  readonly maxMs: number;
  /** Index of the file among those of the block. */
  readonly segment: number;
  readonly offset: number;
}

/** The index of a block, read from its first series to the last: what finds series by label is not looked at. */
export class BlockIndex {
  readonly #file: BlockFile;
  readonly #symbols: Symbols;
  readonly #from: number;
  readonly #to: number;

  private constructor(file: BlockFile, symbols: Symbols, from: number, to: number) {
    this.#file = file;
    this.#symbols = symbols;
    this.#from = from;
    this.#to = to;
  }

  /** @throws BlockDamaged */
  static open(path: string): BlockIndex {
    const file = BlockFile.open(path, INDEX_MAGIC, INDEX_VERSION);
    try {
      const tocAt = file.bytes - TOC_BYTES - 4;
      const toc = file.readChecked(tocAt, TOC_BYTES);
      const offsets = Array.from({ length: 6 }, (_, i) => Number(toc.readBigUInt64BE(8 * i)));
      const [symbolsAt, seriesAt] = offsets as [number, number];
      if (offsets.some((offset) => offset > tocAt)) file.fail(tocAt, 'the table of contents points behind itself');
      const symbols = Symbols.read(file, symbolsAt);
      // sections are in the order of the table, and what is not there is 0
      const seriesTo = Math.min(tocAt, ...offsets.filter((offset) => offset > seriesAt));
      return new BlockIndex(file, symbols, seriesAt, seriesAt === 0 ? 0 : seriesTo);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** All series in their order. @throws BlockDamaged */
  *series(): Generator<BlockSeries> {
    const file = this.#file;
    for (let at = aligned(this.#from); at < this.#to; ) {
      const head = file.readUpTo(at, UVARINT_BYTES_MAX);
      const { bytes, size } = file.parse(at, head, (from) => ({ bytes: from.uvarint(), size: from.at }));
      if (bytes > SERIES_BYTES_MAX) file.fail(at, `a series of ${bytes} bytes, at most ${SERIES_BYTES_MAX} are read`);
      if (bytes === 0) {
        // what fills up to the next section
        at += SERIES_ALIGNED;
        continue;
      }
      yield this.#entry(at, file.readChecked(at + size, bytes));
      at = aligned(at + size + bytes + 4);
    }
  }

  #entry(at: number, bytes: Uint8Array): BlockSeries {
    return this.#file.parse(at, bytes, (from) => {
      const pairs: string[] = [];
      for (let left = from.count(2); left > 0; left--) {
        pairs.push(this.#symbols.at(from.uvarint()), this.#symbols.at(from.uvarint()));
      }
      const chunks: ChunkPlace[] = [];
      let maxMs = 0;
      let ref = 0;
      for (let left = from.count(3); left > 0; left--) {
        const minMs = chunks.length === 0 ? from.varint() : maxMs + from.uvarint();
        maxMs = minMs + from.uvarint();
        ref += chunks.length === 0 ? from.uvarint() : from.varint();
        chunks.push({ minMs, maxMs, segment: Math.floor(ref / 2 ** 32), offset: ref >>> 0 });
      }
      from.end();
      return { id: at / SERIES_ALIGNED, at, pairs, chunks };
    });
  }

  fail({ at }: BlockSeries, reason: string): never {
    this.#file.fail(at, reason);
  }

  close(): void {
    this.#file.close();
  }
}

/** The strings of an index, by number; each is made when it is asked for, once. */
class Symbols {
  readonly #bytes: Uint8Array;
  /** Where the length of each begins. */
  readonly #starts: Uint32Array;
  readonly #texts: (string | undefined)[] = [];
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

  private constructor(bytes: Uint8Array, starts: Uint32Array) {
    this.#bytes = bytes;
    this.#starts = starts;
  }

  static read(file: BlockFile, at: number): Symbols {
    const section = Buffer.from(file.readSection(at, SYMBOLS_BYTES_MAX));
    return file.parse(at, section, (from) => {
      const count = from.left < 4 ? 0 : section.readUInt32BE(0);
      from.take(4);
      if (count > from.left) throw new BytesError(`${count} symbols in ${from.left} bytes`);
      const starts = new Uint32Array(count);
      for (let i = 0; i < count; i++) {
        starts[i] = from.at;
        from.take(from.count(1));
      }
      from.end();
      return new Symbols(section, starts);
    });
  }

  /** @throws BytesError */
  at(index: number): string {
    const known = this.#texts[index];
    if (known !== undefined) return known;
    const start = this.#starts[index];
    if (start === undefined) throw new BytesError(`symbol ${index} of ${this.#starts.length}`);
    let at = start;
    let length = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#bytes[at++]!;
      length += (byte & 127) * scale;
      if (byte < 128) break;
    }
    let text: string;
    try {
      text = this.#decoder.decode(this.#bytes.subarray(at, at + length));
    } catch {
      throw new BytesError(`symbol ${index} is no UTF-8`);
    }
    this.#texts[index] = text;
    return text;
  }
}

function aligned(at: number): number {
  return Math.ceil(at / SERIES_ALIGNED) * SERIES_ALIGNED;
}
