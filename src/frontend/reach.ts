import { functionOf } from '../promql/functions/table.ts';
import type { Expr, SubqueryExpr, VectorSelector } from '../promql/parser/ast.ts';

/** Times of the samples that a step sees, from the step on: back to before `backMs`, ahead to `aheadMs`, both at least 0. */
export interface Reach {
  readonly backMs: number;
  readonly aheadMs: number;
}

const NONE: Reach = { backMs: 0, aheadMs: 0 };

/**
 * How far from a step samples lie that it sees; undefined where that is not the same for all queries of this text: with `@`, with lengths that
 * are computed, with the query's own times.
 */
export function reachOf(expr: Expr, lookbackMs: number): Reach | undefined {
  switch (expr.kind) {
    case 'number':
    case 'string':
      return NONE;
    case 'vector':
      return shifted(expr, { backMs: lookbackMs, aheadMs: expr.smoothed ? lookbackMs : 0 });
    case 'matrix': {
      const { vector, rangeMs, rangeExpr } = expr;
      if (rangeExpr !== undefined) return undefined;
      const beyondMs = vector.anchored || vector.smoothed ? lookbackMs : 0;
      return shifted(vector, { backMs: rangeMs + beyondMs, aheadMs: vector.smoothed ? lookbackMs : 0 });
    }
    case 'subquery': {
      const inner =
        expr.rangeExpr !== undefined || expr.stepExpr !== undefined ? undefined : reachOf(expr.expr, lookbackMs);
      return inner && shifted(expr, { backMs: inner.backMs + expr.rangeMs, aheadMs: inner.aheadMs });
    }
    case 'paren':
    case 'unary':
      return reachOf(expr.expr, lookbackMs);
    case 'aggregate':
      return together(expr.param === undefined ? [expr.expr] : [expr.expr, expr.param], lookbackMs);
    case 'binary':
      return together([expr.lhs, expr.rhs], lookbackMs);
    case 'call':
      return functionOf(expr.func)!.open.kind === 'query' ? undefined : together(expr.args, lookbackMs);
  }
}

function shifted(of: VectorSelector | SubqueryExpr, { backMs, aheadMs }: Reach): Reach | undefined {
  if (of.at !== undefined || of.offsetExpr !== undefined) return undefined;
  return { backMs: Math.max(0, backMs + of.offsetMs), aheadMs: Math.max(0, aheadMs - of.offsetMs) };
}

function together(exprs: readonly Expr[], lookbackMs: number): Reach | undefined {
  let all = NONE;
  for (const expr of exprs) {
    const reach = reachOf(expr, lookbackMs);
    if (reach === undefined) return undefined;
    all = { backMs: Math.max(all.backMs, reach.backMs), aheadMs: Math.max(all.aheadMs, reach.aheadMs) };
  }
  return all;
}
