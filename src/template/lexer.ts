import { type Bytes, decodeRune, encodeRune, isDigit, isLetter, isPrint, runesOf } from './bytes.ts';
import { quote } from './quote.ts';

/** Reads a template's text into tokens, as Go's `text/template/parse` does. */
export type TokenKind =
  | 'error'
  | 'bool'
  | 'char'
  | 'charConstant'
  | 'complex'
  | 'assign'
  | 'declare'
  | 'eof'
  | 'field'
  | 'identifier'
  | 'leftDelim'
  | 'leftParen'
  | 'number'
  | 'pipe'
  | 'rawString'
  | 'rightDelim'
  | 'rightParen'
  | 'space'
  | 'string'
  | 'text'
  | 'variable'
  | Keyword;

type Keyword =
  | 'block'
  | 'break'
  | 'continue'
  | 'dot'
  | 'define'
  | 'else'
  | 'end'
  | 'if'
  | 'nil'
  | 'range'
  | 'template'
  | 'with';

export interface Token {
  readonly kind: TokenKind;
  /** Byte offset of its first character. */
  readonly pos: number;
  /** As it stands in the text; of an error, what is wrong. */
  readonly text: Bytes;
  readonly line: number;
}

const KEYWORDS: ReadonlyMap<string, Keyword> = new Map(
  (['block', 'break', 'continue', 'define', 'else', 'end', 'if', 'nil', 'range', 'template', 'with'] as const).map(
    (word) => [word, word],
  ),
);

/** As error texts show a token. */
export function describe({ kind, text }: Token): string {
  if (kind === 'eof') return 'EOF';
  if (kind === 'error') return text;
  if (kind === 'dot' || KEYWORDS.has(kind)) return `<${text}>`;
  if (text.length <= 10) return quote(text);
  let end = 0;
  let count = 0;
  for (const { at, width } of runesOf(text)) {
    if (count++ === 10) break;
    end = at + width;
  }
  return `${quote(text.slice(0, end))}...`;
}

const LEFT = '{{';
const RIGHT = '}}';
const trimLength = 2;
const END = -1;

export class Lexer {
  readonly #input: Bytes;
  #pos = 0;
  /** Where the token begins. */
  #start = 0;
  #line = 1;
  #startLine = 1;
  #parens = 0;
  #insideAction = false;
  #failed = false;

  constructor(input: Bytes) {
    this.#input = input;
  }

  /** After an error or the end, the end again. */
  next(): Token {
    if (this.#failed) return { kind: 'eof', pos: 0, text: 'EOF', line: this.#startLine };
    for (;;) {
      const token = this.#insideAction ? this.#action() : this.#text();
      if (token !== undefined) return token;
    }
  }

  #emit(kind: TokenKind): Token {
    const token = {
      kind,
      pos: this.#start,
      text: this.#input.slice(this.#start, this.#pos),
      line: this.#startLine,
    };
    this.#skip();
    return token;
  }

  #fail(text: string): Token {
    this.#failed = true;
    return { kind: 'error', pos: this.#start, text, line: this.#startLine };
  }

  /** Moves on, and counts the lines passed. */
  #advance(to: number): void {
    for (let at = this.#input.indexOf('\n', this.#pos); at >= 0 && at < to; at = this.#input.indexOf('\n', at + 1)) {
      this.#line++;
    }
    this.#pos = to;
  }

  /** Begins the next token here. */
  #skip(): void {
    this.#start = this.#pos;
    this.#startLine = this.#line;
  }

  /** The code point here, or `END`. */
  #peek(): number {
    return this.#pos >= this.#input.length ? END : decodeRune(this.#input, this.#pos).code;
  }

  #take(): number {
    const { code, width } = decodeRune(this.#input, this.#pos);
    if (width === 0) return END;
    if (code === 10) this.#line++;
    this.#pos += width;
    return code;
  }

  #accept(valid: string): boolean {
    const character = this.#input[this.#pos];
    if (character === undefined || !valid.includes(character)) return false;
    this.#pos++;
    return true;
  }

  #acceptRun(valid: string): void {
    while (this.#accept(valid));
  }

  #startsWith(text: string, at = this.#pos): boolean {
    return this.#input.startsWith(text, at);
  }

  #text(): Token | undefined {
    const open = this.#input.indexOf(LEFT, this.#pos);
    if (open < 0) {
      this.#advance(this.#input.length);
      return this.#emit(this.#pos > this.#start ? 'text' : 'eof');
    }
    if (open > this.#pos) {
      let end = open;
      if (isLeftTrim(this.#input, open + LEFT.length)) {
        while (end > this.#pos && isSpace(this.#input.charCodeAt(end - 1))) end--;
      }
      this.#advance(end);
      const token = this.#emit('text');
      this.#advance(open);
      this.#skip();
      if (token.text !== '') return token;
    }
    return this.#leftDelim();
  }

  #leftDelim(): Token | undefined {
    const markerAt = this.#pos + LEFT.length;
    const afterMarker = markerAt + (isLeftTrim(this.#input, markerAt) ? trimLength : 0);
    if (this.#startsWith('/*', afterMarker)) {
      this.#advance(afterMarker);
      this.#skip();
      return this.#comment();
    }
    this.#pos = markerAt;
    const token = this.#emit('leftDelim');
    this.#insideAction = true;
    this.#advance(afterMarker);
    this.#skip();
    this.#parens = 0;
    return token;
  }

  #comment(): Token | undefined {
    const close = this.#input.indexOf('*/', this.#pos + 2);
    if (close < 0) return this.#fail('unclosed comment');
    this.#advance(close + 2);
    const delim = this.#rightDelimHere();
    if (delim === undefined) return this.#fail('comment ends before closing delimiter');
    this.#advance(this.#pos + delim);
    if (delim > RIGHT.length) this.#trimRight();
    this.#skip();
    return undefined;
  }

  /** Bytes of the closing delimiter that stands here, with its trim marker. */
  #rightDelimHere(): number | undefined {
    const at = this.#pos;
    if (
      isSpace(this.#input.charCodeAt(at)) &&
      this.#input[at + 1] === '-' &&
      this.#startsWith(RIGHT, at + trimLength)
    ) {
      return trimLength + RIGHT.length;
    }
    return this.#startsWith(RIGHT) ? RIGHT.length : undefined;
  }

  #trimRight(): void {
    let end = this.#pos;
    while (isSpace(this.#input.charCodeAt(end))) end++;
    this.#advance(end);
  }

  #rightDelim(length: number): Token {
    const trims = length > RIGHT.length;
    if (trims) {
      this.#advance(this.#pos + trimLength);
      this.#skip();
    }
    this.#pos += RIGHT.length;
    const token = this.#emit('rightDelim');
    if (trims) {
      this.#trimRight();
      this.#skip();
    }
    this.#insideAction = false;
    return token;
  }

  #action(): Token {
    const delim = this.#rightDelimHere();
    if (delim !== undefined) {
      return this.#parens === 0 ? this.#rightDelim(delim) : this.#fail('unclosed left paren');
    }
    const first = this.#peek();
    if (first === END) return this.#fail('unclosed action');
    if (isSpace(first)) return this.#space();
    const character = this.#input[this.#pos]!;
    if (character === '.') {
      const next = this.#input[this.#pos + 1];
      if (next !== undefined && !(next >= '0' && next <= '9')) {
        this.#pos++;
        return this.#fieldOrVariable('field');
      }
    }
    if (character === '+' || character === '-' || character === '.' || (character >= '0' && character <= '9')) {
      return this.#number();
    }
    if (isAlphaNumeric(first)) return this.#identifier();
    this.#take();
    switch (character) {
      case '=':
        return this.#emit('assign');
      case ':':
        if (this.#take() !== 0x3d) return this.#fail('expected :=');
        return this.#emit('declare');
      case '|':
        return this.#emit('pipe');
      case '"':
        return this.#quoted('"', 'string', 'unterminated quoted string');
      case "'":
        return this.#quoted("'", 'charConstant', 'unterminated character constant');
      case '`':
        return this.#raw();
      case '$':
        return this.#fieldOrVariable('variable');
      case '(':
        this.#parens++;
        return this.#emit('leftParen');
      case ')':
        this.#parens--;
        return this.#parens < 0 ? this.#fail('unexpected right paren') : this.#emit('rightParen');
    }
    if (first >= 0x20 && first < 0x7f) return this.#emit('char');
    return this.#fail(`unrecognized character in action: ${unicodeName(first)}`);
  }

  #space(): Token {
    let spaces = 0;
    while (isSpace(this.#peek())) {
      this.#take();
      spaces++;
    }
    // the last space may belong to a trim marker
    if (this.#input[this.#pos] === '-' && this.#startsWith(RIGHT, this.#pos + 1)) {
      this.#pos--;
      if (this.#input[this.#pos] === '\n') this.#line--;
      if (spaces === 1) return this.#rightDelim(trimLength + RIGHT.length);
    }
    return this.#emit('space');
  }

  #identifier(): Token {
    while (isAlphaNumeric(this.#peek())) this.#take();
    const word = this.#input.slice(this.#start, this.#pos);
    if (!this.#atTerminator()) return this.#fail(`bad character ${unicodeName(this.#peek())}`);
    const keyword = KEYWORDS.get(word);
    if (keyword !== undefined) return this.#emit(keyword);
    return this.#emit(word === 'true' || word === 'false' ? 'bool' : 'identifier');
  }

  /** After the `.` or `$`. */
  #fieldOrVariable(kind: 'field' | 'variable'): Token {
    if (this.#atTerminator()) return this.#emit(kind === 'field' ? 'dot' : kind);
    while (isAlphaNumeric(this.#peek())) this.#take();
    if (!this.#atTerminator()) return this.#fail(`bad character ${unicodeName(this.#peek())}`);
    return this.#emit(kind);
  }

  /** Whether what stands here may follow an identifier. */
  #atTerminator(): boolean {
    const code = this.#peek();
    return code === END || isSpace(code) || '.,|:)('.includes(String.fromCodePoint(code)) || this.#startsWith(RIGHT);
  }

  #quoted(quotation: string, kind: 'string' | 'charConstant', unterminated: string): Token {
    for (;;) {
      let code = this.#take();
      if (code === 0x5c) {
        code = this.#take();
        if (code !== END && code !== 10) continue;
      }
      if (code === END || code === 10) return this.#fail(unterminated);
      if (code === quotation.charCodeAt(0)) return this.#emit(kind);
    }
  }

  #raw(): Token {
    const close = this.#input.indexOf('`', this.#pos);
    if (close < 0) return this.#fail('unterminated raw quoted string');
    this.#advance(close + 1);
    return this.#emit('rawString');
  }

  #number(): Token {
    if (!this.#scanNumber()) return this.#badNumber();
    const sign = this.#input[this.#pos];
    if (sign !== '+' && sign !== '-') return this.#emit('number');
    if (!this.#scanNumber() || this.#input[this.#pos - 1] !== 'i') return this.#badNumber();
    return this.#emit('complex');
  }

  #badNumber(): Token {
    return this.#fail(`bad number syntax: ${quote(this.#input.slice(this.#start, this.#pos))}`);
  }

  #scanNumber(): boolean {
    this.#accept('+-');
    let digits = '0123456789_';
    let base = 10;
    if (this.#accept('0')) {
      if (this.#accept('xX')) [digits, base] = ['0123456789abcdefABCDEF_', 16];
      else if (this.#accept('oO')) [digits, base] = ['01234567_', 8];
      else if (this.#accept('bB')) [digits, base] = ['01_', 2];
    }
    this.#acceptRun(digits);
    if (this.#accept('.')) this.#acceptRun(digits);
    if ((base === 10 && this.#accept('eE')) || (base === 16 && this.#accept('pP'))) {
      this.#accept('+-');
      this.#acceptRun('0123456789_');
    }
    this.#accept('i');
    if (!isAlphaNumeric(this.#peek())) return true;
    this.#take();
    return false;
  }
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 9 || code === 10 || code === 13;
}

function isAlphaNumeric(code: number): boolean {
  return code === 0x5f || (code >= 0 && (isLetter(code) || isDigit(code)));
}

/** Whether a trim marker follows the opening delimiter that ends here. */
function isLeftTrim(input: Bytes, at: number): boolean {
  return input[at] === '-' && isSpace(input.charCodeAt(at + 1));
}

/** As `%#U`, in bytes. */
function unicodeName(code: number): string {
  if (code < 0) return 'U+FFFFFFFFFFFFFFFF';
  const name = `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
  return isPrint(code) ? `${name} '${encodeRune(code)}'` : name;
}
