import { formatG } from '../../lib/go-float.ts';
import { compareUtf8, METRIC_NAME, quoteGo, quoteName } from '../../model/labels.ts';
import type {
  AggregateExpr,
  At,
  BinaryExpr,
  DurationExpr,
  Expr,
  MatrixSelector,
  SubqueryExpr,
  VectorSelector,
} from './ast.ts';
import { formatDuration, OVERFLOWN_MS, secondsToMs } from './duration.ts';
import { isUnquotedName } from './lexer.ts';
import { formatNumber } from './number.ts';

/** A name as it stands in an expression, with quotes where it needs them. */
export type NamePrinter = (name: string) => string;

/** Where names may hold letters of any kind. */
export const quoteOddName: NamePrinter = (name) => (isUnquotedName(name) ? name : quoteGo(name));

/** An expression in Prometheus' own spelling, on one line. Parses to the same tree. */
export function printExpr(expr: Expr, printName: NamePrinter = quoteName): string {
  return exprPrinter(printName)(expr);
}

/** Prints expressions and remembers how: for who prints every part of a tree. */
export function exprPrinter(printName: NamePrinter): (expr: Expr) => string {
  const known = new Map<Expr, string>();
  const print = (expr: Expr): string => {
    let text = known.get(expr);
    if (text === undefined) {
      text = printed(expr, print, printName);
      known.set(expr, text);
    }
    return text;
  };
  return print;
}

function printed(expr: Expr, print: (expr: Expr) => string, printName: NamePrinter): string {
  switch (expr.kind) {
    case 'number':
      return printNumber(expr.value, expr.duration);
    case 'string':
      return quoteGo(expr.value);
    case 'vector':
      return printVector(expr, printName);
    case 'matrix':
      return printMatrix(expr, printName);
    case 'subquery':
      return print(expr.expr) + printSubqueryRange(expr);
    case 'call':
      return `${expr.func}(${expr.args.map(print).join(', ')})`;
    case 'aggregate': {
      const param = expr.param === undefined ? '' : `${print(expr.param)}, `;
      return `${printAggregation(expr, printName)}(${param}${print(expr.expr)})`;
    }
    case 'binary':
      return `${print(expr.lhs)} ${printOperator(expr, printName)} ${print(expr.rhs)}`;
    case 'unary':
      return expr.op + print(expr.expr);
    case 'paren':
      return `(${print(expr.expr)})`;
  }
}

function printNumber(value: number, duration: boolean): string {
  if (!duration) return formatNumber(value);
  return value < 0 ? `-${formatDuration(secondsToMs(-value))}` : formatDuration(secondsToMs(value));
}

/** `sum by (job) `, before the parentheses. */
export function printAggregation({ op, grouping, without }: AggregateExpr, printName: NamePrinter): string {
  if (without) return `${op} without (${printLabels(grouping, printName)}) `;
  return grouping.length === 0 ? op : `${op} by (${printLabels(grouping, printName)}) `;
}

function printLabels(labels: readonly string[], printName: NamePrinter): string {
  return labels.map(printName).join(', ');
}

/** `+ on (job) group_left ()`, between both sides. */
export function printOperator({ op, bool, matching }: BinaryExpr, printName: NamePrinter): string {
  let text = bool ? `${op} bool` : op;
  if (matching === undefined) return text;
  const { card, labels, on, include, fillLeft, fillRight } = matching;
  const groups = card === 'many-to-one' || card === 'one-to-many';
  if (labels.length > 0 || on || groups) text += ` ${on ? 'on' : 'ignoring'} (${printLabels(labels, printName)})`;
  if (groups) text += ` group_${card === 'many-to-one' ? 'left' : 'right'} (${printLabels(include, printName)})`;
  if (fillLeft !== undefined && Object.is(fillLeft, fillRight)) return `${text} fill (${formatG(fillLeft)})`;
  if (fillLeft !== undefined) text += ` fill_left (${formatG(fillLeft)})`;
  if (fillRight !== undefined) text += ` fill_right (${formatG(fillRight)})`;
  return text;
}

function printVector(selector: VectorSelector, printName: NamePrinter): string {
  const { at, anchored, smoothed } = selector;
  return printSeries(selector, printName) + printAt(at) + printExtension(anchored, smoothed) + printOffset(selector);
}

function printMatrix({ vector, rangeMs, rangeExpr }: MatrixSelector, printName: NamePrinter): string {
  const range = printDuration(rangeMs, rangeExpr);
  const extension = printExtension(vector.anchored, vector.smoothed);
  return `${printSeries(vector, printName)}[${range}]${extension}${printAt(vector.at)}${printOffset(vector)}`;
}

function printSeries({ name, matchers }: VectorSelector, printName: NamePrinter): string {
  const printed: string[] = [];
  for (const matcher of matchers) {
    const isName = matcher.name === METRIC_NAME && matcher.op === '=' && matcher.value === name && name !== '';
    if (!isName) printed.push(`${printName(matcher.name)}${matcher.op}${quoteGo(matcher.value)}`);
  }
  return printed.length === 0 ? name : `${name}{${printed.sort(compareUtf8).join(',')}}`;
}

/** `[5m:1m] @ 100.000 offset 1m`, behind the expression. */
export function printSubqueryRange(subquery: SubqueryExpr): string {
  const range = printDuration(subquery.rangeMs, subquery.rangeExpr);
  const hasStep = subquery.stepMs !== 0 || subquery.stepExpr !== undefined;
  const step = hasStep ? printDuration(subquery.stepMs, subquery.stepExpr) : '';
  return `[${range}:${step}]${printAt(subquery.at)}${printOffset(subquery)}`;
}

function printAt(at: At | undefined): string {
  if (at === undefined) return '';
  return typeof at === 'string' ? ` @ ${at}()` : ` @ ${(at.timeMs / 1000).toFixed(3)}`;
}

function printExtension(anchored: boolean, smoothed: boolean): string {
  if (anchored) return ' anchored';
  return smoothed ? ' smoothed' : '';
}

function printOffset({ offsetMs, offsetExpr }: VectorSelector | SubqueryExpr): string {
  if (offsetExpr !== undefined) return ` offset ${printDurationExpr(offsetExpr)}`;
  if (offsetMs === 0) return '';
  // Go cannot negate its smallest integer, and so prints its sign as well
  if (offsetMs === OVERFLOWN_MS) return ` offset --${formatDuration(-offsetMs)}`;
  return offsetMs > 0 ? ` offset ${formatDuration(offsetMs)}` : ` offset -${formatDuration(-offsetMs)}`;
}

function printDuration(ms: number, expr: DurationExpr | undefined): string {
  return expr === undefined ? formatDuration(ms) : printDurationExpr(expr);
}

function printDurationExpr(expr: DurationExpr): string {
  if (expr.kind === 'number') return printNumber(expr.seconds, expr.duration);
  const lhs = expr.lhs === undefined ? '' : printDurationExpr(expr.lhs);
  const rhs = expr.rhs === undefined ? '' : printDurationExpr(expr.rhs);
  let text: string;
  switch (expr.op) {
    case 'step':
    case 'range':
      text = `${expr.op}()`;
      break;
    case 'min':
    case 'max':
      text = `${expr.op}_of(${lhs}, ${rhs})`;
      break;
    case 'neg':
      text = `-${rhs}`;
      break;
    case 'pos':
      text = rhs;
      break;
    default:
      text = `${lhs} ${expr.op} ${rhs}`;
  }
  return expr.wrapped ? `(${text})` : text;
}
