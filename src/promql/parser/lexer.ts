import { quoteGo, quoteGoCut } from '../../model/labels.ts';
import { type Token, type TokenKind, words } from './token.ts';

/** A text that the lexer cannot read. Scanning ends there. */
export class LexError extends Error {
  /** Byte offset. */
  readonly start: number;

  constructor(start: number, text: string) {
    super(text);
    this.start = start;
  }
}

const EOF = -1;
const INVALID_RUNE = 0xfffd;

const SINGLE: Partial<Record<string, TokenKind>> = {
  ',': ',',
  '*': '*',
  '/': '/',
  '%': '%',
  '+': '+',
  '-': '-',
  '^': '^',
  '@': '@',
};

/**
 * Splits an expression into tokens, over its UTF-8 bytes, since positions count bytes. What a character means depends on
 * where it stands (braces, brackets), so the scanner has a mode, as Prometheus' `promql/parser/lex.go`.
 */
export class Lexer {
  readonly #text: string;
  readonly #bytes: Uint8Array;
  /** Then a byte offset is also an index into the text. */
  readonly #ascii: boolean;
  readonly #anyLetters: boolean;
  #pos = 0;
  #start = 0;
  /** Width in bytes of what `#next` returned last. */
  #width = 0;

  #parenDepth = 0;
  #inBraces = false;
  #inBrackets = false;
  #gotColon = false;
  #gotDuration = false;
  /** Right after `[`, until the first number: only what a duration may hold. */
  #durationMode = false;

  /** @param unquotedUtf8Names whether Unicode letters and, behind the first character, dots are part of a name */
  constructor(text: string, unquotedUtf8Names = false) {
    this.#text = text;
    this.#anyLetters = unquotedUtf8Names;
    this.#bytes = new TextEncoder().encode(text);
    this.#ascii = this.#bytes.length === text.length;
  }

  get byteLength(): number {
    return this.#bytes.length;
  }

  /** @throws LexError */
  next(): Token {
    for (;;) {
      const token = this.#durationMode ? this.#scanDurationPart() : this.#scan();
      if (token !== undefined) return token;
    }
  }

  /** One token outside of `[`, or none where only space or a comment was skipped. */
  #scan(): Token | undefined {
    if (this.#inBraces) return this.#scanInBraces();
    const char = this.#next();
    if (char === 0x23) return this.#skipComment();
    switch (char) {
      case EOF:
        if (this.#parenDepth !== 0) throw this.#error('unclosed left parenthesis');
        if (this.#inBrackets) throw this.#error('unclosed left bracket');
        return this.#emit('EOF');
      case 0x20:
      case 0x09:
      case 0x0a:
      case 0x0d:
        return this.#skipSpaces();
      case 0x3d: // =
        if (this.#peek() === 0x3d) {
          this.#next();
          return this.#emit('==');
        }
        if (this.#peek() === 0x7e) throw this.#error(`unexpected character after '=': ${quoteRune(0x7e)}`);
        return this.#emit('=');
      case 0x21: {
        // !
        const after = this.#next();
        if (after !== 0x3d) throw this.#error(`unexpected character after '!': ${quoteRune(after)}`);
        return this.#emit('!=');
      }
      case 0x3c: // <
        if (this.#accept(isEqual)) return this.#emit('<=');
        return this.#emit(this.#accept(isSlash) ? '</' : '<');
      case 0x3e: // >
        if (this.#accept(isEqual)) return this.#emit('>=');
        return this.#emit(this.#accept(isSlash) ? '>/' : '>');
      case 0x22:
      case 0x27:
        return this.#scanString(char);
      case 0x60:
        return this.#scanRawString();
      case 0x28: // (
        this.#parenDepth++;
        return this.#emit('(');
      case 0x29: // )
        return this.#closeParen(char);
      case 0x7b: // {
        this.#inBraces = true;
        return this.#emit('{');
      case 0x5b: {
        // [
        if (this.#inBrackets) throw this.#error(`unexpected left bracket ${quoteRune(char)}`);
        this.#gotColon = false;
        this.#gotDuration = false;
        const token = this.#emit('[');
        this.#skipSpaces();
        this.#inBrackets = true;
        this.#durationMode = true;
        return token;
      }
      case 0x5d: // ]
        if (!this.#inBrackets) throw this.#error(`unexpected right bracket ${quoteRune(char)}`);
        this.#inBrackets = false;
        return this.#emit(']');
    }
    const single = char < 0x80 ? SINGLE[String.fromCharCode(char)] : undefined;
    if (single !== undefined) return this.#emit(single);
    if (isDigit(char) || (char === 0x2e && isDigit(this.#peek()))) {
      this.#backup();
      return this.#scanNumberOrDuration();
    }
    if (this.#startsName(char) || char === 0x3a) {
      if (!this.#inBrackets) return this.#scanWord();
      if (char === 0x3a) {
        if (this.#gotColon) throw this.#error(`unexpected colon ${quoteRune(char)}`);
        this.#gotColon = true;
        return this.#emit(':');
      }
      const keyword = this.#scanDurationKeyword(char);
      if (keyword !== undefined) return keyword;
      throw this.#error(`unexpected character: ${quoteRune(char)}, expected ':'`);
    }
    throw this.#error(`unexpected character: ${quoteRune(char)}`);
  }

  #scanInBraces(): Token | undefined {
    const char = this.#next();
    switch (char) {
      case 0x23:
        return this.#skipComment();
      case EOF:
        throw this.#error('unexpected end of input inside braces');
      case 0x20:
      case 0x09:
      case 0x0a:
      case 0x0d:
        return this.#skipSpaces();
      case 0x2c:
        return this.#emit(',');
      case 0x22:
      case 0x27:
        return this.#scanString(char);
      case 0x60:
        return this.#scanRawString();
      case 0x3d:
        return this.#emit(this.#accept(isTilde) ? '=~' : '=');
      case 0x21: {
        const after = this.#next();
        if (after === 0x7e) return this.#emit('!~');
        if (after === 0x3d) return this.#emit('!=');
        throw this.#error(`unexpected character after '!' inside braces: ${quoteRune(after)}`);
      }
      case 0x7b:
        throw this.#error(`unexpected left brace ${quoteRune(char)}`);
      case 0x7d:
        this.#inBraces = false;
        return this.#emit('}');
    }
    if (!this.#startsName(char)) throw this.#error(`unexpected character inside braces: ${quoteRune(char)}`);
    this.#acceptName(isAlphaNumeric);
    return this.#emit('IDENTIFIER');
  }

  /** Between `[` and the first number. */
  #scanDurationPart(): Token | undefined {
    const char = this.#next();
    switch (char) {
      case EOF:
        throw this.#error('unexpected end of input in duration expression');
      case 0x5d: // ]
        this.#inBrackets = false;
        this.#gotColon = false;
        this.#durationMode = false;
        return this.#emit(']');
      case 0x3a: {
        // :
        const token = this.#emit(':');
        if (!this.#gotDuration) throw this.#error('unexpected colon before duration in duration expression');
        if (this.#gotColon) throw this.#error('unexpected repeated colon in duration expression');
        this.#gotColon = true;
        return token;
      }
      case 0x28:
        this.#parenDepth++;
        return this.#emit('(');
      case 0x29:
        return this.#closeParen(char);
      case 0x20:
      case 0x09:
      case 0x0a:
      case 0x0d:
        return this.#skipSpaces();
      case 0x40: // `@` is no part of a duration
        break;
      default: {
        const single = char < 0x80 ? SINGLE[String.fromCharCode(char)] : undefined;
        if (single !== undefined) return this.#emit(single);
      }
    }
    const keyword = isAlpha(char) ? this.#scanDurationKeyword(char) : undefined;
    if (keyword !== undefined) {
      this.#gotDuration = true;
      return keyword;
    }
    if (isDigit(char) || (char === 0x2e && isDigit(this.#peek()))) {
      this.#backup();
      this.#gotDuration = true;
      this.#durationMode = false;
      return this.#scanNumberOrDuration();
    }
    throw this.#error(`unexpected character in duration expression: ${quoteRune(char)}`);
  }

  #closeParen(char: number): Token {
    const token = this.#emit(')');
    this.#parenDepth--;
    if (this.#parenDepth < 0) throw this.#error(`unexpected right parenthesis ${quoteRune(char)}`);
    return token;
  }

  /** `step`, `range`, `min_of` or `max_of`, whose first character was read. */
  #scanDurationKeyword(first: number): Token | undefined {
    if (!isDurationKeywordStart(first)) return undefined;
    this.#acceptRun(isAlpha);
    const word = this.#slice().toLowerCase();
    return word === 'step' || word === 'range' || word === 'min_of' || word === 'max_of' ? this.#emit(word) : undefined;
  }

  #scanWord(): Token {
    this.#acceptName(isWord);
    const word = this.#slice();
    // a letter whose lower case is one of ASCII makes no keyword
    const kind = isAscii(word) ? words.get(word.toLowerCase()) : undefined;
    if (kind === undefined) return this.#emit(word.includes(':') ? 'METRIC_IDENTIFIER' : 'IDENTIFIER');
    // these became keywords late, so they are ones only where nothing else can be meant
    if ((kind === 'fill' || kind === 'fill_left' || kind === 'fill_right') && !this.#parenFollows()) {
      return this.#emit('IDENTIFIER');
    }
    return this.#emit(kind);
  }

  #parenFollows(): boolean {
    let pos = this.#pos;
    while (isSpace(this.#bytes[pos] ?? EOF)) pos++;
    return this.#bytes[pos] === 0x28;
  }

  #scanNumberOrDuration(): Token {
    if (this.#acceptNumber()) return this.#emit('NUMBER');
    if (this.#acceptDurationRest()) {
      this.#backup();
      return this.#emit('DURATION');
    }
    throw this.#error(`bad number or duration syntax: ${quoteGoCut(this.#slice())}`);
  }

  /** Not every text it accepts is a number; the parser finds out. */
  #acceptNumber(): boolean {
    const start = this.#pos;
    let isNumberDigit = isDigit;
    if (this.#accept(isZero) && this.#accept(isX)) {
      this.#accept(isUnderscore);
      isNumberDigit = isHexDigit;
    }
    this.#accept(isDot);
    this.#accept(isNumberDigit);
    let gotDot = false;
    let gotExponent = false;
    for (;;) {
      const char = this.#peek();
      if (char === 0x2e) {
        this.#next();
        if (gotDot) return false;
        gotDot = true;
        if (this.#accept(isDotOrUnderscore) || isNumberDigit === isHexDigit) return false;
      } else if (isE(char)) {
        this.#next();
        // in a hexadecimal number `e` is a digit as well, which Prometheus does not tell apart either
        if (gotExponent) return false;
        gotExponent = true;
        this.#accept(isSign);
        if (this.#accept(isNumberPunctuation) || this.#peek() === EOF) return false;
      } else if (char === 0x5f) {
        this.#next();
        if (this.#accept(isNumberPunctuation) || this.#peek() === EOF) return false;
      } else if (isNumberDigit(char)) this.#acceptRun(isNumberDigit);
      else break;
    }
    return this.#pos !== start && !isAlphaNumeric(this.#peek());
  }

  /** Reads one character too many. */
  #acceptDurationRest(): boolean {
    if (!this.#accept(isUnit)) return false;
    // the second letter of `ms`; whether the unit exists is found out later
    this.#accept(isS);
    while (this.#accept(isDigit)) {
      this.#acceptRun(isDigit);
      if (!this.#accept(isUnitButYear)) return false;
      this.#accept(isS);
    }
    return !isAlphaNumeric(this.#next());
  }

  #scanString(quote: number): Token {
    for (;;) {
      const char = this.#next();
      if (char === 0x5c) this.#skipEscape(quote);
      else if (char === INVALID_RUNE) throw this.#error('invalid UTF-8 rune');
      else if (char === EOF || char === 0x0a) throw this.#error('unterminated quoted string');
      else if (char === quote) return this.#emit('STRING');
    }
  }

  #scanRawString(): Token {
    for (;;) {
      const char = this.#next();
      if (char === INVALID_RUNE) throw this.#error('invalid UTF-8 rune');
      if (char === EOF) throw this.#error('unterminated raw string');
      if (char === 0x60) return this.#emit('STRING');
    }
  }

  #skipEscape(quote: number): void {
    let char = this.#next();
    if (char === quote || (char !== EOF && 'abfnrtv\\'.includes(String.fromCodePoint(char)))) return;
    let digits: number;
    let base = 16;
    let max = 0x10ffff;
    if (char >= 0x30 && char <= 0x37) [digits, base, max] = [3, 8, 255];
    else if (char === 0x78) [digits, max] = [2, 255];
    else if (char === 0x75) digits = 4;
    else if (char === 0x55) digits = 8;
    else if (char === EOF) throw this.#error('escape sequence not terminated');
    else throw this.#error(`unknown escape sequence ${describeRune(char)}`);
    if (base === 16) char = this.#next();
    let value = 0;
    for (; digits > 0; digits--) {
      const digit = digitValue(char);
      if (digit >= base) {
        if (char === EOF) throw this.#error('escape sequence not terminated');
        throw this.#error(`illegal character ${describeRune(char)} in escape sequence`);
      }
      value = value * base + digit;
      if (digits > 1) char = this.#next();
    }
    if (value > max || (value >= 0xd800 && value < 0xe000)) {
      throw this.#error('escape sequence is an invalid Unicode code point');
    }
  }

  #skipSpaces(): undefined {
    while (isSpace(this.#bytes[this.#pos] ?? EOF)) this.#pos++;
    this.#start = this.#pos;
  }

  #skipComment(): undefined {
    let char = this.#next();
    while (char !== 0x0a && char !== 0x0d && char !== EOF) char = this.#next();
    this.#backup();
    this.#start = this.#pos;
  }

  /** The next code point, U+FFFD where the bytes are not UTF-8. */
  #next(): number {
    const bytes = this.#bytes;
    const byte = bytes[this.#pos];
    if (byte === undefined) {
      this.#width = 0;
      return EOF;
    }
    let code = byte;
    this.#width = 1;
    // the text came from a string, so that every sequence is whole
    if (byte >= 0xf0) {
      code =
        ((byte & 0x07) << 18) |
        ((bytes[this.#pos + 1]! & 0x3f) << 12) |
        ((bytes[this.#pos + 2]! & 0x3f) << 6) |
        (bytes[this.#pos + 3]! & 0x3f);
      this.#width = 4;
    } else if (byte >= 0xe0) {
      code = ((byte & 0x0f) << 12) | ((bytes[this.#pos + 1]! & 0x3f) << 6) | (bytes[this.#pos + 2]! & 0x3f);
      this.#width = 3;
    } else if (byte >= 0x80) {
      code = ((byte & 0x1f) << 6) | (bytes[this.#pos + 1]! & 0x3f);
      this.#width = 2;
    }
    this.#pos += this.#width;
    return code;
  }

  /** Only after `#next`, and once. */
  #backup(): void {
    this.#pos -= this.#width;
  }

  /** The next byte; enough to tell ASCII. */
  #peek(): number {
    return this.#bytes[this.#pos] ?? EOF;
  }

  #accept(matches: (char: number) => boolean): boolean {
    if (!matches(this.#peek())) return false;
    this.#pos++;
    return true;
  }

  #acceptRun(matches: (char: number) => boolean): void {
    const bytes = this.#bytes;
    let pos = this.#pos;
    while (matches(bytes[pos] ?? EOF)) pos++;
    this.#pos = pos;
  }

  #startsName(char: number): boolean {
    return isAlpha(char) || (this.#anyLetters && isOtherLetter(char));
  }

  /** The rest of a name whose first character was read. @param isPlain what is part of names in any case */
  #acceptName(isPlain: (char: number) => boolean): void {
    for (;;) {
      this.#acceptRun(isPlain);
      if (!this.#anyLetters || this.#peek() === EOF) return;
      const char = this.#next();
      if (char === 0x2e || isOtherLetter(char)) continue;
      this.#backup();
      return;
    }
  }

  #slice(): string {
    return this.#ascii
      ? this.#text.slice(this.#start, this.#pos)
      : new TextDecoder('utf-8', { ignoreBOM: true }).decode(this.#bytes.subarray(this.#start, this.#pos));
  }

  #emit(kind: TokenKind): Token {
    const token = { kind, text: this.#slice(), pos: { start: this.#start, end: this.#pos } };
    this.#start = this.#pos;
    return token;
  }

  #error(text: string): LexError {
    return new LexError(this.#start, text);
  }
}

/** Whether names may hold it without quotes if any letters may be in them: dots are, too, but not at the beginning. */
export function isUnquotedName(name: string): boolean {
  return /^[\p{L}_][\p{L}\d_.]*$/u.test(name);
}

function isOtherLetter(char: number): boolean {
  return char >= 0x80 && /\p{L}/u.test(String.fromCodePoint(char));
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return false;
  return true;
}

const isSpace = (char: number) => char === 0x20 || char === 0x09 || char === 0x0a || char === 0x0d;
const isDigit = (char: number) => char >= 0x30 && char <= 0x39;
const isAlpha = (char: number) => char === 0x5f || (char >= 0x61 && char <= 0x7a) || (char >= 0x41 && char <= 0x5a);
const isAlphaNumeric = (char: number) => isAlpha(char) || isDigit(char);
const isWord = (char: number) => isAlphaNumeric(char) || char === 0x3a;
const isHexDigit = (char: number) => isDigit(char) || (char >= 0x61 && char <= 0x66) || (char >= 0x41 && char <= 0x46);
const isEqual = (char: number) => char === 0x3d;
const isTilde = (char: number) => char === 0x7e;
const isSlash = (char: number) => char === 0x2f;
const isZero = (char: number) => char === 0x30;
const isX = (char: number) => char === 0x78 || char === 0x58;
const isUnderscore = (char: number) => char === 0x5f;
const isDot = (char: number) => char === 0x2e;
const isDotOrUnderscore = (char: number) => char === 0x2e || char === 0x5f;
const isE = (char: number) => char === 0x65 || char === 0x45;
const isSign = (char: number) => char === 0x2b || char === 0x2d;
const isNumberPunctuation = (char: number) => isDotOrUnderscore(char) || isE(char);
const isS = (char: number) => char === 0x73;
const isUnitButYear = (char: number) => char !== EOF && 'smhdw'.includes(String.fromCharCode(char));
const isUnit = (char: number) => char === 0x79 || isUnitButYear(char);
const isDurationKeywordStart = (char: number) => char < 0x80 && 'sSmMrR'.includes(String.fromCharCode(char));

function digitValue(char: number): number {
  if (isDigit(char)) return char - 0x30;
  if (char >= 0x61 && char <= 0x66) return char - 0x61 + 10;
  if (char >= 0x41 && char <= 0x46) return char - 0x41 + 10;
  return 16;
}

/** As Go's `%q` of a rune. */
function quoteRune(char: number): string {
  if (char === EOF) return `'${String.fromCodePoint(INVALID_RUNE)}'`;
  if (char === 0x27) return "'\\''";
  if (char === 0x22) return `'"'`;
  return `'${quoteGo(String.fromCodePoint(char)).slice(1, -1)}'`;
}

/** As Go's `%#U`. */
function describeRune(char: number): string {
  const code = `U+${char.toString(16).toUpperCase().padStart(4, '0')}`;
  const text = String.fromCodePoint(char);
  const printable = quoteGo(text).slice(1, -1) === text || text === '"' || text === '\\';
  return printable ? `${code} '${text}'` : code;
}
