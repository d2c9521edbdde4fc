import type { ColumnReader, ColumnSource } from './column-reader.ts';

/** The times of a time column: many series share each. They are decoded when somebody asks for them. */
export class TimeColumn {
  readonly count: number;
  readonly firstMs: number;
  readonly lastMs: number;
  /** Largest distance between two neighbours, in ms. */
  readonly gapMs: number;
  readonly source: ColumnSource;
  /** Index in `source`. */
  readonly column: number;
  readonly #reader: ColumnReader;
  #times: Float64Array | undefined;

  /** @param facts of times that were decoded once and found to ascend */
  constructor(
    reader: ColumnReader,
    source: ColumnSource,
    column: number,
    { lastMs, gapMs }: { readonly lastMs: number; readonly gapMs: number },
  ) {
    this.#reader = reader;
    this.source = source;
    this.column = column;
    this.count = source.counts[column]!;
    this.firstMs = source.firsts[column]!;
    this.lastMs = lastMs;
    this.gapMs = gapMs;
  }

  get times(): Float64Array {
    this.#times ??= this.#reader.read(this.source, this.column);
    return this.#times;
  }

  /** Whether any is within the range, both ends included. */
  hasAny(startMs: number, endMs: number): boolean {
    if (this.firstMs > endMs || this.lastMs < startMs) return false;
    if (this.firstMs >= startMs || this.lastMs <= endMs || endMs - startMs >= this.gapMs) return true;
    return this.times.some((time) => time >= startMs && time <= endMs);
  }
}
