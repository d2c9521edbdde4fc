import type { FloatHistogram } from '../model/histogram.ts';
import type { SeriesShard } from '../model/series-shard.ts';
import type { MissingPart } from '../storage/missing.ts';

// The place where expressions are handed over: to the querier of this process, to another, or to who splits them.

/** Evaluates PromQL for a tenant, or for several by a joined name (`model/tenants.ts`), within the limits of all of them. */
export interface QueryRunner {
  /** @throws AppError; queryInvalid where the expression cannot be parsed or evaluated */
  instant(tenant: string, request: InstantRequest, context: QueryRunContext): Promise<QueryResult>;
  /** @throws AppError; queryInvalid where the expression cannot be parsed or evaluated */
  range(tenant: string, request: RangeRequest, context: QueryRunContext): Promise<QueryResult>;
  /**
   * The same for one shard of the series, of an aggregation: `mergePartials` (promql/merge-partials.ts) makes of the answers of all shards
   * what `instant` or `range` answers, to the last bit.
   *
   * @throws AppError; queryInvalid where the expression cannot be parsed or evaluated, or the shard is none
   */
  partial(tenant: string, request: PartialRequest, context: QueryRunContext): Promise<PartialResult>;
}

/** Evaluates several expressions as one piece of work: a group of rules does. */
export interface BatchRunner {
  /** @returns an outcome for each request, in their order @throws AppError where nothing could be evaluated at all */
  instants(
    tenant: string,
    requests: readonly InstantRequest[],
    context: QueryRunContext,
  ): Promise<readonly InstantOutcome[]>;
}

export type InstantOutcome = { readonly result: PackedValue } | { readonly failure: QueryFailure };

/** The value alone: who asks for batches has it copied between threads, and mostly for the same series as the time before. */
export type PackedValue =
  | PackedVector
  | Extract<QueryValue, { readonly type: 'scalar' | 'string' }>
  | { readonly type: 'matrix' };

export interface PackedVector extends Omit<VectorColumns, 'pairs'> {
  /** As those of `VectorColumns`, in JSON. */
  readonly pairs: string;
}

/** An expression that could not be evaluated. */
export interface QueryFailure {
  readonly text: string;
  /** Status that an answer over HTTP would have: from 500 on it is not the expression's fault. */
  readonly http: number;
  /** Its time was up, as it would be elsewhere. Absent: it was not. */
  readonly isTimeout?: boolean;
}

export interface QueryRunContext {
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** Nobody waits for the answer: no worker is started for it. */
  readonly inBackground?: boolean;
}

/** Settings by which an expression has another answer, by flag. */
export type LanguageFlags = Readonly<Record<string, boolean>>;

interface QueryRequest {
  readonly expr: string;
  /** Age up to which the newest sample of a series is its value; absent: as configured. */
  readonly lookbackMs?: number;
  /** Time the query may take, where that is less than what is configured. */
  readonly timeoutMs?: number;
  /** Take no answer of before, and keep this one nowhere. */
  readonly noStore?: boolean;
  /** Where somebody is away, answer without what it has and say so in `missing`; absent: that is an error. */
  readonly allowPartial?: boolean;
  /** Count the samples of each step. */
  readonly perStepStatistics?: boolean;
  /** Tell what each part of the plan did. */
  readonly explain?: boolean;
  /** Counts against the query's limits: what its other parts have used already. */
  readonly used?: QueryUse;
}

/** Reads of a query, as its limits count them. */
export interface QueryUse {
  readonly chunks: number;
  readonly chunkBytes: number;
  readonly fetchedBytes: number;
}

export interface InstantRequest extends QueryRequest {
  readonly timeMs: number;
}

export interface RangeRequest extends QueryRequest {
  readonly startMs: number;
  /** Inclusive. */
  readonly endMs: number;
  /** Above 0. */
  readonly stepMs: number;
  /** Set where some of a query's steps are asked for: the query that they are of. The answer has `notes`. */
  readonly whole?: WholeQuery;
}

/** The times of a whole query, both inclusive: `start()`, `end()` and `range()` are of these. */
export interface WholeQuery {
  readonly startMs: number;
  readonly endMs: number;
  /**
   * The steps are pieces of one window, to be put together: series keep their names, and notes tell where an extreme has passed over a series
   * for having histograms only, and where a sum may be rounded.
   */
  readonly windows?: boolean;
}

/** One of the two, and the series that are looked at. */
export type PartialRequest = (InstantRequest | RangeRequest) & { readonly shard: SeriesShard };

/** Plain data: values in columns, nothing that has methods. */
export interface QueryResult {
  readonly value: QueryValue;
  /** In the form of the API: `PromQL warning: … (1:5)`. */
  readonly warnings: readonly string[];
  readonly infos: readonly string[];
  readonly statistics: QueryStatistics;
  /** Only where it was asked for. */
  readonly explanation: QueryExplanation | undefined;
  /** Parts that the answer lacks; absent: it is complete. */
  readonly missing?: readonly MissingPart[];
  /** Only for some of a query's steps: what `warnings` and `infos` are made of, to be put together with that of the others. */
  readonly notes?: QueryNotes;
}

export interface QueryNotes {
  /** Warnings of the storage, which have no position. */
  readonly storage: readonly string[];
  readonly warnings: NoteList;
  readonly infos: NoteList;
}

export interface NoteList {
  readonly notes: readonly QueryNote[];
  /** Times that a text was left out for want of room. */
  readonly omitted: number;
}

/** A text, which a list has once. */
export interface QueryNote {
  readonly text: string;
  /** The place that the text is told of, and the part of the query that says it. */
  readonly pos: NotePosition;
  readonly by: NotePosition;
  /** Times that it was found, where that is told. */
  readonly count: number;
  readonly forced: ForcedBuckets | undefined;
}

/** Byte offsets (UTF-8) into the expression, `end` exclusive; `unplaced`: it is told of the beginning. */
export interface NotePosition {
  readonly start: number;
  readonly end: number;
  readonly unplaced?: boolean;
}

/** Buckets, by bound, whose counts had to be raised so that they do not fall. */
export interface ForcedBuckets {
  readonly minBucket: number;
  readonly maxBucket: number;
  readonly maxDiff: number;
  readonly minMs: number;
  readonly maxMs: number;
  readonly count: number;
}

/** Times in Unix ms. */
export type QueryValue =
  | { readonly type: 'scalar'; readonly timeMs: number; readonly value: number }
  | { readonly type: 'string'; readonly timeMs: number; readonly value: string }
  | VectorColumns
  | { readonly type: 'matrix'; readonly series: readonly ResultSeries[] }; // ascending by labels for a range

/** Samples of one time. Columns of equal length. */
export interface VectorColumns {
  readonly type: 'vector';
  readonly timeMs: number;
  /** The labels of each sample: name, value, … ascending by name. */
  readonly pairs: readonly (readonly string[])[];
  /** NaN where a sample is a histogram. */
  readonly values: Float64Array;
  /** Where present, the samples that have one are histograms and not values. */
  readonly histograms: readonly (FloatHistogram | undefined)[] | undefined;
}

/** The points of one series, ascending by time; columns of equal length. */
export interface ResultSeries {
  /** name, value, … ascending by name. */
  readonly pairs: readonly string[];
  readonly times: Float64Array;
  readonly values: Float64Array;
  /** Where present, the points that have one are histograms and not values. */
  readonly histograms: readonly (FloatHistogram | undefined)[] | undefined;
}

export type PartialResult = PartialAggregation | WholeNeeded;

/** No answers of shards can be merged into the plain one with certainty: it is to be asked for whole. */
export interface WholeNeeded {
  readonly type: 'whole';
  readonly reason: WholeReason;
  readonly statistics: QueryStatistics;
}

export type WholeReason =
  /** The expression is no aggregation that can be merged, of series each by itself. It is said before anything is read. */
  | 'expression'
  /** Series of different shards may have the same labels once their names are dropped. */
  | 'names'
  /** Histograms are added up: what becomes of them depends on their order. */
  | 'histograms'
  /** Sums may leave the range of a double, or not, depending on the order: means then change to another formula. */
  | 'overflow'
  /** The last bit depends on the order of addition, or it is not certain that it does not. */
  | 'rounding'
  /** An extreme is a zero of either sign: the first series says which. */
  | 'zeros'
  /** Notes tell how often or where something was first found. */
  | 'notes';

/** An aggregation of the series of one shard. Cells are (group, step), row-major. */
export interface PartialAggregation {
  readonly type: 'partial';
  readonly op: 'sum' | 'avg' | 'min' | 'max' | 'count' | 'group';
  readonly shard: SeriesShard;
  readonly steps: PartialSteps;
  readonly groups: readonly PartialGroup[];
  /** Points of each cell; 0: the cell is absent. */
  readonly counts: Float64Array;
  /** Sums before compensation, or extremes; empty for `count` and `group`. */
  readonly values: Float64Array;
  /** The compensation of each sum; empty where there are none. */
  readonly lost: Float64Array;
  /** Magnitudes of each sum's finite addends, added up; empty where there are none. */
  readonly magnitudes: Float64Array;
  /** Name, type and unit that all series had and that were dropped; undefined: none were, or there are no series. */
  readonly dropped: string | undefined;
  /** As those of `QueryResult`. */
  readonly warnings: readonly string[];
  readonly infos: readonly string[];
  readonly statistics: QueryStatistics;
  readonly explanation: QueryExplanation | undefined;
  /** As those of `QueryResult`. */
  readonly notes?: QueryNotes;
}

/** The times of a query, Unix ms. */
export interface PartialSteps {
  readonly instant: boolean;
  readonly startMs: number;
  readonly stepMs: number;
  readonly count: number;
}

/** Labels as name, value, … ascending by name. */
export interface PartialGroup {
  readonly pairs: readonly string[];
  /** The least series that the group has, with its name: groups of an instant come in this order. */
  readonly first: readonly string[];
  /** The group's name is dropped at the very end. */
  readonly dropName: boolean;
  /** A power of two, at most 1, that all finite addends are multiples of. */
  readonly unit: number;
}

/** The cost of a query. */
export interface QueryStatistics {
  /** From the start of its evaluation to its end, waiting for others included. */
  readonly evaluatedMs: number;
  /** Samples that steps looked at, those in several windows counted for each. */
  readonly totalQueryableSamples: number;
  /** As before, but those of a window only where they were not in the one before. */
  readonly samplesRead: number;
  /** As Prometheus counts them: as if every part kept all its points. */
  readonly peakSamples: number;
  /** [time in ms, samples looked at for that step]; only where it was asked for. */
  readonly totalQueryableSamplesPerStep: readonly (readonly [number, number])[] | undefined;
  /** Bytes fetched from ingesters and store. */
  readonly fetchedBytes: number;
  /** Chunks of series, and bytes of them, that were read or about to be. */
  readonly fetchedChunks: number;
  readonly fetchedChunkBytes: number;
  readonly fetchedRows: number;
  readonly fetchedObjects: number;
  /** Parts of chunk groups that a cache had. */
  readonly cachedBlocks: number;
  /** Slots of the store that were asked for chunk groups, each day's by itself. */
  readonly readSlots: number;
  /** Chunk groups in which series were looked for. */
  readonly readGroups: number;
  /** Parts that a front end asked for; absent: it asked for the query as it is. */
  readonly parts?: number;
  /** Steps that a front end had the answer of. */
  readonly cachedSteps?: number;
}

/** A part of a query's plan, and what it did. */
export interface QueryExplanation {
  readonly what: string;
  readonly steps: number;
  readonly series: number;
  /** Points that its rows held; those of a row read twice counted twice. */
  readonly points: number;
  /** Time spent on its rows, with that of its children. */
  readonly ms: number;
  readonly children: readonly QueryExplanation[];
}
