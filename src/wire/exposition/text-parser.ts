import { writeErrors } from '../../model/errors-write.ts';
import { METRIC_NAME } from '../../model/labels.ts';
import type { MetricType } from '../../model/metric-metadata.ts';
import { formatOpenMetrics, parseGoFloat, quoteBytes, textOfBytes } from './go-parse.ts';

export type Token =
  | 'INVALID'
  | 'EOF'
  | 'LINEBREAK'
  | 'HELP'
  | 'TYPE'
  | 'UNIT'
  | 'EOFWORD'
  | 'TEXT'
  | 'COMMENT'
  | 'MNAME'
  | 'QSTRING'
  | 'BOPEN'
  | 'BCLOSE'
  | 'LNAME'
  | 'LVALUE'
  | 'COMMA'
  | 'EQUAL'
  | 'TIMESTAMP'
  | 'VALUE';

export type State =
  | 'init'
  | 'meta1'
  | 'meta2'
  | 'labels'
  | 'label value'
  | 'value'
  | 'timestamp'
  | 'exemplar'
  | 'exemplar value'
  | 'exemplar timestamp';

/** Where a metric's name was not given. */
const NO_NAME = undefined;

/**
 * The common part of the two text formats: characters to tokens, and sets of labels. Works on bytes, as a string of characters
 * below 256, and fails with Prometheus' texts. Source: Prometheus `model/textparse`.
 */
export abstract class TextParser {
  protected readonly bytes: string;
  /** The byte after the current token. */
  protected at = 0;
  /** Where the current token begins, and where the current entry. */
  protected tokenStart = 0;
  protected entryStart = 0;
  protected state: State = 'init';
  protected type: MetricType = 'unknown';
  protected family = '';

  constructor(bytes: string) {
    this.bytes = bytes;
  }

  protected abstract nextToken(): Token;

  protected fail(reason: string): never {
    let line = 1;
    for (let i = 0; i < this.entryStart; i++) if (this.bytes.charCodeAt(i) === 10) line++;
    throw writeErrors.expositionInvalid({ line, reason });
  }

  protected failAt(expected: string, got: Token): never {
    const end = Math.min(this.bytes.length, this.at + 1);
    const token = quoteBytes(this.bytes.slice(this.tokenStart, end));
    this.fail(
      `${expected}, got ${token} ("${got}") while parsing: ${quoteBytes(this.bytes.slice(this.entryStart, end))}`,
    );
  }

  protected failWhile(reason: string): never {
    this.fail(`${reason} while parsing: ${quoteBytes(this.bytes.slice(this.entryStart, this.at))}`);
  }

  protected get token(): string {
    return this.bytes.slice(this.tokenStart, this.at);
  }

  /** The byte at `at`, '' at the end. A method, since it changes as `at` does. */
  protected char(): string {
    return this.bytes[this.at] ?? '';
  }

  /** Passes over the characters that are one, and says whether there was any. */
  protected skip(isOne: (code: number) => boolean): boolean {
    const start = this.at;
    while (this.at < this.bytes.length && isOne(this.bytes.charCodeAt(this.at))) this.at++;
    return this.at > start;
  }

  /** A name, `:` included for metrics. */
  protected readName(withColon: boolean, token: Token): Token {
    const first = this.bytes.charCodeAt(this.at);
    if (!isLetter(first, withColon)) return 'INVALID';
    this.skip((code) => isLetter(code, withColon) || isDigit(code));
    return token;
  }

  /** From the quote on. Stops where it cannot be one. */
  protected readQuoted(lineBreaks: boolean, nulls: boolean, token: Token): Token {
    const { bytes } = this;
    for (this.at++; this.at < bytes.length; this.at++) {
      const char = bytes[this.at]!;
      if (char === '"') {
        this.at++;
        return token;
      }
      if (char === '\\') {
        this.at++;
        const escaped = bytes[this.at];
        if (escaped === undefined || escaped === '\n' || escaped === '\0') return 'INVALID';
      } else if ((char === '\n' && !lineBreaks) || (char === '\0' && !nulls)) return 'INVALID';
    }
    return 'INVALID';
  }

  /** The name behind `# TYPE` and so on. */
  protected readMetaName(of: Token): string {
    const token = this.nextToken();
    if (token !== 'MNAME') this.failAt(`expected metric name after ${of}`, token);
    return this.unquoted();
  }

  protected unquoted(): string {
    const { token } = this;
    return this.decoded(token.startsWith('"') ? token.slice(1, -1) : token);
  }

  protected decoded(bytes: string): string {
    return textOfBytes(bytes) ?? this.fail(`${quoteBytes(bytes)} is not a valid utf8 string`);
  }

  /**
   * The labels within braces, put at the end of `pairs`; `pairs[1]` is the metric's name, unless they are an exemplar's.
   * @param strict whether labels are separated by commas and nothing else
   */
  protected readLabels(pairs: (string | undefined)[], strict: boolean, exemplar: boolean): void {
    let token = this.nextToken();
    for (;;) {
      if (token === 'BCLOSE') return;
      const quoted = token === 'QSTRING';
      if (token !== 'LNAME' && !quoted) this.failAt('expected label name', token);
      const name = this.unquoted();
      token = this.nextToken();
      if (quoted && (token === 'COMMA' || token === 'BCLOSE')) {
        // a name in quotes alone is that of the metric
        if (exemplar) this.failAt('expected label name', token);
        if (pairs[1] !== NO_NAME) this.failWhile('metric name already set');
        pairs[1] = unescaped(name);
        if (token === 'BCLOSE') return;
        token = this.nextToken();
        continue;
      }
      if (token !== 'EQUAL') this.failAt('expected equal', token);
      token = this.nextToken();
      if (token !== 'LVALUE') this.failAt('expected label value', token);
      const value = textOfBytes(this.token.slice(1, -1));
      if (value === undefined) this.fail(`invalid UTF-8 label value: ${quoteBytes(this.token)}`);
      if (exemplar) pairs.push(name, value);
      else pairs.push(unescaped(name), this.#canonical(unescaped(name), unescaped(value)));
      token = this.nextToken();
      if (token === 'COMMA') token = this.nextToken();
      else if (strict && token !== 'BCLOSE') this.failAt('expected comma or brace close', token);
    }
  }

  /** Bounds and quantiles in one way of writing them, so that a change of format makes no new series. */
  #canonical(name: string, value: string): string {
    const isNumber = (this.type === 'summary' && name === 'quantile') || (this.type === 'histogram' && name === 'le');
    if (!isNumber) return value;
    const number = parseGoFloat(value);
    return typeof number === 'number' ? formatOpenMetrics(number) : value;
  }

  /** The pairs of a series up to its value, from its first token on; leaves the token behind them in `token`. */
  protected readSeries(first: Token, strict: boolean): { pairs: readonly string[]; token: Token } {
    const pairs: (string | undefined)[] = [METRIC_NAME, first === 'MNAME' ? this.decoded(this.entryName()) : NO_NAME];
    let token = first === 'MNAME' ? this.nextToken() : first;
    if (token === 'BOPEN') {
      this.readLabels(pairs, strict, false);
      const end = this.at;
      token = this.nextToken();
      if (pairs[1] === NO_NAME) {
        this.at = Math.max(end, this.at);
        this.failWhile('metric name not set');
      }
    }
    return { pairs: pairs as string[], token };
  }

  /** The metric's name at the start of the entry; blanks before it belong to it, as in Prometheus. */
  protected entryName(): string {
    return this.bytes.slice(this.entryStart, this.at);
  }
}

function isLetter(code: number, withColon: boolean): boolean {
  return (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || code === 95 || (withColon && code === 58);
}

export function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

/** Escapes of labels: `\\`, `\"` and `\n`; others stay. */
export function unescaped(text: string): string {
  return text.includes('\\') ? text.replace(/\\([\\"n])/g, (_, char: string) => (char === 'n' ? '\n' : char)) : text;
}

/** Each byte as a character. */
export function bytesToString(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
