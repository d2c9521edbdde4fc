import type { Labels } from '../model/labels.ts';
import type { SampleColumns } from './columns.ts';
import type { SeriesMemo } from './series-memo.ts';
import type { ReadRows } from './series-rows.ts';

/** Some of a selector's series with their samples. Holds until the next block is asked for. */
export interface SeriesBlock {
  readonly labels: readonly Labels[];
  readonly warnings: readonly string[];
  /** There is no other block. */
  readonly isWhole?: boolean;
  /** As `SeriesSet.read`. */
  read(index: number, out: SampleColumns): void;
  /** Absent: `read` is all there is. */
  readonly rows?: ReadRows | undefined;
  /** Things made of `labels`, which are in ascending order then. */
  readonly memo?: SeriesMemo | undefined;
}

/** All of a selector's series in one block, for as long as it is not closed. */
export interface WholeBlock extends SeriesBlock {
  close(): void;
}

/** The blocks handed over so far cannot be made whole by further ones: only `select` can answer this request. */
export class StreamBroken extends Error {}

/** Series of the shard that is asked for may be the same as those of another: only all shards together can be answered. */
export class ShardBroken extends Error {}
