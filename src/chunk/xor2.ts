import { highWord, isStale, lowWord, STALE_HIGH, STALE_LOW } from '../lib/float-bits.ts';
import type { SampleColumns } from '../storage/columns.ts';
import { BitReader, BitWriter, leadingZeros, trailingZeros } from './bits.ts';
import { Int64 } from './int64.ts';
import { pushSample, safeTime } from './sample-out.ts';
import { FIRST_START, START_SINCE_MAX, StartReader } from './start-reader.ts';
import { writeVarbit } from './varbit.ts';
import { CHUNK_SAMPLES_MAX } from './xor.ts';
import { NO_WINDOW, XorValue } from './xor-value.ts';

const NAME = 'XOR2';

/** Two bytes of count and one of start timestamps. */
const HEADER_BYTES = 3;
const START_HEADER = 2;

/** Zeros that fit five bits. */
const LEADING_MAX = 31;

/**
 * Float samples in Prometheus' XOR2 encoding: one prefix says what became of time and value both, stale markers take no value, and
 * start timestamps may follow each sample.
 * Source: Prometheus `tsdb/chunkenc/xor2.go`.
 */
export class Xor2Writer {
  readonly #bits: BitWriter;
  #count = 0;
  readonly #time = new Int64();
  readonly #delta = new Int64();
  /** The last value that was no stale marker. */
  readonly #value = new XorValue();
  readonly #start = new Int64();
  /** The last sample's time before, less its start. */
  readonly #startDifference = new Int64();
  #startSince = 0;

  private constructor(bits: BitWriter) {
    this.#bits = bits;
  }

  static create(): Xor2Writer {
    const bits = new BitWriter();
    bits.writeBits(0, 24);
    return new Xor2Writer(bits);
  }

  /** Continues a chunk. @throws AppError chunk-corrupt */
  static resume(chunk: Uint8Array): Xor2Writer {
    const reader = new Xor2Reader(chunk);
    while (reader.next());
    const writer = new Xor2Writer(BitWriter.resume(chunk, reader.bitLength));
    writer.#count = reader.count;
    writer.#time.set(reader.time);
    writer.#delta.set(reader.delta);
    writer.#start.set(reader.starts.start);
    writer.#startDifference.set(reader.starts.difference);
    writer.#startSince = reader.starts.since;
    Object.assign(writer.#value, reader.baseline);
    return writer;
  }

  get count(): number {
    return this.#count;
  }

  get byteLength(): number {
    return this.#bits.byteLength;
  }

  /** @param startMs 0 where unknown. @returns false when the chunk is full: then nothing was appended */
  append(timeMs: number, value: number, startMs = 0): boolean {
    return this.appendBits(givenTime.setNumber(timeMs), highWord(value), lowWord(value), givenStart.setNumber(startMs));
  }

  /** A sample of any time, any bits and any start. */
  appendBits(time: Int64, high: number, low: number, start: Int64): boolean {
    const bits = this.#bits;
    switch (this.#count) {
      case 0:
        bits.writeVarint(time.high, time.low);
        bits.writeLong(high, low, 64);
        if (!start.isZero) {
          const difference = change.setDifference(time, start);
          bits.writeVarint(difference.high, difference.low);
          bits.setByte(START_HEADER, FIRST_START);
        }
        break;
      case 1:
        this.#delta.setDifference(time, this.#time);
        bits.writeUvarint(this.#delta.high, this.#delta.low);
        this.#writeValue(high, low);
        if (!start.equals(this.#start)) this.#beginStarts(start);
        break;
      case CHUNK_SAMPLES_MAX:
        return false;
      default:
        this.#writeTimeAndValue(time, high, low);
        if (this.#startSince > 0) this.#writeStart(start);
        else if (!start.equals(this.#start) || this.#count === START_SINCE_MAX) this.#beginStarts(start);
    }
    // XOR is to the last value that was none of these
    if (!isStale(high, low)) this.#value.set(high, low);
    this.#start.set(start);
    this.#time.set(time);
    this.#count++;
    bits.setByte(0, this.#count >> 8);
    bits.setByte(1, this.#count & 0xff);
    return true;
  }

  #beginStarts(start: Int64): void {
    this.#startSince = this.#count;
    this.#bits.setByte(START_HEADER, this.#bits.byteAt(START_HEADER) | this.#count);
    writeVarbit(this.#bits, this.#startDifference.setDifference(this.#time, start));
  }

  #writeStart(start: Int64): void {
    const difference = nextDelta.setDifference(this.#time, start);
    writeVarbit(this.#bits, change.setDifference(difference, this.#startDifference));
    this.#startDifference.set(difference);
  }

  #writeTimeAndValue(time: Int64, high: number, low: number): void {
    const bits = this.#bits;
    const delta = nextDelta.setDifference(time, this.#time);
    const dod = change.setDifference(delta, this.#delta);
    this.#delta.set(delta);
    if (dod.isZero) {
      if (isStale(high, low)) bits.writeBits(0b11111, 5);
      else if (high === this.#value.high && low === this.#value.low) bits.writeBit(0);
      else {
        bits.writeBits(0b10, 2);
        this.#writeChange(high, low, 0, 1);
      }
      return;
    }
    if (withinTwosComplement(dod, 13)) {
      bits.writeBits(0b110, 3);
      bits.writeBits(dod.low, 13);
    } else if (withinTwosComplement(dod, 20)) {
      bits.writeBits(0b1110, 4);
      bits.writeBits(dod.low, 20);
    } else {
      bits.writeBits(0b11110, 5);
      bits.writeLong(dod.high, dod.low, 64);
    }
    this.#writeValue(high, low);
  }

  /** Where the prefix does not say what became of the value. */
  #writeValue(high: number, low: number): void {
    if (isStale(high, low)) this.#bits.writeBits(0b111, 3);
    else if (high === this.#value.high && low === this.#value.low) this.#bits.writeBit(0);
    else this.#writeChange(high, low, 0b10, 2);
  }

  /**
   * @param reuse bits that say that the last window is used again; a new one has `reuse` + 1, and with two bits a 0 behind it
   * @param reuseBits how many these are
   */
  #writeChange(high: number, low: number, reuse: number, reuseBits: 1 | 2): void {
    const bits = this.#bits;
    const window = this.#value;
    const changedHigh = high ^ window.high;
    const changedLow = low ^ window.low;
    const leading = Math.min(leadingZeros(changedHigh, changedLow), LEADING_MAX);
    const trailing = trailingZeros(changedHigh, changedLow);
    if (window.leading !== NO_WINDOW && leading >= window.leading && trailing >= window.trailing) {
      bits.writeBits(reuse, reuseBits);
      window.writeSignificant(bits, changedHigh, changedLow);
      return;
    }
    bits.writeBits(reuseBits === 2 ? 0b110 : 1, reuseBits === 2 ? 3 : 1);
    window.leading = leading;
    window.trailing = trailing;
    window.writeWindow(bits, changedHigh, changedLow);
  }

  toBytes(): Uint8Array {
    return this.#bits.toBytes();
  }
}

const givenTime = new Int64();
const givenStart = new Int64();
const nextDelta = new Int64();
const change = new Int64();

/** From −2^(bits−1) to 2^(bits−1) − 1: unlike the other encodings. */
function withinTwosComplement(value: Int64, bits: number): boolean {
  const { high, low } = value;
  return high === low >> 31 && low >= -(2 ** (bits - 1)) && low < 2 ** (bits - 1);
}

/** Reads a chunk sample by sample. After `next` gave true, `time`, `bits` and `starts.start` are those of the sample. */
export class Xor2Reader {
  readonly count: number;
  readonly time = new Int64();
  readonly delta = new Int64();
  /** The sample's value. */
  readonly bits = new XorValue();
  /** The last value that was no stale marker, and the window. */
  readonly baseline = new XorValue();
  readonly starts: StartReader;
  readonly #reader: BitReader;
  #read = 0;

  /** @throws AppError chunk-corrupt; so does `next` */
  constructor(chunk: Uint8Array) {
    this.#reader = new BitReader(chunk, HEADER_BYTES, NAME);
    if (chunk.length < HEADER_BYTES) this.#reader.fail('it has no header');
    this.count = (chunk[0]! << 8) | chunk[1]!;
    this.starts = new StartReader(chunk[START_HEADER]!);
  }

  get bitLength(): number {
    return this.#reader.bitPosition;
  }

  get value(): number {
    return this.bits.value;
  }

  get timeMs(): number {
    return this.time.toNumber();
  }

  next(): boolean {
    if (this.#read === this.count) return false;
    const reader = this.#reader;
    const before = previous.set(this.time);
    const at = this.#read++;
    if (at === 0) {
      reader.readVarint();
      this.time.setWords(reader.high, reader.low);
      this.bits.readFirst(reader);
      if (!this.bits.isStale) this.baseline.set(this.bits.high, this.bits.low);
      this.starts.readFirst(reader, this.time);
      return true;
    }
    if (at === 1) {
      reader.readUvarint();
      this.delta.setWords(reader.high, reader.low);
      this.#readValue();
    } else this.#readTimeAndValue();
    this.time.setSum(this.time, this.delta);
    this.starts.read(reader, at, before);
    return true;
  }

  #readTimeAndValue(): void {
    const reader = this.#reader;
    switch (reader.readOnes(4)) {
      case 0:
        this.#keepValue();
        return;
      case 1:
        this.#readChange();
        return;
      case 2:
        change.setNumber((reader.readBits(13) << 19) >> 19);
        break;
      case 3:
        change.setNumber((reader.readBits(20) << 12) >> 12);
        break;
      default:
        if (reader.readBit() === 1) {
          this.bits.set(STALE_HIGH, STALE_LOW);
          return;
        }
        reader.readLong(64);
        change.setWords(reader.high, reader.low);
    }
    this.delta.setSum(this.delta, change);
    this.#readValue();
  }

  #readValue(): void {
    const reader = this.#reader;
    switch (reader.readOnes(3)) {
      case 0:
        this.#keepValue();
        return;
      case 1:
        this.#readWithin();
        return;
      case 2:
        this.baseline.readWindow(reader);
        this.#readWithin();
        return;
      default:
        this.bits.set(STALE_HIGH, STALE_LOW);
    }
  }

  #readChange(): void {
    if (this.#reader.readBit() === 1) this.baseline.readWindow(this.#reader);
    this.#readWithin();
  }

  #readWithin(): void {
    this.baseline.readSignificant(this.#reader);
    this.#keepValue();
  }

  #keepValue(): void {
    this.bits.set(this.baseline.high, this.baseline.low);
  }
}

const previous = new Int64();

/** Appends all samples of a chunk. @throws AppError chunk-corrupt, also for times beyond ±2^53 ms, which no store takes in */
export function readXor2(chunk: Uint8Array, out: SampleColumns): void {
  const reader = new Xor2Reader(chunk);
  // each sample takes one bit at least
  out.reserve(out.count + Math.min(reader.count, chunk.length * 8));
  const { start } = reader.starts;
  while (reader.next()) {
    pushSample(out, safeTime(reader.time, NAME), reader.bits.high, reader.bits.low);
    if (!start.isZero) out.setStart(safeTime(start, NAME));
  }
}
