import { compareUtf8 } from '../model/labels.ts';
import type { LabelMatcher } from '../model/matcher.ts';
import type {
  LabelAnswer,
  LabelRequest,
  Queryable,
  QueryContext,
  SelectRequest,
  SeriesSet,
} from '../storage/queryable.ts';
import type { ChunkStoreReader } from './reader.ts';

/** What the store holds of one tenant. */
export class StoreQueryable implements Queryable {
  readonly #reader: ChunkStoreReader;
  readonly #tenant: string;

  constructor(reader: ChunkStoreReader, tenant: string) {
    this.#reader = reader;
    this.#tenant = tenant;
  }

  select(request: SelectRequest, context: QueryContext): Promise<SeriesSet> {
    return this.#reader.select(this.#tenant, request, context);
  }

  labelNames(request: LabelRequest, context: QueryContext): Promise<LabelAnswer> {
    const { startMs, endMs } = request;
    return this.#any(request, (matchers) => this.#reader.labelNames(this.#tenant, matchers, startMs, endMs, context));
  }

  labelValues(name: string, request: LabelRequest, context: QueryContext): Promise<LabelAnswer> {
    const { startMs, endMs } = request;
    return this.#any(request, (matchers) =>
      this.#reader.labelValues(this.#tenant, name, matchers, startMs, endMs, context),
    );
  }

  /** What any of the request's lists of matchers gives. */
  async #any(
    request: LabelRequest,
    read: (matchers: readonly LabelMatcher[]) => Promise<readonly string[]>,
  ): Promise<LabelAnswer> {
    const lists = request.matchers.length === 0 ? [[]] : request.matchers;
    const found = new Set<string>();
    for (const matchers of lists) for (const value of await read(matchers)) found.add(value);
    const values = [...found].sort(compareUtf8);
    return { values: request.limit ? values.slice(0, request.limit) : values, warnings: [] };
  }
}
