/** A function of windows, for many series: it makes a row of `steps` values of the samples of each. */
export interface RowProgram {
  /** ROW_RATE … ROW_RESETS of storage/row-layout.ts. */
  readonly func: number;
  readonly steps: number;
  /** Windows end here and `stepMs` after each other, inclusive; they reach back `backMs`, exclusive. */
  readonly firstEndMs: number;
  readonly stepMs: number;
  readonly backMs: number;
  /** Seconds that a rate is divided by; 1: it is none per second. */
  readonly rangeSeconds: number;
}

export function areSamePrograms(one: RowProgram, other: RowProgram): boolean {
  return (
    one.func === other.func &&
    one.steps === other.steps &&
    one.firstEndMs === other.firstEndMs &&
    one.stepMs === other.stepMs &&
    one.backMs === other.backMs &&
    one.rangeSeconds === other.rangeSeconds
  );
}

/** The rows of some series, in the memory of who asks. */
export interface RowBatch {
  /** (series, step) row-major; only the steps that the entry names hold. */
  readonly values: Float64Array;
  /** ROW_ENTRY_WORDS for each series. */
  readonly entries: Uint32Array;
}

/**
 * Fills the rows of the series at [from, to) of `indexes`; without them those are the indexes. A series that needs more is marked
 * ROW_OTHERWISE: only `read` gives it.
 * @returns the first place that was not filled, above `from`: a call takes no longer than some milliseconds
 */
export type ReadRows = (
  program: RowProgram,
  indexes: Uint32Array | undefined,
  from: number,
  to: number,
  out: RowBatch,
) => number;

/** As `rows`, of series that have other indexes there. */
export function rowsAt(rows: ReadRows, at: Uint32Array): ReadRows {
  return (program, indexes, from, to, out) => {
    if (indexes === undefined) return rows(program, at, from, to, out);
    const inner = new Uint32Array(to - from);
    for (let place = from; place < to; place++) inner[place - from] = at[indexes[place]!]!;
    return from + rows(program, inner, 0, to - from, out);
  };
}
