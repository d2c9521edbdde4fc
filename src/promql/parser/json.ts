import { functionOf } from '../functions/table.ts';
import type { At, DurationExpr, Expr, VectorMatching, VectorSelector } from './ast.ts';
import { formatNumber } from './number.ts';

/** A tree as `/api/v1/parse_query` gives it; the fields in the order in which Prometheus writes them. */
export type JsonNode = { readonly [field: string]: unknown };

export function exprToJson(expr: Expr): JsonNode {
  switch (expr.kind) {
    case 'number':
      return { type: 'numberLiteral', val: formatNumber(expr.value) };
    case 'string':
      return { type: 'stringLiteral', val: expr.value.toWellFormed() };
    case 'paren':
      return { expr: exprToJson(expr.expr), type: 'parenExpr' };
    case 'unary':
      return { expr: exprToJson(expr.expr), op: expr.op, type: 'unaryExpr' };
    case 'vector': {
      const { anchored, matchers, name, offset, offsetExpr, smoothed, startOrEnd, timestamp } = selectorToJson(expr);
      const type = 'vectorSelector';
      return { anchored, matchers, name, offset, offsetExpr, smoothed, startOrEnd, timestamp, type };
    }
    case 'matrix': {
      const { smoothed, startOrEnd, timestamp, ...before } = selectorToJson(expr.vector);
      const range = { range: expr.rangeMs, rangeExpr: durationToJson(expr.rangeExpr) };
      return { ...before, ...range, smoothed, startOrEnd, timestamp, type: 'matrixSelector' };
    }
    case 'subquery': {
      const { startOrEnd, timestamp } = atToJson(expr.at);
      return {
        expr: exprToJson(expr.expr),
        offset: expr.offsetMs,
        offsetExpr: durationToJson(expr.offsetExpr),
        range: expr.rangeMs,
        rangeExpr: durationToJson(expr.rangeExpr),
        startOrEnd,
        step: expr.stepMs,
        stepExpr: durationToJson(expr.stepExpr),
        timestamp,
        type: 'subquery',
      };
    }
    case 'call': {
      const { argTypes, returnType, variadic } = functionOf(expr.func)!.signature;
      return {
        args: expr.args.map(exprToJson),
        func: { argTypes, name: expr.func, returnType, variadic },
        type: 'call',
      };
    }
    case 'aggregate':
      return {
        expr: exprToJson(expr.expr),
        grouping: expr.grouping,
        op: expr.op,
        param: expr.param === undefined ? null : exprToJson(expr.param),
        type: 'aggregation',
        without: expr.without,
      };
    case 'binary':
      return {
        bool: expr.bool,
        lhs: exprToJson(expr.lhs),
        matching: matchingToJson(expr.matching),
        op: expr.op,
        rhs: exprToJson(expr.rhs),
        type: 'binaryExpr',
      };
  }
}

function selectorToJson(selector: VectorSelector) {
  const { anchored, name, offsetMs, offsetExpr, smoothed, at } = selector;
  return {
    anchored,
    matchers: selector.matchers.map((matcher) => ({
      name: matcher.name,
      type: matcher.op,
      value: matcher.value.toWellFormed(),
    })),
    name,
    offset: offsetMs,
    offsetExpr: durationToJson(offsetExpr),
    smoothed,
    ...atToJson(at),
  };
}

function atToJson(at: At | undefined): { startOrEnd: string | null; timestamp: number | null } {
  if (typeof at === 'string') return { startOrEnd: at, timestamp: null };
  return { startOrEnd: null, timestamp: at?.timeMs ?? null };
}

function matchingToJson(matching: VectorMatching | undefined): JsonNode | null {
  if (matching === undefined) return null;
  const { card, labels, on, include, fillLeft, fillRight } = matching;
  return { card, fillValues: { lhs: fillLeft ?? null, rhs: fillRight ?? null }, include, labels, on };
}

const DURATION_OPS: Readonly<Record<string, string>> = { neg: '-', pos: '+', min: 'min_of', max: 'max_of' };

function durationToJson(expr: DurationExpr | undefined): JsonNode | null {
  if (expr === undefined) return null;
  if (expr.kind === 'number') {
    return { duration: expr.duration, type: 'numberLiteral', val: formatNumber(expr.seconds) };
  }
  const { lhs, op, rhs, wrapped } = expr;
  return {
    lhs: durationToJson(lhs),
    op: DURATION_OPS[op] ?? op,
    rhs: durationToJson(rhs),
    type: 'durationExpr',
    wrapped,
  };
}
