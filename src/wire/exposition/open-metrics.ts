import { METRIC_TYPES, type MetricType } from '../../model/metric-metadata.ts';
import type { ExpositionEntry, ExpositionExemplar } from './entry.ts';
import { parseGoFloat, quoteBytes, textOfBytes } from './go-parse.ts';
import { bytesToString, type State, TextParser, type Token, unescaped } from './text-parser.ts';

const TYPES: ReadonlySet<string> = new Set(METRIC_TYPES);

const NO_END = 'data does not end with # EOF';

/** Says what is wrong with a time, Unix seconds; undefined: nothing. */
export type TimeCheck = (seconds: number) => string | undefined;

/**
 * Entries of the OpenMetrics text format, version 1.0.
 * @throws AppError exposition-invalid, after the entries before the fault
 */
export function* parseOpenMetrics(bytes: Uint8Array, times?: TimeCheck): Generator<ExpositionEntry> {
  const parser = new OpenMetricsParser(bytesToString(bytes));
  parser.times = times;
  for (let entry = parser.next(); entry !== undefined; entry = parser.next()) yield entry;
}

class OpenMetricsParser extends TextParser {
  times: TimeCheck | undefined;

  next(): ExpositionEntry | undefined {
    this.entryStart = this.at;
    const token = this.nextToken();
    switch (token) {
      case 'EOFWORD':
        if (this.nextToken() !== 'EOF') this.fail('unexpected data after # EOF');
        return undefined;
      case 'EOF':
        return this.fail(NO_END);
      case 'HELP':
      case 'TYPE':
      case 'UNIT':
        return this.#readMeta(token);
      case 'BOPEN':
      case 'MNAME':
        return this.#readSample(token);
      default:
        return this.failAt('expected a valid start token', token);
    }
  }

  #readMeta(token: 'HELP' | 'TYPE' | 'UNIT'): ExpositionEntry {
    const metric = this.readMetaName(token);
    if (this.nextToken() !== 'TEXT') this.fail(`expected text in ${token}`);
    const bytes = this.token.slice(1, -1);
    this.family = metric;
    if (token === 'TYPE') {
      if (!TYPES.has(bytes)) this.fail(`invalid metric type ${quoteBytes(bytes)}`);
      this.type = bytes as MetricType;
      return { kind: 'type', metric, text: bytes };
    }
    const text = textOfBytes(bytes);
    if (text === undefined) this.fail(`help text ${quoteBytes(bytes)} is not a valid utf8 string`);
    if (token === 'HELP') return { kind: 'help', metric, text: unescaped(text) };
    if (text !== '' && !(metric.length > text.length && metric.endsWith(`_${text}`))) {
      this.fail(`unit ${quoteBytes(bytes)} not a suffix of metric "${metric}"`);
    }
    return { kind: 'unit', metric, text };
  }

  #readSample(first: Token): ExpositionEntry {
    const { pairs, token } = this.readSeries(first, true);
    const value = this.#readValue(token, 'metric');
    let timeMs: number | undefined;
    let exemplar: ExpositionExemplar | undefined;
    let next = this.nextToken();
    if (next === 'EOF') this.fail(NO_END);
    if (next === 'TIMESTAMP') {
      timeMs = this.#readTime('timestamp');
      next = this.nextToken();
      if (next !== 'LINEBREAK' && next !== 'COMMENT') this.failAt('expected next entry after timestamp', next);
    }
    if (next === 'COMMENT') exemplar = this.#readExemplar();
    return { kind: 'series', pairs, type: this.type, family: this.family, value, timeMs, exemplar };
  }

  #readExemplar(): ExpositionExemplar {
    const pairs: string[] = [];
    this.readLabels(pairs, true, true);
    const value = this.#readValue(this.nextToken(), 'exemplar labels');
    let timeMs: number | undefined;
    let next = this.nextToken();
    if (next === 'EOF') this.fail(NO_END);
    if (next === 'TIMESTAMP') {
      timeMs = this.#readTime('exemplar timestamp');
      next = this.nextToken();
      if (next !== 'LINEBREAK') this.failAt('expected next entry after exemplar timestamp', next);
    } else if (next !== 'LINEBREAK') this.failAt('expected timestamp or comment', next);
    return { pairs, value, timeMs };
  }

  #readValue(token: Token, after: string): number {
    if (token !== 'VALUE') this.failAt(`expected value after ${after}`, token);
    const value = parseGoFloat(this.token.slice(1));
    if (typeof value === 'string') this.failWhile(value);
    return value;
  }

  /** Unix seconds. */
  #readTime(what: string): number {
    const seconds = parseGoFloat(this.token.slice(1));
    if (typeof seconds === 'string') this.failWhile(seconds);
    if (Number.isNaN(seconds)) this.fail(`invalid ${what} NaN`);
    if (!Number.isFinite(seconds)) this.fail(`invalid ${what} ${seconds > 0 ? '+' : '-'}Inf`);
    const fault = this.times?.(seconds);
    if (fault !== undefined) this.fail(`invalid ${what}: ${fault}`);
    return Math.trunc(seconds * 1000);
  }

  protected nextToken(): Token {
    if (this.at >= this.bytes.length) return 'EOF';
    this.tokenStart = this.at;
    const char = this.char();
    switch (this.state) {
      case 'init':
        return this.#lexStart(char);
      case 'meta1': {
        const token = char === '"' ? this.readQuoted(true, false, 'MNAME') : this.readName(true, 'MNAME');
        if (token === 'MNAME') this.state = 'meta2';
        return token;
      }
      case 'meta2':
        if (char !== ' ') return 'INVALID';
        this.skip((code) => code !== 10);
        if (this.char() !== '\n') return 'INVALID';
        return this.#take('TEXT', 'init');
      case 'labels':
        return this.#lexLabels(char, false);
      case 'exemplar':
        return this.#lexLabels(char, true);
      case 'label value':
        return this.#lexLabelValue(char, 'labels');
      case 'exemplar value':
        if (char === '"') return this.#lexLabelValue(char, 'exemplar');
        return this.#lexNumber('VALUE', 'exemplar timestamp');
      case 'value':
        if (char === '{') return this.#take('BOPEN', 'labels');
        return this.#lexNumber('VALUE', 'timestamp');
      case 'timestamp':
        if (this.bytes.startsWith(' # ', this.at)) {
          this.at += 3;
          return this.char() === '{' ? this.#take('COMMENT', 'exemplar') : 'INVALID';
        }
        if (char === '\n') return this.#take('LINEBREAK', 'init');
        return this.#lexNumber('TIMESTAMP', 'timestamp');
      case 'exemplar timestamp':
        if (char === '\n') return this.#take('LINEBREAK', 'init');
        return this.#lexNumber('TIMESTAMP', 'exemplar timestamp');
    }
  }

  #lexStart(char: string): Token {
    if (char === '{') return this.#take('BOPEN', 'labels');
    if (char === '#') return this.#lexMeta();
    const token = this.readName(true, 'MNAME');
    if (token === 'MNAME') this.state = 'value';
    return token;
  }

  #lexMeta(): Token {
    this.at++;
    if (this.char() !== ' ') return 'INVALID';
    this.at++;
    for (const word of ['HELP ', 'TYPE ', 'UNIT ', 'EOF'] as const) {
      if (word[0] !== this.char()) continue;
      for (const letter of word) {
        if (this.char() !== letter) return 'INVALID';
        this.at++;
      }
      if (word === 'EOF') {
        if (this.char() === '\n') this.at++;
        return 'EOFWORD';
      }
      this.state = 'meta1';
      return word.trimEnd() as Token;
    }
    return 'INVALID';
  }

  #lexLabels(char: string, exemplar: boolean): Token {
    if (char === '"') return this.readQuoted(!exemplar, false, 'QSTRING');
    if (char === '}') return this.#take('BCLOSE', exemplar ? 'exemplar value' : 'value');
    if (char === '=') return this.#take('EQUAL', exemplar ? 'exemplar value' : 'label value');
    if (char === ',') return this.#take('COMMA', exemplar ? 'exemplar' : 'labels');
    return this.readName(false, 'LNAME');
  }

  #lexLabelValue(char: string, state: 'labels' | 'exemplar'): Token {
    const token = char === '"' ? this.readQuoted(false, state === 'labels', 'LVALUE') : 'INVALID';
    if (token === 'LVALUE') this.state = state;
    return token;
  }

  /** A blank and what stands behind it up to the next. */
  #lexNumber(token: Token, state: 'timestamp' | 'exemplar timestamp'): Token {
    if (this.char() !== ' ') return 'INVALID';
    this.at++;
    if (!this.skip((code) => code !== 32 && code !== 10 && code !== 0)) return 'INVALID';
    this.state = state;
    return token;
  }

  #take(token: Token, state: State): Token {
    this.at++;
    this.state = state;
    return token;
  }
}
