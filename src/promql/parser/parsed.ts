import type { Expr } from './ast.ts';
import { type ParserOptions, parseExpr } from './parser.ts';

const KEPT = 256;
const CHARS_KEPT_MAX = 4096;

/** Expressions as they were parsed last: dashboards and rules ask the same ones again and again. With them stay their compiled regular expressions. */
export class ParsedExprs {
  readonly #options: ParserOptions | undefined;
  /** The one asked for last is last. */
  readonly #kept = new Map<string, Expr>();

  constructor(options?: ParserOptions) {
    this.#options = options;
  }

  /** @throws ParseError */
  of(text: string): Expr {
    const expr = this.#kept.get(text) ?? parseExpr(text, this.#options);
    if (text.length > CHARS_KEPT_MAX) return expr;
    this.#kept.delete(text);
    this.#kept.set(text, expr);
    if (this.#kept.size > KEPT) this.#kept.delete(this.#kept.keys().next().value!);
    return expr;
  }
}
