import type { GroupSeries } from '../chunk/group/series.ts';
import { encodeLabels } from '../model/canonical.ts';
import { Labels } from '../model/labels.ts';
import type { QueryContext } from '../storage/queryable.ts';

/** A budget that only counts, for tests. */
export class CountingBudget {
  series = 0;
  chunks = 0;
  chunkBytes = 0;
  fetchedBytes = 0;
  cachedBlocks = 0;
  memoryBytes = 0;
  rows = 0;
  objects = 0;
  slots = 0;
  groups = 0;

  addSeries(count: number): void {
    this.series += count;
  }

  addChunks(count: number, bytes: number): void {
    this.chunks += count;
    this.chunkBytes += bytes;
  }

  addFetchedBytes(count: number): void {
    this.fetchedBytes += count;
  }

  addMemory(bytes: number): void {
    this.memoryBytes += bytes;
  }

  addFetches(rows: number, objects: number): void {
    this.rows += rows;
    this.objects += objects;
  }

  addCacheHits(blocks: number): void {
    this.cachedBlocks += blocks;
  }

  addGroups(slots: number, groups: number): void {
    this.slots += slots;
    this.groups += groups;
  }
}

export interface TestContext extends QueryContext {
  readonly budget: CountingBudget;
}

export function testContext(signal = new AbortController().signal): TestContext {
  return { signal, budget: new CountingBudget() };
}

export function seriesOf(
  labels: Readonly<Record<string, string>>,
  times: readonly number[],
  valueAt: (time: number, i: number) => number,
): GroupSeries {
  return {
    labels: encodeLabels(Labels.of(labels)),
    times: Float64Array.from(times),
    values: Float64Array.from(times, valueAt),
  };
}
