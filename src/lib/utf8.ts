const encoder = new TextEncoder();
const looseDecoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** A name or a value of a label is seldom longer: up to here characters are taken one by one, which is faster than a call of the runtime. */
const SHORT = 128;

/** A copy in UTF-8, with U+FFFD for surrogates that stand alone. */
export function encodeUtf8(text: string): Uint8Array<ArrayBuffer> {
  const { length } = text;
  if (length > SHORT) return encoder.encode(text);
  const bytes = new Uint8Array(length);
  return putAscii(text, bytes, 0) ? bytes : encoder.encode(text);
}

/** Puts the text there if all of it is ASCII, and fits; what is there is undefined otherwise. */
export function putAscii(text: string, to: Uint8Array, at: number): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f) return false;
    to[at + i] = unit;
  }
  return true;
}

/** Text, or `undefined` where the bytes are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array, from: number, to: number): string | undefined {
  const text = decodeLooseUtf8(bytes, from, to);
  // what has no U+FFFD had nothing to replace; a decoder that throws would cost a hundred times more
  if (!text.includes('\ufffd')) return text;
  const back = encoder.encode(text);
  if (back.length !== to - from) return undefined;
  for (let i = 0; i < back.length; i++) if (back[i] !== bytes[from + i]) return undefined;
  return text;
}

/** With U+FFFD for what is not UTF-8. */
export function decodeLooseUtf8(bytes: Uint8Array, from: number, to: number): string {
  return shortAscii(bytes, from, to) ?? looseDecoder.decode(bytes.subarray(from, to));
}

function shortAscii(bytes: Uint8Array, from: number, to: number): string | undefined {
  const length = to - from;
  if (length > SHORT) return undefined;
  const units = new Array<number>(length);
  for (let i = 0; i < length; i++) {
    const unit = bytes[from + i]!;
    if (unit > 0x7f) return undefined;
    units[i] = unit;
  }
  return String.fromCharCode.apply(String, units);
}
