import { HISTOGRAM_BLOCK, STARTS_BLOCK, TIMES_BLOCK, VALUES_BLOCK } from '../chunk/group/header.ts';
import type { FoundGroup } from './index-reader.ts';
import type { MetricFilter } from './store-matching.ts';

/** A selection's size on one day: of its metrics' series as heads of groups tell it, for groups' borders cut series in two; else as labels do. */
export interface StoreSize {
  /** Series of each slot's largest window, of all slots together. */
  readonly series: number;
  readonly chunks: number;
  readonly chunkBytes: number;
  /** Groups with their series, by the time that they cover. */
  readonly spans: readonly SizedSpan[];
}

/** The series of a group that are selected, as if all had as many samples. */
export interface SizedSpan {
  readonly firstMs: number;
  readonly lastMs: number;
  readonly series: number;
  readonly samplesEach: number;
}

/** Blocks of samples that belong to series, and to time columns. */
const OF_SERIES: ReadonlySet<number> = new Set([VALUES_BLOCK, HISTOGRAM_BLOCK, STARTS_BLOCK]);
const OF_SAMPLES: ReadonlySet<number> = new Set([...OF_SERIES, TIMES_BLOCK]);

/** @param metrics names that decide alone which series are selected */
export function sizeOfGroups(groups: readonly FoundGroup[], metrics: MetricFilter): Omit<StoreSize, 'series'> {
  let chunks = 0;
  let chunkBytes = 0;
  const spans: SizedSpan[] = [];
  for (const group of groups) {
    const { header } = group;
    const own = header.metrics.filter(({ name }) => metrics.matches(name));
    const series = own.reduce((sum, { count }) => sum + count, 0);
    chunks += series;
    spans.push(spanOf(group, series));
    if (own.length < header.metrics.length) {
      // blocks that several metrics share are left out: it is known at the least
      for (const { kind, first, count, bytes } of header.blocks) {
        if (!OF_SERIES.has(kind)) continue;
        const isOwn = own.some((metric) => metric.first <= first && first + count <= metric.first + metric.count);
        if (isOwn) chunkBytes += bytes;
      }
    } else {
      for (const { kind, bytes } of header.blocks) if (OF_SAMPLES.has(kind)) chunkBytes += bytes;
    }
  }
  return { chunks, chunkBytes, spans };
}

/** @param series of the group that are selected */
export function spanOf({ header }: FoundGroup, series: number): SizedSpan {
  const { firstMs, lastMs, seriesCount, sampleCount } = header;
  return { firstMs, lastMs, series, samplesEach: sampleCount / Math.max(1, seriesCount) };
}
