import { putAscii } from '../lib/utf8.ts';
import { Labels } from './labels.ts';

// Canonical label bytes: uvarint length, name, uvarint length, value, … ascending by name. They are a series' identity.

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** Whether lengths of names and values end where the bytes do: for labels from a file, which `decodeLabels` takes as they are. */
export function labelsAreWhole(bytes: Uint8Array): boolean {
  let at = 0;
  for (let texts = 0; ; texts++) {
    if (at === bytes.length) return texts % 2 === 0;
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined || shift > 21) return false;
      length |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    at += length;
    if (at > bytes.length) return false;
  }
}

/** Reads canonical labels at [from, to) of `bytes`. */
export function decodeLabels(bytes: Uint8Array, from: number, to: number): Labels {
  return decodeWith(text, bytes, from, to);
}

const TEXTS_KEPT_MAX = 100_000;

/** Decodes the labels of many series, whose names and values are mostly the same: each is made once, and then compared quickly. */
export class LabelsDecoder {
  readonly #texts = new Map<number, string>();
  readonly #text = (bytes: Uint8Array, from: number, to: number): string => this.#kept(bytes, from, to);

  decode(bytes: Uint8Array, from: number, to: number): Labels {
    return decodeWith(this.#text, bytes, from, to);
  }

  #kept(bytes: Uint8Array, from: number, to: number): string {
    let hash = to - from;
    for (let i = from; i < to; i++) {
      const b = bytes[i]!;
      if (b >= 128) return decoder.decode(bytes.subarray(from, to));
      hash = (Math.imul(hash, 31) + b) | 0;
    }
    const known = this.#texts.get(hash);
    if (known !== undefined && isText(known, bytes, from, to)) return known;
    const made = decoder.decode(bytes.subarray(from, to));
    if (known === undefined) {
      if (this.#texts.size >= TEXTS_KEPT_MAX) this.#texts.clear();
      this.#texts.set(hash, made);
    }
    return made;
  }
}

function isText(ascii: string, bytes: Uint8Array, from: number, to: number): boolean {
  if (ascii.length !== to - from) return false;
  for (let i = from; i < to; i++) if (ascii.charCodeAt(i - from) !== bytes[i]) return false;
  return true;
}

type TextOf = (bytes: Uint8Array, from: number, to: number) => string;

function decodeWith(textOf: TextOf, bytes: Uint8Array, from: number, to: number): Labels {
  const pairs: string[] = [];
  let at = from;
  while (at < to) {
    let length = bytes[at++]!;
    if (length >= 128) {
      length &= 127;
      for (let shift = 7; ; shift += 7) {
        const b = bytes[at++]!;
        length |= (b & 127) << shift;
        if (b < 128) break;
      }
    }
    pairs.push(textOf(bytes, at, at + length));
    at += length;
  }
  // by pushing, an array has room for half as many again
  return Labels.fromSortedPairs(pairs.slice());
}

/** Short ASCII, the common case, is faster by hand than through the decoder. */
function text(bytes: Uint8Array, from: number, to: number): string {
  if (to - from <= 24) {
    let out = '';
    for (let i = from; i < to; i++) {
      const b = bytes[i]!;
      if (b >= 128) return decoder.decode(bytes.subarray(from, to));
      out += String.fromCharCode(b);
    }
    return out;
  }
  return decoder.decode(bytes.subarray(from, to));
}

export function encodeLabels({ pairs }: Labels): Uint8Array {
  return encodePairs(pairs);
}

/** Encodes one series' labels after another into the same bytes: memory of its own for each costs more than all the rest. */
export class LabelEncoder {
  readonly #bytes = new Uint8Array(4096);

  /** @param pairs as `Labels` has them. @returns only until the next call */
  encode(pairs: readonly string[]): Uint8Array {
    const bytes = this.#bytes;
    let at = 0;
    for (let i = 0; i < pairs.length; i++) {
      const text = pairs[i]!;
      if (at + 4 + text.length > bytes.length) return encodePairs(pairs);
      at = putUvarint(bytes, at, text.length);
      if (!putAscii(text, bytes, at)) return encodePairs(pairs);
      at += text.length;
    }
    return bytes.subarray(0, at);
  }
}

function encodePairs(pairs: readonly string[]): Uint8Array {
  const parts = pairs.map((part) => encoder.encode(part));
  let size = 0;
  for (const part of parts) size += part.length + uvarintLength(part.length);
  const out = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    at = putUvarint(out, at, part.length);
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** The canonical bytes of one label, or with `value` absent of its name alone. */
export function encodePair(name: string, value?: string): Uint8Array {
  const parts = value === undefined ? [encoder.encode(name)] : [encoder.encode(name), encoder.encode(value)];
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length + uvarintLength(part.length), 0));
  let at = 0;
  for (const part of parts) {
    at = putUvarint(out, at, part.length);
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function uvarintLength(n: number): number {
  return n < 0x80 ? 1 : n < 0x4000 ? 2 : n < 0x200000 ? 3 : 4;
}

function putUvarint(out: Uint8Array, at: number, n: number): number {
  let rest = n;
  let to = at;
  while (rest >= 128) {
    out[to++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  out[to++] = rest;
  return to;
}
