/** Byte offsets (UTF-8) into the expression's text; `end` is exclusive. */
export interface PosRange {
  readonly start: number;
  readonly end: number;
}

/** Both count from 1, the column in bytes. */
export function lineAndColumn(query: string, offset: number): string {
  if (query === '') return 'unknown position';
  const bytes = new TextEncoder().encode(query);
  if (offset > bytes.length) return 'invalid position';
  let line = 1;
  let lineStart = 0;
  for (let i = 0; i < offset; i++) {
    if (bytes[i] === 10) {
      line++;
      lineStart = i + 1;
    }
  }
  return `${line}:${offset - lineStart + 1}`;
}
