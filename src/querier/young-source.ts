import type { Clock } from '../lib/clock.ts';
import { NO_TALLY } from '../model/series-tally.ts';
import type { LabelAnswer, LabelRequest, QueryContext, SelectRequest } from '../storage/queryable.ts';
import type { SeriesBlock } from '../storage/series-stream.ts';
import type { SampleSource, SourceSeries } from '../storage/source.ts';

/** Recent samples up to an age (`query_ingesters_within`): a range is cut to what is younger, and none that is older is asked for. */
export class YoungSource implements SampleSource {
  readonly #inner: SampleSource;
  readonly #ageMs: number;
  readonly #clock: Clock;
  readonly stream: SampleSource['stream'];
  readonly tally: SampleSource['tally'];
  readonly whole: SampleSource['whole'];

  constructor(inner: SampleSource, ageMs: number, clock: Clock) {
    this.#inner = inner;
    this.#ageMs = ageMs;
    this.#clock = clock;
    const stream = inner.stream?.bind(inner);
    if (stream !== undefined) this.stream = (...asked) => this.#stream(stream, ...asked);
    const whole = inner.whole?.bind(inner);
    if (whole !== undefined) {
      this.whole = async (tenant, request, context) => {
        const young = this.#cut(request);
        return young === undefined ? { ...NO_SERIES, isWhole: true } : whole(tenant, young, context);
      };
    }
    const tally = inner.tally?.bind(inner);
    if (tally !== undefined) {
      this.tally = async (tenant, request, context) => {
        const young = this.#cut(request);
        return young === undefined ? NO_TALLY : tally(tenant, young, context);
      };
    }
  }

  async select(tenant: string, request: SelectRequest, context: QueryContext): Promise<SourceSeries> {
    const young = this.#cut(request);
    return young === undefined ? NO_SERIES : this.#inner.select(tenant, young, context);
  }

  async *#stream(
    stream: NonNullable<SampleSource['stream']>,
    tenant: string,
    request: SelectRequest,
    context: QueryContext,
  ): AsyncGenerator<SeriesBlock, void> {
    const young = this.#cut(request);
    if (young !== undefined) yield* stream(tenant, young, context);
  }

  async labelNames(tenant: string, request: LabelRequest, context: QueryContext): Promise<LabelAnswer> {
    const young = this.#cut(request);
    return young === undefined ? NO_LABELS : this.#inner.labelNames(tenant, young, context);
  }

  async labelValues(tenant: string, name: string, request: LabelRequest, context: QueryContext): Promise<LabelAnswer> {
    const young = this.#cut(request);
    return young === undefined ? NO_LABELS : this.#inner.labelValues(tenant, name, young, context);
  }

  #cut<R extends { readonly startMs: number; readonly endMs: number }>(request: R): R | undefined {
    const fromMs = this.#clock.nowMs() - this.#ageMs;
    if (request.endMs < fromMs) return undefined;
    return { ...request, startMs: Math.max(request.startMs, fromMs) };
  }
}

const NO_LABELS: LabelAnswer = { values: [], warnings: [] };

const NO_SERIES: SourceSeries = {
  labels: [],
  warnings: [],
  read(_, out) {
    out.clear();
  },
  close() {},
};
