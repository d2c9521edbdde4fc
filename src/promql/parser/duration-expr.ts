import type { PosRange } from '../position.ts';
import type { DurationExpr } from './ast.ts';
import type { Context, Cursor } from './cursor.ts';
import { DurationSyntaxError, parseDuration, secondsToMs } from './duration.ts';
import { NumberSyntaxError, parseNumber } from './number.ts';
import type { Token } from './token.ts';

type DurationNumber = Extract<DurationExpr, { kind: 'number' }>;
type DurationOp = Extract<DurationExpr, { kind: 'op' }>;

const EXPECTED_DURATION = 'number, duration, step(), or range()';
export const IN_OFFSET: Context = { place: 'offset', expected: EXPECTED_DURATION };
export const IN_BRACKETS: Context = { place: 'subquery or range selector', expected: EXPECTED_DURATION };

const NOWHERE: PosRange = { start: 0, end: 0 };
/** Stands in for what was wrong, so that parsing goes on. */
const ZERO: DurationNumber = { kind: 'number', ms: 0, seconds: 0, duration: false, pos: NOWHERE };

/** More would not fit Go's `time.Duration`, in seconds. */
const DURATION_SECONDS_MAX = 2 ** 63 / 1e9;

/** Binds tighter upwards; a unary sign binds as `*`. */
const PRECEDENCE: Readonly<Record<string, number>> = { '+': 1, '-': 1, '*': 2, '/': 2, '%': 2, '^': 3 };
const UNARY_PRECEDENCE = 2;

/** The value of a number or a duration token, in seconds, and whether it was a duration. */
export function numberOrDuration(cursor: Cursor, token: Token): { value: number; duration: boolean } {
  try {
    if (token.kind === 'NUMBER') return { value: parseNumber(token.text), duration: false };
    return { value: parseDuration(token.text) / 1000, duration: true };
  } catch (thrown) {
    if (thrown instanceof NumberSyntaxError) {
      cursor.note(token.pos, `error parsing number: ${thrown.message}`);
      return { value: thrown.value, duration: false };
    }
    if (!(thrown instanceof DurationSyntaxError)) throw thrown;
    cursor.note(token.pos, thrown.message);
    return { value: 0, duration: true };
  }
}

/** The duration in brackets: a plain one must be greater than zero. */
export function positiveDurationExpr(cursor: Cursor): DurationExpr {
  const expr = durationExpr(cursor, 1);
  if (expr.kind === 'op' || expr.seconds > 0) return expr;
  cursor.note(expr.pos, 'duration must be greater than 0');
  return ZERO;
}

/**
 * The duration behind `offset`. It ends where it can: `a offset 1m + 2` adds 2 to `a`, but `a offset (1m) + 2` and
 * `a offset --1m + 2` go on as arithmetic of the offset, since yacc prefers to read on where no rule forbids it.
 */
export function offsetDurationExpr(cursor: Cursor): DurationExpr {
  if (cursor.kind() === '(') return durationExpr(cursor, 1);
  const sign = cursor.accept('+') ?? cursor.accept('-');
  if (sign === undefined) return primary(cursor);
  switch (cursor.kind()) {
    case 'NUMBER':
    case 'DURATION':
      return signed(cursor, sign, literal(cursor.take(), cursor));
    case '(': {
      cursor.take();
      const inner = cursor.nested(() => durationExpr(cursor, 1));
      cursor.expect(')');
      return signed(cursor, sign, wrapped(inner, inner.pos));
    }
    case 'step':
    case 'range':
    case 'min_of':
    case 'max_of': {
      const inner = callLike(cursor);
      return op(sign.kind === '-' ? 'neg' : 'pos', undefined, inner, { start: sign.pos.start, end: inner.pos.end });
    }
    default:
      return binary(cursor, signedOperand(cursor, sign), 1);
  }
}

function durationExpr(cursor: Cursor, precedenceMin: number): DurationExpr {
  return binary(cursor, unary(cursor), precedenceMin);
}

/** The operators behind `first` that bind as tight as `precedenceMin`. */
function binary(cursor: Cursor, first: DurationExpr, precedenceMin: number): DurationExpr {
  let lhs = first;
  for (;;) {
    const kind = cursor.kind();
    const precedence = PRECEDENCE[kind] ?? 0;
    if (precedence < precedenceMin) return lhs;
    const operator = cursor.take();
    // only `^` groups to the right
    const rhs = cursor.nested(() => durationExpr(cursor, kind === '^' ? precedence : precedence + 1));
    if ((kind === '/' || kind === '%') && rhs.kind === 'number' && rhs.seconds === 0) {
      cursor.note(operator.pos, kind === '/' ? 'division by zero' : 'modulo by zero');
      lhs = ZERO;
    } else {
      lhs = op(kind as DurationOp['op'], lhs, rhs, { start: lhs.pos.start, end: rhs.pos.end });
    }
  }
}

function unary(cursor: Cursor): DurationExpr {
  const sign = cursor.accept('+') ?? cursor.accept('-');
  return sign === undefined ? primary(cursor) : signedOperand(cursor, sign);
}

function signedOperand(cursor: Cursor, sign: Token): DurationExpr {
  return signed(
    cursor,
    sign,
    cursor.nested(() => durationExpr(cursor, UNARY_PRECEDENCE + 1)),
  );
}

function primary(cursor: Cursor): DurationExpr {
  switch (cursor.kind()) {
    case 'NUMBER':
    case 'DURATION': {
      const token = cursor.take();
      const number = literal(token, cursor);
      if (Math.abs(number.seconds) <= DURATION_SECONDS_MAX || Number.isNaN(number.seconds)) return number;
      cursor.note(token.pos, 'duration out of range');
      return ZERO;
    }
    case 'step':
    case 'range':
    case 'min_of':
    case 'max_of':
      return callLike(cursor);
    case '(': {
      const open = cursor.take();
      const inner = cursor.nested(() => durationExpr(cursor, 1));
      const close = cursor.expect(')');
      return wrapped(inner, { start: open.pos.start, end: close.pos.end });
    }
    default:
      return cursor.fail();
  }
}

/** `step()`, `range()`, `min_of(a, b)`, `max_of(a, b)`. */
function callLike(cursor: Cursor): DurationOp {
  const name = cursor.take();
  cursor.expect('(');
  if (name.kind === 'step' || name.kind === 'range') {
    const close = cursor.expect(')');
    return op(name.kind, undefined, undefined, { start: name.pos.start, end: close.pos.end });
  }
  const lhs = cursor.nested(() => durationExpr(cursor, 1));
  cursor.expect(',');
  const rhs = cursor.nested(() => durationExpr(cursor, 1));
  const close = cursor.expect(')');
  return op(name.kind === 'min_of' ? 'min' : 'max', lhs, rhs, { start: name.pos.start, end: close.pos.end });
}

function literal(token: Token, cursor: Cursor): DurationNumber {
  const { value, duration } = numberOrDuration(cursor, token);
  return number(value, duration, token.pos);
}

function number(seconds: number, duration: boolean, pos: PosRange): DurationNumber {
  return { kind: 'number', ms: secondsToMs(seconds), seconds, duration, pos };
}

function op(
  name: DurationOp['op'],
  lhs: DurationExpr | undefined,
  rhs: DurationExpr | undefined,
  pos: PosRange,
): DurationOp {
  return { kind: 'op', op: name, lhs, rhs, wrapped: false, pos };
}

/** A sign before a plain number goes into it; `+` before anything else changes nothing. */
function signed(cursor: Cursor, sign: Token, operand: DurationExpr): DurationExpr {
  if (operand.kind === 'op') {
    if (sign.kind === '+') return operand;
    return op('neg', undefined, operand, { start: sign.pos.start, end: operand.pos.end });
  }
  const seconds = sign.kind === '-' ? -operand.seconds : operand.seconds;
  if (Math.abs(seconds) > DURATION_SECONDS_MAX) {
    cursor.note(sign.pos, 'duration out of range');
    return ZERO;
  }
  return number(seconds, operand.duration, { start: sign.pos.start, end: operand.pos.end });
}

/** Parentheses around a plain number are kept by a `+` that does nothing. */
function wrapped(inner: DurationExpr, pos: PosRange): DurationOp {
  return inner.kind === 'op' ? { ...inner, wrapped: true } : { ...op('pos', undefined, inner, pos), wrapped: true };
}
