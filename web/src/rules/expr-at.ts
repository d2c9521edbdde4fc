/** The expression of a rule that a place of a YAML text lies in. */
export interface ExprAt {
  /** Where it begins in the text. */
  readonly from: number;
  readonly text: string;
}

const KEY = /^(\s*(?:-\s+)?)expr:[ \t]*/;

/** The expression behind `expr:`, on its line or in the block below it; undefined: the place is in none. */
export function exprAt(text: string, at: number): ExprAt | undefined {
  const lineStart = text.lastIndexOf('\n', at - 1) + 1;
  const line = lineOf(text, lineStart);
  const [head] = KEY.exec(line) ?? [];
  if (head !== undefined) {
    const from = lineStart + head.length + (/^['"]/.test(line.slice(head.length)) ? 1 : 0);
    return at < from ? undefined : { from, text: text.slice(from, lineStart + line.length) };
  }
  // a block: lines that stand deeper than the key
  let from = lineStart;
  const end = lineStart + line.length;
  for (let start = lineStart; start > 0; ) {
    start = text.lastIndexOf('\n', start - 2) + 1;
    const above = lineOf(text, start);
    const [whole, before] = KEY.exec(above) ?? [];
    if (whole !== undefined && before !== undefined) {
      const isBlock = /^[|>][-+\d]*\s*(#.*)?$/.test(above.slice(whole.length)) || above.length > whole.length;
      return isBlock && indentOf(line) > before.length ? { from, text: text.slice(from, end) } : undefined;
    }
    if (/^\s*(-\s+)?[\w$-]+:(\s|$)/.test(above) || /^\s*-\s/.test(above)) return undefined;
    from = start;
  }
  return undefined;
}

function lineOf(text: string, start: number): string {
  const end = text.indexOf('\n', start);
  return text.slice(start, end === -1 ? text.length : end);
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}
