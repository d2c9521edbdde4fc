/** Byte offsets (UTF-8) into the expression's text; `end` is exclusive. */
export interface PosRange {
  readonly start: number;
  readonly end: number;
  /** Notes on it point to the beginning of the query, as Prometheus has it for subqueries. */
  readonly unplaced?: boolean;
}

/**
 * Tells line and column of any number of offsets, both counted from 1 and the column in bytes. The text is read once, when
 * the first is asked for.
 */
export function positionsIn(query: string): (offset: number) => string {
  if (query === '') return () => 'unknown position';
  let bytes: Uint8Array | undefined;
  const lineStarts = [0];
  return (offset) => {
    if (bytes === undefined) {
      bytes = new TextEncoder().encode(query);
      for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, end + 1)) lineStarts.push(end + 1);
    }
    if (offset > bytes.length) return 'invalid position';
    let line = 0;
    let beyond = lineStarts.length;
    while (beyond - line > 1) {
      const middle = (line + beyond) >> 1;
      if (lineStarts[middle]! <= offset) line = middle;
      else beyond = middle;
    }
    return `${line + 1}:${offset - lineStarts[line]! + 1}`;
  };
}
