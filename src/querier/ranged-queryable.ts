import { NO_TALLY } from '../model/series-tally.ts';
import type {
  LabelAnswer,
  LabelRequest,
  Queryable,
  QueryContext,
  SelectRequest,
  SeriesSet,
} from '../storage/queryable.ts';
import type { SeriesBlock } from '../storage/series-stream.ts';

/** Times in Unix ms, both ends inclusive. */
interface Range {
  readonly startMs: number;
  readonly endMs: number;
  readonly labelsOnly?: boolean;
}

/** A request in the range that may be read; undefined: none of it may. @throws where it is refused */
export type Ranging = <Request extends Range>(request: Request) => Request | undefined;

/** Reads with other ranges than were asked for. */
export class RangedQueryable implements Queryable {
  readonly #inner: Queryable;
  readonly #ranged: Ranging;
  readonly stream: Queryable['stream'];
  readonly whole: Queryable['whole'];
  readonly tally: Queryable['tally'];
  readonly takesPrograms: boolean;

  constructor(inner: Queryable, ranged: Ranging) {
    this.#inner = inner;
    this.#ranged = ranged;
    this.takesPrograms = inner.takesPrograms === true;
    const { stream, whole, tally } = inner;
    if (stream !== undefined) this.stream = (...asked) => this.#stream(stream.bind(inner), ...asked);
    if (whole !== undefined) {
      this.whole = async (request, context) => {
        const own = ranged(request);
        return own && whole.call(inner, own, context);
      };
    }
    if (tally !== undefined) {
      this.tally = async (request, context) => {
        const own = ranged(request);
        return own === undefined ? NO_TALLY : tally.call(inner, own, context);
      };
    }
  }

  async select(request: SelectRequest, context: QueryContext): Promise<SeriesSet> {
    const own = this.#ranged(request);
    return own === undefined ? NO_SERIES : this.#inner.select(own, context);
  }

  async *#stream(
    stream: NonNullable<Queryable['stream']>,
    request: SelectRequest,
    context: QueryContext,
  ): AsyncGenerator<SeriesBlock, void> {
    const own = this.#ranged(request);
    if (own !== undefined) yield* stream(own, context);
  }

  async labelNames(request: LabelRequest, context: QueryContext): Promise<LabelAnswer> {
    const own = this.#ranged(request);
    return own === undefined ? NO_LABELS : this.#inner.labelNames(own, context);
  }

  async labelValues(name: string, request: LabelRequest, context: QueryContext): Promise<LabelAnswer> {
    const own = this.#ranged(request);
    return own === undefined ? NO_LABELS : this.#inner.labelValues(name, own, context);
  }
}

const NO_LABELS: LabelAnswer = { values: [], warnings: [] };

const NO_SERIES: SeriesSet = {
  series: [],
  warnings: [],
  read(_, out) {
    out.clear();
  },
  close() {},
};
