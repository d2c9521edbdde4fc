import { functionOf } from '../promql/functions/table.ts';
import type { Call, Expr, MatrixSelector } from '../promql/parser/ast.ts';
import { printExpr } from '../promql/parser/printer.ts';
import { typeOf } from '../promql/parser/type.ts';
import { NotCut, replaced } from './cut-text.ts';
import type { StepRange } from './split.ts';

// Windows of many days, of instants: a window is cut at the borders of days, and what a function finds in each piece is put together. That
// is so for functions whose answer follows, to the last bit, from those of the pieces in their order.

/** The answer of the pieces before, and that of the next one. */
export type Join = (before: number, next: number) => number;

const add: Join = (before, next) => before + next;
const first: Join = (before) => before;
const last: Join = (_, next) => next;

/**
 * Floats only. NaN gives way to everything, and of equal values the first one stays. Sums are put together where none is rounded, which the
 * pieces tell.
 */
const JOINS: Readonly<Record<string, Join>> = {
  count_over_time: add,
  first_over_time: first,
  last_over_time: last,
  max_over_time: (before, next) => (next > before || Number.isNaN(before) ? next : before),
  min_over_time: (before, next) => (next < before || Number.isNaN(before) ? next : before),
  present_over_time: first,
  sum_over_time: add,
  ts_of_first_over_time: first,
  ts_of_last_over_time: last,
};

/** Functions that are asked for by others. */
const BY_OTHERS: Readonly<Record<string, readonly string[]>> = {
  absent_over_time: ['present_over_time'],
  avg_over_time: ['sum_over_time', 'count_over_time'],
};

/** Windows of so many intervals are left whole: their edges would be most of them. */
const INTERVALS_WHOLE = 3;
/** Windows of more intervals are left whole, too. */
const INTERVALS_MAX = 400;

/** A function of a window that is worth cutting. */
export interface LongWindow {
  readonly call: Call;
  readonly matrix: MatrixSelector;
  readonly keepsName: boolean;
  /** Functions that are asked for, and how answers of pieces are put together; of two the quotient is the answer. */
  readonly asked: readonly { readonly func: string; readonly join: Join }[];
  /** The question is whether there is nothing. */
  readonly isAbsent: boolean;
}

/** An instant whose long windows are asked for by themselves. */
export interface CutWindows {
  readonly windows: readonly LongWindow[];
  /** The expression with a selector in the place of each window; undefined: it is one window and nothing else. */
  readonly outer: { readonly text: string; readonly names: readonly string[] } | undefined;
}

/** Whether an expression may have windows to be cut: told without reading it. */
export function mayHaveWindows(text: string): boolean {
  return text.includes('_over_time');
}

/** @param text of the expression @returns undefined where it has none, or anything else that selects series */
export function cutWindows(expr: Expr, text: string, intervalMs: number): CutWindows | undefined {
  const windows: LongWindow[] = [];
  try {
    find(expr, intervalMs, windows);
  } catch (thrown) {
    if (thrown instanceof NotCut) return undefined;
    throw thrown;
  }
  if (windows.length === 0) return undefined;
  const calls = windows.map(({ call }) => call);
  if (calls.includes(withoutParens(expr) as Call)) return { windows, outer: undefined };
  // its answer has labels of the selector
  if (windows.some(({ isAbsent }) => isAbsent)) return undefined;
  const outer = replaced(text, calls);
  return outer && { windows, outer };
}

/** @throws NotCut */
function find(expr: Expr, intervalMs: number, windows: LongWindow[]): void {
  switch (expr.kind) {
    case 'number':
    case 'string':
      break;
    case 'paren':
    case 'unary':
      find(expr.expr, intervalMs, windows);
      break;
    case 'binary':
      find(expr.lhs, intervalMs, windows);
      find(expr.rhs, intervalMs, windows);
      break;
    case 'aggregate':
      if (expr.param !== undefined) find(expr.param, intervalMs, windows);
      find(expr.expr, intervalMs, windows);
      break;
    case 'call':
      findInCall(expr, intervalMs, windows);
      break;
    case 'vector':
    case 'matrix':
    case 'subquery':
      throw new NotCut();
  }
}

function findInCall(call: Call, intervalMs: number, windows: LongWindow[]): void {
  const { absent, info, open, keepsName = false } = functionOf(call.func)!;
  const [matrix] = call.args;
  const asked = (BY_OTHERS[call.func] ?? [call.func]).map((func) => ({ func, join: JOINS[func]! }));
  const isJoined = asked.every(({ join }) => join !== undefined);
  if (isJoined && matrix?.kind === 'matrix' && isLong(matrix, intervalMs)) {
    windows.push({ call, matrix, keepsName, asked, isAbsent: absent === true });
    return;
  }
  if (absent || info || open.kind === 'info' || call.args.some((arg) => typeOf(arg) === 'matrix')) throw new NotCut();
  for (const arg of call.args) find(arg, intervalMs, windows);
}

function isLong({ vector, rangeMs, rangeExpr }: MatrixSelector, intervalMs: number): boolean {
  const isPlain = rangeExpr === undefined && vector.offsetExpr === undefined && vector.at === undefined;
  const intervals = rangeMs / intervalMs;
  return isPlain && !vector.anchored && !vector.smoothed && intervals > INTERVALS_WHOLE && intervals <= INTERVALS_MAX;
}

function withoutParens(expr: Expr): Expr {
  return expr.kind === 'paren' ? withoutParens(expr.expr) : expr;
}

/** Steps at which the same expression is evaluated, and that. */
export interface WindowPiece extends StepRange {
  readonly expr: string;
}

export interface WindowPieces {
  /** From the window's beginning to the first border; absent where it begins at one. */
  readonly before: WindowPiece | undefined;
  /** Whole intervals: a step is at the end of each. */
  readonly intervals: WindowPiece;
  /** From the last border to the window's end. */
  readonly after: WindowPiece | undefined;
}

/** A function of the window as it is at an instant, by intervals of the clock. */
export function piecesOf({ call, matrix }: LongWindow, func: string, timeMs: number, intervalMs: number): WindowPieces {
  const endMs = timeMs - matrix.vector.offsetMs;
  // open at its beginning, as all windows are
  const beginMs = endMs - matrix.rangeMs;
  const firstMs = Math.ceil(beginMs / intervalMs) * intervalMs;
  const lastMs = Math.floor(endMs / intervalMs) * intervalMs;
  const vector = { ...matrix.vector, offsetMs: 0 };
  const piece = (fromMs: number, toMs: number, rangeMs: number): WindowPiece => ({
    startMs: fromMs,
    endMs: toMs,
    expr: printExpr({ ...call, func, args: [{ ...matrix, vector, rangeMs }] }),
  });
  return {
    before: firstMs > beginMs ? piece(firstMs, firstMs, firstMs - beginMs) : undefined,
    intervals: piece(firstMs + intervalMs, lastMs, intervalMs),
    after: endMs > lastMs ? piece(endMs, endMs, endMs - lastMs) : undefined,
  };
}
