import { peerErrors } from '../../model/errors-peer.ts';

// Heads of messages (docs/formats/rpc.md): values that say what they are. Fields go by name, so that one version of the program
// may send a field that another one does not know.

const NULL = 0;
const UNDEFINED = 1;
const FALSE = 2;
const TRUE = 3;
/** uvarint */
const WHOLE = 4;
/** uvarint of −1 − value */
const NEGATIVE = 5;
/** f64 */
const DOUBLE = 6;
/** uvarint bytes · UTF-8 */
const TEXT = 7;
/** uvarint bytes · bytes */
const BYTES = 8;
/** uvarint items · the items */
const LIST = 9;
/** uvarint fields · for each: uvarint bytes · name · value */
const FIELDS = 10;
/** uvarint items · i32 or u32 each */
const INT32S = 11;
const UINT32S = 12;

/** Values within values. */
const DEPTH_MAX = 24;
const SCRATCH_BYTES = 1 << 16;
/** Above this, a text is measured before it is written. */
const SHORT_TEXT_CHARS = 40;

let scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
let at = 0;

/**
 * Encodes null, undefined, booleans, numbers, texts, bytes, 32-bit columns, arrays and plain objects. Fields that are undefined are
 * left out.
 */
export function encodeValue(value: unknown): Buffer {
  at = 0;
  put(value, 0);
  const bytes = Buffer.from(scratch.subarray(0, at));
  if (scratch.length > SCRATCH_BYTES) scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  return bytes;
}

function room(bytes: number): void {
  if (at + bytes <= scratch.length) return;
  const larger = Buffer.allocUnsafeSlow(Math.max(at + bytes, scratch.length * 2));
  scratch.copy(larger, 0, 0, at);
  scratch = larger;
}

function put(value: unknown, depth: number): void {
  room(16);
  switch (typeof value) {
    case 'undefined':
      scratch[at++] = UNDEFINED;
      return;
    case 'boolean':
      scratch[at++] = value ? TRUE : FALSE;
      return;
    case 'number':
      putNumber(value);
      return;
    case 'string':
      scratch[at++] = TEXT;
      putText(value);
      return;
    case 'object':
      if (value === null) scratch[at++] = NULL;
      else putObject(value, depth + 1);
      return;
    default:
      throw new Error(`bug: a ${typeof value} cannot be sent`);
  }
}

function putNumber(value: number): void {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
    scratch[at++] = value < 0 ? NEGATIVE : WHOLE;
    putUvarint(value < 0 ? -1 - value : value);
    return;
  }
  scratch[at++] = DOUBLE;
  at = scratch.writeDoubleLE(value, at);
}

function putObject(value: object, depth: number): void {
  if (depth > DEPTH_MAX) throw new Error(`bug: values lie within each other more than ${DEPTH_MAX} times`);
  if (Array.isArray(value)) {
    scratch[at++] = LIST;
    putUvarint(value.length);
    for (const each of value) put(each, depth);
    return;
  }
  if (value instanceof Int32Array || value instanceof Uint32Array) {
    scratch[at++] = value instanceof Int32Array ? INT32S : UINT32S;
    putUvarint(value.length);
    room(4 * value.length);
    for (const each of value) {
      scratch[at++] = each;
      scratch[at++] = each >>> 8;
      scratch[at++] = each >>> 16;
      scratch[at++] = each >>> 24;
    }
    return;
  }
  if (value instanceof Uint8Array) {
    scratch[at++] = BYTES;
    putUvarint(value.length);
    room(value.length);
    scratch.set(value, at);
    at += value.length;
    return;
  }
  if (Object.getPrototypeOf(value) !== Object.prototype)
    throw new Error(`bug: a ${value.constructor.name} cannot be sent`);
  scratch[at++] = FIELDS;
  let fields = 0;
  for (const name in value) if ((value as Record<string, unknown>)[name] !== undefined) fields++;
  putUvarint(fields);
  for (const name in value) {
    const field = (value as Record<string, unknown>)[name];
    if (field === undefined) continue;
    putText(name);
    put(field, depth);
  }
}

function putText(text: string): void {
  room(3 * Math.min(text.length, SHORT_TEXT_CHARS) + 16);
  if (text.length <= SHORT_TEXT_CHARS) {
    // at most 120 bytes: their number fits the one byte before them
    const bytes = scratch.write(text, at + 1);
    scratch[at] = bytes;
    at += 1 + bytes;
    return;
  }
  const bytes = Buffer.byteLength(text);
  putUvarint(bytes);
  room(bytes);
  at += scratch.write(text, at);
}

function putUvarint(value: number): void {
  room(10);
  let left = value;
  while (left >= 128) {
    scratch[at++] = (left % 128) | 128;
    left = Math.floor(left / 128);
  }
  scratch[at++] = left;
}

/** Reads one value. @throws peerMessageInvalid where the bytes are none, or more than one */
export function decodeValue(bytes: Uint8Array): unknown {
  const reader = new ValueReader(bytes);
  const value = reader.value(0);
  if (reader.at !== bytes.length) throw wrong('bytes behind the value');
  return value;
}

function wrong(reason: string): Error {
  return peerErrors.peerMessageInvalid({ reason });
}

class ValueReader {
  readonly #bytes: Buffer;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  value(depth: number): unknown {
    switch (this.#byte()) {
      case NULL:
        return null;
      case UNDEFINED:
        return undefined;
      case FALSE:
        return false;
      case TRUE:
        return true;
      case WHOLE:
        return this.#uvarint();
      case NEGATIVE:
        return -1 - this.#uvarint();
      case DOUBLE: {
        const from = this.#take(8);
        return this.#bytes.readDoubleLE(from);
      }
      case TEXT:
        return this.#text();
      case BYTES: {
        const length = this.#uvarint();
        const from = this.#take(length);
        return new Uint8Array(this.#bytes.subarray(from, from + length));
      }
      case INT32S:
        return new Int32Array(this.#words());
      case UINT32S:
        return new Uint32Array(this.#words());
      case LIST:
        return this.#list(depth + 1);
      case FIELDS:
        return this.#fields(depth + 1);
      default:
        throw wrong('a value of an unknown kind');
    }
  }

  #list(depth: number): unknown[] {
    const items = this.#count(depth);
    const list: unknown[] = [];
    for (let i = 0; i < items; i++) list.push(this.value(depth));
    return list;
  }

  #fields(depth: number): Record<string, unknown> {
    const fields = this.#count(depth);
    const value: Record<string, unknown> = {};
    for (let i = 0; i < fields; i++) {
      const name = this.#text();
      if (name === '__proto__') throw wrong('a field named __proto__');
      value[name] = this.value(depth);
    }
    return value;
  }

  /** Number of values that follow: each has a byte at least. */
  #count(depth: number): number {
    if (depth > DEPTH_MAX) throw wrong(`values within each other more than ${DEPTH_MAX} times`);
    const count = this.#uvarint();
    if (count > this.#bytes.length - this.at) throw wrong('a list that is longer than the message');
    return count;
  }

  #words(): ArrayBuffer {
    const length = 4 * this.#uvarint();
    const from = this.#take(length);
    const words = new ArrayBuffer(length);
    new Uint8Array(words).set(this.#bytes.subarray(from, from + length));
    return words;
  }

  #text(): string {
    const length = this.#uvarint();
    const from = this.#take(length);
    return this.#bytes.toString('utf8', from, from + length);
  }

  #byte(): number {
    const byte = this.#bytes[this.at++];
    if (byte === undefined) throw wrong('it ends within a value');
    return byte;
  }

  #take(length: number): number {
    const from = this.at;
    if (length > this.#bytes.length - from) throw wrong('it ends within a value');
    this.at += length;
    return from;
  }

  #uvarint(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.#byte();
      value += (byte & 127) * factor;
      if (byte < 128) break;
      if (factor > 2 ** 42) throw wrong('a number that is too large');
    }
    if (!Number.isSafeInteger(value)) throw wrong('a number that is too large');
    return value;
  }
}
