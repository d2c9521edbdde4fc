import type { QueryResult, QueryStatistics, QueryUse, QueryValue } from '../contract/query.ts';
import { type BudgetLimits, LimitedBudget } from '../limits/query-budget.ts';
import { checkResponseSize } from '../limits/response-size.ts';
import { AppError } from '../model/errors.ts';
import { queryErrors } from '../model/errors-query.ts';

/** Counts memory that a query's answers take until they are put together. */
export interface PartsMemory {
  /** @throws where it is more than the query may have */
  addMemory(bytes: number): void;
  /** Gives back what is still held. */
  close(): void;
}

/** Bytes of a point in an answer, and of the answer's copy. */
export const POINT_BYTES = 32;
/** Characters of a point in the text of an answer, at the least: `[1767225600,"1"],`. */
export const POINT_TEXT_BYTES = 17;
/** A series in an answer, its labels as text and in a map. */
export const SERIES_BYTES = 600;

export interface PartsLimits extends BudgetLimits {
  /** Points of all parts together. */
  readonly samplesMax: number;
  /** Bytes of the answer as text; 0: no limit. */
  readonly maxQueryResponseSize: number;
}

export const NO_LIMITS: BudgetLimits = {
  maxFetchedSeriesPerQuery: 0,
  maxFetchedChunksPerQuery: 0,
  maxFetchedChunkBytesPerQuery: 0,
  maxFetchedDataBytesPerQuery: 0,
  maxQueryMemoryBytes: 0,
};

/** Limits of what a query reads, which its parts may exceed where the whole does not. */
const READ_TOO_MUCH: ReadonlySet<string> = new Set([
  'query-too-many-chunks',
  'query-too-many-chunk-bytes',
  'query-too-many-bytes',
]);

export function isReadTooMuch(thrown: unknown): boolean {
  return thrown instanceof AppError && READ_TOO_MUCH.has(thrown.facts.id);
}

/** Reads of all parts of a query, within its limits. */
export class PartsUse {
  readonly #budget: LimitedBudget;

  constructor(limits: BudgetLimits, used?: QueryUse) {
    this.#budget = new LimitedBudget(limits, undefined, used);
  }

  /** Reads of the parts that are through. */
  get used(): QueryUse {
    const { chunks, chunkBytes, fetchedBytes } = this.#budget;
    return { chunks, chunkBytes, fetchedBytes };
  }

  /** Counts a part that is through. @throws queryTooManyChunks, queryTooManyChunkBytes, queryTooManyBytes */
  add({ fetchedChunks, fetchedChunkBytes, fetchedBytes }: QueryStatistics): void {
    this.#budget.addChunks(fetchedChunks, fetchedChunkBytes);
    this.#budget.addFetchedBytes(fetchedBytes);
  }
}

/**
 * One budget for all parts of a query. A part is told what others have used when it begins; those that are under way with it are counted
 * as they end.
 */
export class PartsBudget {
  readonly #memory: PartsMemory;
  readonly #limits: PartsLimits;
  readonly #use: PartsUse;
  #points = 0;
  #heldBytes = 0;

  constructor(memory: PartsMemory, limits: PartsLimits, used?: QueryUse) {
    this.#memory = memory;
    this.#limits = limits;
    this.#use = new PartsUse(limits, used);
  }

  /** Reads of the parts that are through. */
  get used(): QueryUse {
    return this.#use.used;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** @throws as `count`; queryMemoryExceeded */
  add(result: QueryResult): void {
    this.count(result);
    this.holdBytes(bytesOf(result));
  }

  /** Counts an answer that is held elsewhere. @throws as `PartsUse.add`; queryTooManySamples, responseTooLarge */
  count({ value, statistics }: QueryResult): void {
    this.#use.add(statistics);
    this.#countPoints(pointsOf(value));
  }

  /** Counts points that are held as they come from the cache, and holds those of the answer. @throws as `add` */
  addPoints(points: number, series: number): void {
    this.#countPoints(points);
    this.holdBytes((points * POINT_BYTES) / 2 + series * SERIES_BYTES);
  }

  #countPoints(count: number): void {
    this.#points += count;
    const { samplesMax, maxQueryResponseSize } = this.#limits;
    if (this.#points > samplesMax) throw queryErrors.queryTooManySamples({ limit: samplesMax, points: this.#points });
    checkResponseSize(this.#points * POINT_TEXT_BYTES, maxQueryResponseSize);
  }

  /** @throws queryMemoryExceeded */
  holdBytes(bytes: number): void {
    this.#heldBytes += bytes;
    this.#memory.addMemory(bytes);
  }

  /** Gives back all but what was held before. */
  giveBackTo(heldBytes: number): void {
    this.holdBytes(heldBytes - this.#heldBytes);
  }

  close(): void {
    this.#heldBytes = 0;
    this.#memory.close();
  }
}

function pointsOf(value: QueryValue): number {
  if (value.type !== 'matrix') return 0;
  let points = 0;
  for (const { times } of value.series) points += times.length;
  return points;
}

/** Memory that the answer of some steps takes. */
export function bytesOf({ value }: QueryResult): number {
  return value.type === 'matrix' ? pointsOf(value) * POINT_BYTES + value.series.length * SERIES_BYTES : 0;
}
