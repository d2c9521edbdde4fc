import { isUtf8 } from 'node:buffer';
import { bytesOf } from '../template/bytes.ts';
import { unquote } from '../template/quote.ts';
import { Matcher, MatcherError, type MatcherOp } from './matcher.ts';

/** Longer texts are refused before they are read. */
const textLengthMax = 64 << 10;
const matchersMax = 1000;

/** `{a="b", "c d"=~"e.*"}` or without braces: in the grammar of UTF-8 names first, else in the classic one. @throws MatcherError */
export function parseMatchers(text: string): Matcher[] {
  checkLength(text);
  return fallback(
    () => new Utf8Parser(text).parse(),
    () => parseClassicMatchers(text),
  );
}

/** Just one, without braces. @throws MatcherError */
export function parseMatcher(text: string): Matcher {
  checkLength(text);
  if (text.startsWith('{') || text.endsWith('}')) throw new MatcherError(`unexpected open or close brace: ${text}`);
  const [matcher] = fallback(
    () => {
      const matchers = new Utf8Parser(text).parse();
      if (matchers.length === 1) return matchers;
      const problem = matchers.length === 0 ? 'no matchers' : `expected 1 matcher, found ${matchers.length}`;
      throw new MatcherError(problem);
    },
    () => [parseClassicMatcher(text)],
  );
  return matcher!;
}

function checkLength(text: string): void {
  if (text.length <= textLengthMax) return;
  throw new MatcherError(
    `matchers of ${text.length} characters: limit of ${textLengthMax} exceeded (matchers_length_max)`,
  );
}

/** Where both grammars read a text and do not agree, the classic one counts. */
function fallback(utf8: () => Matcher[], classic: () => Matcher[]): Matcher[] {
  const [ours, theirs] = [attempt(utf8), attempt(classic)];
  if (ours instanceof MatcherError) {
    if (theirs instanceof MatcherError) throw theirs;
    return theirs;
  }
  return theirs instanceof MatcherError || sameMatchers(ours, theirs) ? ours : theirs;
}

function attempt(parse: () => Matcher[]): Matcher[] | MatcherError {
  try {
    const matchers = parse();
    if (matchers.length <= matchersMax) return matchers;
    return new MatcherError(`${matchers.length} matchers: limit of ${matchersMax} exceeded (matchers_max)`);
  } catch (thrown) {
    if (thrown instanceof MatcherError) return thrown;
    throw thrown;
  }
}

function sameMatchers(a: readonly Matcher[], b: readonly Matcher[]): boolean {
  const parts = ({ name, op, value }: Matcher) => JSON.stringify([name, op, value]);
  return a.length === b.length && a.every((matcher, i) => parts(matcher) === parts(b[i]!));
}

type TokenKind = 'open' | 'close' | 'comma' | 'operator' | 'quoted' | 'unquoted' | 'end';

interface Token {
  readonly kind: TokenKind;
  readonly value: string;
  /** In characters, from 0. */
  readonly start: number;
  readonly end: number;
}

const SPACE = /[\s\u0085]/;
const RESERVED = /[\s\u0085{}!=~,\\"'`]/;

class Utf8Parser {
  readonly #chars: readonly string[];
  #at = 0;

  constructor(text: string) {
    this.#chars = [...text];
  }

  parse(): Matcher[] {
    const matchers: Matcher[] = [];
    const first = this.#peek();
    if (first.kind === 'end') return matchers;
    const hasBrace = first.kind === 'open';
    if (hasBrace) this.#next();
    for (let more = this.#more(hasBrace); more; ) {
      matchers.push(this.#matcher());
      const after = this.#peek();
      if (after.kind === 'end') break;
      if (after.kind !== 'comma' && after.kind !== 'close') throw unexpected(after, 'expected a comma or close brace');
      if (after.kind === 'close') break;
      this.#next();
      const following = this.#peek();
      if (!['close', 'unquoted', 'quoted', 'end'].includes(following.kind)) {
        throw unexpected(following, 'expected a matcher or close brace after comma');
      }
      more = following.kind !== 'end' && following.kind !== 'close';
    }
    const closing = this.#peek();
    if (hasBrace) {
      if (closing.kind !== 'close') {
        const problem = closing.kind === 'end' ? 'end of input' : unexpectedText(closing);
        throw new MatcherError(`0:${this.#at}: ${problem}: expected close brace`);
      }
      this.#next();
    } else if (closing.kind === 'close') {
      this.#next();
      throw new MatcherError(`0:${this.#at}: }: expected opening brace`);
    }
    const rest = this.#next();
    if (rest.kind !== 'end') throw new MatcherError(`${rest.start}:${rest.end}: ${rest.value}: expected end of input`);
    return matchers;
  }

  #more(hasBrace: boolean): boolean {
    const { kind } = this.#peek();
    return kind !== 'end' && kind !== 'close' && (hasBrace || kind !== 'open');
  }

  #matcher(): Matcher {
    const name = this.#text('expected label name');
    const operator = this.#expect(['operator'], "expected an operator such as '=', '!=', '=~' or '!~'");
    const value = this.#text('expected label value');
    try {
      return Matcher.of(name, operator.value as MatcherOp, value);
    } catch (thrown) {
      if (!(thrown instanceof MatcherError)) throw thrown;
      throw new MatcherError(`failed to create matcher: ${thrown.message}`);
    }
  }

  #text(expected: string): string {
    const token = this.#expect(['quoted', 'unquoted'], expected);
    if (token.kind === 'unquoted') return token.value;
    const text = unquoteGo(token.value);
    if (text === undefined) throw new MatcherError(`${token.start}:${token.end}: ${token.value}: invalid input`);
    return text;
  }

  #expect(kinds: readonly TokenKind[], expected: string): Token {
    const token = this.#peek();
    if (!kinds.includes(token.kind)) throw unexpected(token, expected);
    return this.#next();
  }

  #peek(): Token {
    const at = this.#at;
    try {
      return this.#next();
    } finally {
      this.#at = at;
    }
  }

  #next(): Token {
    while (this.#at < this.#chars.length && SPACE.test(this.#chars[this.#at]!)) this.#at++;
    const start = this.#at;
    const emit = (kind: TokenKind): Token => {
      return { kind, value: this.#chars.slice(start, this.#at).join(''), start, end: this.#at };
    };
    const char = this.#chars[this.#at];
    if (char === undefined) return emit('end');
    this.#at++;
    switch (char) {
      case '{':
        return emit('open');
      case '}':
        return emit('close');
      case ',':
        return emit('comma');
      case '=':
        if (this.#chars[this.#at] === '~') this.#at++;
        return emit('operator');
      case '!':
        if (this.#chars[this.#at] !== '=' && this.#chars[this.#at] !== '~') {
          const problem =
            this.#at >= this.#chars.length
              ? "unexpected end of input, expected one of '=~'"
              : "!: expected one of '=~'";
          throw new MatcherError(`${start}:${this.#at}: ${problem}`);
        }
        this.#at++;
        return emit('operator');
      case '"':
        for (let escaped = false; this.#at < this.#chars.length; this.#at++) {
          const inside = this.#chars[this.#at]!;
          if (!escaped && inside === '"') {
            this.#at++;
            return emit('quoted');
          }
          escaped = !escaped && inside === '\\';
        }
        throw new MatcherError(`${start}:${this.#at}: ${emit('quoted').value}: missing end "`);
      default:
        if (RESERVED.test(char)) throw new MatcherError(`${start}:${this.#at}: ${char}: invalid input`);
        while (this.#at < this.#chars.length && !RESERVED.test(this.#chars[this.#at]!)) this.#at++;
        return emit('unquoted');
    }
  }
}

function unexpectedText({ start, end, value }: Token): string {
  return `${start}:${end}: unexpected ${value}`;
}

function unexpected(token: Token, expected: string): MatcherError {
  return new MatcherError(`${token.kind === 'end' ? 'end of input' : unexpectedText(token)}: ${expected}`);
}

/** Go's `strconv.Unquote` of a text in double quotes; undefined where it is none, or no UTF-8. */
function unquoteGo(quoted: string): string | undefined {
  if (quoted.includes('\n')) return undefined;
  if (!quoted.includes('\\')) return quoted.slice(1, -1);
  const bytes = unquote(bytesOf(quoted));
  if (bytes === undefined) return undefined;
  const text = Buffer.from(bytes, 'latin1');
  return isUtf8(text) ? text.toString('utf8') : undefined;
}

const CLASSIC = /^\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|=|!=|!~)\s*([\s\S]*?)\s*$/;

function parseClassicMatchers(text: string): Matcher[] {
  const inner = text.replace(/^\{/, '').replace(/\}$/, '');
  const tokens: string[] = [];
  let [token, insideQuotes, escaped] = ['', false, false];
  for (const char of inner) {
    if (char === ',' && !insideQuotes) {
      tokens.push(token);
      token = '';
      continue;
    }
    if (char === '"') {
      if (escaped) escaped = false;
      else insideQuotes = !insideQuotes;
    } else if (char === '\\') escaped = !escaped;
    else if (char !== ',') escaped = false;
    token += char;
  }
  if (token.trim() !== '') tokens.push(token.trim());
  return tokens.map(parseClassicMatcher);
}

function parseClassicMatcher(text: string): Matcher {
  const parts = CLASSIC.exec(text);
  if (parts === null) throw new MatcherError(`bad matcher format: ${text}`);
  const [, name, op, raw] = parts as unknown as [string, string, MatcherOp, string];
  const isQuoted = raw.startsWith('"');
  const inner = isQuoted ? raw.slice(1) : raw;
  const unescapedQuote = () => new MatcherError(`matcher value contains unescaped double quote: ${raw}`);
  let value = '';
  let awaitsQuote = isQuoted;
  for (let at = 0; at < inner.length; at++) {
    const char = inner[at]!;
    if (char === '\\' && at < inner.length - 1) {
      const next = inner[++at]!;
      value += next === 'n' ? '\n' : next === '"' || next === '\\' ? next : `\\${next}`;
    } else if (char === '"') {
      if (!awaitsQuote || at < inner.length - 1) throw unescapedQuote();
      awaitsQuote = false;
    } else value += char;
  }
  if (awaitsQuote) throw unescapedQuote();
  return Matcher.of(name, op, value);
}

/** Any text that UTF-8 can hold. */
export function isLabelName(name: string): boolean {
  return name !== '' && name.isWellFormed();
}

/** Names that `match` and `match_re` take. */
export function isClassicName(name: string): boolean {
  return /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name);
}
