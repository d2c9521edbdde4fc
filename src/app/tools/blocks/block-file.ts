import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { ByteReader, BytesError } from '../../../lib/bytes.ts';
import { crc32c } from '../../../lib/crc32c.ts';
import { AppError } from '../../../model/errors.ts';

const WINDOW_BYTES = 1 << 20;
const CRC_BYTES = 4;

/** A file of a block is damaged; the message says where and how. */
export class BlockDamaged extends Error {
  constructor(file: string, at: number, reason: string) {
    super(`${file} is damaged at ${at}: ${reason}`);
  }
}

/** A chunk in an encoding of a later Prometheus: what it has cannot be taken in, which is no damage of the file. */
export class ChunkUnknown extends BlockDamaged {
  constructor(file: string, at: number, encoding: number) {
    super(file, at, '');
    this.message = `${file} has a chunk at ${at} in encoding ${encoding}, which this version does not know`;
  }
}

/** A file of a block, read through a window, so that memory does not depend on its size. */
export class BlockFile {
  readonly path: string;
  readonly bytes: number;
  readonly #fd: number;
  #window: Buffer = Buffer.alloc(0);
  #windowAt = 0;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
    this.bytes = fstatSync(fd).size;
  }

  /** @throws BlockDamaged where it does not begin with the magic number and the version */
  static open(path: string, magic: number, version: number): BlockFile {
    const file = new BlockFile(path, openSync(path, 'r'));
    try {
      const head = file.read(0, 5);
      const found = head.readUInt32BE(0);
      if (found !== magic) file.fail(0, `it begins with 0x${found.toString(16)}, not with 0x${magic.toString(16)}`);
      if (head[4] !== version) file.fail(4, `format version ${head[4]}, known is ${version}`);
      return file;
    } catch (error) {
      file.close();
      throw error;
    }
  }

  fail(at: number, reason: string): never {
    throw new BlockDamaged(this.path, at, reason);
  }

  /** Bytes that hold until the next call. @throws BlockDamaged where the file ends before */
  read(at: number, count: number): Buffer {
    if (at < 0 || count > this.bytes - at) this.fail(at, `${count} bytes are wanted, and it has ${this.bytes}`);
    if (at < this.#windowAt || at + count > this.#windowAt + this.#window.length) {
      const size = Math.min(Math.max(WINDOW_BYTES, count), this.bytes - at);
      if (this.#window.length !== size) this.#window = Buffer.alloc(size);
      this.#windowAt = at;
      for (let got = 0; got < size; ) {
        const read = readSync(this.#fd, this.#window, got, size - got, at + got);
        if (read === 0) this.fail(at + got, 'it became shorter');
        got += read;
      }
    }
    return this.#window.subarray(at - this.#windowAt, at - this.#windowAt + count);
  }

  /** As `read`, of as many bytes as there are, at most `count`. */
  readUpTo(at: number, count: number): Buffer {
    return this.read(at, Math.max(0, Math.min(count, this.bytes - at)));
  }

  /** `count` bytes, and behind them their checksum of four. @returns the bytes without the checksum @throws BlockDamaged */
  readChecked(at: number, count: number): Buffer {
    const all = this.read(at, count + CRC_BYTES);
    const body = all.subarray(0, count);
    if (crc32c(body) !== all.readUInt32BE(count)) this.fail(at, `the checksum of ${count} bytes differs`);
    return body;
  }

  /** A section: u32 bytes, so many of them, checksum. @throws BlockDamaged, also for more than `bytesMax` */
  readSection(at: number, bytesMax: number): Buffer {
    const count = this.read(at, 4).readUInt32BE(0);
    if (count > bytesMax) this.fail(at, `a section of ${count} bytes, at most ${bytesMax} are read`);
    return this.readChecked(at + 4, count);
  }

  /** Runs `parse` over bytes that begin at `at`; where they say impossible things, that is damage. */
  parse<T>(at: number, bytes: Uint8Array, parse: (from: ByteReader) => T): T {
    try {
      return parse(new ByteReader(bytes));
    } catch (error) {
      if (error instanceof BytesError) this.fail(at, error.message);
      if (error instanceof AppError && error.facts.id === 'chunk-corrupt') this.fail(at, error.message);
      throw error;
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}
