import type { Labels } from '../model/labels.ts';
import type { SeriesTally } from '../model/series-tally.ts';
import type { SampleColumns } from './columns.ts';
import type { LabelAnswer, LabelRequest, QueryContext, SelectRequest, TallyRequest } from './queryable.ts';
import type { ReadRows } from './series-rows.ts';
import type { SeriesBlock, WholeBlock } from './series-stream.ts';

/** One of the places that a tenant's samples lie in: the recent ones, or the store. `merge.ts` makes a `Queryable` of several. */
export interface SampleSource {
  /** Series in no order, none twice. */
  select(tenant: string, request: SelectRequest, context: QueryContext): Promise<SourceSeries>;
  /** As `select`, but where there may be more than `seriesMax` series only how many there may be of each metric. */
  selectUpTo?(
    tenant: string,
    request: SelectRequest,
    seriesMax: number,
    context: QueryContext,
  ): Promise<SourceSeries | MetricSizes>;
  /** Whether it knows at once that `select` would find nothing; then the query is charged as if it had asked. */
  hasNothing?(tenant: string, request: SelectRequest, context: QueryContext): boolean;
  /** As `Queryable.stream`. */
  stream?(tenant: string, request: SelectRequest, context: QueryContext): AsyncIterable<SeriesBlock>;
  /** As `Queryable.whole`. */
  whole?(tenant: string, request: SelectRequest, context: QueryContext): Promise<WholeBlock | undefined>;
  /** As `Queryable.tally`. */
  tally?(tenant: string, request: TallyRequest, context: QueryContext): Promise<SeriesTally | undefined>;
  labelNames(tenant: string, request: LabelRequest, context: QueryContext): Promise<LabelAnswer>;
  labelValues(tenant: string, name: string, request: LabelRequest, context: QueryContext): Promise<LabelAnswer>;
}

/** How many series each metric has at the most; those without a name are under ''. */
export interface MetricSizes {
  readonly byMetric: ReadonlyMap<string, number>;
}

export interface SourceSeries {
  readonly labels: readonly Labels[];
  readonly warnings: readonly string[];
  /** Replaces what `out` holds by the samples of a series, within the request's range: ascending, each time once. */
  read(index: number, out: SampleColumns): void;
  /** Rows of many series at once; absent: `read` is all there is. */
  readonly rows?: ReadRows | undefined;
  /**
   * Set where rows of the request's program are all there is, and samples of series that have none: no others were fetched. Gives back
   * what the query was charged, for whoever asks again for samples.
   */
  readonly giveBack?: (() => void) | undefined;
  close(): void;
}
