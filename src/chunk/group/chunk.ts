import type { ColumnSource } from './column-reader.ts';
import type { HistogramBlock } from './histogram-block.ts';
import { FLAG_HISTOGRAMS, FLAG_STARTS } from './series.ts';
import type { TimeColumn } from './time-column.ts';

/** The samples of one series in one group, fetched but not decoded. */
export interface Chunk {
  readonly time: TimeColumn;
  /** FLAG_… */
  readonly flags: number;
  readonly values: ColumnSource;
  /** Index of the series in `values` and in `starts`. */
  readonly column: number;
  readonly histograms: HistogramBlock | undefined;
  /** Index of the series in `histograms`. */
  readonly histogramIndex: number;
  readonly starts: ColumnSource | undefined;
}

/** Whether a chunk has more than floats and stale markers. */
export function isRich({ flags }: Chunk): boolean {
  return (flags & (FLAG_HISTOGRAMS | FLAG_STARTS)) !== 0;
}
