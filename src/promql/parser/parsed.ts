import type { Turns } from '../../lib/turns.ts';
import type { LabelMatcher } from '../../model/matcher.ts';
import type { Regex } from '../../model/regex/regex.ts';
import type { Expr } from './ast.ts';
import { LongRegexes } from './long-regexes.ts';
import { type ParserOptions, parseExpr, parseMetricSelector } from './parser.ts';

/** An expression longer than this is not kept. */
const CHARS_KEPT_MAX = 4096;
/** Characters of all that are kept: the short ones of some ten thousand rules. */
const ALL_CHARS_KEPT_MAX = 1024 * 1024;
/** Characters that an expression counts beside its own. */
const CHARS_BESIDE = 32;

/** Expressions as they were parsed last: dashboards and rules ask the same ones again and again. With them stay their compiled regular expressions. */
export class ParsedExprs {
  readonly #options: ParserOptions | undefined;
  /** The one asked for last is last. */
  readonly #kept = new Map<string, Expr>();
  #chars = 0;

  constructor(options?: ParserOptions) {
    this.#options = options;
  }

  /** Others have their turn while long regular expressions are compiled. @throws ParseError */
  async of(text: string, turns: Turns): Promise<Expr> {
    if (text.length > CHARS_KEPT_MAX) return parseExprInTurns(text, this.#options, turns);
    const expr = this.#kept.get(text) ?? (await parseExprInTurns(text, this.#options, turns));
    // who asked at the same time may have kept it
    if (!this.#kept.has(text)) this.#chars += CHARS_BESIDE + text.length;
    else this.#kept.delete(text);
    this.#kept.set(text, expr);
    for (const oldest of this.#kept.keys()) {
      if (this.#chars <= ALL_CHARS_KEPT_MAX) break;
      this.#kept.delete(oldest);
      this.#chars -= CHARS_BESIDE + oldest.length;
    }
    return expr;
  }
}

/** As `parseExpr`. Others have their turn while long regular expressions are compiled. @throws ParseError */
export function parseExprInTurns(text: string, options: ParserOptions | undefined, turns: Turns): Promise<Expr> {
  return withRegexesInTurns((regexOf) => parseExpr(text, options, regexOf), turns);
}

/** As `parseMetricSelector`. Others have their turn while long regular expressions are compiled. @throws ParseError */
export function parseSelectorInTurns(
  text: string,
  options: ParserOptions | undefined,
  turns: Turns,
): Promise<readonly LabelMatcher[]> {
  return withRegexesInTurns((regexOf) => parseMetricSelector(text, options, regexOf), turns);
}

async function withRegexesInTurns<T>(parse: (regexOf: (source: string) => Regex) => T, turns: Turns): Promise<T> {
  const regexes = new LongRegexes();
  try {
    const parsed = parse(regexes.of);
    if (!regexes.found) return parsed;
  } catch (thrown) {
    // what is wrong is told with what is wrong of the regular expressions
    if (!regexes.found) throw thrown;
  }
  await regexes.compile(turns);
  const parsed = parse(regexes.of);
  await turns.pause();
  return parsed;
}
