import { highWord, lowWord } from '../lib/float-bits.ts';
import type { SampleColumns } from '../storage/columns.ts';
import { BitReader, BitWriter } from './bits.ts';
import { Int64 } from './int64.ts';
import { pushSample, safeTime } from './sample-out.ts';
import { XorValue } from './xor-value.ts';

/** The count of samples in the first two bytes is the most that a chunk holds. */
export const CHUNK_SAMPLES_MAX = 0xffff;

const HEADER_BYTES = 2;
const NAME = 'XOR';

/** How wide a difference of differences of times may be, and the bits that say which. */
const DOD_BITS = [14, 17, 20] as const;

/**
 * Float samples in Prometheus' XOR encoding: the reference for the one that the kernel writes, byte for byte.
 * Source: Prometheus `tsdb/chunkenc/xor.go`.
 */
export class XorWriter {
  readonly #bits: BitWriter;
  #count = 0;
  readonly #time = new Int64();
  readonly #delta = new Int64();
  readonly #value = new XorValue();

  private constructor(bits: BitWriter) {
    this.#bits = bits;
  }

  static create(): XorWriter {
    const bits = new BitWriter();
    bits.writeBits(0, 16);
    return new XorWriter(bits);
  }

  /** Continues a chunk. @throws AppError chunk-corrupt */
  static resume(chunk: Uint8Array): XorWriter {
    const reader = new XorReader(chunk);
    while (reader.next());
    const writer = new XorWriter(BitWriter.resume(chunk, reader.bitLength));
    writer.#count = reader.count;
    writer.#time.set(reader.time);
    writer.#delta.set(reader.delta);
    Object.assign(writer.#value, reader.bits);
    return writer;
  }

  get count(): number {
    return this.#count;
  }

  get byteLength(): number {
    return this.#bits.byteLength;
  }

  /** @returns false when the chunk is full: then nothing was appended */
  append(timeMs: number, value: number): boolean {
    return this.appendBits(scratch.setNumber(timeMs), highWord(value), lowWord(value));
  }

  /** A sample of any time and any bits. */
  appendBits(time: Int64, high: number, low: number): boolean {
    const bits = this.#bits;
    switch (this.#count) {
      case 0:
        bits.writeVarint(time.high, time.low);
        this.#value.writeFirst(bits, high, low);
        break;
      case 1:
        this.#delta.setDifference(time, this.#time);
        bits.writeUvarint(this.#delta.high, this.#delta.low);
        this.#value.write(bits, high, low);
        break;
      case CHUNK_SAMPLES_MAX:
        return false;
      default:
        this.#writeTime(time);
        this.#value.write(bits, high, low);
    }
    this.#time.set(time);
    this.#count++;
    bits.setByte(0, this.#count >> 8);
    bits.setByte(1, this.#count & 0xff);
    return true;
  }

  #writeTime(time: Int64): void {
    const bits = this.#bits;
    const delta = nextDelta.setDifference(time, this.#time);
    const dod = change.setDifference(delta, this.#delta);
    this.#delta.set(delta);
    if (dod.isZero) {
      bits.writeBit(0);
      return;
    }
    for (const [i, count] of DOD_BITS.entries()) {
      if (!dod.fits(count)) continue;
      bits.writeBits((2 << (i + 1)) - 2, i + 2);
      bits.writeBits(dod.low, count);
      return;
    }
    bits.writeBits(0b1111, 4);
    bits.writeLong(dod.high, dod.low, 64);
  }

  toBytes(): Uint8Array {
    return this.#bits.toBytes();
  }
}

const scratch = new Int64();
const nextDelta = new Int64();
const change = new Int64();

/** Reads a chunk sample by sample. After `next` gave true, `time` and `bits` are those of the sample. */
export class XorReader {
  readonly count: number;
  readonly time = new Int64();
  readonly delta = new Int64();
  readonly bits = new XorValue();
  #read = 0;
  readonly #reader: BitReader;

  /** @throws AppError chunk-corrupt; so does `next` */
  constructor(chunk: Uint8Array) {
    this.#reader = new BitReader(chunk, HEADER_BYTES, NAME);
    if (chunk.length < HEADER_BYTES) this.#reader.fail('it has no header');
    this.count = (chunk[0]! << 8) | chunk[1]!;
  }

  /** Bits up to the end of the current sample. */
  get bitLength(): number {
    return this.#reader.bitPosition;
  }

  get value(): number {
    return this.bits.value;
  }

  /** Unix ms, exact within what a number holds. */
  get timeMs(): number {
    return this.time.toNumber();
  }

  next(): boolean {
    const reader = this.#reader;
    if (this.#read === this.count) return false;
    switch (this.#read++) {
      case 0:
        reader.readVarint();
        this.time.setWords(reader.high, reader.low);
        this.bits.readFirst(reader);
        return true;
      case 1:
        reader.readUvarint();
        this.delta.setWords(reader.high, reader.low);
        break;
      default:
        this.#readDelta();
    }
    this.time.setSum(this.time, this.delta);
    this.bits.read(reader);
    return true;
  }

  #readDelta(): void {
    const reader = this.#reader;
    const ones = reader.readOnes(4);
    if (ones === 0) return;
    if (ones === 4) {
      reader.readLong(64);
      change.setWords(reader.high, reader.low);
    } else change.setNumber(readCentred(reader, DOD_BITS[ones - 1]!));
    this.delta.setSum(this.delta, change);
  }
}

/** A number from −(2^(count−1) − 1) to 2^(count−1), of at most 32 bits. */
function readCentred(reader: BitReader, count: number): number {
  const value = reader.readBits(count);
  return value > 2 ** (count - 1) ? value - 2 ** count : value;
}

/** Appends all samples of a chunk. @throws AppError chunk-corrupt, also for times beyond ±2^53 ms, which no store takes in */
export function readXor(chunk: Uint8Array, out: SampleColumns): void {
  const reader = new XorReader(chunk);
  // each sample takes two bits at least
  out.reserve(out.count + Math.min(reader.count, chunk.length * 4));
  while (reader.next()) {
    pushSample(out, safeTime(reader.time, NAME), reader.bits.high, reader.bits.low);
  }
}
