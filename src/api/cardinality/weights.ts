import { AppError } from '../../model/errors.ts';
import { METRIC_NAME } from '../../model/labels.ts';
import type { LabelMatcher } from '../../model/matcher.ts';
import { SERIES_SHARDS_MAX } from '../../model/series-shard.ts';
import { tenantsOf } from '../../model/tenants.ts';
import { SampleColumns } from '../../storage/columns.ts';
import type { QueryContext } from '../../storage/queryable.ts';
import type { Call } from '../call.ts';
import type { MetricWeights, Weight } from '../sources.ts';
import type { Day } from './day.ts';
import type { LabelCounts } from './label-counts.ts';
import { countingContext, walkSeries } from './series-walk.ts';

/** Samples and bytes of metrics on a day. */
export interface DayWeights {
  readonly byMetric: ReadonlyMap<string, Weight>;
  readonly samples: number;
  readonly bytes: number;
  /**
   * Samples that the store does not have yet: they are in `samples` and, as they will be stored, in `bytes`. An estimate while parts of
   * a metric that is split are being stored: the window of those still to come is taken for stored.
   */
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
 * Samples and bytes by metric: those of the store by the headers of its groups, recent ones by reading them, or a share of them. While
 * a window is being written some metrics are stored further than others, so what is recent is told for each of them; of a metric that
 * is split, as far as its foremost part is stored.
 *
 * @param counts series of the day, of all that match
 * @returns undefined where nobody knows, or other labels than the name decide
 */
export async function dayWeights(
  call: Call,
  day: Day,
  matchers: readonly LabelMatcher[],
  counts: LabelCounts,
  context: QueryContext,
): Promise<DayWeights | undefined> {
  const { sources } = call;
  if (sources.weights === undefined || matchers.some(({ name }) => name !== METRIC_NAME)) return undefined;
  const byMetric = new Map<string, Weight>();
  const add = (name: string, samples: number, bytes: number) => {
    const before = byMetric.get(name);
    byMetric.set(name, { samples: (before?.samples ?? 0) + samples, bytes: (before?.bytes ?? 0) + bytes });
  };
  const ofTenants = await sources.weights({ matchers, ...day }, context);
  for (const { byMetric: own } of ofTenants) for (const [name, { samples, bytes }] of own) add(name, samples, bytes);
  const stored = sumOf(byMetric);
  const recent = new Map<string, number>();
  let recentUnknown: string | undefined;
  try {
    for (const [i, tenant] of tenantsOf(call.request.tenant).entries()) {
      const ofTenant = { ...call, request: { ...call.request, tenant } };
      await addRecent(ofTenant, day, matchers, { counts, stored: ofTenants[i]!.byMetric, recent });
    }
  } catch (thrown) {
    if (!(thrown instanceof AppError && thrown.facts.http === 422)) throw thrown;
    recent.clear();
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

interface Recent {
  readonly counts: LabelCounts;
  /** Metrics of one tenant. */
  readonly stored: MetricWeights['byMetric'];
  /** Samples by metric, of the tenants so far. */
  readonly recent: Map<string, number>;
}

/** Adds the samples of a tenant that are younger than what the store has of their metric. */
async function addRecent(
  call: Call,
  day: Day,
  matchers: readonly LabelMatcher[],
  { counts, stored, recent }: Recent,
): Promise<void> {
  const nowMs = call.sources.clock.nowMs();
  const endMs = Math.min(day.endMs, nowMs);
  if (endMs <= nowMs - RECENT_MS_MAX) return;
  const firstMs = Math.max(day.startMs, endMs - RECENT_MS_MAX);
  let startMs = endMs;
  for (const name of counts.of(METRIC_NAME).keys()) {
    startMs = Math.min(startMs, Math.max(firstMs, (stored.get(name)?.lastMs ?? Number.NEGATIVE_INFINITY) + 1));
  }
  if (startMs >= endMs) return;
  let shards = 1;
  while (counts.series / shards > READ_SERIES_MAX && shards < SERIES_SHARDS_MAX) shards *= 2;
  const shard = shards === 1 ? {} : { shard: { index: 0, count: shards } };
  const columns = new SampleColumns();
  let read = new Map<string, number>();
  await walkSeries(call, { matchers, startMs, endMs, ...shard, isOnce: true }, countingContext(call), {
    visit({ metricName }, block, index) {
      block.read(index, columns);
      const storedMs = stored.get(metricName)?.lastMs ?? Number.NEGATIVE_INFINITY;
      let count = columns.count;
      while (count > 0 && columns.times[columns.count - count]! <= storedMs) count--;
      if (count > 0) read.set(metricName, (read.get(metricName) ?? 0) + count * shards);
    },
    reset: () => {
      read = new Map();
    },
  });
  for (const [name, samples] of read) recent.set(name, (recent.get(name) ?? 0) + samples);
}
