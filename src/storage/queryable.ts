import type { Labels } from '../model/labels.ts';
import type { LabelMatcher } from '../model/matcher.ts';
import type { SeriesShard } from '../model/series-shard.ts';
import type { SeriesTally } from '../model/series-tally.ts';
import type { AskedMembers } from './asked-members.ts';
import type { SampleColumns } from './columns.ts';
import type { MissingParts } from './missing.ts';
import type { SeriesMemo } from './series-memo.ts';
import type { ReadRows, RowProgram } from './series-rows.ts';
import type { SeriesBlock, WholeBlock } from './series-stream.ts';

/** The source that a query engine reads from: one tenant's data, wherever it lies. Owned by the engine. */
export interface Queryable {
  /** All series that match, with their samples in the range fetched but not yet decoded. */
  select(request: SelectRequest, context: QueryContext): Promise<SeriesSet>;
  /**
   * The same series a block at a time, in no order, each in one block only: for who needs them once and holds none. May fail with
   * StreamBroken at any block. Absent: `select` is all there is.
   */
  stream?(request: SelectRequest, context: QueryContext): AsyncIterable<SeriesBlock>;
  /** The only block that `stream` would hand over, where it is no trouble to have it alone; else undefined. Absent: it always is. */
  whole?(request: SelectRequest, context: QueryContext): Promise<WholeBlock | undefined>;
  /** Whether `select` and `stream` look at the program of a request. Absent: they do not. */
  readonly takesPrograms?: boolean;
  /** How many series have a sample in a range; undefined: only the samples can tell. Absent: they always have to. */
  tally?(request: TallyRequest, context: QueryContext): Promise<SeriesTally | undefined>;
  /** Names of labels that series with data in the range have, ascending; all matchers of one list must hold, of the lists any. */
  labelNames(request: LabelRequest, context: QueryContext): Promise<LabelAnswer>;
  labelValues(name: string, request: LabelRequest, context: QueryContext): Promise<LabelAnswer>;
}

/** Times in Unix milliseconds, both ends included. */
export interface SelectRequest {
  readonly matchers: readonly LabelMatcher[];
  readonly startMs: number;
  readonly endMs: number;
  /** Only labels are wanted (`/api/v1/series`): `read` will not be called. */
  readonly labelsOnly?: boolean;
  /** At most so many series; 0 or absent: all. */
  readonly limit?: number;
  /** Absent: the series of all shards. May fail with ShardBroken. */
  readonly shard?: SeriesShard | undefined;
  /** Its labels are not remembered for the next query: there are many, and they are looked at once. */
  readonly isOnce?: boolean;
  /**
   * Nothing will be asked of the samples but `rows` of this program, and `read` of series that these mark ROW_OTHERWISE. Only for who
   * takes programs.
   */
  readonly program?: RowProgram | undefined;
}

/** Times in Unix milliseconds, both ends included. */
export interface TallyRequest {
  readonly matchers: readonly LabelMatcher[];
  readonly startMs: number;
  readonly endMs: number;
  /** Names of the labels that make a group. */
  readonly by: readonly string[];
}

export interface LabelRequest {
  /** Any of these lists may match; no list: everything. */
  readonly matchers: readonly (readonly LabelMatcher[])[];
  readonly startMs: number;
  readonly endMs: number;
  readonly limit?: number;
}

export interface LabelAnswer {
  readonly values: readonly string[];
  readonly warnings: readonly string[];
}

/** The context that flows along with a query: its end, and what it may use. */
export interface QueryContext {
  readonly signal: AbortSignal;
  readonly budget: QueryBudget;
  /** Set where an answer may be incomplete: told what is missing. Absent: who is away makes an error. */
  readonly missing?: MissingParts | undefined;
  /** Told who was asked for recent samples. Absent: nobody wants to know. */
  readonly members?: AskedMembers | undefined;
  /** Asked now and then by what takes long: lets others run, and resolves when it may go on. Absent: only lets others run. */
  readonly turn?: () => Promise<void>;
}

/** Counts what a query uses as it runs. Each method throws the limit's error when it is exceeded. */
export interface QueryBudget {
  /** Series of a selector. */
  addSeries(count: number): void;
  /** Chunks of series, and bytes of them: those read already and those about to be, from ingesters and store. */
  addChunks(count: number, bytes: number): void;
  /** Bytes fetched from ingesters and store. */
  addFetchedBytes(count: number): void;
  /** Bytes held by the query; negative when let go, which never throws. */
  addMemory(bytes: number): void;
  /** Rows and objects read from the store, as the clients counted them. */
  addFetches(rows: number, objects: number): void;
  /** Parts of chunk groups that a cache had. */
  addCacheHits(blocks: number): void;
  /** Slots of the store that were asked for chunk groups, and groups in which series were looked for. */
  addGroups(slots: number, groups: number): void;
}

/** Series announced first, then read one after another into columns that the caller owns. */
export interface SeriesSet {
  /** In ascending order of labels, none twice. */
  readonly series: readonly Labels[];
  /** Known permanent loss, limits cut: for the answer's `warnings`. */
  readonly warnings: readonly string[];
  /**
   * Replaces what `out` holds by the samples of series `index` within the request's range. Synchronous: what is
   * read was fetched by `select`. May be called any number of times, in any order, until `close`.
   */
  read(index: number, out: SampleColumns): void;
  /** Rows of many series at once; absent: `read` is all there is. */
  readonly rows?: ReadRows | undefined;
  /** Things made of `series`. */
  readonly memo?: SeriesMemo | undefined;
  close(): void;
}
