import type { QueryResult, QueryUse } from '../contract/query.ts';
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
/** A series in an answer, its labels as text and in a map. */
const SERIES_BYTES = 600;

/** One budget for all parts of a query: each is told what the others have used when it begins. */
export class PartsBudget {
  readonly #memory: PartsMemory;
  readonly #samplesMax: number;
  #used: QueryUse = { chunks: 0, chunkBytes: 0, fetchedBytes: 0 };
  #points = 0;

  constructor(memory: PartsMemory, samplesMax: number) {
    this.#memory = memory;
    this.#samplesMax = samplesMax;
  }

  /** Reads of the parts that are through. */
  get used(): QueryUse {
    return this.#used;
  }

  /** @throws queryTooManySamples, queryMemoryExceeded */
  add({ value, statistics }: QueryResult): void {
    const { chunks, chunkBytes, fetchedBytes } = this.#used;
    this.#used = {
      chunks: chunks + statistics.fetchedChunks,
      chunkBytes: chunkBytes + statistics.fetchedChunkBytes,
      fetchedBytes: fetchedBytes + statistics.fetchedBytes,
    };
    if (value.type !== 'matrix') return;
    let points = 0;
    for (const { times } of value.series) points += times.length;
    this.#points += points;
    if (this.#points > this.#samplesMax) throw queryErrors.queryTooManySamples({ limit: this.#samplesMax });
    this.holdBytes(points * POINT_BYTES + value.series.length * SERIES_BYTES);
  }

  /** @throws queryMemoryExceeded */
  holdBytes(bytes: number): void {
    this.#memory.addMemory(bytes);
  }

  close(): void {
    this.#memory.close();
  }
}
