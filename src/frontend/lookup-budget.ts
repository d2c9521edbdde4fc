import type { QueryBudget } from '../storage/queryable.ts';

/**
 * One budget for all parts of a look-up. What parts fetch and hold is added up; series are counted once however many parts have them: the
 * parts have mostly the same ones.
 */
export class LookupBudget {
  readonly #whole: QueryBudget;
  /** Series that are counted. */
  #series = 0;

  constructor(whole: QueryBudget) {
    this.#whole = whole;
  }

  /** Counts for one part. */
  part(): QueryBudget {
    const whole = this.#whole;
    let series = 0;
    return {
      addSeries: (count) => {
        series += count;
        this.seriesAtLeast(series);
      },
      addChunks: (count, bytes) => whole.addChunks(count, bytes),
      addFetchedBytes: (count) => whole.addFetchedBytes(count),
      addMemory: (bytes) => whole.addMemory(bytes),
      addFetches: (rows, objects) => whole.addFetches(rows, objects),
      addCacheHits: (blocks) => whole.addCacheHits(blocks),
      addGroups: (slots, groups) => whole.addGroups(slots, groups),
    };
  }

  /** There are so many series, in one part or in all together. @throws queryTooManySeries */
  seriesAtLeast(count: number): void {
    if (count <= this.#series) return;
    const more = count - this.#series;
    this.#series = count;
    this.#whole.addSeries(more);
  }
}
