import { removeTimes } from '../chunkstore/series-set.ts';
import type { Tombstone } from '../chunkstore/tombstone-row.ts';
import type { Labels } from '../model/labels.ts';
import type { LabelRequest, QueryContext, SelectRequest } from '../storage/queryable.ts';
import type { SampleSource, SourceSeries } from '../storage/source.ts';

type ListTombstones = (tenant: string, signal: AbortSignal) => Promise<readonly Tombstone[]>;

/** Recent samples without those that were deleted: what is not in the store yet does not know of tombstones. */
export class UndeletedSource implements SampleSource {
  readonly #inner: SampleSource;
  readonly #tombstones: ListTombstones;

  constructor(inner: SampleSource, tombstones: ListTombstones) {
    this.#inner = inner;
    this.#tombstones = tombstones;
  }

  async select(tenant: string, request: SelectRequest, context: QueryContext): Promise<SourceSeries> {
    const listed = this.#tombstones(tenant, context.signal);
    listed.catch(() => {}); // its turn to fail comes below
    const found = await this.#inner.select(tenant, request, context);
    try {
      const touching = (await listed).filter(
        ({ startMs, endMs }) => startMs <= request.endMs && endMs >= request.startMs,
      );
      return touching.length === 0 ? found : without(found, touching, request);
    } catch (error) {
      found.close();
      throw error;
    }
  }

  labelNames(tenant: string, request: LabelRequest, context: QueryContext) {
    return this.#inner.labelNames(tenant, request, context);
  }

  labelValues(tenant: string, name: string, request: LabelRequest, context: QueryContext) {
    return this.#inner.labelValues(tenant, name, request, context);
  }
}

function without(found: SourceSeries, tombstones: readonly Tombstone[], request: SelectRequest): SourceSeries {
  const deletedOf = (labels: Labels) =>
    tombstones.filter(({ matchers }) => matchers.every((each) => each.matches(labels.get(each.name))));
  // of which nothing is left is not shown
  const kept = found.labels.flatMap((labels, index) => {
    const deleted = deletedOf(labels);
    const all = deleted.some(({ startMs, endMs }) => startMs <= request.startMs && endMs >= request.endMs);
    return all ? [] : [{ labels, index, deleted }];
  });
  return {
    labels: kept.map(({ labels }) => labels),
    warnings: found.warnings,
    read(index, out) {
      const { index: inner, deleted } = kept[index]!;
      found.read(inner, out);
      for (const { startMs, endMs } of deleted) removeTimes(out, startMs, endMs);
    },
    close: () => found.close(),
  };
}
