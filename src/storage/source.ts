import type { Labels } from '../model/labels.ts';
import type { SampleColumns } from './columns.ts';
import type { LabelAnswer, LabelRequest, QueryContext, SelectRequest } from './queryable.ts';
import type { SeriesBlock } from './series-stream.ts';

/** One of the places that a tenant's samples lie in: the recent ones, or the store. `merge.ts` makes a `Queryable` of several. */
export interface SampleSource {
  /** Series in no order, none twice. */
  select(tenant: string, request: SelectRequest, context: QueryContext): Promise<SourceSeries>;
  /** As `Queryable.stream`. */
  stream?(tenant: string, request: SelectRequest, context: QueryContext): AsyncIterable<SeriesBlock>;
  labelNames(tenant: string, request: LabelRequest, context: QueryContext): Promise<LabelAnswer>;
  labelValues(tenant: string, name: string, request: LabelRequest, context: QueryContext): Promise<LabelAnswer>;
}

export interface SourceSeries {
  readonly labels: readonly Labels[];
  readonly warnings: readonly string[];
  /** Replaces what `out` holds by the samples of a series, within the request's range: ascending, each time once. */
  read(index: number, out: SampleColumns): void;
  close(): void;
}
