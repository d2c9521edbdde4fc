import { mkdirSync } from 'node:fs';
import type { ChunkStoreReader } from '../../../chunkstore/reader.ts';
import { DAY_MS } from '../../../lib/day.ts';
import type { Random } from '../../../lib/random.ts';
import { METRIC_NAME } from '../../../model/labels.ts';
import { LabelMatcher } from '../../../model/matcher.ts';
import { SampleColumns } from '../../../storage/columns.ts';
import type { QueryContext } from '../../../storage/queryable.ts';
import type { Progress } from '../progress.ts';
import { BlockWriter } from './block-writer.ts';
import { ulidOf } from './ulid.ts';

export interface BlockExport {
  readonly reader: ChunkStoreReader;
  readonly tenant: string;
  readonly matchers: readonly LabelMatcher[];
  /** Both ends included. */
  readonly startMs: number;
  readonly endMs: number;
  /** How much time a block is for; they begin at multiples of it. */
  readonly rangeMs: number;
  /** Where the blocks' folders are made. */
  readonly folder: string;
  readonly random: Random;
  readonly progress: Progress;
  readonly context: QueryContext;
}

/** Writes what the store has as Prometheus' blocks, metric by metric. What was begun and not ended is removed. */
export async function exportBlocks(job: BlockExport): Promise<{ readonly blocks: number; readonly samples: number }> {
  mkdirSync(job.folder, { recursive: true });
  const totals = { blocks: 0, samples: 0 };
  for (const fromMs of await rangesOf(job)) {
    const writer = new BlockWriter(job.folder, ulidOf(fromMs, job.random));
    try {
      const range = {
        startMs: Math.max(job.startMs, fromMs),
        endMs: Math.min(job.endMs, fromMs + job.rangeMs - 1),
      };
      await fill(writer, job, range, totals);
      if (writer.seriesCount > 0) totals.blocks++;
      writer.end();
    } catch (error) {
      writer.abandon();
      throw error;
    }
  }
  return totals;
}

/** Where ranges begin that touch a day with samples. */
async function rangesOf({ reader, tenant, startMs, endMs, rangeMs, context }: BlockExport): Promise<number[]> {
  const starts = new Set<number>();
  for (const day of await reader.index.days(tenant, startMs, endMs, context)) {
    const from = Math.max(startMs, day * DAY_MS);
    const to = Math.min(endMs, (day + 1) * DAY_MS - 1);
    for (let at = Math.floor(from / rangeMs) * rangeMs; at <= to; at += rangeMs) starts.add(at);
  }
  return [...starts].sort((a, b) => a - b);
}

async function fill(
  writer: BlockWriter,
  { reader, tenant, matchers, progress, context }: BlockExport,
  range: { readonly startMs: number; readonly endMs: number },
  totals: { samples: number },
): Promise<void> {
  const about = matchers.filter(({ name }) => name === METRIC_NAME);
  const names = await reader.labelValues(tenant, METRIC_NAME, [], range.startMs, range.endMs, context);
  const columns = new SampleColumns();
  for (const metric of names) {
    if (!about.every((matcher) => matcher.matches(metric))) continue;
    context.signal.throwIfAborted();
    const name = LabelMatcher.of(METRIC_NAME, '=', metric);
    const set = await reader.select(tenant, { matchers: [name, ...matchers], ...range }, context);
    try {
      for (const [i, labels] of set.series.entries()) {
        set.read(i, columns);
        if (columns.count === 0) continue;
        writer.add(labels, columns);
        totals.samples += columns.count;
      }
    } finally {
      set.close();
    }
    progress.at(() => `${new Date(range.startMs).toISOString()}, ${metric}: ${totals.samples} samples so far`);
  }
}
