import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { decodeLooseUtf8, decodeUtf8 } from '../lib/utf8.ts';
import { AppError } from '../model/errors.ts';

/** What is wrong with a message. */
class MessageFault extends Error {}

const TWO_32 = 2 ** 32;

/**
 * Reads a protobuf message field by field. Messages within do not get past the end of the one around them, and all of them
 * together not past a number of items, so that few bytes cannot become many objects. 64-bit numbers are made of their words: a
 * BigInt for each would cost more than all the rest.
 */
export class MessageReader {
  /** The words of the 64-bit number read last, signed. */
  high = 0;
  low = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  /** Where the text read last begins; it ends at `#at`. */
  #textAt = 0;
  #itemsLeft: number;
  readonly #itemsMax: number;

  constructor(bytes: Uint8Array, itemsMax: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#itemsLeft = itemsMax;
    this.#itemsMax = itemsMax;
  }

  /** Reads it all with `read`. @throws what `named` makes of a fault's text */
  static read<T>(
    bytes: Uint8Array,
    itemsMax: number,
    read: (reader: MessageReader, end: number) => T,
    named: (reason: string) => AppError,
  ): T {
    try {
      return read(new MessageReader(bytes, itemsMax), bytes.length);
    } catch (thrown) {
      if (thrown instanceof AppError || !(thrown instanceof Error)) throw thrown;
      throw named(thrown.message);
    }
  }

  get position(): number {
    return this.#at;
  }

  /** Calls `field` for each field up to `end`; it reads the field, or gives false for one that it does not know. */
  fields(end: number, field: (number: number, wireType: WireType) => boolean): void {
    while (this.#at < end) {
      const tag = this.#tag();
      if (!field(tag >>> 3, tag & 7)) this.#skip(tag >>> 3, tag & 7);
    }
    if (this.#at !== end) throw new MessageFault(`a field ends ${this.#at - end} bytes behind its message`);
  }

  #tag(): number {
    const first = this.#bytes[this.#at];
    // the fields that are known have numbers below 16
    if (first !== undefined && first < 0x80 && first >= 8 && (first & 7) <= 5) {
      this.#at++;
      return first;
    }
    this.#varint();
    const tag = this.low >>> 0;
    if (this.high !== 0 || tag < 8 || (tag & 7) > 5) throw new MessageFault(`illegal tag ${tag}`);
    return tag;
  }

  #skip(number: number, wireType: WireType): void {
    const reader = new BinaryReader(this.#bytes);
    reader.pos = this.#at;
    reader.skip(wireType, number);
    this.#at = reader.pos;
  }

  /** The end of a message within one that ends at `end`. */
  message(wireType: WireType, end: number): number {
    this.#expect(wireType, WireType.LengthDelimited);
    this.#take();
    return this.#end(end);
  }

  #take(): void {
    if (this.#itemsLeft-- === 0)
      throw new MessageFault(`more than ${this.#itemsMax} series, samples, labels and so on`);
  }

  #end(end: number): number {
    const length = this.#uint32();
    const inner = length + this.#at;
    if (inner > end) throw new MessageFault(`a part ends ${inner - end} bytes behind its message`);
    return inner;
  }

  #expect(wireType: WireType, expected: WireType): void {
    if (wireType !== expected) throw new MessageFault(`a field of wire type ${wireType} where ${expected} was due`);
  }

  /** Into `high` and `low`. */
  #varint(): void {
    const bytes = this.#bytes;
    let at = this.#at;
    let low = 0;
    let high = 0;
    for (let shift = 0; ; shift += 7) {
      if (at === bytes.length) throw new MessageFault('premature EOF');
      if (shift === 70) throw new MessageFault('invalid varint');
      const byte = bytes[at++]!;
      const part = byte & 0x7f;
      if (shift < 32) low |= part << shift;
      if (shift >= 32) high |= part << (shift - 32);
      else if (shift > 25) high |= part >>> (32 - shift);
      if (byte < 0x80) break;
    }
    this.#at = at;
    this.low = low;
    this.high = high;
  }

  #uint32(): number {
    const byte = this.#bytes[this.#at];
    if (byte !== undefined && byte < 0x80) {
      this.#at++;
      return byte;
    }
    this.#varint();
    return this.low >>> 0;
  }

  /** Of 8 bytes; where they begin. */
  #eight(): number {
    const at = this.#at;
    if (at + 8 > this.#bytes.length) throw new MessageFault('premature EOF');
    this.#at = at + 8;
    return at;
  }

  /** Text, or `undefined` where the bytes are not UTF-8: then `readText` has them with U+FFFD. */
  strictText(wireType: WireType, end: number): string | undefined {
    this.#expect(wireType, WireType.LengthDelimited);
    const inner = this.#end(end);
    this.#textAt = this.#at;
    this.#at = inner;
    return decodeUtf8(this.#bytes, this.#textAt, inner);
  }

  /** The text read last. */
  get readText(): string {
    return decodeLooseUtf8(this.#bytes, this.#textAt, this.#at);
  }

  /** With U+FFFD for what is not UTF-8. */
  text(wireType: WireType, end: number): string {
    return this.strictText(wireType, end) ?? this.readText;
  }

  uint32(wireType: WireType): number {
    this.#expect(wireType, WireType.Varint);
    return this.#uint32();
  }

  sint32(wireType: WireType): number {
    const zigzag = this.uint32(wireType);
    return (zigzag >>> 1) ^ -(zigzag & 1);
  }

  /** Not exact beyond ±2^53. */
  int64(wireType: WireType): number {
    this.#expect(wireType, WireType.Varint);
    this.#varint();
    return this.high * TWO_32 + (this.low >>> 0);
  }

  /** Not exact beyond 2^53. */
  uint64(wireType: WireType): number {
    this.#expect(wireType, WireType.Varint);
    this.#varint();
    return (this.high >>> 0) * TWO_32 + (this.low >>> 0);
  }

  #sint64(): number {
    const byte = this.#bytes[this.#at];
    if (byte !== undefined && byte < 0x80) {
      this.#at++;
      return (byte >>> 1) ^ -(byte & 1);
    }
    this.#varint();
    const sign = -(this.low & 1);
    const low = ((this.low >>> 1) | ((this.high & 1) << 31)) ^ sign;
    const high = (this.high >>> 1) ^ sign;
    return high * TWO_32 + (low >>> 0);
  }

  double(wireType: WireType): number {
    this.#expect(wireType, WireType.Bit64);
    return this.#view.getFloat64(this.#eight(), true);
  }

  /** Into `high` and `low`. */
  doubleWords(wireType: WireType): void {
    this.#expect(wireType, WireType.Bit64);
    const at = this.#eight();
    this.low = this.#view.getInt32(at, true);
    this.high = this.#view.getInt32(at + 4, true);
  }

  /** Values of a repeated field, packed or not, at the end of `out`. */
  repeat(wireType: WireType, end: number, kind: 'uint32' | 'sint64' | 'double', out: number[]): void {
    if (wireType !== WireType.LengthDelimited) {
      this.#expect(wireType, kind === 'double' ? WireType.Bit64 : WireType.Varint);
      out.push(this.#one(kind));
      return;
    }
    const inner = this.#end(end);
    while (this.#at < inner) out.push(this.#one(kind));
    if (this.#at !== inner) throw new MessageFault('a packed field that ends elsewhere');
  }

  #one(kind: 'uint32' | 'sint64' | 'double'): number {
    this.#take();
    if (kind === 'uint32') return this.#uint32();
    return kind === 'double' ? this.#view.getFloat64(this.#eight(), true) : this.#sint64();
  }
}
