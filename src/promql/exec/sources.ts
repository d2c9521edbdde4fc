import type { SampleColumns } from '../../storage/columns.ts';
import type { SeriesSet } from '../../storage/queryable.ts';
import type { SeriesMemo } from '../../storage/series-memo.ts';
import type { ReadRows } from '../../storage/series-rows.ts';
import type { SeriesBlock } from '../../storage/series-stream.ts';
import type { Select } from '../plan/node.ts';
import type { Execution } from './execution.ts';

/** The series of every selector: those that ask for the same are asked once. */
export class Sources {
  readonly #execution: Execution;
  readonly #sets = new Map<Select, Promise<SeriesSet>>();

  readonly #streams = new Map<Select, Stream>();

  constructor(execution: Execution) {
    this.#execution = execution;
  }

  /** The same set for the same `Select` object; closed with `close`. */
  select(select: Select): Promise<SeriesSet> {
    let set = this.#sets.get(select);
    if (set === undefined) {
      set = this.#fetch(select);
      this.#sets.set(select, set);
    }
    return set;
  }

  /** Begins to fetch what `select` will be asked for. */
  prefetch(select: Select): void {
    // whoever selects it hears of a failure, and `close` waits for it
    this.select(select).catch(() => {});
  }

  /** Whether series can come a block at a time. */
  get canStream(): boolean {
    return this.#execution.queryable.stream !== undefined;
  }

  /** Begins to fetch the blocks that `stream` will be asked for. */
  prefetchStream(select: Select): void {
    if (this.#streams.has(select)) return;
    const { queryable, context } = this.#execution;
    const blocks = queryable.stream!(select, context)[Symbol.asyncIterator]();
    const first = blocks.next();
    // as with `prefetch`
    first.catch(() => {});
    this.#streams.set(select, { blocks, first });
  }

  /** The series of a prefetched stream; once. */
  async *stream(select: Select): AsyncGenerator<SeriesBlock, void> {
    const { blocks, first } = this.#streams.get(select)!;
    for (let next = await first; next.done !== true; next = await blocks.next()) {
      this.#execution.annotations.fromStorage(next.value.warnings);
      yield next.value;
    }
  }

  async #fetch(select: Select): Promise<SeriesSet> {
    const { queryable, context, annotations } = this.#execution;
    const set = await queryable.select(select, context);
    annotations.fromStorage(set.warnings);
    return set;
  }

  async close(): Promise<void> {
    for (const set of this.#sets.values()) {
      await set.then(
        (opened) => opened.close(),
        () => {},
      );
    }
    this.#sets.clear();
    for (const { blocks } of this.#streams.values()) await blocks.return?.().catch(() => {});
    this.#streams.clear();
  }
}

interface Stream {
  readonly blocks: AsyncIterator<SeriesBlock>;
  readonly first: Promise<IteratorResult<SeriesBlock>>;
}

/** Something that has samples for each of its series: a selector's, or a subquery's steps. */
export interface SampleSource {
  read(index: number, out: SampleColumns): void;
  /** Rows of many series at once; absent or undefined: `read` is all there is. */
  readonly rows?: ReadRows | undefined;
  /** Things made of the list of series. */
  readonly memo?: SeriesMemo | undefined;
  /** Moves when other series take the place of those before; absent: never. */
  readonly version?: number;
}
