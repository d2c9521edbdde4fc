import { Lexer } from 'yaml';

/** Collections within each other on one line, or in brackets, inclusive: the parser takes time by the square of it, and keys more. */
export const NESTING_MAX = 300;

/** Whether collections lie deeper within each other than `NESTING_MAX`: told by words alone, in linear time. */
export function isNestedTooDeep(text: string): boolean {
  let inBrackets = 0;
  let onLine = 0;
  for (const token of new Lexer().lex(text)) {
    switch (token) {
      case '[':
      case '{':
        if (++inBrackets > NESTING_MAX) return true;
        break;
      case ']':
      case '}':
        inBrackets = Math.max(0, inBrackets - 1);
        break;
      case '-':
      case '?':
        if (++onLine > NESTING_MAX) return true;
        break;
      case '\n':
      case '\r\n':
        onLine = 0;
        break;
    }
  }
  return false;
}
