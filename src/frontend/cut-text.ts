import type { Expr } from '../promql/parser/ast.ts';

/** An expression cannot be cut, or it is not known that the answer would be the same. */
export class NotCut extends Error {}

/** Names of parts, which need no more room than any part has. */
const NAMES = 'abcdefgh';
const BLANK = 32;

/** An expression with selectors in the places of some parts, and nothing moved: positions are those in the whole text. */
export interface ReplacedText {
  readonly text: string;
  /** Names that stand for the parts, in their order. */
  readonly names: readonly string[];
}

/** @returns undefined where there are too many, or a name in a part's place would be one with the word beside it */
export function replaced(text: string, parts: readonly Expr[]): ReplacedText | undefined {
  if (parts.length > NAMES.length) return undefined;
  const bytes = new TextEncoder().encode(text);
  if (parts.some(({ pos }) => isOfName(bytes[pos.start - 1]) || isOfName(bytes[pos.end]))) return undefined;
  for (const [i, { pos }] of parts.entries()) {
    bytes.fill(BLANK, pos.start, pos.end);
    bytes[pos.start] = NAMES.charCodeAt(i);
  }
  return { text: new TextDecoder().decode(bytes), names: [...NAMES].slice(0, parts.length) };
}

/** A part of an expression at its place, behind blanks. */
export function alone(text: string, { pos: { start, end } }: Expr): string {
  const own = new TextEncoder().encode(text).subarray(0, end);
  own.fill(BLANK, 0, start);
  return new TextDecoder().decode(own);
}

/** Whether a byte of the text may be one of a name. */
function isOfName(byte: number | undefined): boolean {
  return byte !== undefined && (byte >= 0x80 || /[A-Za-z0-9_:]/.test(String.fromCharCode(byte)));
}
