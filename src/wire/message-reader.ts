import { WireType } from '@bufbuild/protobuf/wire';
import { decodeLooseUtf8, decodeUtf8 } from '../lib/utf8.ts';
import { AppError } from '../model/errors.ts';
import { writeErrors } from '../model/errors-write.ts';

/** A fault of a message. */
class MessageFault extends Error {}

const TWO_32 = 2 ** 32;

/** Bytes by which the parts of a message may weigh more than it: small requests, of tests and by hand, are not judged by it. */
const WEIGHT_SLACK = 64 * 1024;

/** Groups, an old form of messages within messages, that may lie in each other. */
const GROUP_DEPTH_MAX = 32;

/**
 * Reads a protobuf message field by field. Messages within do not get past the end of the one around them, and all of them
 * together not past a number of items, nor past the weight that the bytes can carry, so that few bytes cannot become many objects.
 * 64-bit numbers are made of their words: a BigInt for each would cost more than all the rest.
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
  #weight = 0;
  /** Where the reader has been at the most. */
  #furthest = 0;
  readonly #fault: (reason: string) => AppError;
  /** Wire type of the field that `next` found. */
  wireType: WireType = WireType.Varint;

  /** @param fault what to make of a fault's text */
  constructor(bytes: Uint8Array, itemsMax: number, fault: (reason: string) => AppError) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#itemsLeft = itemsMax;
    this.#itemsMax = itemsMax;
    this.#fault = fault;
  }

  /** Reads it all with `read`. @throws what `fault` makes of a fault's text */
  static read<T>(
    bytes: Uint8Array,
    itemsMax: number,
    read: (reader: MessageReader, end: number) => T,
    fault: (reason: string) => AppError,
  ): T {
    const reader = new MessageReader(bytes, itemsMax, fault);
    return reader.named(() => read(reader, bytes.length));
  }

  /** Runs `read`, which reads from here. @throws AppError, also where it throws another error */
  named<T>(read: () => T): T {
    try {
      return read();
    } catch (thrown) {
      if (thrown instanceof AppError || !(thrown instanceof Error)) throw thrown;
      throw this.#fault(thrown.message);
    }
  }

  get position(): number {
    return this.#at;
  }

  /** Goes on from there: for a part that was passed over, to be read when it is its turn. */
  moveTo(position: number): void {
    this.#at = position;
  }

  /** The number of the next field of a message that ends at `end`, with its `wireType`; 0 behind the last one. */
  next(end: number): number {
    if (this.#at < end) {
      const tag = this.#tag();
      this.wireType = tag & 7;
      return tag >>> 3;
    }
    if (this.#at !== end) throw new MessageFault(`a field ends ${this.#at - end} bytes behind its message`);
    return 0;
  }

  /** Calls `field` for each field up to `end`; it reads the field, or gives false for one that it does not know. */
  fields(end: number, field: (number: number, wireType: WireType) => boolean): void {
    for (let number = this.next(end); number !== 0; number = this.next(end)) {
      const { wireType } = this;
      if (!field(number, wireType)) this.skip(number, wireType);
    }
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

  /** Passes over a field. */
  skip(number: number, wireType: WireType): void {
    switch (wireType) {
      case WireType.Varint:
        this.#varint();
        return;
      case WireType.Bit64:
        this.#eight();
        return;
      case WireType.Bit32:
        this.#pass(4);
        return;
      case WireType.LengthDelimited:
        this.#pass(this.#uint32());
        return;
      case WireType.StartGroup:
        this.#skipGroup(number);
        return;
      default:
        throw new MessageFault(`the end of a group ${number} that did not begin`);
    }
  }

  #pass(bytes: number): void {
    if (bytes > this.#bytes.length - this.#at) throw new MessageFault('premature EOF');
    this.#at += bytes;
  }

  #skipGroup(outermost: number): void {
    const open = [outermost];
    while (open.length > 0) {
      const tag = this.#tag();
      const number = tag >>> 3;
      if ((tag & 7) === WireType.EndGroup) {
        if (open.pop() !== number) throw new MessageFault(`the end of a group ${number} that did not begin`);
      } else if ((tag & 7) !== WireType.StartGroup) this.skip(number, tag & 7);
      else if (open.push(number) > GROUP_DEPTH_MAX) {
        throw new MessageFault(`more than ${GROUP_DEPTH_MAX} groups within each other`);
      }
    }
  }

  /**
   * The end of a message within one that ends at `end`.
   * @param weight bytes that a valid one takes at the least, without the messages within it
   */
  message(wireType: WireType, end: number, weight = 2): number {
    this.#expect(wireType, WireType.LengthDelimited);
    this.#take(weight);
    return this.#end(end);
  }

  #take(weight: number): void {
    if (this.#itemsLeft-- === 0)
      throw new MessageFault(`more than ${this.#itemsMax} series, samples, labels and so on`);
    this.weigh(weight);
  }

  /** Counts a part that is passed over. @throws writeItemsTooMany where all of them weigh more than the bytes */
  weigh(weight: number): void {
    this.#weight += weight;
    if (this.#at > this.#furthest) this.#furthest = this.#at;
    // no part of a valid message weighs more than its bytes, so no beginning of one does
    if (this.#weight > this.#furthest + WEIGHT_SLACK)
      throw writeErrors.writeItemsTooMany({ bytes: this.#bytes.length });
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

  /** The place where the next 8 bytes begin, which are passed. */
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

  /** The bytes from `from` to before `to` as text; undefined where they are not UTF-8. */
  textAt(from: number, to: number): string | undefined {
    return decodeUtf8(this.#bytes, from, to);
  }

  /** As `textAt`, with U+FFFD for what is not UTF-8. */
  looseTextAt(from: number, to: number): string {
    return decodeLooseUtf8(this.#bytes, from, to);
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

  /** Values of a repeated field, packed or not, at the end of `out`, which then holds at most `max`. */
  repeat(wireType: WireType, end: number, kind: 'uint32' | 'sint64' | 'double', out: number[], max: number): void {
    if (wireType !== WireType.LengthDelimited) {
      this.#expect(wireType, kind === 'double' ? WireType.Bit64 : WireType.Varint);
      out.push(this.#one(kind));
    } else {
      const inner = this.#end(end);
      while (this.#at < inner && out.length <= max) out.push(this.#one(kind));
      if (this.#at !== inner && out.length <= max) throw new MessageFault('a packed field that ends elsewhere');
    }
    if (out.length > max) throw new MessageFault(`more than ${max} values in a list`);
  }

  #one(kind: 'uint32' | 'sint64' | 'double'): number {
    this.#take(1);
    if (kind === 'uint32') return this.#uint32();
    return kind === 'double' ? this.#view.getFloat64(this.#eight(), true) : this.#sint64();
  }
}
