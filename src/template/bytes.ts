/**
 * Byte strings: text as Go holds it. Each character of one stands for one byte (0 to 255) of UTF-8, so lengths, offsets
 * and comparisons are Go's, and bytes that are not UTF-8 survive. The whole engine works on these; text is converted at
 * its edges only.
 */
export type Bytes = string;

export const runeError = 0xfffd;

/** A code point and the bytes it takes. Bytes that are not UTF-8 count one by one, as `runeError`. */
export interface Rune {
  readonly code: number;
  /** 0 only at the end of the bytes. */
  readonly width: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
/** `String.fromCharCode` takes its bytes as arguments, so in parts. */
const partLength = 8192;

export function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

export function bytesOf(text: string): Bytes {
  if (isAscii(text)) return text;
  const encoded = encoder.encode(text);
  let bytes = '';
  for (let at = 0; at < encoded.length; at += partLength) {
    bytes += String.fromCharCode(...encoded.subarray(at, at + partLength));
  }
  return bytes;
}

/** Text again; bytes that are not UTF-8 become the replacement character. */
export function textOf(bytes: Bytes): string {
  if (isAscii(bytes)) return bytes;
  const encoded = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) encoded[i] = bytes.charCodeAt(i);
  return decoder.decode(encoded);
}

export function decodeRune(bytes: Bytes, at: number): Rune {
  if (at >= bytes.length) return { code: runeError, width: 0 };
  const first = bytes.charCodeAt(at);
  if (first < 0x80) return { code: first, width: 1 };
  const width = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || at + width > bytes.length) return { code: runeError, width: 1 };
  let code = first & (0xff >> (width + 1));
  for (let i = 1; i < width; i++) {
    const next = bytes.charCodeAt(at + i);
    if ((next & 0xc0) !== 0x80) return { code: runeError, width: 1 };
    code = (code << 6) | (next & 0x3f);
  }
  const least = width === 2 ? 0x80 : width === 3 ? 0x800 : 0x10000;
  if (code < least || code > 0x10ffff || isSurrogate(code)) return { code: runeError, width: 1 };
  return { code, width };
}

/** The last code point before `end`. */
export function decodeLastRune(bytes: Bytes, end: number): Rune {
  if (end <= 0) return { code: runeError, width: 0 };
  for (let start = Math.max(0, end - 4); start < end; start++) {
    const rune = decodeRune(bytes.slice(0, end), start);
    if (start + rune.width === end && (rune.width > 1 || start === end - 1)) return rune;
  }
  return { code: runeError, width: 1 };
}

export function* runesOf(bytes: Bytes): Generator<Rune & { readonly at: number }> {
  for (let at = 0; at < bytes.length; ) {
    const rune = decodeRune(bytes, at);
    yield { ...rune, at };
    at += rune.width;
  }
}

export function runeCount(bytes: Bytes): number {
  let count = 0;
  for (let at = 0; at < bytes.length; count++) at += decodeRune(bytes, at).width;
  return count;
}

/** The bytes of a code point; of what is none, those of `runeError`. */
export function encodeRune(code: number): Bytes {
  if (code >= 0 && code < 0x80) return String.fromCharCode(code);
  if (code < 0 || code > 0x10ffff || isSurrogate(code)) return encodeRune(runeError);
  if (code < 0x800) return String.fromCharCode(0xc0 | (code >> 6), 0x80 | (code & 0x3f));
  if (code < 0x10000) {
    return String.fromCharCode(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
  }
  return String.fromCharCode(
    0xf0 | (code >> 18),
    0x80 | ((code >> 12) & 0x3f),
    0x80 | ((code >> 6) & 0x3f),
    0x80 | (code & 0x3f),
  );
}

export function isSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdfff;
}

export function isLetter(code: number): boolean {
  if (code < 0x80) return (code >= 65 && code <= 90) || (code >= 97 && code <= 122);
  return /\p{L}/u.test(String.fromCodePoint(code));
}

export function isDigit(code: number): boolean {
  if (code < 0x80) return code >= 48 && code <= 57;
  return /\p{Nd}/u.test(String.fromCodePoint(code));
}

/** As `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols, and of the spaces only the ASCII one. */
export function isPrint(code: number): boolean {
  if (code < 0x80) return code >= 0x20 && code < 0x7f;
  return !isSurrogate(code) && /[\p{L}\p{M}\p{N}\p{P}\p{S}]/u.test(String.fromCodePoint(code));
}

export function isHexDigit(code: number): boolean {
  return (code >= 48 && code <= 57) || (code >= 65 && code <= 70) || (code >= 97 && code <= 102);
}
