import { type Bytes, decodeRune, encodeRune, isHexDigit, isPrint, isSurrogate, runeError, runesOf } from './bytes.ts';

/** Go's string and character literals, as its `strconv` writes and reads them. */

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
};
const ESCAPED = new Map(Object.entries(ESCAPES).map(([letter, character]) => [character.charCodeAt(0), `\\${letter}`]));

export const syntaxError = 'invalid syntax';

export function quote(bytes: Bytes, asciiOnly = false): Bytes {
  let quoted = '"';
  for (const { code, width, at } of runesOf(bytes)) {
    quoted +=
      width === 1 && code === runeError ? `\\x${hex(bytes.charCodeAt(at), 2)}` : escapeRune(code, '"', asciiOnly);
  }
  return `${quoted}"`;
}

export function quoteRune(code: number, asciiOnly = false): Bytes {
  const valid = code >= 0 && code <= 0x10ffff && !isSurrogate(code);
  return `'${escapeRune(valid ? code : runeError, "'", asciiOnly)}'`;
}

/** Whether a raw literal, in back quotes, can hold these bytes on one line. */
export function canBackquote(bytes: Bytes): boolean {
  for (const { code, width } of runesOf(bytes)) {
    if (width > 1) {
      if (code === 0xfeff) return false;
    } else if (code === runeError || (code < 0x20 && code !== 9) || code === 0x60 || code === 0x7f) return false;
  }
  return true;
}

function escapeRune(code: number, quotation: string, asciiOnly: boolean): Bytes {
  if (code === quotation.charCodeAt(0) || code === 0x5c) return `\\${String.fromCharCode(code)}`;
  if (isPrint(code) && (!asciiOnly || code < 0x80)) return encodeRune(code);
  const short = ESCAPED.get(code);
  if (short !== undefined) return short;
  if (code < 0x20 || code === 0x7f) return `\\x${hex(code, 2)}`;
  return code < 0x10000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
}

function hex(value: number, width: number): string {
  return value.toString(16).padStart(width, '0');
}

/** The bytes that a literal in double or back quotes stands for; undefined where it is no such literal. */
export function unquote(literal: Bytes): Bytes | undefined {
  if (literal.length < 2) return undefined;
  const quotation = literal[0]!;
  if (quotation !== literal.at(-1)) return undefined;
  const body = literal.slice(1, -1);
  if (quotation === '`') return body.includes('`') ? undefined : body.replaceAll('\r', '');
  if (quotation !== '"' || body.includes('\n')) return undefined;
  let bytes = '';
  for (let rest = body; rest !== ''; ) {
    const character = unquoteCharacter(rest, quotation);
    if (character === undefined) return undefined;
    bytes += character.isByte ? String.fromCharCode(character.code) : encodeRune(character.code);
    rest = character.rest;
  }
  return bytes;
}

export interface Character {
  readonly code: number;
  /** A byte by its number, which need not be UTF-8. */
  readonly isByte: boolean;
  readonly rest: Bytes;
}

/** The first character of a literal's body; undefined where that breaks off, is wrong or is the quotation mark. */
export function unquoteCharacter(body: Bytes, quotation: string): Character | undefined {
  const first = body[0];
  if (first === undefined || first === quotation) return undefined;
  if (first !== '\\') {
    const { code, width } = decodeRune(body, 0);
    const raw = width === 1 && code === runeError;
    return { code: raw ? body.charCodeAt(0) : code, isByte: raw, rest: body.slice(width) };
  }
  const letter = body[1];
  if (letter === undefined) return undefined;
  const rest = body.slice(2);
  const short = ESCAPES[letter];
  if (short !== undefined && Object.hasOwn(ESCAPES, letter)) return { code: short.charCodeAt(0), isByte: false, rest };
  if (letter === 'x' || letter === 'u' || letter === 'U') {
    const digits = letter === 'x' ? 2 : letter === 'u' ? 4 : 8;
    const code = numberOf(rest.slice(0, digits), digits, 16);
    if (code === undefined) return undefined;
    if (letter !== 'x' && (code > 0x10ffff || isSurrogate(code))) return undefined;
    return { code, isByte: letter === 'x', rest: rest.slice(digits) };
  }
  if (letter >= '0' && letter <= '7') {
    const code = numberOf(body.slice(1, 4), 3, 8);
    return code === undefined || code > 255 ? undefined : { code, isByte: true, rest: body.slice(4) };
  }
  if ((letter === "'" || letter === '"') && letter === quotation) {
    return { code: letter.charCodeAt(0), isByte: false, rest };
  }
  return undefined;
}

function numberOf(digits: Bytes, length: number, base: 8 | 16): number | undefined {
  if (digits.length !== length) return undefined;
  for (let i = 0; i < length; i++) {
    const code = digits.charCodeAt(i);
    if (base === 16 ? !isHexDigit(code) : code < 48 || code > 55) return undefined;
  }
  return Number.parseInt(digits, base);
}
