import { queryErrors } from '../model/errors-query.ts';
import type { QueryBudget } from '../storage/queryable.ts';
import type { TenantLimits } from './limits.ts';

/**
 * What the process grows by for each byte that a query holds: what is no longer held waits for the collector, and freed memory has gaps
 * (`npm run bench:isolation`).
 */
const GROWTH = 1.2;

/** What one query may use by its tenant's limits, and what it has used. 0 is no limit. */
export class LimitedBudget implements QueryBudget {
  readonly #limits: BudgetLimits;
  series = 0;
  fetchedBytes = 0;
  memoryBytes = 0;
  peakMemoryBytes = 0;
  fetchedRows = 0;
  fetchedObjects = 0;
  cachedBlocks = 0;

  constructor(limits: BudgetLimits) {
    this.#limits = limits;
  }

  addSeries(count: number): void {
    this.series += count;
    const limit = this.#limits.maxFetchedSeriesPerQuery;
    if (limit > 0 && this.series > limit) throw queryErrors.queryTooManySeries({ series: this.series, limit });
  }

  addFetchedBytes(count: number): void {
    this.fetchedBytes += count;
    const limit = this.#limits.maxFetchedDataBytesPerQuery;
    if (limit > 0 && this.fetchedBytes > limit)
      throw queryErrors.queryTooManyBytes({ bytes: this.fetchedBytes, limit });
  }

  addMemory(bytes: number): void {
    this.memoryBytes += bytes;
    // who gives back is at the end, and has more to give back
    if (bytes <= 0) return;
    if (this.memoryBytes > this.peakMemoryBytes) this.peakMemoryBytes = this.memoryBytes;
    const limitBytes = this.#limits.maxQueryMemoryBytes;
    const usedBytes = Math.round(this.memoryBytes * GROWTH);
    if (limitBytes > 0 && usedBytes > limitBytes) throw queryErrors.queryMemoryExceeded({ usedBytes, limitBytes });
  }

  addFetches(rows: number, objects: number): void {
    this.fetchedRows += rows;
    this.fetchedObjects += objects;
  }

  addCacheHits(blocks: number): void {
    this.cachedBlocks += blocks;
  }
}

export type BudgetLimits = Pick<
  TenantLimits,
  'maxFetchedSeriesPerQuery' | 'maxFetchedDataBytesPerQuery' | 'maxQueryMemoryBytes'
>;
