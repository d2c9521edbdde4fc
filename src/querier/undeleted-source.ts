import { removeTimes } from '../chunkstore/series-set.ts';
import type { Tombstone } from '../chunkstore/tombstone-row.ts';
import type { Labels } from '../model/labels.ts';
import type { LabelRequest, QueryContext, SelectRequest, TallyRequest } from '../storage/queryable.ts';
import type { SeriesBlock } from '../storage/series-stream.ts';
import type { SampleSource, SourceSeries } from '../storage/source.ts';

type ListTombstones = (tenant: string, signal: AbortSignal) => Promise<readonly Tombstone[]>;

/** Recent samples without those that were deleted: what is not in the store yet does not know of tombstones. */
export class UndeletedSource implements SampleSource {
  readonly #inner: SampleSource;
  readonly #tombstones: ListTombstones;
  readonly stream: SampleSource['stream'];
  readonly tally: SampleSource['tally'];
  readonly whole: SampleSource['whole'];

  constructor(inner: SampleSource, tombstones: ListTombstones) {
    this.#inner = inner;
    this.#tombstones = tombstones;
    const stream = inner.stream?.bind(inner);
    if (stream !== undefined) this.stream = (...asked) => this.#stream(stream, ...asked);
    const whole = inner.whole?.bind(inner);
    if (whole !== undefined) {
      this.whole = async (tenant, request, context) => {
        const touching = touchingOf(await this.#tombstones(tenant, context.signal), request);
        return touching.length === 0 ? whole(tenant, request, context) : undefined;
      };
    }
    const tally = inner.tally?.bind(inner);
    if (tally !== undefined) this.tally = (...asked) => this.#tally(tally, ...asked);
  }

  async select(tenant: string, request: SelectRequest, context: QueryContext): Promise<SourceSeries> {
    const listed = this.#tombstones(tenant, context.signal);
    listed.catch(() => {}); // its turn to fail comes below
    const found = await this.#inner.select(tenant, request, context);
    try {
      const touching = touchingOf(await listed, request);
      return touching.length === 0 ? found : { ...without(found, touching, request), close: () => found.close() };
    } catch (error) {
      found.close();
      throw error;
    }
  }

  async *#stream(
    stream: NonNullable<SampleSource['stream']>,
    tenant: string,
    request: SelectRequest,
    context: QueryContext,
  ): AsyncGenerator<SeriesBlock, void> {
    const touching = touchingOf(await this.#tombstones(tenant, context.signal), request);
    for await (const block of stream(tenant, request, context)) {
      yield touching.length === 0 ? block : without(block, touching, request);
    }
  }

  async #tally(
    tally: NonNullable<SampleSource['tally']>,
    tenant: string,
    request: TallyRequest,
    context: QueryContext,
  ) {
    const touching = touchingOf(await this.#tombstones(tenant, context.signal), request);
    return touching.length === 0 ? tally(tenant, request, context) : undefined;
  }

  labelNames(tenant: string, request: LabelRequest, context: QueryContext) {
    return this.#inner.labelNames(tenant, request, context);
  }

  labelValues(tenant: string, name: string, request: LabelRequest, context: QueryContext) {
    return this.#inner.labelValues(tenant, name, request, context);
  }
}

function touchingOf(
  tombstones: readonly Tombstone[],
  request: Pick<SelectRequest, 'startMs' | 'endMs'>,
): readonly Tombstone[] {
  return tombstones.filter(({ startMs, endMs }) => startMs <= request.endMs && endMs >= request.startMs);
}

function without(found: SeriesBlock, tombstones: readonly Tombstone[], request: SelectRequest): SeriesBlock {
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
    ...(found.isWhole === undefined ? {} : { isWhole: found.isWhole }),
    read(index, out) {
      const { index: inner, deleted } = kept[index]!;
      found.read(inner, out);
      for (const { startMs, endMs } of deleted) removeTimes(out, startMs, endMs);
    },
  };
}
