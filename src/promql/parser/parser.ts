import { quoteGo, quoteGoCut } from '../../model/labels.ts';
import type { LabelMatcher } from '../../model/matcher.ts';
import type { Regex } from '../../model/regex/regex.ts';
import { functionOf } from '../functions/table.ts';
import type { PosRange } from '../position.ts';
import type { AggregateExpr, AggregateOp, BinaryExpr, BinaryOp, Call, Expr } from './ast.ts';
import { checkExpr } from './check.ts';
import { ANYWHERE, type Context, Cursor, type ParserOptions } from './cursor.ts';
import { numberOrDuration } from './duration-expr.ts';
import { binaryModifiers, groupingLabels } from './grouping.ts';
import { withModifiers } from './modifier.ts';
import { canNameMetric, startsExpr, vectorSelector } from './selector.ts';
import { unquote } from './string.ts';
import { aggregators, preprocessors, type Token, type TokenKind } from './token.ts';

export type { ParserOptions } from './cursor.ts';
export { ParseError } from './error.ts';

const IN_AGGREGATION: Context = { place: 'aggregation', expected: '' };

/** Binds tighter upwards. A unary sign binds as `*`: `-a ^ b` is `-(a ^ b)`, `-a * b` is `(-a) * b`. */
const PRECEDENCE: Readonly<Partial<Record<TokenKind, number>>> = {
  or: 1,
  and: 2,
  unless: 2,
  '==': 3,
  '!=': 3,
  '<': 3,
  '<=': 3,
  '>': 3,
  '>=': 3,
  '</': 3,
  '>/': 3,
  '+': 4,
  '-': 4,
  '*': 5,
  '/': 5,
  '%': 5,
  atan2: 5,
  '^': 6,
};
const UNARY_PRECEDENCE = 5;

const WITH_PARAM: ReadonlySet<string> = new Set([
  'topk',
  'bottomk',
  'count_values',
  'quantile',
  'limitk',
  'limit_ratio',
]);

/**
 * @param text a PromQL expression
 * @param regexOf compiles regular expressions; throws RegexSyntaxError
 * @throws ParseError
 */
export function parseExpr(text: string, options: ParserOptions = {}, regexOf?: (source: string) => Regex): Expr {
  const cursor = new Cursor(text, options, regexOf);
  if (cursor.kind() === 'EOF') {
    cursor.note({ start: 0, end: 0 }, 'no expression found in input');
    throw cursor.error();
  }
  const expr = binary(cursor, 1);
  if (cursor.kind() !== 'EOF') cursor.fail(ANYWHERE);
  // types are checked only where the syntax is right
  if (cursor.issues.length === 0) checkExpr(cursor, expr);
  if (cursor.issues.length > 0) throw cursor.error();
  return expr;
}

/**
 * A selector of series as `match[]` takes it.
 * @throws ParseError
 */
export function parseMetricSelector(
  text: string,
  options: ParserOptions = {},
  regexOf?: (source: string) => Regex,
): readonly LabelMatcher[] {
  const cursor = new Cursor(text, options, regexOf);
  const name = canNameMetric(cursor.kind()) ? cursor.take() : undefined;
  if (name === undefined && cursor.kind() !== '{') cursor.fail(ANYWHERE);
  const selector = vectorSelector(cursor, name);
  if (cursor.kind() !== 'EOF') cursor.fail(ANYWHERE);
  if (cursor.issues.length > 0) throw cursor.error();
  return selector.matchers;
}

function binary(cursor: Cursor, precedenceMin: number): Expr {
  let lhs = unary(cursor);
  for (;;) {
    const precedence = PRECEDENCE[cursor.kind()] ?? 0;
    if (precedence < precedenceMin) return lhs;
    const op = cursor.take().kind as BinaryOp;
    const { bool, matching } = binaryModifiers(cursor);
    // only `^` groups to the right
    const rhs = cursor.nested(() => binary(cursor, op === '^' ? precedence : precedence + 1));
    const node: BinaryExpr = {
      kind: 'binary',
      op,
      lhs,
      rhs,
      matching,
      bool,
      pos: { start: lhs.pos.start, end: rhs.pos.end },
    };
    if (!cursor.options.binopFillModifiers && (matching.fillLeft ?? matching.fillRight) !== undefined) {
      cursor.note(node.pos, 'binop fill modifiers are experimental and not enabled');
    }
    lhs = node;
  }
}

function unary(cursor: Cursor): Expr {
  const sign = cursor.accept('+') ?? cursor.accept('-');
  if (sign === undefined) return withModifiers(cursor, primary(cursor));
  const operand = cursor.nested(() => binary(cursor, UNARY_PRECEDENCE + 1));
  const pos = { start: sign.pos.start, end: operand.pos.end };
  const op = sign.kind as '+' | '-';
  if (operand.kind !== 'number') return { kind: 'unary', op, expr: operand, pos };
  return { ...operand, value: op === '-' ? -operand.value : operand.value, pos };
}

function primary(cursor: Cursor): Expr {
  cursor.countNode();
  const kind = cursor.kind();
  switch (kind) {
    case 'NUMBER':
    case 'DURATION': {
      const token = cursor.take();
      return { kind: 'number', ...numberOrDuration(cursor, token), pos: token.pos };
    }
    case 'STRING': {
      const token = cursor.take();
      return { kind: 'string', value: unquote(token.text), pos: token.pos };
    }
    case '(': {
      const open = cursor.take();
      const expr = cursor.nested(() => binary(cursor, 1));
      const close = cursor.expect(')');
      return { kind: 'paren', expr, pos: { start: open.pos.start, end: close.pos.end } };
    }
    case '{':
      return vectorSelector(cursor, undefined);
  }
  if (!canNameMetric(kind)) cursor.fail();
  const word = cursor.take();
  if (aggregators.has(kind) && (cursor.kind() === '(' || cursor.kind() === 'by' || cursor.kind() === 'without')) {
    return aggregate(cursor, word);
  }
  if (cursor.kind() === '(' && (kind === 'IDENTIFIER' || preprocessors.has(kind))) return call(cursor, word);
  return vectorSelector(cursor, word);
}

function call(cursor: Cursor, name: Token): Call {
  const { args, end } = callBody(cursor);
  const func = name.text;
  const known = functionOf(func);
  if (known === undefined) cursor.note(name.pos, `unknown function with name ${quoteGoCut(func)}`);
  else if (known.signature.experimental && !cursor.options.experimentalFunctions) {
    cursor.note(name.pos, `function ${quoteGo(func)} is not enabled`);
  }
  return { kind: 'call', func, args, pos: { start: name.pos.start, end } };
}

function callBody(cursor: Cursor): { args: Expr[]; end: number } {
  cursor.expect('(');
  const args: Expr[] = [];
  let close = cursor.accept(')');
  if (close !== undefined) return { args, end: close.pos.end };
  args.push(cursor.nested(() => binary(cursor, 1)));
  for (;;) {
    const comma = cursor.accept(',');
    if (comma === undefined) break;
    if (startsExpr(cursor.kind())) args.push(cursor.nested(() => binary(cursor, 1)));
    else cursor.note(comma.pos, 'trailing commas not allowed in function call args');
  }
  close = cursor.expect(')');
  return { args, end: close.pos.end };
}

function aggregate(cursor: Cursor, word: Token): Expr {
  return cursor.within(IN_AGGREGATION, () => {
    let modifier = aggregateModifier(cursor);
    const { args, end } = callBody(cursor);
    let pos: PosRange = { start: word.pos.start, end };
    if (modifier === undefined) {
      modifier = aggregateModifier(cursor);
      if (modifier !== undefined) pos = { start: word.pos.start, end: cursor.lastClosing };
    }
    const { grouping, without } = modifier ?? { grouping: [], without: false };
    const op = word.kind as AggregateOp;
    const [param, expr] = WITH_PARAM.has(op) ? args : [undefined, args[0]];
    noteArgs(cursor, op, args.length, pos);
    // where the arguments are wrong, that was noted, and then the tree is never seen
    return { kind: 'aggregate', op, expr: expr as Expr, param, grouping, without, pos } satisfies AggregateExpr;
  });
}

function aggregateModifier(cursor: Cursor): { grouping: string[]; without: boolean } | undefined {
  if (cursor.kind() !== 'by' && cursor.kind() !== 'without') return undefined;
  const without = cursor.take().kind === 'without';
  return { grouping: groupingLabels(cursor), without };
}

function noteArgs(cursor: Cursor, op: AggregateOp, count: number, pos: PosRange): void {
  const expected = WITH_PARAM.has(op) ? 2 : 1;
  if (count === 0) cursor.note(pos, 'no arguments for aggregate expression provided');
  else if ((op === 'limitk' || op === 'limit_ratio') && !cursor.options.experimentalFunctions) {
    cursor.note(pos, `${op}() is experimental and must be enabled with --enable-feature=promql-experimental-functions`);
  } else if (count !== expected) {
    cursor.note(pos, `wrong number of arguments for aggregate expression provided, expected ${expected}, got ${count}`);
  }
}
