import { AppError } from '../../model/errors.ts';
import { METRIC_NAME } from '../../model/labels.ts';
import type { LabelMatcher } from '../../model/matcher.ts';
import { SERIES_SHARDS_MAX } from '../../model/series-shard.ts';
import { SampleColumns } from '../../storage/columns.ts';
import type { QueryContext } from '../../storage/queryable.ts';
import type { Call } from '../call.ts';
import type { Weight } from '../sources.ts';
import type { Day } from './day.ts';
import { countingContext, walkSeries } from './series-walk.ts';

/** Samples and bytes of metrics on a day. */
export interface DayWeights {
  readonly byMetric: ReadonlyMap<string, Weight>;
  readonly samples: number;
  readonly bytes: number;
  /** Samples that the store does not have yet: they are in `samples` and, as they will be stored, in `bytes`. */
  readonly recentSamples: number;
  /** Why recent samples could not be counted; they are left out then. */
  readonly recentUnknown: string | undefined;
}

/** Recent series whose samples are read to know how many there are; of more a share is, and stands for the rest. */
const READ_SERIES_MAX = 20_000;
/** How long before its end the samples of a day may still be on their way to the store. */
const RECENT_MS_MAX = 6 * 3_600_000;
/** A stored sample where nothing is stored yet to tell, bytes. */
const SAMPLE_BYTES_USUAL = 0.5;

/**
 * Samples and bytes by metric: those of the store by the headers of its groups, recent ones by reading them, or a share of them.
 *
 * @param series that the day has, of all that match
 * @returns undefined where nobody knows, or other labels than the name decide
 */
export async function dayWeights(
  call: Call,
  day: Day,
  matchers: readonly LabelMatcher[],
  series: number,
  context: QueryContext,
): Promise<DayWeights | undefined> {
  const { sources } = call;
  if (sources.weights === undefined || matchers.some(({ name }) => name !== METRIC_NAME)) return undefined;
  const byMetric = new Map<string, Weight>();
  const add = (name: string, samples: number, bytes: number) => {
    const before = byMetric.get(name);
    byMetric.set(name, { samples: (before?.samples ?? 0) + samples, bytes: (before?.bytes ?? 0) + bytes });
  };
  let lastMs = day.startMs - 1;
  for (const stored of await sources.weights({ matchers, ...day }, context)) {
    lastMs = Math.max(lastMs, stored.lastMs);
    for (const [name, { samples, bytes }] of stored.byMetric) add(name, samples, bytes);
  }
  const stored = sumOf(byMetric);
  const endMs = Math.min(day.endMs, sources.clock.nowMs());
  const startMs = Math.max(lastMs + 1, endMs - RECENT_MS_MAX);
  const isRecent = startMs < endMs && endMs > sources.clock.nowMs() - RECENT_MS_MAX;
  let recent: ReadonlyMap<string, number> = new Map();
  let recentUnknown: string | undefined;
  try {
    if (isRecent) recent = await recentSamples(call, { matchers, startMs, endMs }, series);
  } catch (thrown) {
    if (!(thrown instanceof AppError && thrown.facts.http === 422)) throw thrown;
    recentUnknown = thrown.message;
  }
  const usual = stored.samples === 0 ? SAMPLE_BYTES_USUAL : stored.bytes / stored.samples;
  let recentCount = 0;
  for (const [name, samples] of recent) {
    const own = byMetric.get(name);
    const each = own === undefined || own.samples === 0 ? usual : own.bytes / own.samples;
    recentCount += samples;
    add(name, samples, samples * each);
  }
  return { byMetric, ...sumOf(byMetric), recentSamples: recentCount, recentUnknown };
}

function sumOf(byMetric: ReadonlyMap<string, Weight>): Weight {
  const sum = { samples: 0, bytes: 0 };
  for (const { samples, bytes } of byMetric.values()) {
    sum.samples += samples;
    sum.bytes += bytes;
  }
  return sum;
}

async function recentSamples(
  call: Call,
  request: { readonly matchers: readonly LabelMatcher[]; readonly startMs: number; readonly endMs: number },
  series: number,
): Promise<Map<string, number>> {
  let shards = 1;
  while (series / shards > READ_SERIES_MAX && shards < SERIES_SHARDS_MAX) shards *= 2;
  const shard = shards === 1 ? {} : { shard: { index: 0, count: shards } };
  const columns = new SampleColumns();
  const counts = new Map<string, number>();
  await walkSeries(call, { ...request, ...shard, isOnce: true }, countingContext(call), {
    visit(labels, block, index) {
      block.read(index, columns);
      if (columns.count > 0)
        counts.set(labels.metricName, (counts.get(labels.metricName) ?? 0) + columns.count * shards);
    },
    reset: () => counts.clear(),
  });
  return counts;
}
