import { queryErrors } from '../../model/errors-query.ts';
import type { DurationExpr } from '../parser/ast.ts';

/** The query's lengths of time that a duration expression may refer to. */
export interface DurationScope {
  /** 0 for an instant query. */
  readonly stepMs: number;
  readonly rangeMs: number;
}

/**
 * The value of a duration expression in whole milliseconds.
 *
 * @throws where it divides by zero, or is not above zero although `mayBeNegative` is false
 */
export function durationMs(expr: DurationExpr, scope: DurationScope, mayBeNegative: boolean): number {
  const seconds = evaluate(expr, scope);
  if (seconds <= 0 && !mayBeNegative) fail(expr, 'duration must be greater than 0');
  if (seconds > 2 ** 63 || seconds < -(2 ** 63)) fail(expr, 'duration is out of range');
  return Math.trunc(seconds * 1000);
}

function evaluate(expr: DurationExpr, scope: DurationScope): number {
  if (expr.kind === 'number') return expr.ms / 1000;
  const lhs = expr.lhs === undefined ? 0 : evaluate(expr.lhs, scope);
  const rhs = expr.rhs === undefined ? 0 : evaluate(expr.rhs, scope);
  switch (expr.op) {
    case 'step':
      return scope.stepMs / 1000;
    case 'range':
      return scope.rangeMs / 1000;
    case 'min':
      return Math.min(lhs, rhs);
    case 'max':
      return Math.max(lhs, rhs);
    case '+':
      return lhs + rhs;
    case '-':
      return lhs - rhs;
    case 'pos':
      return expr.rhs === undefined ? lhs : rhs;
    case 'neg':
      return expr.rhs === undefined ? -lhs : -rhs;
    case '*':
      return lhs * rhs;
    case '/':
      if (rhs === 0) fail(expr, 'division by zero');
      return lhs / rhs;
    case '%':
      if (rhs === 0) fail(expr, 'modulo by zero');
      return lhs % rhs;
    case '^':
      return lhs ** rhs;
  }
}

function fail(expr: DurationExpr, what: string): never {
  throw queryErrors.queryInvalid({ text: `${expr.pos.start}:${expr.pos.end}: ${what}` });
}
