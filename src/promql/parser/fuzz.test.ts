import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Random, seededRandom } from '../../lib/random.ts';
import { functions } from '../functions/table.ts';
import type { Expr, VectorSelector } from './ast.ts';
import { exprToJson } from './json.ts';
import { ParseError, type ParserOptions, parseExpr, parseMetricSelector } from './parser.ts';
import { prettyExpr } from './pretty.ts';
import { printExpr } from './printer.ts';
import { typeOf } from './type.ts';

/** `FUZZ_RUNS=1000000 FUZZ_SEED=7 node --test …` looks longer, and elsewhere. */
const runs = Number(process.env.FUZZ_RUNS ?? 20_000);
const seed = Number(process.env.FUZZ_SEED ?? 1);

const EVERYTHING: ParserOptions = {
  experimentalFunctions: true,
  extendedRangeSelectors: true,
  binopFillModifiers: true,
};

const WORDS =
  'foo a:b sum avg topk quantile count_values limitk by without on ignoring group_left group_right fill fill_left ' +
  'fill_right bool and or unless atan2 offset anchored smoothed start end step range max_of min_of inf NaN 1 0.5 0x1f ' +
  '1e3 5m 1h30m 1ms 10y 0 "x" \'y\' `z` "é😀" "\\xff" "le" ".*" ( ) { } [ ] , : = == != =~ !~ < <= > >= </ >/ + - * / % ' +
  '^ @ # ! ~ & é \\ " \' `';
const TOKENS = [...WORDS.split(' '), ' ', '\n', '\t', '\0', '\u2028', '\ud800', '\ufeff', '#c\n'];

/** Well-typed expressions, mostly. */
class Grammar {
  readonly #random: Random;
  #budget = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  expression(): string {
    this.#budget = 12;
    return this.#vector();
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)]!;
  }

  #vector(): string {
    if (this.#budget-- <= 0) return this.#selector();
    switch (this.pick(['selector', 'binary', 'binary', 'call', 'call', 'aggregate', 'paren', 'unary'])) {
      case 'binary':
        return `${this.#vector()} ${this.#operator()} ${this.pick([this.#vector(), this.#vector(), this.#scalar()])}`;
      case 'call': {
        const vectors = Object.values(functions).filter(({ signature }) => signature.returnType === 'vector');
        const { name, signature } = this.pick(vectors);
        const { argTypes } = signature;
        const args = argTypes.map((type) => {
          if (type === 'vector') return this.#vector();
          return type === 'matrix' ? this.#matrix() : type === 'scalar' ? this.#scalar() : '"a"';
        });
        return `${name}(${args.join(', ')})`;
      }
      case 'aggregate': {
        const op = this.pick(['sum', 'avg', 'group', 'topk', 'quantile', 'count_values', 'limit_ratio']);
        const param = op === 'count_values' ? '"v", ' : /topk|quantile|limit/.test(op) ? `${this.#scalar()}, ` : '';
        const grouping = this.pick(['', '', ' by (a, "b.c")', ' without (sum)', ' by ()', ' without ()']);
        const body = `(${param}${this.#vector()})`;
        return this.pick([`${op}${grouping} ${body}`, `${op}${body}${grouping}`]);
      }
      case 'paren':
        return `(${this.#vector()})`;
      case 'unary':
        return `${this.pick(['-', '+'])}${this.#vector()}`;
      default:
        return this.#selector();
    }
  }

  #operator(): string {
    const matching = this.pick(['', '', 'on(a)', 'ignoring(b, c)', 'on(a) group_left', 'ignoring(b) group_right(c)']);
    const op = this.pick(['+', '-', '*', '/', '%', '^', 'atan2', '==', '>', '</', '>/', 'and', 'or', 'unless']);
    if (/and|or|unless/.test(op)) return this.pick([op, `${op} on(a)`]);
    const fill = this.pick(['', '', '', 'fill(0)', 'fill_left(-1.5)', 'fill_left(1) fill_right(2)']);
    return `${op} ${op === '==' ? this.pick(['', 'bool']) : ''} ${matching} ${fill}`;
  }

  #scalar(): string {
    return this.pick([
      '1',
      '-2.5',
      '1e100',
      '0x1f',
      '5m',
      'NaN',
      'time()',
      'pi()',
      '(1 + 2)',
      `scalar(${this.#selector()})`,
    ]);
  }

  #selector(): string {
    const name = this.pick([
      'foo',
      'a:b',
      'sum',
      'by',
      'start',
      'fill',
      'min_of',
      '{"x.y"}',
      '{a="b", "c d"!~"e|f.*"}',
    ]);
    const braces = name.startsWith('{') ? '' : this.pick(['', '{}', '{a=~"b.+", c!="\\xff"}', "{l='\"',}"]);
    return name + braces + this.pick(['', '', ' smoothed', ' anchored']) + this.#shift();
  }

  #matrix(): string {
    if (this.pick([true, false]))
      return `foo{a="b"}[${this.#duration()}]${this.pick(['', ' smoothed'])}${this.#shift()}`;
    return `${this.pick(['foo', `(${this.#vector()})`])}[${this.#duration()}:${this.pick(['', this.#duration()])}]${this.#shift()}`;
  }

  #shift(): string {
    const offset = this.pick(['5m', '-1h', '(1m + step())', '-max_of(1, 2m)', '--1m', '+range()', '-(3)', '1.5']);
    const at = this.pick(['10', '-1.5', 'start()', 'end()', '1e10']);
    return this.pick([
      '',
      '',
      '',
      ` offset ${offset}`,
      ` @ ${at}`,
      ` @ ${at} offset ${offset}`,
      ` offset ${offset} @ ${at}`,
    ]);
  }

  #duration(): string {
    if (this.#budget-- <= 0) return '5m';
    const binary = () => `${this.#duration()} ${this.pick(['+', '-', '*', '/', '%', '^'])} ${this.#duration()}`;
    const forms = ['5m', '10', '1h30m', '0.25', 'step()', 'range()', '(1)'];
    if (this.#budget < 6) return this.pick(forms);
    return this.pick([
      ...forms,
      binary(),
      `(${binary()})`,
      `-(-${this.#duration()})`,
      `max_of(${this.#duration()}, 1)`,
    ]);
  }
}

function mutate(text: string, random: Random): string {
  let mutated = text;
  for (let times = 1 + Math.floor(random() * 3); times > 0; times--) {
    const from = Math.floor(random() * (mutated.length + 1));
    const to = Math.min(mutated.length, from + Math.floor(random() * 6));
    const token = TOKENS[Math.floor(random() * TOKENS.length)]!;
    const middle = [token, ` ${token} `, '', mutated.slice(from, to).repeat(2)][Math.floor(random() * 4)]!;
    mutated = mutated.slice(0, from) + middle + mutated.slice(to);
  }
  return mutated;
}

function junk(random: Random): string {
  const length = Math.floor(random() * 40);
  if (random() < 0.5) return Array.from({ length }, () => TOKENS[Math.floor(random() * TOKENS.length)]).join(' ');
  const bytes = Uint8Array.from({ length }, () => Math.floor(random() * (random() < 0.8 ? 128 : 256)));
  return new TextDecoder(random() < 0.5 ? 'utf-8' : 'latin1').decode(bytes);
}

function tryParse(text: string): Expr | undefined {
  try {
    return parseExpr(text, EVERYTHING);
  } catch (thrown) {
    if (thrown instanceof ParseError) return undefined;
    throw new Error(`parsing ${JSON.stringify(text)} (seed ${seed})`, { cause: thrown });
  }
}

/**
 * Where Prometheus' own printing does not parse to the same: `Inf ^ 2` becomes `+Inf ^ 2`, where the sign goes last;
 * lengths below a millisecond are cut to nothing; NaN as an offset prints two signs; an offset that is arithmetic moves
 * behind the other modifiers, and there takes the operators behind it in; of a bare `{}`, which `info` takes, only the modifiers are left;
 * a metric that is named `fill` behind `on (…)` is a modifier without its braces.
 */
function printsFaithfully(expr: Expr): boolean {
  const { offsetMs, offsetExpr, at, anchored, smoothed } = shiftOf(expr);
  if (Math.abs(offsetMs) > 2 ** 43) return false;
  if (offsetExpr !== undefined && (at !== undefined || anchored || smoothed)) return false;
  if (offsetExpr?.kind === 'op' && offsetExpr.lhs !== undefined && !offsetExpr.wrapped && isInfix(offsetExpr.op))
    return false;
  if ((expr.kind === 'matrix' || expr.kind === 'subquery') && expr.rangeExpr === undefined && expr.rangeMs === 0) {
    return false;
  }
  switch (expr.kind) {
    case 'number':
      return Number.isFinite(expr.value);
    case 'vector':
      return (
        expr.name !== '' ||
        expr.matchers.length > 0 ||
        !(anchored || smoothed || at !== undefined || offsetMs !== 0 || offsetExpr !== undefined)
      );
    case 'string':
    case 'matrix':
      return true;
    case 'call':
      return expr.args.every(printsFaithfully);
    case 'aggregate':
      return (expr.param === undefined || printsFaithfully(expr.param)) && printsFaithfully(expr.expr);
    case 'binary':
      if (expr.matching !== undefined && /^fill(_left|_right)?\b/.test(printExpr(expr.rhs))) return false;
      return printsFaithfully(expr.lhs) && printsFaithfully(expr.rhs);
    default:
      return printsFaithfully(expr.expr);
  }
}

/** Written between two sides. As an offset only `--1m + 2` is such, which prints as `1m + 2`. */
function isInfix(op: string): boolean {
  return '+-*/%^'.includes(op);
}

type Shift = Pick<VectorSelector, 'offsetMs' | 'offsetExpr' | 'at'> &
  Partial<Pick<VectorSelector, 'anchored' | 'smoothed'>>;

function shiftOf(expr: Expr): Shift {
  if (expr.kind === 'matrix') return expr.vector;
  return expr.kind === 'vector' || expr.kind === 'subquery'
    ? expr
    : { offsetMs: 0, offsetExpr: undefined, at: undefined };
}

function checkPrinting(text: string, expr: Expr): void {
  const printed = printExpr(expr);
  const pretty = prettyExpr(expr);
  JSON.stringify(exprToJson(expr));
  if (!printsFaithfully(expr)) return;
  for (const spelling of [printed, pretty]) {
    const again = tryParse(spelling);
    const where = `${JSON.stringify(text)} printed as ${JSON.stringify(spelling)} (seed ${seed})`;
    assert.ok(again !== undefined, `does not parse again: ${where}`);
    assert.equal(printExpr(again), printed, where);
    assert.equal(typeOf(again), typeOf(expr), where);
  }
}

test('whatever comes in, it parses or is refused by name, and prints what parses again', () => {
  const random = seededRandom(seed);
  const grammar = new Grammar(random);
  let parsed = 0;
  let mutantsParsed = 0;
  for (let run = 0; run < runs; run++) {
    const text = grammar.expression();
    const expr = tryParse(text);
    if (expr !== undefined) {
      parsed++;
      checkPrinting(text, expr);
    }
    const mutant = mutate(text, random);
    const mutantExpr = tryParse(mutant);
    if (mutantExpr !== undefined) {
      mutantsParsed++;
      checkPrinting(mutant, mutantExpr);
    }
    const bytes = junk(random);
    tryParse(bytes);
    try {
      parseMetricSelector(bytes);
    } catch (thrown) {
      if (!(thrown instanceof ParseError)) throw thrown;
    }
  }
  // or else the grammar tests nothing
  assert.ok(parsed > runs * 0.4, `${parsed} of ${runs} parsed`);
  assert.ok(mutantsParsed > runs * 0.05, `${mutantsParsed} of ${runs} mutants parsed`);
});

test('any two tokens, any three after a selector', () => {
  for (const first of TOKENS) {
    for (const second of TOKENS) {
      const pair = `${first} ${second}`;
      for (const text of [pair, `foo ${pair}`, `foo[${pair}`, `sum(${pair})`, `foo offset ${pair}`, `{${pair}}`]) {
        const expr = tryParse(text);
        if (expr !== undefined) checkPrinting(text, expr);
      }
    }
  }
});
