import type { ChunkStoreReader } from '../chunkstore/reader.ts';
import type { LabelAnswer, LabelRequest, QueryContext, SelectRequest } from '../storage/queryable.ts';
import type { MetricSizes, SampleSource, SourceSeries } from '../storage/source.ts';

/** Flushed samples, from the store. */
export class StoreSource implements SampleSource {
  readonly #reader: ChunkStoreReader;

  constructor(reader: ChunkStoreReader) {
    this.#reader = reader;
  }

  async select(tenant: string, request: SelectRequest, context: QueryContext): Promise<SourceSeries> {
    return (await this.#reader.selectUpTo(tenant, request, Number.POSITIVE_INFINITY, context)) as SourceSeries;
  }

  selectUpTo(
    tenant: string,
    request: SelectRequest,
    seriesMax: number,
    context: QueryContext,
  ): Promise<SourceSeries | MetricSizes> {
    return this.#reader.selectUpTo(tenant, request, seriesMax, context);
  }

  hasNothing(tenant: string, request: SelectRequest, context: QueryContext): boolean {
    return this.#reader.hasNothing(tenant, request, context);
  }

  labelNames(tenant: string, request: LabelRequest, context: QueryContext): Promise<LabelAnswer> {
    return this.#union(request, (matchers) =>
      this.#reader.labelNames(tenant, matchers, request.startMs, request.endMs, context),
    );
  }

  labelValues(tenant: string, name: string, request: LabelRequest, context: QueryContext): Promise<LabelAnswer> {
    return this.#union(request, (matchers) =>
      this.#reader.labelValues(tenant, name, matchers, request.startMs, request.endMs, context),
    );
  }

  async #union(
    request: LabelRequest,
    ask: (matchers: LabelRequest['matchers'][number]) => Promise<readonly string[]>,
  ): Promise<LabelAnswer> {
    const lists = request.matchers.length === 0 ? [[]] : request.matchers;
    const values = new Set<string>();
    for (const matchers of lists) for (const value of await ask(matchers)) values.add(value);
    return { values: [...values], warnings: [] };
  }
}
