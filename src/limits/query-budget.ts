import { queryErrors } from '../model/errors-query.ts';
import type { QueryBudget } from '../storage/queryable.ts';
import type { TenantLimits } from './limits.ts';

/**
 * The process grows by this for each byte that a query holds: what is no longer held waits for the collector, and freed memory has gaps
 * (`npm run bench:isolation`).
 */
const GROWTH = 1.2;

/**
 * Memory that all queries of a thread hold, within its heap: one allocation that does not fit would end more than the query. Where it
 * is used up, a query goes on that holds no more than its share.
 */
export class SharedMemory {
  readonly #limitBytes: number;
  #heldBytes = 0;
  #holders = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** A query holds `afterBytes` in place of `beforeBytes`. */
  change(beforeBytes: number, afterBytes: number): void {
    this.#heldBytes += afterBytes - beforeBytes;
    this.#holders += Number(afterBytes > 0) - Number(beforeBytes > 0);
  }

  /** @param ownBytes of the query that wants more @throws queryThreadMemoryExceeded */
  check(ownBytes: number): void {
    const usedBytes = Math.round(this.#heldBytes * GROWTH);
    const limitBytes = this.#limitBytes;
    if (usedBytes <= limitBytes || ownBytes * GROWTH * this.#holders <= limitBytes) return;
    throw queryErrors.queryThreadMemoryExceeded({ usedBytes, limitBytes });
  }
}

export interface BudgetUse {
  readonly chunks: number;
  readonly chunkBytes: number;
  readonly fetchedBytes: number;
}

const UNUSED: BudgetUse = { chunks: 0, chunkBytes: 0, fetchedBytes: 0 };

/** The budget of one query by its tenant's limits, and its use so far. A limit of 0 is no limit. */
export class LimitedBudget implements QueryBudget {
  readonly #limits: BudgetLimits;
  readonly #shared: SharedMemory | undefined;
  series = 0;
  chunks = 0;
  chunkBytes = 0;
  fetchedBytes = 0;
  memoryBytes = 0;
  peakMemoryBytes = 0;
  fetchedRows = 0;
  fetchedObjects = 0;
  cachedBlocks = 0;
  readSlots = 0;
  readGroups = 0;

  /** @param used what parts of the same query have used elsewhere */
  constructor(limits: BudgetLimits, shared?: SharedMemory, used: BudgetUse = UNUSED) {
    this.#limits = limits;
    this.#shared = shared;
    this.chunks = used.chunks;
    this.chunkBytes = used.chunkBytes;
    this.fetchedBytes = used.fetchedBytes;
  }

  addSeries(count: number): void {
    this.series += count;
    const limit = this.#limits.maxFetchedSeriesPerQuery;
    if (limit > 0 && this.series > limit) throw queryErrors.queryTooManySeries({ series: this.series, limit });
  }

  addChunks(count: number, bytes: number): void {
    this.chunks += count;
    this.chunkBytes += bytes;
    const { maxFetchedChunksPerQuery: chunksMax, maxFetchedChunkBytesPerQuery: bytesMax } = this.#limits;
    if (chunksMax > 0 && this.chunks > chunksMax)
      throw queryErrors.queryTooManyChunks({ chunks: this.chunks, limit: chunksMax });
    if (bytesMax > 0 && this.chunkBytes > bytesMax)
      throw queryErrors.queryTooManyChunkBytes({ bytes: this.chunkBytes, limit: bytesMax });
  }

  addFetchedBytes(count: number): void {
    this.fetchedBytes += count;
    const limit = this.#limits.maxFetchedDataBytesPerQuery;
    if (limit > 0 && this.fetchedBytes > limit)
      throw queryErrors.queryTooManyBytes({ bytes: this.fetchedBytes, limit });
  }

  addMemory(bytes: number): void {
    const before = this.memoryBytes;
    this.memoryBytes += bytes;
    this.#shared?.change(before, this.memoryBytes);
    // who gives back is at the end, and has more to give back
    if (bytes <= 0) return;
    if (this.memoryBytes > this.peakMemoryBytes) this.peakMemoryBytes = this.memoryBytes;
    const limitBytes = this.#limits.maxQueryMemoryBytes;
    const usedBytes = Math.round(this.memoryBytes * GROWTH);
    if (limitBytes > 0 && usedBytes > limitBytes) throw queryErrors.queryMemoryExceeded({ usedBytes, limitBytes });
    this.#shared?.check(this.memoryBytes);
  }

  /** Gives back what is still held. */
  close(): void {
    this.addMemory(-this.memoryBytes);
  }

  addFetches(rows: number, objects: number): void {
    this.fetchedRows += rows;
    this.fetchedObjects += objects;
  }

  addCacheHits(blocks: number): void {
    this.cachedBlocks += blocks;
  }

  addGroups(slots: number, groups: number): void {
    this.readSlots += slots;
    this.readGroups += groups;
  }
}

export type BudgetLimits = Pick<
  TenantLimits,
  | 'maxFetchedSeriesPerQuery'
  | 'maxFetchedChunksPerQuery'
  | 'maxFetchedChunkBytesPerQuery'
  | 'maxFetchedDataBytesPerQuery'
  | 'maxQueryMemoryBytes'
>;
