import type { SeriesTally } from '../../model/series-tally.ts';
import type { SampleColumns } from '../../storage/columns.ts';
import type { SelectRequest, SeriesSet, TallyRequest } from '../../storage/queryable.ts';
import type { SeriesMemo } from '../../storage/series-memo.ts';
import type { ReadRows, RowProgram } from '../../storage/series-rows.ts';
import type { SeriesBlock } from '../../storage/series-stream.ts';
import type { Select } from '../plan/node.ts';
import type { Execution } from './execution.ts';

/** The series of every selector: those that ask for the same are asked once. */
export class Sources {
  readonly #execution: Execution;
  readonly #sets = new Map<Select, Promise<SeriesSet>>();
  #programs: ReadonlyMap<Select, RowProgram> = new Map();

  readonly #streams = new Map<Select, Stream>();
  readonly #tallies = new Map<Select, Promise<SeriesTally | undefined>>();

  constructor(execution: Execution) {
    this.#execution = execution;
  }

  /** Tells what is wanted of selects that will be asked for, where that is the rows of one program. */
  expect(programs: ReadonlyMap<Select, RowProgram>): void {
    this.#programs = programs;
  }

  #requestOf(select: Select): SelectRequest {
    const program = this.#programs.get(select);
    return program === undefined ? select : { ...select, program };
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

  get canTally(): boolean {
    return this.#execution.queryable.tally !== undefined;
  }

  /** Whether series can come a block at a time. */
  get canStream(): boolean {
    return this.#execution.queryable.stream !== undefined;
  }

  /** Begins to count the series of a selector. */
  prefetchTally(select: Select, request: Pick<TallyRequest, 'startMs' | 'endMs' | 'by'>): void {
    const { queryable, context } = this.#execution;
    const tally = queryable.tally!({ ...request, matchers: select.matchers }, context);
    // as with `prefetch`
    tally.catch(() => {});
    this.#tallies.set(select, tally);
  }

  /** Undefined where it was not asked for, or the source does not know. */
  async tally(select: Select): Promise<SeriesTally | undefined> {
    return this.#tallies.get(select);
  }

  /** Begins to fetch the blocks that `stream` will be asked for. */
  prefetchStream(select: Select): void {
    if (this.#streams.has(select)) return;
    const { queryable, context } = this.#execution;
    const blocks = queryable.stream!(this.#requestOf(select), context)[Symbol.asyncIterator]();
    const first = blocks.next();
    // as with `prefetch`
    first.catch(() => {});
    this.#streams.set(select, { blocks, first });
  }

  /** The series of a stream; once. */
  async *stream(select: Select): AsyncGenerator<SeriesBlock, void> {
    this.prefetchStream(select);
    const { blocks, first } = this.#streams.get(select)!;
    for (let next = await first; next.done !== true; next = await blocks.next()) {
      this.#execution.annotations.fromStorage(next.value.warnings);
      yield next.value;
    }
  }

  async #fetch(select: Select): Promise<SeriesSet> {
    const { queryable, context, annotations } = this.#execution;
    const set = await queryable.select(this.#requestOf(select), context);
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
    for (const tally of this.#tallies.values()) await tally.catch(() => {});
    this.#tallies.clear();
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
