import { METRIC_NAME } from '../../model/labels.ts';
import { LabelMatcher, type MatchOp } from '../../model/matcher.ts';
import { RegexSyntaxError } from '../../model/regex/regex.ts';
import type { PosRange } from '../position.ts';
import type { VectorSelector } from './ast.ts';
import type { Context, Cursor } from './cursor.ts';
import { unquote } from './string.ts';
import { aggregators, preprocessors, type Token, type TokenKind } from './token.ts';

const MATCHING = 'label matching';
const EXPECT_MATCHER: Context = { place: MATCHING, expected: 'identifier or "}"' };
const EXPECT_OPERATOR: Context = { place: MATCHING, expected: 'label matching operator' };
const EXPECT_VALUE: Context = { place: MATCHING, expected: 'string' };
const EXPECT_MORE: Context = { place: MATCHING, expected: '"," or "}"' };

const MATCH_OPS: ReadonlySet<TokenKind> = new Set<TokenKind>(['=', '!=', '=~', '!~']);

/** The words that can be a metric's name although they mean something elsewhere. */
export function canNameMetric(kind: TokenKind): boolean {
  return (
    kind === 'IDENTIFIER' ||
    kind === 'METRIC_IDENTIFIER' ||
    NAMING.has(kind) ||
    aggregators.has(kind) ||
    preprocessors.has(kind)
  );
}

const NAMING: ReadonlySet<TokenKind> = new Set<TokenKind>([
  'and',
  'or',
  'unless',
  'by',
  'without',
  'offset',
  'fill',
  'fill_left',
  'fill_right',
  'anchored',
  'smoothed',
]);

/** The tokens that an expression may begin with. */
export function startsExpr(kind: TokenKind): boolean {
  return (
    canNameMetric(kind) ||
    kind === 'NUMBER' ||
    kind === 'DURATION' ||
    kind === 'STRING' ||
    kind === '(' ||
    kind === '{' ||
    kind === '+' ||
    kind === '-'
  );
}

/** `name{…}`, `name` or `{…}`; the name was read. */
export function vectorSelector(cursor: Cursor, name: Token | undefined): VectorSelector {
  const matchers: LabelMatcher[] = [];
  let pos = name?.pos;
  if (cursor.kind() === '{') {
    const braces = labelMatchers(cursor, matchers);
    pos = { start: pos?.start ?? braces.start, end: braces.end };
  }
  if (name !== undefined) matchers.push(LabelMatcher.of(METRIC_NAME, '=', name.text));
  return {
    kind: 'vector',
    name: name?.text ?? '',
    matchers,
    offsetMs: 0,
    offsetExpr: undefined,
    at: undefined,
    anchored: false,
    smoothed: false,
    pos: pos!,
  };
}

function labelMatchers(cursor: Cursor, matchers: LabelMatcher[]): PosRange {
  const open = cursor.take();
  let close = cursor.accept('}');
  while (close === undefined) {
    cursor.checkList(matchers.length, 'matchers in a selector', 'query_matchers_max');
    const matcher = labelMatcher(cursor);
    if (matcher !== undefined) matchers.push(matcher);
    close = cursor.accept('}');
    if (close !== undefined) break;
    if (cursor.accept(',') === undefined) cursor.fail(EXPECT_MORE);
    close = cursor.accept('}');
  }
  return { start: open.pos.start, end: close.pos.end };
}

/** None where the regular expression is wrong, which is noted. */
function labelMatcher(cursor: Cursor): LabelMatcher | undefined {
  const quoted = cursor.kind() === 'STRING';
  if (!quoted && cursor.kind() !== 'IDENTIFIER') cursor.fail(EXPECT_MATCHER);
  const label = cursor.take();
  const name = quoted ? unquote(label.text) : label.text;
  if (!MATCH_OPS.has(cursor.kind())) {
    return quoted ? LabelMatcher.of(METRIC_NAME, '=', name) : cursor.fail(EXPECT_OPERATOR);
  }
  const op = cursor.take().kind as MatchOp;
  if (cursor.kind() !== 'STRING') cursor.fail(EXPECT_VALUE);
  const value = cursor.take();
  if (op === '=~' || op === '!~') cursor.countRegex();
  try {
    const matcher = LabelMatcher.of(name, op, unquote(value.text), cursor.regexOf);
    cursor.countInstructions(matcher.regex?.programSize ?? 0);
    return matcher;
  } catch (thrown) {
    if (!(thrown instanceof RegexSyntaxError)) throw thrown;
    cursor.note({ start: label.pos.start, end: value.pos.end }, thrown.message);
    return undefined;
  }
}
