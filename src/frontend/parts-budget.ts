import type { QueryResult, QueryStatistics, QueryUse, QueryValue } from '../contract/query.ts';
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

export interface PartsLimits {
  /** Points of all parts together. */
  readonly samplesMax: number;
  /** Bytes of the answer as text; 0: no limit. */
  readonly maxQueryResponseSize: number;
}

export const UNUSED: QueryUse = { chunks: 0, chunkBytes: 0, fetchedBytes: 0 };

/** With what a part has used. */
export function addedUse(
  { chunks, chunkBytes, fetchedBytes }: QueryUse,
  statistics: Pick<QueryStatistics, 'fetchedChunks' | 'fetchedChunkBytes' | 'fetchedBytes'>,
): QueryUse {
  return {
    chunks: chunks + statistics.fetchedChunks,
    chunkBytes: chunkBytes + statistics.fetchedChunkBytes,
    fetchedBytes: fetchedBytes + statistics.fetchedBytes,
  };
}

/** One budget for all parts of a query: each is told what the others have used when it begins. */
export class PartsBudget {
  readonly #memory: PartsMemory;
  readonly #limits: PartsLimits;
  #used: QueryUse;
  #points = 0;
  #heldBytes = 0;

  constructor(memory: PartsMemory, limits: PartsLimits, used: QueryUse = UNUSED) {
    this.#memory = memory;
    this.#limits = limits;
    this.#used = used;
  }

  /** Reads of the parts that are through. */
  get used(): QueryUse {
    return this.#used;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** @throws queryTooManySamples, responseTooLarge, queryMemoryExceeded */
  add(result: QueryResult): void {
    this.count(result);
    this.holdBytes(bytesOf(result));
  }

  /** Counts an answer that is held elsewhere. @throws queryTooManySamples, responseTooLarge */
  count({ value, statistics }: QueryResult): void {
    this.#used = addedUse(this.#used, statistics);
    this.#points += pointsOf(value);
    const { samplesMax, maxQueryResponseSize: limit } = this.#limits;
    if (this.#points > samplesMax) throw queryErrors.queryTooManySamples({ limit: samplesMax });
    const bytes = this.#points * POINT_TEXT_BYTES;
    if (limit > 0 && bytes > limit) throw queryErrors.responseTooLarge({ bytes, limit });
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
