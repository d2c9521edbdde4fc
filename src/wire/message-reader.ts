import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { AppError } from '../model/errors.ts';

const strictText = new TextDecoder('utf-8', { fatal: true });
const anyText = new TextDecoder();

/** What is wrong with a message. */
class MessageFault extends Error {}

/**
 * Reads a protobuf message field by field. Messages within do not get past the end of the one around them, and all of them
 * together not past a number of items, so that few bytes cannot become many objects.
 */
export class MessageReader {
  /** The words of the 64-bit number read last. */
  high = 0;
  low = 0;
  readonly #reader: BinaryReader;
  #itemsLeft: number;
  readonly #itemsMax: number;

  constructor(bytes: Uint8Array, itemsMax: number) {
    this.#reader = new BinaryReader(bytes);
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
    return this.#reader.pos;
  }

  /** Calls `field` for each field up to `end`; it reads the field, or gives false for one that it does not know. */
  fields(end: number, field: (number: number, wireType: WireType) => boolean): void {
    const reader = this.#reader;
    while (reader.pos < end) {
      const [number, wireType] = reader.tag();
      if (!field(number, wireType)) reader.skip(wireType, number);
    }
    if (reader.pos !== end) throw new MessageFault(`a field ends ${reader.pos - end} bytes behind its message`);
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
    const inner = this.#reader.uint32() + this.#reader.pos;
    if (inner > end) throw new MessageFault(`a part ends ${inner - end} bytes behind its message`);
    return inner;
  }

  #expect(wireType: WireType, expected: WireType): void {
    if (wireType !== expected) throw new MessageFault(`a field of wire type ${wireType} where ${expected} was due`);
  }

  bytes(wireType: WireType, end: number): Uint8Array {
    this.#expect(wireType, WireType.LengthDelimited);
    const start = this.#reader.pos;
    const inner = this.#end(end);
    this.#reader.pos = start;
    const bytes = this.#reader.bytes();
    if (this.#reader.pos !== inner) throw new MessageFault('a part that ends elsewhere');
    return bytes;
  }

  uint32(wireType: WireType): number {
    this.#expect(wireType, WireType.Varint);
    return this.#reader.uint32();
  }

  sint32(wireType: WireType): number {
    this.#expect(wireType, WireType.Varint);
    return this.#reader.sint32();
  }

  /** Not exact beyond ±2^53. */
  int64(wireType: WireType): number {
    this.#expect(wireType, WireType.Varint);
    return Number(this.#reader.int64());
  }

  uint64(wireType: WireType): number {
    this.#expect(wireType, WireType.Varint);
    return Number(this.#reader.uint64());
  }

  double(wireType: WireType): number {
    this.#expect(wireType, WireType.Bit64);
    return this.#reader.double();
  }

  /** Into `high` and `low`. */
  doubleWords(wireType: WireType): void {
    this.#expect(wireType, WireType.Bit64);
    this.low = this.#reader.fixed32() | 0;
    this.high = this.#reader.fixed32() | 0;
  }

  /** Values of a repeated field, packed or not, at the end of `out`. */
  repeat(wireType: WireType, end: number, kind: 'uint32' | 'sint64' | 'double', out: number[]): void {
    if (wireType !== WireType.LengthDelimited) {
      this.#expect(wireType, kind === 'double' ? WireType.Bit64 : WireType.Varint);
      out.push(this.#one(kind));
      return;
    }
    const inner = this.#end(end);
    while (this.#reader.pos < inner) out.push(this.#one(kind));
    if (this.#reader.pos !== inner) throw new MessageFault('a packed field that ends elsewhere');
  }

  #one(kind: 'uint32' | 'sint64' | 'double'): number {
    this.#take();
    if (kind === 'uint32') return this.#reader.uint32();
    return kind === 'double' ? this.#reader.double() : Number(this.#reader.sint64());
  }
}

/** Text, or `undefined` where the bytes are not UTF-8. */
export function utf8(bytes: Uint8Array): string | undefined {
  try {
    return strictText.decode(bytes);
  } catch {
    return undefined;
  }
}

/** With U+FFFD for what is not UTF-8. */
export function looseUtf8(bytes: Uint8Array): string {
  return anyText.decode(bytes);
}
