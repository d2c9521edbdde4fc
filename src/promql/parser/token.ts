import { quoteGo, quoteGoCut } from '../../model/labels.ts';
import type { PosRange } from '../position.ts';

/** Kinds with a text of their own (`(`, `sum`, `==`) are named by it; the others are in capitals. */
export type TokenKind =
  | 'EOF'
  | 'IDENTIFIER'
  | 'METRIC_IDENTIFIER'
  | 'NUMBER'
  | 'DURATION'
  | 'STRING'
  | '('
  | ')'
  | '{'
  | '}'
  | '['
  | ']'
  | ','
  | '='
  | ':'
  | OperatorKind
  | AggregatorKind
  | KeywordKind
  | PreprocessorKind;

const OPERATORS = [
  '+',
  '-',
  '*',
  '/',
  '%',
  '^',
  '==',
  '!=',
  '<',
  '<=',
  '>',
  '>=',
  '</',
  '>/',
  '=~',
  '!~',
  '@',
  'and',
  'or',
  'unless',
  'atan2',
] as const;
type OperatorKind = (typeof OPERATORS)[number];

const AGGREGATORS = [
  'sum',
  'avg',
  'count',
  'min',
  'max',
  'group',
  'stddev',
  'stdvar',
  'topk',
  'bottomk',
  'count_values',
  'quantile',
  'limitk',
  'limit_ratio',
] as const;
type AggregatorKind = (typeof AGGREGATORS)[number];

const KEYWORDS = [
  'offset',
  'smoothed',
  'anchored',
  'by',
  'without',
  'on',
  'ignoring',
  'group_left',
  'group_right',
  'fill',
  'fill_left',
  'fill_right',
  'bool',
] as const;
type KeywordKind = (typeof KEYWORDS)[number];

/** Words that are functions of the query's own range and step. */
const PREPROCESSORS = ['start', 'end', 'step', 'range', 'max_of', 'min_of'] as const;
type PreprocessorKind = (typeof PREPROCESSORS)[number];

export const aggregators: ReadonlySet<string> = new Set(AGGREGATORS);
export const preprocessors: ReadonlySet<string> = new Set(PREPROCESSORS);
const operators: ReadonlySet<string> = new Set(OPERATORS);
const keywords: ReadonlySet<string> = new Set(KEYWORDS);

/** The lower-case word → its kind. `inf` and `nan` are numbers. */
export const words: ReadonlyMap<string, TokenKind> = new Map<string, TokenKind>([
  ...(['and', 'or', 'unless', 'atan2'] as const).map((word) => [word, word] as const),
  ...[...AGGREGATORS, ...KEYWORDS, ...PREPROCESSORS].map((word) => [word, word] as const),
  ['inf', 'NUMBER'],
  ['nan', 'NUMBER'],
]);

export interface Token {
  readonly kind: TokenKind;
  /** As written; of a string, with its quotes. */
  readonly text: string;
  readonly pos: PosRange;
}

const NOUNS: Partial<Record<TokenKind, string>> = {
  IDENTIFIER: 'identifier',
  METRIC_IDENTIFIER: 'metric identifier',
  STRING: 'string',
  NUMBER: 'number',
  DURATION: 'duration',
};

/** How an error names the token: `identifier "foo"`, `<by>`, `<op:+>`, `end of input`. */
export function describeToken({ kind, text }: Token): string {
  if (kind === 'EOF') return 'end of input';
  const noun = NOUNS[kind];
  if (kind === 'IDENTIFIER' || kind === 'METRIC_IDENTIFIER') return `${noun} ${quoteGoCut(text)}`;
  if (keywords.has(kind)) return `<${text}>`;
  if (operators.has(kind)) return `<op:${text}>`;
  if (aggregators.has(kind)) return `<aggr:${text}>`;
  const shown = utf8Length(text) > 10 ? `${quoteGo([...text.slice(0, 20)].slice(0, 10).join(''))}...` : quoteGo(text);
  return noun === undefined ? shown : `${noun} ${shown}`;
}

export function utf8Length(text: string): number {
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) length += 1;
    else if (unit < 0x800) length += 2;
    else if (unit >= 0xd800 && unit < 0xdc00 && i + 1 < text.length) {
      length += 4;
      i++;
    } else length += 3;
  }
  return length;
}
