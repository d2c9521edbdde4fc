import { storeErrors } from '../model/errors-store.ts';

/** Appends bits, highest first, to bytes that grow. Source: Prometheus `tsdb/chunkenc/bstream.go`. */
export class BitWriter {
  #bytes: Uint8Array;
  /** Bits written. */
  #bits = 0;

  constructor(capacity = 128) {
    this.#bytes = new Uint8Array(capacity);
  }

  /** Continues after `bitLength` bits of `bytes`, which are copied. */
  static resume(bytes: Uint8Array, bitLength: number): BitWriter {
    const writer = new BitWriter(Math.max(128, bytes.length * 2));
    writer.#bytes.set(bytes.subarray(0, (bitLength + 7) >> 3));
    writer.#bits = bitLength;
    return writer;
  }

  get byteLength(): number {
    return (this.#bits + 7) >> 3;
  }

  get bitLength(): number {
    return this.#bits;
  }

  writeBit(bit: 0 | 1): void {
    this.#reserve(1);
    if (bit === 1) this.#bytes[this.#bits >> 3]! |= 0x80 >> (this.#bits & 7);
    this.#bits++;
  }

  /** The lower `count` bits of `value`; at most 32. */
  writeBits(value: number, count: number): void {
    this.#reserve(count);
    const used = this.#bits & 7;
    if (used + count <= 8) {
      this.#bytes[this.#bits >> 3]! |= (value & ((1 << count) - 1)) << (8 - used - count);
      this.#bits += count;
      return;
    }
    let left = count;
    while (left > 0) {
      const free = 8 - (this.#bits & 7);
      const take = Math.min(left, free);
      const part = (value >>> (left - take)) & ((1 << take) - 1);
      this.#bytes[this.#bits >> 3]! |= part << (free - take);
      this.#bits += take;
      left -= take;
    }
  }

  /** The lower `count` bits of a 64-bit number; at most 64. */
  writeLong(high: number, low: number, count: number): void {
    if (count > 32) this.writeBits(high, count - 32);
    this.writeBits(low, Math.min(count, 32));
  }

  /** Base 128, lowest group first. */
  writeUvarint(high: number, low: number): void {
    let upper = high >>> 0;
    let lower = low >>> 0;
    while (upper !== 0 || lower > 0x7f) {
      this.writeBits((lower & 0x7f) | 0x80, 8);
      lower = ((lower >>> 7) | (upper << 25)) >>> 0;
      upper >>>= 7;
    }
    this.writeBits(lower, 8);
  }

  /** Signed: 0, −1, 1, −2, … as 0, 1, 2, 3, … */
  writeVarint(high: number, low: number): void {
    const sign = high >> 31;
    this.writeUvarint(((high << 1) | (low >>> 31)) ^ sign, (low << 1) ^ sign);
  }

  byteAt(at: number): number {
    return this.#bytes[at]!;
  }

  /** Changes a byte written before. */
  setByte(at: number, byte: number): void {
    this.#bytes[at] = byte;
  }

  /** A copy. */
  toBytes(): Uint8Array {
    return this.#bytes.slice(0, this.byteLength);
  }

  #reserve(bits: number): void {
    const bytes = (this.#bits + bits + 7) >> 3;
    if (bytes <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(bytes, this.#bytes.length * 2));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}

/** Reads what `BitWriter` wrote. Every read past the end is the error of a damaged chunk. */
export class BitReader {
  /** The words of the 64-bit number read last, signed. */
  high = 0;
  low = 0;
  readonly #bytes: Uint8Array;
  readonly #encoding: string;
  readonly #end: number;
  #bit: number;

  /** @param start byte to begin at */
  constructor(bytes: Uint8Array, start: number, encoding: string) {
    this.#bytes = bytes;
    this.#encoding = encoding;
    this.#bit = start * 8;
    this.#end = bytes.length * 8;
  }

  /** Bits read, those before `start` included. */
  get bitPosition(): number {
    return this.#bit;
  }

  get bitsLeft(): number {
    return this.#end - this.#bit;
  }

  readBit(): number {
    if (this.#bit >= this.#end) this.#fail();
    const bit = (this.#bytes[this.#bit >> 3]! >> (7 - (this.#bit & 7))) & 1;
    this.#bit++;
    return bit;
  }

  /** Counts the ones in front of a zero, which is read too; but at most `max` bits are read. */
  readOnes(max: number): number {
    const at = this.#bit >> 3;
    if (max <= 8 && at + 1 < this.#bytes.length) {
      // the next 8 bits, at the top of a word
      const next = ((this.#bytes[at]! << 8) | this.#bytes[at + 1]!) << (16 + (this.#bit & 7));
      const ones = Math.min(max, Math.clz32(~next));
      this.#bit += ones < max ? ones + 1 : ones;
      return ones;
    }
    let ones = 0;
    while (ones < max && this.readBit() === 1) ones++;
    return ones;
  }

  /** At most 32 bits, unsigned. */
  readBits(count: number): number {
    if (this.#bit + count > this.#end) this.#fail();
    const used = this.#bit & 7;
    if (used + count <= 8) {
      const part = (this.#bytes[this.#bit >> 3]! >> (8 - used - count)) & ((1 << count) - 1);
      this.#bit += count;
      return part;
    }
    let value = 0;
    let left = count;
    while (left > 0) {
      const available = 8 - (this.#bit & 7);
      const take = Math.min(left, available);
      const part = (this.#bytes[this.#bit >> 3]! >> (available - take)) & ((1 << take) - 1);
      value = (value << take) | part;
      this.#bit += take;
      left -= take;
    }
    return value >>> 0;
  }

  /** At most 64 bits, unsigned, into `high` and `low`. */
  readLong(count: number): void {
    this.high = count > 32 ? this.readBits(count - 32) | 0 : 0;
    this.low = this.readBits(Math.min(count, 32)) | 0;
  }

  /** Into `high` and `low`. */
  readUvarint(): void {
    let high = 0;
    let low = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.readBits(8);
      const part = byte & 0x7f;
      if (shift === 63 && byte > 1) this.fail('a varint is longer than 64 bits');
      if (shift < 32) low |= part << shift;
      if (shift >= 32) high |= part << (shift - 32);
      else if (shift > 25) high |= part >>> (32 - shift);
      if (byte < 0x80) break;
    }
    this.high = high;
    this.low = low;
  }

  /** Into `high` and `low`. */
  readVarint(): void {
    this.readUvarint();
    const { high, low } = this;
    const sign = -(low & 1);
    this.low = ((low >>> 1) | (high << 31)) ^ sign;
    this.high = (high >>> 1) ^ sign;
  }

  fail(reason: string): never {
    throw storeErrors.chunkCorrupt({ encoding: this.#encoding, reason });
  }

  #fail(): never {
    this.fail(`it ends after ${this.#bytes.length} bytes, in the middle of a sample`);
  }
}

/** The number of leading zero bits of a 64-bit number that is not 0. */
export function leadingZeros(high: number, low: number): number {
  return high !== 0 ? Math.clz32(high) : 32 + Math.clz32(low);
}

export function trailingZeros(high: number, low: number): number {
  return low !== 0 ? 31 - Math.clz32(low & -low) : 63 - Math.clz32(high & -high);
}
