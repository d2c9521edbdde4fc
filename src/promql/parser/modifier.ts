import type { PosRange } from '../position.ts';
import type { At, DurationExpr, Expr, MatrixSelector, SubqueryExpr, VectorSelector } from './ast.ts';
import type { Context, Cursor } from './cursor.ts';
import { IN_BRACKETS, IN_OFFSET, numberOrDuration, offsetDurationExpr, positiveDurationExpr } from './duration-expr.ts';
import { formatTimestampGo } from './number.ts';

const IN_AT: Context = { place: '@', expected: 'timestamp' };
const AFTER_RANGE: Context = { place: 'subquery or range', expected: '":" or "]"' };
const IN_STEP: Context = { place: 'subquery selector', expected: 'number, duration, step(), range(), or "]"' };
const AFTER_STEP: Context = { place: 'subquery selector', expected: '"]"' };

/** The modifiers behind an expression: `[5m]`, `[5m:1m]`, `offset 5m`, `@ 100`, `anchored`, `smoothed`. */
export function withModifiers(cursor: Cursor, expr: Expr): Expr {
  let modified = expr;
  for (;;) {
    switch (cursor.kind()) {
      case '[':
        modified = withRange(cursor, modified);
        break;
      case 'offset':
        cursor.take();
        modified = withOffset(
          cursor,
          modified,
          cursor.within(IN_OFFSET, () => offsetDurationExpr(cursor)),
        );
        break;
      case '@':
        cursor.take();
        modified = cursor.within(IN_AT, () => withAt(cursor, modified));
        break;
      case 'anchored':
      case 'smoothed':
        modified = withExtension(cursor, modified, cursor.take().kind as 'anchored' | 'smoothed');
        break;
      default:
        return modified;
    }
  }
}

function withRange(cursor: Cursor, expr: Expr): MatrixSelector | SubqueryExpr {
  const open = cursor.take();
  const range = cursor.within(IN_BRACKETS, () => positiveDurationExpr(cursor));
  const close = cursor.accept(']');
  if (close === undefined) return withSubquery(cursor, expr, range);
  const wrong = whyNoRange(expr);
  if (wrong !== undefined) cursor.note({ start: open.pos.start, end: close.pos.end }, wrong);
  return {
    kind: 'matrix',
    // anything else was noted, and then the tree is never seen
    vector: expr as VectorSelector,
    rangeMs: plainMs(range),
    rangeExpr: computed(range),
    pos: { start: expr.pos.start, end: close.pos.end },
  };
}

function whyNoRange(expr: Expr): string | undefined {
  if (expr.kind !== 'vector') return 'ranges only allowed for vector selectors';
  if (expr.offsetMs !== 0 || expr.offsetExpr !== undefined) return 'no offset modifiers allowed before range';
  return expr.at === undefined ? undefined : 'no @ modifiers allowed before range';
}

function withSubquery(cursor: Cursor, expr: Expr, range: DurationExpr): SubqueryExpr {
  if (cursor.accept(':') === undefined) cursor.fail(AFTER_RANGE);
  let step: DurationExpr | undefined;
  let close = cursor.accept(']');
  if (close === undefined) {
    step = cursor.within(IN_STEP, () => positiveDurationExpr(cursor));
    close = cursor.accept(']') ?? cursor.fail(AFTER_STEP);
  }
  return {
    kind: 'subquery',
    expr,
    rangeMs: plainMs(range),
    rangeExpr: computed(range),
    stepMs: step === undefined ? 0 : plainMs(step),
    stepExpr: step === undefined ? undefined : computed(step),
    offsetMs: 0,
    offsetExpr: undefined,
    at: undefined,
    pos: { start: expr.pos.start, end: close.pos.end },
  };
}

function plainMs(duration: DurationExpr): number {
  return duration.kind === 'number' ? duration.ms : 0;
}

function computed(duration: DurationExpr): DurationExpr | undefined {
  return duration.kind === 'number' ? undefined : duration;
}

/** Expressions that `offset` and `@` can be put on. Of a matrix selector it is the vector selector that they are set on. */
type Shiftable = VectorSelector | MatrixSelector | SubqueryExpr;

function shiftable(
  cursor: Cursor,
  expr: Expr,
  modifier: string,
): { node: Shiftable; at: VectorSelector | SubqueryExpr } | undefined {
  switch (expr.kind) {
    case 'vector':
    case 'subquery':
      return { node: expr, at: expr };
    case 'matrix':
      if ((expr.vector as Expr).kind === 'vector') return { node: expr, at: expr.vector };
      cursor.note(expr.pos, 'ranges only allowed for vector selectors');
      return undefined;
    default:
      cursor.note(
        expr.pos,
        `${modifier} modifier must be preceded by an instant vector selector or range vector selector or a subquery`,
      );
      return undefined;
  }
}

type Shift = Partial<Pick<VectorSelector, 'offsetMs' | 'offsetExpr' | 'at'>>;

/** With `shift` set, and its end after it. */
function shifted(cursor: Cursor, node: Shiftable, shift: Shift): Shiftable {
  const pos: PosRange = { start: node.pos.start, end: cursor.lastClosing };
  return node.kind === 'matrix' ? { ...node, vector: { ...node.vector, ...shift }, pos } : { ...node, ...shift, pos };
}

function withOffset(cursor: Cursor, expr: Expr, offset: DurationExpr): Expr {
  const target = shiftable(cursor, expr, 'offset');
  if (target === undefined) return expr;
  if (target.at.offsetMs !== 0 || target.at.offsetExpr !== undefined) {
    cursor.note(expr.pos, 'offset may not be set multiple times');
    return shifted(cursor, target.node, {});
  }
  return shifted(cursor, target.node, { offsetMs: plainMs(offset), offsetExpr: computed(offset) });
}

function withAt(cursor: Cursor, expr: Expr): Expr {
  if (cursor.kind() === 'start' || cursor.kind() === 'end') {
    const { kind } = cursor.take();
    cursor.expect('(');
    cursor.expect(')');
    return withTime(cursor, expr, kind as 'start' | 'end');
  }
  const sign = cursor.accept('+') ?? cursor.accept('-');
  if (cursor.kind() !== 'NUMBER' && cursor.kind() !== 'DURATION') cursor.fail();
  const { value } = numberOrDuration(cursor, cursor.take());
  const seconds = sign?.kind === '-' ? -value : value;
  if (!(Math.abs(seconds) < 2 ** 63)) {
    cursor.note(expr.pos, `timestamp out of bounds for @ modifier: ${formatTimestampGo(seconds)}`);
  }
  return withTime(cursor, expr, { timeMs: toTimeMs(seconds) });
}

function withTime(cursor: Cursor, expr: Expr, at: At): Expr {
  const target = shiftable(cursor, expr, '@');
  if (target === undefined) return expr;
  if (target.at.at !== undefined) {
    cursor.note(expr.pos, '@ <timestamp> may not be set multiple times');
    return expr;
  }
  return shifted(cursor, target.node, { at });
}

/** Rounds half away from zero; what does not fit an int64 becomes the smallest one, as in Go on amd64. */
function toTimeMs(seconds: number): number {
  const size = Math.abs(seconds * 1000);
  if (!(size < 2 ** 63)) return -(2 ** 63);
  // `+ 0` makes -0 a plain 0
  return Math.sign(seconds) * Math.round(size) + 0;
}

function withExtension(cursor: Cursor, expr: Expr, name: 'anchored' | 'smoothed'): Expr {
  const refuse = (text: string) => {
    cursor.note(expr.pos, text);
    return expr;
  };
  if (!cursor.options.extendedRangeSelectors) return refuse(`${name} modifier is experimental and not enabled`);
  if (expr.kind === 'subquery') return refuse(`${name} modifier is not supported for subqueries`);
  if (expr.kind !== 'vector' && expr.kind !== 'matrix') return refuse(`${name} modifier not implemented`);
  const vector = expr.kind === 'matrix' ? expr.vector : expr;
  if (name === 'anchored' ? vector.smoothed : vector.anchored) {
    return refuse('anchored and smoothed modifiers cannot be used together');
  }
  return expr.kind === 'matrix' ? { ...expr, vector: { ...expr.vector, [name]: true } } : { ...expr, [name]: true };
}
