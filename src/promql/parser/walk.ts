import type { LabelMatcher } from '../../model/matcher.ts';
import type { Expr } from './ast.ts';

/** The expressions that one is made of, without those of durations. */
export function childrenOf(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case 'number':
    case 'string':
    case 'vector':
      return [];
    case 'matrix':
      return [expr.vector];
    case 'subquery':
    case 'unary':
    case 'paren':
      return [expr.expr];
    case 'call':
      return expr.args;
    case 'aggregate':
      return expr.param === undefined ? [expr.expr] : [expr.param, expr.expr];
    case 'binary':
      return [expr.lhs, expr.rhs];
  }
}

/** The matchers of every vector selector, from left to right. */
export function selectorsOf(expr: Expr): (readonly LabelMatcher[])[] {
  return expr.kind === 'vector' ? [expr.matchers] : childrenOf(expr).flatMap(selectorsOf);
}
