import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { crc32c } from '../../../lib/crc32c.ts';

const BUFFER_BYTES = 1 << 20;

/** A file of a block that is written from its beginning to its end, numbers in big endian. */
export class BlockOutput {
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(BUFFER_BYTES);
  #used = 0;
  #flushed = 0;
  /** Checksum so far, while one is wanted. */
  #crc: number | undefined;

  constructor(path: string) {
    this.#fd = openSync(path, 'wx');
  }

  /** Bytes written so far. */
  get at(): number {
    return this.#flushed + this.#used;
  }

  write(bytes: Uint8Array): void {
    if (this.#crc !== undefined) this.#crc = crc32c(bytes, this.#crc);
    if (this.#used + bytes.length > this.#buffer.length) this.#flush();
    if (bytes.length > this.#buffer.length) this.#writeOut(bytes);
    else {
      this.#buffer.set(bytes, this.#used);
      this.#used += bytes.length;
    }
  }

  u32(value: number): void {
    word.writeUInt32BE(value);
    this.write(word);
  }

  u64(value: number): void {
    long.writeBigUInt64BE(BigInt(value));
    this.write(long);
  }

  uvarint(value: number): void {
    let at = 0;
    let left = value;
    for (; left >= 128; left = Math.floor(left / 128)) varint[at++] = (left % 128) | 128;
    varint[at++] = left;
    this.write(varint.subarray(0, at));
  }

  /** Behind its length. */
  text(text: string): void {
    const bytes = Buffer.from(text);
    this.uvarint(bytes.length);
    this.write(bytes);
  }

  /** Zeros up to the next multiple. */
  align(multiple: number): void {
    const left = -this.at % multiple;
    if (left !== 0) this.write(Buffer.alloc(left + multiple));
  }

  /** The bytes that `body` writes, then their checksum. */
  checked(body: () => void): void {
    this.#crc = 0;
    body();
    const crc = this.#crc;
    this.#crc = undefined;
    this.u32(crc);
  }

  /** A section: the length of the bytes that `body` writes, those bytes, their checksum. */
  section(body: () => void): void {
    const at = this.at;
    this.u32(0);
    this.checked(body);
    // the length is known now, and lies in what is not written out yet or in the file; never in both
    word.writeUInt32BE(this.at - at - 8);
    if (at >= this.#flushed) this.#buffer.set(word, at - this.#flushed);
    else this.#put(word, at);
  }

  #flush(): void {
    this.#writeOut(this.#buffer.subarray(0, this.#used));
    this.#used = 0;
  }

  #writeOut(bytes: Uint8Array): void {
    this.#put(bytes, this.#flushed);
    this.#flushed += bytes.length;
  }

  #put(bytes: Uint8Array, at: number): void {
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.#fd, bytes, done, bytes.length - done, at + done);
    }
  }

  /** Everything is on disk when this returns. */
  end(): void {
    this.#flush();
    fsyncSync(this.#fd);
    closeSync(this.#fd);
  }
}

const word = Buffer.alloc(4);
const long = Buffer.alloc(8);
const varint = Buffer.alloc(10);
