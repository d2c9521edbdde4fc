import { quoteGo, quoteGoCut } from '../../model/labels.ts';
import type { VectorMatching } from './ast.ts';
import type { Context, Cursor } from './cursor.ts';
import { numberOrDuration } from './duration-expr.ts';
import { isUnquotedName } from './lexer.ts';
import { startsExpr } from './selector.ts';
import { unquote } from './string.ts';
import { aggregators, preprocessors, type TokenKind } from './token.ts';

const GROUPING = 'grouping opts';
const EXPECT_PAREN: Context = { place: GROUPING, expected: '"("' };
const EXPECT_LABEL: Context = { place: GROUPING, expected: 'label' };
const EXPECT_MORE: Context = { place: GROUPING, expected: '"," or ")"' };

/** The words that can be a label although they mean something elsewhere. `without` is not among them. */
const LABEL_WORDS: ReadonlySet<TokenKind> = new Set<TokenKind>([
  'IDENTIFIER',
  'METRIC_IDENTIFIER',
  'STRING',
  'and',
  'or',
  'unless',
  'atan2',
  'bool',
  'by',
  'on',
  'ignoring',
  'group_left',
  'group_right',
  'offset',
  'fill',
  'fill_left',
  'fill_right',
  'anchored',
  'smoothed',
]);

/** `(a, b)` behind `by`, `on`, `group_left`, … */
export function groupingLabels(cursor: Cursor): string[] {
  if (cursor.accept('(') === undefined) cursor.fail(EXPECT_PAREN);
  const labels: string[] = [];
  while (cursor.accept(')') === undefined) {
    cursor.checkList(labels.length, 'labels in a list', 'query_label_list_max');
    labels.push(label(cursor));
    if (cursor.accept(')') !== undefined) break;
    if (cursor.accept(',') === undefined) cursor.fail(EXPECT_MORE);
  }
  return labels;
}

function label(cursor: Cursor): string {
  const kind = cursor.kind();
  if (!LABEL_WORDS.has(kind) && !aggregators.has(kind) && !preprocessors.has(kind)) cursor.fail(EXPECT_LABEL);
  const { text, pos } = cursor.take();
  if (kind !== 'STRING') {
    // without the option a name with a colon passes, as it always did
    if (cursor.options.unquotedUtf8Names && !isUnquotedName(text)) {
      cursor.note(pos, `invalid label name for grouping: ${quoteGoCut(text)}`);
    }
    return text;
  }
  const name = unquote(text);
  if (name === '' || !name.isWellFormed()) cursor.note(pos, `invalid label name for grouping: ${quoteGo(name)}`);
  return name;
}

/** The modifiers between a binary operator and its right side: `bool on (a) group_left (b) fill (0)`. */
export function binaryModifiers(cursor: Cursor): { bool: boolean; matching: VectorMatching } {
  const bool = cursor.accept('bool') !== undefined;
  let card: VectorMatching['card'] = 'one-to-one';
  let labels: string[] = [];
  let include: string[] = [];
  let on = false;
  if (cursor.kind() === 'on' || cursor.kind() === 'ignoring') {
    on = cursor.take().kind === 'on';
    labels = groupingLabels(cursor);
    if (cursor.kind() === 'group_left' || cursor.kind() === 'group_right') {
      card = cursor.take().kind === 'group_left' ? 'many-to-one' : 'one-to-many';
      if (!startsExpr(cursor.kind()) || cursor.kind() === '(') include = groupingLabels(cursor);
    }
  }
  return { bool, matching: { card, labels, on, include, ...fillModifiers(cursor) } };
}

function fillModifiers(cursor: Cursor): Pick<VectorMatching, 'fillLeft' | 'fillRight'> {
  let fillLeft: number | undefined;
  let fillRight: number | undefined;
  if (cursor.accept('fill') !== undefined) {
    fillLeft = fillValue(cursor);
    fillRight = fillLeft;
  } else if (cursor.accept('fill_left') !== undefined) {
    fillLeft = fillValue(cursor);
    if (cursor.accept('fill_right') !== undefined) fillRight = fillValue(cursor);
  } else if (cursor.accept('fill_right') !== undefined) {
    fillRight = fillValue(cursor);
    if (cursor.accept('fill_left') !== undefined) fillLeft = fillValue(cursor);
  }
  return { fillLeft, fillRight };
}

function fillValue(cursor: Cursor): number {
  cursor.expect('(');
  const sign = cursor.accept('-') ?? cursor.accept('+');
  if (cursor.kind() !== 'NUMBER' && cursor.kind() !== 'DURATION') cursor.fail();
  const { value } = numberOrDuration(cursor, cursor.take());
  cursor.expect(')');
  return sign?.kind === '-' ? -value : value;
}
