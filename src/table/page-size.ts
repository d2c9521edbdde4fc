const BYTES = 4 << 20;
const ROWS_FIRST = 64;
const ROWS_MIN = 16;
const ROWS_MAX = 5000;

/** How many rows to ask for at once of a store that counts pages in rows: learnt from how large the rows were so far. */
export class PageSize {
  rows = ROWS_FIRST;

  learn(rows: number, bytes: number): void {
    this.rows = Math.max(ROWS_MIN, Math.min(ROWS_MAX, Math.floor((BYTES * rows) / (bytes + 1))));
  }
}
