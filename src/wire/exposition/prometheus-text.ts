import type { MetricType } from '../../model/metric-metadata.ts';
import type { ExpositionEntry } from './entry.ts';
import { parseGoFloat, parseGoInt, quoteBytes, textOfBytes } from './go-parse.ts';
import { bytesToString, isDigit, type State, TextParser, type Token } from './text-parser.ts';

const TYPES: Readonly<Record<string, MetricType>> = {
  counter: 'counter',
  gauge: 'gauge',
  histogram: 'histogram',
  summary: 'summary',
  untyped: 'unknown',
};

/**
 * Entries of the Prometheus text format, version 0.0.4. A last line without its end is taken.
 * @throws AppError exposition-invalid, after the entries before the fault
 */
export function* parsePrometheusText(bytes: Uint8Array): Generator<ExpositionEntry> {
  const parser = new PrometheusTextParser(`${bytesToString(bytes)}\n`);
  for (let entry = parser.next(); entry !== undefined; entry = parser.next()) yield entry;
}

class PrometheusTextParser extends TextParser {
  next(): ExpositionEntry | undefined {
    for (;;) {
      this.entryStart = this.at;
      const token = this.nextToken();
      switch (token) {
        case 'EOF':
          return undefined;
        case 'LINEBREAK':
          continue;
        case 'HELP':
        case 'TYPE':
          return this.#readMeta(token);
        case 'COMMENT': {
          const text = this.decoded(this.token);
          this.#expectLinebreak('linebreak expected after comment');
          return { kind: 'comment', text };
        }
        case 'BOPEN':
        case 'MNAME':
          return this.#readSample(token);
        default:
          this.failAt('expected a valid start token', token);
      }
    }
  }

  #expectLinebreak(expected: string): void {
    const token = this.nextToken();
    if (token !== 'LINEBREAK') this.failAt(expected, token);
  }

  #readMeta(token: 'HELP' | 'TYPE'): ExpositionEntry {
    const metric = this.readMetaName(token);
    const next = this.nextToken();
    if (next !== 'TEXT') this.fail(`expected text in ${token}, got ${next}`);
    const bytes = this.token.slice(1);
    if (token === 'TYPE') {
      const type = Object.hasOwn(TYPES, bytes) ? TYPES[bytes] : undefined;
      if (type === undefined) this.fail(`invalid metric type ${quoteBytes(bytes)}`);
      this.type = type;
      this.family = metric;
      this.#expectLinebreak('linebreak expected after metadata');
      return { kind: 'type', metric, text: type };
    }
    const text = textOfBytes(bytes);
    if (text === undefined) this.fail(`help text ${quoteBytes(bytes)} is not a valid utf8 string`);
    this.#expectLinebreak('linebreak expected after metadata');
    return {
      kind: 'help',
      metric,
      text: text.replace(/\\([\\n])/g, (_, char: string) => (char === 'n' ? '\n' : char)),
    };
  }

  #readSample(first: Token): ExpositionEntry {
    const { pairs, token } = this.readSeries(first, false);
    if (token !== 'VALUE') this.failAt('expected value after metric', token);
    const value = parseGoFloat(this.token);
    if (typeof value === 'string') this.failWhile(value);
    let timeMs: number | undefined;
    const next = this.nextToken();
    if (next === 'TIMESTAMP') {
      const time = parseGoInt(this.token);
      if (typeof time === 'string') this.failWhile(time);
      timeMs = time;
      this.#expectLinebreak('expected next entry after timestamp');
    } else if (next !== 'LINEBREAK') this.failAt('expected timestamp or new record', next);
    return { kind: 'series', pairs, type: this.type, family: this.family, value, timeMs, exemplar: undefined };
  }

  protected nextToken(): Token {
    for (;;) {
      if (this.at >= this.bytes.length) return 'EOF';
      this.tokenStart = this.at;
      if (this.state === 'meta2') {
        const blank = this.skip(isBlank);
        if (blank && this.char() === '\n') continue;
        this.skip((code) => code !== 10);
        this.state = 'init';
        return 'TEXT';
      }
      if (!this.skip(isBlank)) return this.#lex();
    }
  }

  #lex(): Token {
    const char = this.char();
    switch (this.state) {
      case 'init':
        return this.#lexStart(char);
      case 'meta1': {
        const token = char === '"' ? this.readQuoted(true, false, 'MNAME') : this.readName(true, 'MNAME');
        if (token === 'MNAME') this.state = 'meta2';
        return token;
      }
      case 'labels':
        if (char === '"') return this.readQuoted(true, false, 'QSTRING');
        if (char === '}') return this.#take('BCLOSE', 'value');
        if (char === '=') return this.#take('EQUAL', 'label value');
        if (char === ',') return this.#take('COMMA', 'labels');
        return this.readName(false, 'LNAME');
      case 'label value': {
        const token = char === '"' ? this.readQuoted(true, true, 'LVALUE') : 'INVALID';
        if (token === 'LVALUE') this.state = 'labels';
        return token;
      }
      case 'value':
        if (char === '{') return this.#take('BOPEN', 'labels');
        if (!this.skip(isValue)) return 'INVALID';
        this.state = 'timestamp';
        return 'VALUE';
      default:
        if (char === '\n') return this.#take('LINEBREAK', 'init');
        return this.skip(isDigit) ? 'TIMESTAMP' : 'INVALID';
    }
  }

  #lexStart(char: string): Token {
    if (char === '\0') return 'EOF';
    if (char === '\n') return this.#take('LINEBREAK', 'init');
    if (char === '{') return this.#take('BOPEN', 'labels');
    if (char === '#') return this.#lexComment();
    const token = this.readName(true, 'MNAME');
    if (token === 'MNAME') this.state = 'value';
    return token;
  }

  /** `# HELP` and `# TYPE` with something behind them; all else is a comment. */
  #lexComment(): Token {
    this.at++;
    if (this.skip(isBlank)) {
      for (const word of ['HELP', 'TYPE'] as const) {
        if (!this.bytes.startsWith(word, this.at) || !isBlank(this.bytes.charCodeAt(this.at + 4))) continue;
        this.at += 4;
        this.skip(isBlank);
        this.state = 'meta1';
        return word;
      }
    }
    this.skip((code) => code !== 10);
    return 'COMMENT';
  }

  #take(token: Token, state: State): Token {
    this.at++;
    this.state = state;
    return token;
  }
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

/** Anything but blanks, line ends, `{` and NUL. */
function isValue(code: number): boolean {
  return code !== 123 && code !== 32 && code !== 9 && code !== 10 && code !== 0;
}
