import type { GroupHeader } from '../chunk/group/header.ts';
import { TIMES_BLOCK } from '../chunk/group/header.ts';
import { getOrMake } from '../lib/map.ts';
import type { QueryBudget } from '../storage/queryable.ts';

/** Samples and bytes of a metric in the store, index left out. */
export interface MetricWeight {
  samples: number;
  bytes: number;
  /**
   * The newest sample of its groups, Unix ms. Up to there the store has all of the metric, unless it is split: parts are stored each at
   * its own moment, within an hour of each other.
   */
  lastMs: number;
}

/** A metric in a map of V8: an object of three numbers, a hash entry. */
const ENTRY_BYTES = 128;

/**
 * Weights of metrics by the headers of their groups. A block that several metrics share, and the samples of a group, are dealt out by
 * the number of series: estimates for each metric, exact as a sum.
 */
export class StoredWeights {
  readonly byMetric = new Map<string, MetricWeight>();
  readonly #budget: Pick<QueryBudget, 'addMemory'>;

  /** @param budget counts the entries; they are given back with all else that the query holds */
  constructor(budget: Pick<QueryBudget, 'addMemory'>) {
    this.#budget = budget;
  }

  add({ lastMs, seriesCount, sampleCount, metrics, blocks }: GroupHeader, isAsked: (metric: string) => boolean): void {
    if (seriesCount === 0) return;
    const bytesOf = new Float64Array(metrics.length);
    let sharedBytes = 0;
    // blocks of a kind ascend as metrics do
    let at = 0;
    let before = 0;
    for (const { kind, first, count, bytes } of blocks) {
      if (kind === TIMES_BLOCK || count === 0) {
        sharedBytes += bytes;
        continue;
      }
      if (first < before) at = 0;
      before = first;
      while (at + 1 < metrics.length && metrics[at]!.first + metrics[at]!.count <= first) at++;
      for (let i = at; i < metrics.length && metrics[i]!.first < first + count; i++) {
        const own = metrics[i]!;
        const common = Math.min(own.first + own.count, first + count) - Math.max(own.first, first);
        bytesOf[i] = bytesOf[i]! + (bytes * common) / count;
      }
    }
    for (const [i, { name, count }] of metrics.entries()) {
      if (!isAsked(name)) continue;
      const share = count / seriesCount;
      const weight = getOrMake(this.byMetric, name, () => {
        this.#budget.addMemory(ENTRY_BYTES + 2 * name.length);
        return { samples: 0, bytes: 0, lastMs };
      });
      weight.lastMs = Math.max(weight.lastMs, lastMs);
      weight.samples += sampleCount * share;
      weight.bytes += bytesOf[i]! + sharedBytes * share;
    }
  }
}
